"""Web Mercator tiles equal those of mercantile: row is y, column is x."""

import mercantile
from hypothesis import assume, given
from hypothesis import strategies as st

from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

REFERENCE = WEB_MERCATOR_256.spatial_reference
LEVEL = 12


@st.composite
def boxes(draw):
    """Two tiles; the box between their centres, in degrees, so that no edge decides."""
    first, last = (mercantile.Tile(*(draw(st.integers(0, 2**LEVEL - 1)) for _ in "xy"), LEVEL) for _ in range(2))
    (west, north), (east, south) = (
        ((bounds.west + bounds.east) / 2, (bounds.south + bounds.north) / 2)
        for bounds in map(mercantile.bounds, (first, last))
    )
    return min(west, east), min(north, south), max(west, east), max(north, south)


@given(boxes())
def test_a_box_covers_the_tiles_that_mercantile_says(box):
    west, south, east, north = box
    extent = Extent(west, south, east, north, WGS84)
    assume(not extent.is_empty)

    found = WEB_MERCATOR_256.tile_range(extent.to(REFERENCE), LEVEL)

    north_west, south_east = mercantile.tile(west, north, LEVEL), mercantile.tile(east, south, LEVEL)
    assert (found.row_start, found.row_stop) == (north_west.y, south_east.y + 1)
    assert (found.column_start, found.column_stop) == (north_west.x, south_east.x + 1)
