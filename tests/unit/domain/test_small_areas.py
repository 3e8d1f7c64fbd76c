"""Every level has tiles, however small an area is and however close to a tile edge."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.domain.area import Area
from exporttiles.domain.extent import Extent
from exporttiles.domain.rings import box_polygon
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import EDGE_PIXELS, LevelOfDetail, TilingScheme
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.unit.domain.strategies import NZTM, WORLD

pytestmark = pytest.mark.no_cover  # many examples, whose lines tests of selections run as well
WEB_MERCATOR_512 = replace(WEB_MERCATOR_256, tile_size=512)
LAMBERT_93 = TilingScheme(
    spatial_reference=SpatialReference(wkid=2154),
    origin_x=0.0,
    origin_y=12_000_000.0,
    tile_size=256,
    dpi=96,
    lods=tuple(LevelOfDetail(n, 104_579.2245498940 / 2**n, 104_579.2245498940 / 2**n * 96 / 0.0254) for n in range(20)),
)
LIMITS = {
    WEB_MERCATOR_256: WORLD[WEB_MERCATOR_256],
    WEB_MERCATOR_512: WORLD[WEB_MERCATOR_256],
    WGS84_512: WORLD[WGS84_512],
    NZTM: WORLD[NZTM],
    LAMBERT_93: Extent(100_000.0, 6_000_000.0, 1_300_000.0, 7_200_000.0, LAMBERT_93.spatial_reference),
}
"""Full extents of services in each scheme."""

SHAPES = {
    "box": [[[(-1, -1), (-1, 1), (1, 1), (1, -1)]]],
    "triangle": [[[(-1, -0.7), (0.2, 1), (1, -1)]]],
    "bow-tie": [[[(-1, -1), (1, 1), (1, -1), (-1, 1)]]],
    "frame": [[[(-1, -1), (-1, 1), (1, 1), (1, -1)], [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]]],
    "three": [
        [[(-1, -1), (-1, -0.5), (-0.5, -1)]],
        [[(0, 0), (0, 1e-3), (1e-3, 0)]],
        [[(1, 1), (1, 0.2), (0.9, 1)]],
    ],
}


@st.composite
def edges(draw):
    """A scheme and a place where four tiles meet, or in the middle of a side or of a tile; x, y."""
    scheme = draw(st.sampled_from(list(LIMITS)))
    limit, level = LIMITS[scheme], draw(st.sampled_from([lod.level for lod in scheme.lods]))
    span = scheme.tile_span(level)
    x0, x1 = (limit.xmin - scheme.origin_x) / span, (limit.xmax - scheme.origin_x) / span
    y0, y1 = (scheme.origin_y - limit.ymax) / span, (scheme.origin_y - limit.ymin) / span
    x = draw(st.integers(int(x0), int(x1))) + draw(st.sampled_from([0.0, 0.0, 0.5]))
    y = draw(st.integers(int(y0), int(y1))) + draw(st.sampled_from([0.0, 0.0, 0.5]))
    return scheme, scheme.origin_x + x * span, scheme.origin_y - y * span


@st.composite
def sites(draw, shapes=tuple(SHAPES)):
    """A scheme and an area of 1 cm to 10 km near the edges of tiles, some of it within the full extent."""
    scheme, x, y = draw(edges())
    unit = 1 / scheme.spatial_reference.metres_per_unit
    width, height = (10 ** draw(st.floats(-2, 4)) * unit / 2 for _ in "xy")
    # Its middle is on the edge, or the edge is somewhere within it or beside it.
    x += draw(st.sampled_from([0.0, 0.99, -0.99, 1.5, -0.3])) * width
    y += draw(st.sampled_from([0.0, 0.99, -0.99, -1.5, 0.3])) * height
    polygons = SHAPES[draw(st.sampled_from(shapes))]
    placed = [[np.array(ring) * (width, height) + (x, y) for ring in polygon] for polygon in polygons]
    return scheme, Area(tuple(map(tuple, placed)), scheme.spatial_reference)


def select(scheme, area, limit=None):
    return TileSelection(scheme, area, limit or LIMITS[scheme])


def tiles_of(selection, level):
    runs = selection.rows(level, 0, 2**40)
    return {
        (row, column)
        for row, start, stop in zip(
            runs.row.tolist(), runs.column_start.tolist(), runs.column_stop.tolist(), strict=True
        )
        for column in range(start, stop)
    }


def rectangle(extent):
    """An envelope as an area that does not come round where the world ends."""
    return Area((box_polygon(extent.sides),), extent.spatial_reference)


def each_polygon(area):
    return [Area((polygon,), area.spatial_reference) for polygon in area.polygons]


def box_of(extent):
    return shapely.box(*extent.sides)


def levels_of(scheme):
    return [lod.level for lod in scheme.lods]


def levels_for(area, scheme):
    """The levels at which an area meets few tiles."""
    size = max(area.extent.xmax - area.extent.xmin, area.extent.ymax - area.extent.ymin)
    return [level for level in levels_of(scheme) if size < 20 * scheme.tile_span(level)]


@given(site=sites())
def test_every_polygon_within_the_full_extent_has_a_tile_at_every_level(site):
    scheme, area = site
    for polygon in each_polygon(area):
        if polygon.extent.intersection(LIMITS[scheme]) == polygon.extent:
            selection = select(scheme, polygon)
            assert all(selection.count(level) for level in levels_for(polygon, scheme))


@given(site=sites())
def test_an_area_has_the_tiles_of_all_its_polygons(site):
    scheme, area = site
    whole, parts = select(scheme, area), [select(scheme, polygon) for polygon in each_polygon(area)]
    for level in levels_for(area, scheme):
        assert tiles_of(whole, level) == set().union(*(tiles_of(part, level) for part in parts))


@given(site=sites(["box", "triangle", "three"]))
def test_an_area_touches_each_of_its_tiles(site):
    scheme, area = site
    shape = shapely.union_all([shapely.Polygon(polygon[0]) for polygon in area.polygons])
    selection = select(scheme, area)
    for level in levels_for(area, scheme):
        rounding = 1e-9 * scheme.tile_span(level)
        tiles = [box_of(scheme.tile_extent(level, *tile)) for tile in tiles_of(selection, level)]
        assert (shapely.distance(tiles, shape) <= rounding).all()


@given(site=sites(["box", "frame"]))
def test_the_tiles_cover_the_area(site):
    scheme, area = site
    extent = area.extent.intersection(LIMITS[scheme])
    if extent.is_empty:
        return
    selection, corners = select(scheme, area), shapely.points(np.concatenate(area.within(extent).polygons[0]))
    for level in levels_for(area, scheme):
        margin = scheme.lod(level).resolution * EDGE_PIXELS * 1.001
        tiles = [box_of(scheme.tile_extent(level, *tile)) for tile in tiles_of(selection, level)]
        covered = shapely.union_all(shapely.buffer(tiles, margin, cap_style="square", join_style="mitre"))

        assert shapely.covers(covered, corners).all()


@given(site=sites(["box"]), factors=st.tuples(*[st.floats(0, 3)] * 4))
def test_a_larger_extent_never_selects_fewer_tiles(site, factors):
    scheme, area = site
    xmin, ymin, xmax, ymax = area.extent.sides
    width, height = xmax - xmin, ymax - ymin
    west, south, east, north = factors
    larger = Extent(
        xmin - west * width, ymin - south * height, xmax + east * width, ymax + north * height, area.spatial_reference
    )
    inner, outer = (select(scheme, rectangle(box)) for box in (area.extent, larger))
    for level in levels_for(area, scheme):
        assert inner.count(level) <= outer.count(level)


@given(site=sites(["box", "triangle", "bow-tie"]), factor=st.floats(1.01, 100))
def test_an_area_that_grows_on_all_sides_keeps_its_tiles(site, factor):
    scheme, area = site
    middle = np.array([(area.extent.xmin + area.extent.xmax) / 2, (area.extent.ymin + area.extent.ymax) / 2])
    box = rectangle(area.extent)
    larger = Area((tuple(middle + (ring - middle) * factor for ring in box.polygons[0]),), area.spatial_reference)
    limit = Extent(-1e12, -1e12, 1e12, 1e12, area.spatial_reference)
    inner, outer = select(scheme, box, limit), select(scheme, larger, limit)
    for level in levels_for(larger, scheme):
        assert tiles_of(inner, level) <= tiles_of(outer, level)


@given(first=sites(), second=sites())
def test_more_polygons_never_select_fewer_tiles(first, second):
    scheme, area = first
    both = Area((*area.polygons, *second[1].polygons), area.spatial_reference)
    limit = Extent(-1e12, -1e12, 1e12, 1e12, area.spatial_reference)
    fewer, more = select(scheme, area, limit), select(scheme, both, limit)
    for level in levels_for(both, scheme):
        assert tiles_of(fewer, level) <= tiles_of(more, level)


@given(site=sites(["box"]))
def test_a_rectangle_selects_the_same_tiles_as_an_extent_and_as_a_polygon(site):
    scheme, area = site
    ((ring,),) = area.polygons
    middle = (ring[0] + ring[1]) / 2 + (1e-9 * scheme.tile_span(levels_of(scheme)[-1]), 0)
    polygon = Area(((np.insert(ring, 1, middle, axis=0),),), area.spatial_reference)
    by_extent, by_polygon = select(scheme, area), select(scheme, polygon)
    for level in levels_for(area, scheme):
        block = scheme.tile_range(area.extent.intersection(LIMITS[scheme]), level)
        tiles = {
            (row, column)
            for row in range(block.row_start, block.row_stop)
            for column in range(block.column_start, block.column_stop)
        }
        assert tiles_of(by_extent, level) == tiles
        assert len(tiles) == by_extent.count(level)
        assert polygon.is_rectangle or tiles_of(by_polygon, level) == tiles


@given(site=sites(), place=st.tuples(st.floats(0, 1), st.floats(0, 1)), size=st.floats(0.1, 1))
def test_an_area_within_a_tiny_full_extent_has_a_tile_at_every_level(site, place, size):
    scheme, area = site
    limit = area.extent
    width, height = limit.xmax - limit.xmin, limit.ymax - limit.ymin
    west, south = limit.xmin + place[0] * (1 - size) * width, limit.ymin + place[1] * (1 - size) * height
    within = Extent(west, south, west + size * width, south + size * height, area.spatial_reference)
    around = Extent(
        limit.xmin - width, limit.ymin - height, limit.xmax + width, limit.ymax + height, area.spatial_reference
    )
    grid = Extent(scheme.origin_x, -1e12, 1e12, scheme.origin_y, area.spatial_reference)
    if within.is_empty or within.intersection(grid) != within:
        return
    selection = select(scheme, rectangle(within), limit)
    same = [select(scheme, rectangle(extent), within) for extent in (limit, around)]
    for level in levels_for(area, scheme):
        inside = tiles_of(selection, level)

        assert inside
        assert [tiles_of(other, level) for other in same] == [inside, inside]


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("slope", [0.0, 1e-6, -3e-5, 1e-4])
@pytest.mark.parametrize("middle", [-1e-4, 0.0, 1e-4])
def test_a_thin_strip_along_a_tile_edge_selects_tiles_all_along(upright, slope, middle):
    level, span = 12, WEB_MERCATOR_256.tile_span(12)
    ends = [(100.3, 2000 + middle), (110.6, 2000 + middle + 10.3 * slope)]
    ring = np.array([ends[0], ends[1], np.add(ends[1], (0, 1e-7)), np.add(ends[0], (0, 1e-7))])
    origin = np.array([WEB_MERCATOR_256.origin_x, WEB_MERCATOR_256.origin_y])
    ring = origin + (ring[:, ::-1] if upright else ring) * (span, -span)

    found = tiles_of(select(WEB_MERCATOR_256, Area(((ring,),), WEB_MERCATOR_256.spatial_reference)), level)

    along = [row if upright else column for row, column in found]
    assert sorted(set(along)) == list(range(100, 111))
    assert {column if upright else row for row, column in found} <= {1999, 2000}
    if not slope:
        assert len(found) == 11


def test_a_strip_along_a_tile_edge_is_not_lost_where_it_meets_a_body():
    level, span = 12, WEB_MERCATOR_256.tile_span(12)
    ring = [(100.5, 2000), (110.5, 2000), (110.5, 2000.5), (110.4, 2000.5), (110.4, 2000.00001), (100.5, 2000.00001)]
    origin = np.array([WEB_MERCATOR_256.origin_x, WEB_MERCATOR_256.origin_y])
    area = Area(((origin + np.array(ring) * (span, -span),),), WEB_MERCATOR_256.spatial_reference)

    assert tiles_of(select(WEB_MERCATOR_256, area), level) == {(2000, column) for column in range(100, 111)}


def test_the_extent_example_at_greenwich_selects_every_level():
    extent = Extent(-500, 6710000, 500, 6711000, WEB_MERCATOR_256.spatial_reference)
    selection = select(WEB_MERCATOR_256, rectangle(extent))

    assert [selection.count(level) for level in range(8)] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_an_area_beside_the_full_extent_selects_nothing_at_any_level():
    area = rectangle(Extent(13.0, 52.0, 14.0, 53.0, WGS84))
    limit = Extent(2.0, 48.0, 3.0, 49.0, WGS84)

    assert [TileSelection(WGS84_512, area, limit).count(level) for level in range(10)] == [0] * 10


@settings(max_examples=200)
@given(site=sites(), noise=st.tuples(*[st.floats(-1, 1)] * 4), level=st.integers(3, 17), size=st.integers(1, 4))
def test_an_area_on_tile_edges_selects_no_neighbour(site, noise, level, size):
    scheme, area = site
    limit = Extent(-1e12, -1e12, 1e12, 1e12, area.spatial_reference)
    first = scheme.tile_range(area.extent, level)
    row, column = first.row_start, first.column_start
    upper, lower = scheme.tile_extent(level, row, column), scheme.tile_extent(level, row + size - 1, column + size - 1)
    west, south, east, north = (0.8 * EDGE_PIXELS * scheme.lod(level).resolution * share for share in noise)
    extent = Extent(
        upper.xmin + west, lower.ymin + south, lower.xmax + east, upper.ymax + north, area.spatial_reference
    )

    found = tiles_of(select(scheme, rectangle(extent), limit), level)

    assert found == {(row + down, column + along) for down in range(size) for along in range(size)}
