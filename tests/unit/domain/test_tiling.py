"""Tiling schemes: tiles, extents and levels."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.unit.domain.strategies import tiles


@given(tile=tiles())
@example(tile=(WEB_MERCATOR_256, 5, 0, 1))
def test_the_extent_of_one_tile_yields_that_tile_alone(tile):
    scheme, level, row, column = tile

    found = scheme.tile_range(scheme.tile_extent(level, row, column), level)

    assert found == TileRange(level, row, row + 1, column, column + 1)


@given(tile=tiles(), rows=st.integers(1, 300), columns=st.integers(1, 300))
def test_an_extent_on_tile_edges_does_not_spill(tile, rows, columns):
    scheme, level, row, column = tile
    first = scheme.tile_extent(level, row, column)
    last = scheme.tile_extent(level, row + rows - 1, column + columns - 1)

    found = scheme.tile_range(Extent(first.xmin, last.ymin, last.xmax, first.ymax, WGS84), level)

    assert found == TileRange(level, row, row + rows, column, column + columns)


def test_an_extent_left_and_above_of_the_origin_begins_at_tile_0():
    found = WGS84_512.tile_range(Extent(-200, -10, -100, 100, WGS84), 3)

    assert (found.row_start, found.column_start) == (0, 0)


def test_an_extent_wholly_left_of_the_origin_selects_nothing():
    assert WGS84_512.tile_range(Extent(-200, -10, -190, 10, WGS84), 3).count == 0


@pytest.mark.parametrize("extent", [(0, 0, 0, 1), (1, 0, 0, 1), (0, float("nan"), 1, 1), (0, 0, float("inf"), 1)])
def test_an_empty_extent_selects_nothing(extent):
    assert WGS84_512.tile_range(Extent(*extent, WGS84), 3).count == 0


def test_a_level_that_the_scheme_lacks_is_refused_with_those_it_has():
    with pytest.raises(InvalidParameterError, match="0-23"):
        WEB_MERCATOR_256.lod(24)


def test_ranges_apart_share_no_tile():
    assert TileRange(1, 0, 2, 0, 2).intersection(TileRange(1, 5, 9, 0, 2)).count == 0


@given(row=st.integers(0, 2**23), column=st.integers(0, 2**23))
def test_a_tile_lies_in_the_bundle_that_holds_it(row, column):
    bundle = BundleIndex.of_tile(23, row, column)

    inside = bundle.tile_range.intersection(TileRange(23, row, row + 1, column, column + 1))

    assert bundle.row % PACKET_SIZE == bundle.column % PACKET_SIZE == 0
    assert inside.count == 1


def test_bundles_are_ordered_by_row_before_column():
    assert BundleIndex(5, 0, 256) < BundleIndex(5, 128, 0)
