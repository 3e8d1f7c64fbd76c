"""Extents stated in documents, compared with the tiles that exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import MessageKind
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from exporttiles.usecases.inspection.cache_claims import settle_extent

REFERENCE = WEB_MERCATOR_256.spatial_reference
SPAN = WEB_MERCATOR_256.tile_span(8)
SQUARE = {8: TileRange(8, 100, 104, 200, 204)}
FIRST, LAST = WEB_MERCATOR_256.tile_extent(8, 100, 200), WEB_MERCATOR_256.tile_extent(8, 103, 203)


def box(west, south, east, north):
    """The tiles of SQUARE, its sides moved outwards by so many tiles."""
    sides = FIRST.xmin - west * SPAN, LAST.ymin - south * SPAN, LAST.xmax + east * SPAN, FIRST.ymax + north * SPAN
    return Extent(*sides, REFERENCE)


@st.composite
def caches(draw):
    """A scheme, and a block of tiles of some levels."""
    scheme = draw(st.sampled_from([WEB_MERCATOR_256, WGS84_512]))
    levels = {}
    for level in draw(st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True)):
        size = 2**level
        row, column = draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))
        rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        levels[level] = TileRange(level, row, min(size, row + rows), column, min(size, column + columns))
    return scheme, levels


@given(caches(), st.data())
def test_every_tile_lies_in_the_extent_whatever_a_document_states(cache, data):
    scheme, levels = cache
    world = abs(scheme.origin_x)
    corners = [sorted(data.draw(st.tuples(st.floats(-world, world), st.floats(-world, world)))) for _ in "xy"]
    (xmin, xmax), (ymin, ymax) = corners
    stated = Extent(xmin, ymin, xmax + 1e-9, ymax + 1e-9, scheme.spatial_reference)

    extent, messages = settle_extent(scheme, levels, stated, "conf.cdi")

    for level, tiles in levels.items():
        assert scheme.tile_range(extent, level).intersection(tiles) == tiles
    assert (messages == ()) == (extent == stated)
    assert all(message.text.startswith("conf.cdi: ") for message in messages)


@pytest.mark.parametrize(
    "levels", [{1: TileRange(1, 0, 1, 0, 2)}, {2: TileRange(2, 1, 2, 2, 3), 1: TileRange(1, 0, 1, 0, 2)}]
)
def test_an_extent_that_is_a_sliver_along_the_edge_of_a_tile_grows_on_both_sides(levels):
    extent, _ = settle_extent(WEB_MERCATOR_256, levels, Extent(0, 0, 1e-9, 1, REFERENCE), "conf.cdi")

    for level, tiles in levels.items():
        assert WEB_MERCATOR_256.tile_range(extent, level).intersection(tiles) == tiles


@pytest.mark.parametrize("inside", [0.0, 0.3, 0.99])
def test_an_extent_that_ends_inside_the_outermost_tiles_stays_as_it_is(inside):
    stated = box(-inside, -inside, -inside, -inside)

    assert settle_extent(WEB_MERCATOR_256, SQUARE, stated, "conf.cdi") == (stated, ())


def test_an_extent_that_is_larger_than_the_tiles_stays_as_it_is():
    assert settle_extent(WEB_MERCATOR_256, SQUARE, box(9, 9, 9, 9), "conf.cdi") == (box(9, 9, 9, 9), ())


def test_a_side_that_leaves_tiles_out_moves_and_the_others_stay():
    stated = box(-0.5, -0.5, -1.5, -0.5)

    extent, (message,) = settle_extent(WEB_MERCATOR_256, SQUARE, stated, "Layers/conf.cdi")

    assert extent == box(-0.5, -0.5, 0, -0.5)
    assert message.kind is MessageKind.WARNING
    assert message.text.startswith("Layers/conf.cdi: tiles of level 8 lie outside of the extent ")


def test_an_extent_somewhere_else_is_not_used():
    stated = Extent(0, 0, 1000, 1000, REFERENCE)

    extent, (message,) = settle_extent(WEB_MERCATOR_256, SQUARE, stated, "root.json fullExtent")

    assert extent == box(0, 0, 0, 0)
    assert "root.json fullExtent: the extent 0, 0, 1000, 1000 holds none of the tiles of level 8" in message.text


def test_a_cache_without_tiles_has_no_extent():
    with pytest.raises(DamagedCacheError, match="no tiles"):
        settle_extent(WEB_MERCATOR_256, {}, None, "")
