"""Selection of tiles by an area, compared with an independent oracle."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.rings import edges_of
from exporttiles.domain.scanline import Scanline, thinned
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import EDGE_PIXELS, PACKET_SIZE, BundleIndex
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.unit.domain.strategies import NZTM, WORLD, brute_force, fixture_area, placed, tiles, unions

LEVEL = 3  # 8 x 8 tiles
FRAME = [(0.3, 0.3), (7.7, 0.3), (7.7, 7.7), (0.3, 7.7)]
HOLE = [(2.5, 2.5), (5.5, 2.5), (5.5, 5.5), (2.5, 5.5)]
EXAMPLE_THREE = [[-100, 35], [-100, 45], [-90, 45], [-90, 35], [-100, 35]]


def select(area, scheme=WEB_MERCATOR_256):
    return TileSelection(scheme, area, WORLD[scheme])


def select_places(polygons, level=LEVEL):
    """The selection of polygons that are given in tiles from the origin."""
    return select(placed(polygons, WEB_MERCATOR_256, level))


def select_fixture(name, scheme=WEB_MERCATOR_256):
    return select(fixture_area(name).to(scheme.spatial_reference), scheme)


def enumerate_tiles(selection, level):
    runs = selection.rows(level, 0, 2**level)
    return {
        (row, column)
        for row, start, stop in zip(
            runs.row.tolist(), runs.column_start.tolist(), runs.column_stop.tolist(), strict=True
        )
        for column in range(start, stop)
    }


def as_grid(found, level=LEVEL):
    grid = np.zeros((2**level, 2**level), bool)
    grid[tuple(np.array(sorted(found), int).reshape(-1, 2).T)] = True
    return grid


def star(points, radius=3.7, centre=4.0):
    """A star drawn in one line; every second place lies inside an even number of turns."""
    angle = 2 * np.pi * np.arange(points) * (points // 2) / points
    return np.column_stack([centre + radius * np.cos(angle), centre + radius * np.sin(angle)])


@given(polygons=unions())
def test_the_selection_equals_brute_force(polygons):
    found = as_grid(enumerate_tiles(select_places(polygons), LEVEL))

    assert np.array_equal(found, brute_force(polygons, 256, 8, 8))


@pytest.mark.parametrize("name", ["laos", "greece", "south-africa", "fiji", "san-marino", "bow-tie"])
@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512])
def test_the_selection_of_a_country_equals_brute_force(name, scheme):
    level = 7
    area = fixture_area(name).to(scheme.spatial_reference)
    span, origin = scheme.tile_span(level), (scheme.origin_x, scheme.origin_y)
    polygons = [[(ring - origin) / (span, -span) for ring in polygon] for polygon in area.polygons]

    found = as_grid(enumerate_tiles(select(area, scheme), level), level)

    assert np.array_equal(found, brute_force(polygons, scheme.tile_size, 128, 128))


def test_a_large_selection_equals_brute_force():
    polygon = [star(31, radius=250, centre=256.3)]

    found = as_grid(enumerate_tiles(select_places([polygon], 9), 9), 9)

    assert np.array_equal(found, brute_force([polygon], 256, 512, 512))


@given(polygons=unions(), levels=st.sampled_from([LEVEL, 9]))
@settings(max_examples=50)
def test_runs_are_ascending_and_apart(polygons, levels):
    runs = select_places(polygons).rows(levels, 0, 2**levels)

    assert (runs.column_start < runs.column_stop).all()
    later = np.diff(runs.row) > 0
    assert (later | (runs.column_start[1:] > runs.column_stop[:-1])).all()
    assert (np.diff(runs.row) >= 0).all()


@given(polygons=unions())
@settings(max_examples=30, deadline=None)
def test_bundles_masks_and_rows_agree_with_the_count(polygons):
    level = 9
    selection = select_places(polygons)

    bundles = list(selection.bundles(level))

    assert bundles == sorted(bundles)
    assert all(count > 0 for _, count in bundles)
    assert sum(count for _, count in bundles) == selection.count(level)
    assert [int(selection.mask(bundle).sum()) for bundle, _ in bundles] == [count for _, count in bundles]
    assert selection.rows(level, 0, 2**level).count == selection.count(level)


def test_a_mask_marks_the_selected_tiles_of_a_bundle():
    level = 9
    selection = select_fixture("south-africa")
    found = as_grid(enumerate_tiles(selection, level), level)

    for bundle, _ in selection.bundles(level):
        rows, columns = slice(bundle.row, bundle.row + PACKET_SIZE), slice(bundle.column, bundle.column + PACKET_SIZE)
        assert np.array_equal(selection.mask(bundle), found[rows, columns])


def test_a_bundle_without_selected_tiles_has_an_empty_mask():
    assert not select_fixture("laos").mask(BundleIndex(12, 0, 0)).any()


def test_some_rows_are_those_of_all_rows():
    selection = select_fixture("greece")

    found = selection.rows(12, 1550, 1600)

    every = selection.rows(12, 0, 4096)
    within = (every.row >= 1550) & (every.row < 1600)
    assert np.array_equal(found.row, every.row[within])
    assert np.array_equal(found.column_start, every.column_start[within])


@given(tile=tiles())
def test_the_area_of_one_tile_selects_that_tile_alone(tile):
    scheme, level, row, column = tile
    extent = scheme.tile_extent(level, row, column)
    selection = TileSelection(scheme, Area.from_extent(extent), extent)

    runs = selection.rows(level, 0, row + 5)

    assert selection.count(level) == 1
    assert (runs.row.tolist(), runs.column_start.tolist(), runs.column_stop.tolist()) == ([row], [column], [column + 1])


@pytest.mark.parametrize("level", range(1, 24))
def test_a_rectangle_on_tile_edges_does_not_spill(level):
    last = 2**level - 1
    first, second = last // 3, last // 3 + min(last // 3 + 1, 50)
    lower = WEB_MERCATOR_256.tile_extent(level, second, second)
    upper = WEB_MERCATOR_256.tile_extent(level, first, first)
    slanted = [(upper.xmin, upper.ymax), (lower.xmax, upper.ymax), (lower.xmax, lower.ymin), (upper.xmin, lower.ymin)]
    slanted.insert(2, (lower.xmax, (upper.ymax + lower.ymin) / 2 + 1e-9))

    selection = select(Area((((np.array(slanted)),),), WEB_MERCATOR_256.spatial_reference))

    expected = (second - first + 1) ** 2
    assert selection.count(level) == expected
    assert selection.rows(level, 0, 2**level).count == expected


@given(
    box=st.tuples(*[st.floats(0, 8)] * 4),
    nudge=st.sampled_from([0.0, 0.05 / 256, -0.05 / 256]),
    level=st.integers(0, 9),
)
@example(box=(8.0, 8.0, 0.0, 8.0), nudge=0.05 / 256, level=0)
@example(box=(3.0, 5.0, 8.0, 8.0), nudge=-0.05 / 256, level=3)
def test_rows_of_a_rectangle_are_its_tile_range(box, nudge, level):
    west, east, north, south = box[0] + nudge, box[1] - nudge, box[2] + nudge, box[3] - nudge
    area = placed([[[(west, north), (east, north), (east, south), (west, south)]]], WEB_MERCATOR_256, LEVEL)
    selection = select(area)

    found = selection.rows(level, 0, 2**level)

    # A sliver on both sides of the edge of the scheme has its middle beyond it, but lies in the last tile.
    within = area.extent.intersection(selection.limit)
    assert found.count == WEB_MERCATOR_256.tile_range(within, level).count


def test_a_hole_leaves_tiles_out():
    assert select_places([[FRAME, HOLE]]).count(LEVEL) == 64 - 4


def test_the_turn_of_a_hole_does_not_matter():
    assert select_places([[FRAME, HOLE[::-1]]]).count(LEVEL) == 64 - 4


def test_polygons_are_a_union_where_rings_are_not():
    assert select_places([[FRAME], [HOLE]]).count(LEVEL) == 64


def test_a_polygon_met_twice_selects_nothing_twice():
    assert select_places([[FRAME], [FRAME]]).count(LEVEL) == 64


def test_a_bow_tie_is_both_its_triangles():
    selection = select_places([[[(0.5, 0.5), (7.5, 7.5), (7.5, 0.5), (0.5, 7.5)]]])

    found = enumerate_tiles(selection, LEVEL)

    assert {(3, 0), (3, 7), (0, 0), (7, 7)} <= found
    assert not {(0, 3), (0, 4), (7, 3), (7, 4)} & found


def test_a_star_of_401_points_takes_milliseconds():
    selection = select_places([[star(401)]])
    begin = time.perf_counter()

    count = selection.count(7)

    assert time.perf_counter() - begin < 1
    assert count == brute_force([[star(401) * 16]], 256, 128, 128).sum()


@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512])
@pytest.mark.parametrize("level", range(13))
def test_fiji_is_fiji_whichever_way_its_longitudes_run(scheme, level):
    cut, unwrapped = select_fixture("fiji", scheme), select_fixture("fiji-unwrapped", scheme)

    assert enumerate_tiles(cut, level) == enumerate_tiles(unwrapped, level)


def test_fiji_lies_on_both_edges_of_the_grid():
    columns = {column for _, column in enumerate_tiles(select_fixture("fiji"), 6)}

    assert {0, 63} <= columns
    assert not columns & set(range(2, 62))


def test_antarctica_reaches_the_last_row_from_edge_to_edge():
    runs = select_fixture("antarctica").rows(7, 127, 128)

    assert runs.column_start[0] == 0
    assert runs.column_stop[-1] == 128


def test_lesotho_leaves_whole_tiles_out_of_south_africa():
    found = enumerate_tiles(select_fixture("south-africa"), 9)
    maseru = WEB_MERCATOR_256.tile_range(
        Extent(28.2, -29.6, 28.3, -29.5, WGS84).to(WEB_MERCATOR_256.spatial_reference), 9
    )

    assert (maseru.row_start, maseru.column_start) not in found
    filled = Area((fixture_area("south-africa").polygons[0][:1],), WGS84).to(WEB_MERCATOR_256.spatial_reference)
    assert len(found) < select(filled).count(9)


def test_san_marino_is_one_tile_down_to_level_10():
    selection = select_fixture("san-marino")

    assert [selection.count(level) for level in range(11)] == [1] * 11
    assert selection.count(11) > 1


def test_laos_is_less_than_its_bounding_box():
    selection = select_fixture("laos")

    assert selection.count(12) == 2966
    assert selection.count(12) < 0.45 * WEB_MERCATOR_256.tile_range(selection.area.extent, 12).count


def test_nothing_is_selected_outside_of_the_limit():
    area = Area.from_extent(WORLD[NZTM]).to(NZTM.spatial_reference)
    limit = NZTM.tile_extent(8, 1102, 442)

    selection = TileSelection(NZTM, area, limit)

    assert list(selection.bundles(8)) == [(BundleIndex(8, 1024, 384), 1)]
    assert selection.mask(BundleIndex(8, 1024, 384))[78, 58]


def test_an_area_outside_of_the_limit_selects_nothing():
    area = fixture_area("laos").to(WEB_MERCATOR_256.spatial_reference)
    limit = WEB_MERCATOR_256.tile_extent(3, 0, 0)

    selection = TileSelection(WEB_MERCATOR_256, area, limit)

    assert selection.count(10) == 0
    assert list(selection.bundles(10)) == []
    assert selection.rows(10, 0, 1024).count == 0


def test_a_level_that_the_scheme_lacks_is_refused():
    with pytest.raises(InvalidParameterError, match="0-23"):
        select_fixture("laos").count(24)


def test_the_third_example_of_the_documentation_selects_370_million_tiles():
    ring = Area.from_rings([[EXAMPLE_THREE]], WGS84)
    begin = time.perf_counter()

    selection = select(ring.to(WEB_MERCATOR_256.spatial_reference))
    counts = [selection.count(level) for level in range(13, 20)]

    assert time.perf_counter() - begin < 1
    assert counts == [68172, 272232, 1086823, 4343085, 17363929, 69441152, 277750044]
    assert sum(counts) == 370_325_437
    assert counts == [sum(count for _, count in selection.bundles(level)) for level in range(13, 17)] + counts[4:]
    box = Extent(-100, 35, -90, 45, WGS84).to(WEB_MERCATOR_256.spatial_reference)
    assert counts == [WEB_MERCATOR_256.tile_range(box, level).count for level in range(13, 20)]


def test_seventeen_million_cells_take_milliseconds_and_little_memory():
    selection = select_places([[star(401)]])
    tracemalloc.start()
    begin = time.perf_counter()

    count = selection.count(12)

    seconds, (_, peak_bytes) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == selection.rows(12, 0, 4096).count
    assert seconds < 2
    assert peak_bytes < 200e6


def test_memory_goes_by_edges_whatever_the_polygon():
    rng = np.random.default_rng(7)
    selection = select_places([[rng.uniform(0, 8, (100_000, 2))]])
    tracemalloc.start()

    selection.count(6)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 200e6


def test_bundles_are_the_same_however_few_are_counted_together(monkeypatch):
    together = list(select_fixture("south-africa").bundles(14))

    monkeypatch.setattr("exporttiles.domain.selection.BUNDLES_AT_A_TIME", 1)
    monkeypatch.setattr("exporttiles.domain.scanline._CHUNK_ROWS", 50)

    assert list(select_fixture("south-africa").bundles(14)) == together
    assert len({bundle.row for bundle, _ in together}) > 2


def test_memory_goes_by_the_bundles_that_hold_tiles_not_by_the_world_between_them():
    square = np.array([(0.2, 0.2), (99.8, 0.2), (99.8, 99.8), (0.2, 99.8)])
    selection = select_places([[square], [np.add(square, (2**23 - 100, 0))]], 23)
    expected = [(BundleIndex(23, 0, 0), 10_000), (BundleIndex(23, 0, 2**23 - PACKET_SIZE), 10_000)]
    selection.count(23)
    tracemalloc.start()

    found = list(selection.bundles(23))

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == expected
    assert peak_bytes < 1e6


def test_an_area_too_complex_for_a_level_is_refused_at_once():
    zigzag = np.column_stack([np.linspace(0, 8, 100_000), np.tile([0.0, 8.0], 50_000)])
    selection = select_places([[zigzag]])
    begin = time.perf_counter()

    with pytest.raises(AreaError, match="too complex for level 23"):
        selection.count(23)

    assert time.perf_counter() - begin < 1


def test_the_same_area_selects_the_same_tiles_again():
    first, second = (select_fixture("greece").rows(14, 0, 2**14) for _ in range(2))

    assert first.column_start.tobytes() == second.column_start.tobytes()


def winding_lines():
    """Rings of many short edges in tiles, which often stop at the edge of a tile or a margin beside it."""
    step = st.integers(-24, 24).map(lambda n: n / 64)
    beside = st.integers(-2, 2).map(lambda n: n * EDGE_PIXELS / 256)
    steps = st.lists(st.tuples(step, step, beside, beside), min_size=3, max_size=60)
    start = st.tuples(st.integers(64, 320), st.integers(64, 320)).map(lambda place: np.array(place) / 64)
    return st.builds(
        lambda start, steps: start + np.cumsum([each[:2] for each in steps], axis=0) + [each[2:] for each in steps],
        start,
        steps,
    )


@given(polygons=st.lists(st.lists(winding_lines(), min_size=1, max_size=2), min_size=1, max_size=2))
@example(polygons=[[np.array([(2.25, 2.25), (2.5, 2.25), (2.5, 2.5), (2.25, 2.5)])]])
@settings(deadline=None)
def test_edges_that_are_joined_inside_of_a_tile_change_no_selection(polygons):
    margin = EDGE_PIXELS / 256
    edges = edges_of([tuple(polygon) for polygon in polygons])
    joined = thinned(*edges, margin)

    (before, after) = (
        (found.rows, found.columns, list(found.runs(*found.rows)))
        for found in (Scanline(*each, LEVEL, margin) for each in (edges, joined))
    )

    assert before[:2] == after[:2]
    for runs, same in zip(before[2], after[2], strict=True):
        for name in ("row", "column_start", "column_stop"):
            np.testing.assert_array_equal(getattr(runs, name), getattr(same, name))
    assert len(joined[0]) <= len(edges[0])


def test_the_work_of_a_level_goes_by_the_tiles_of_the_outline_and_not_by_its_vertices():
    coarse, fine = select(circle(50_000)), select(circle(200_000))

    assert fine.work(0) < 10
    assert fine.work(10) == pytest.approx(coarse.work(10), rel=0.05)


def circle(vertices):
    angle = 2 * np.pi * np.arange(vertices) / vertices
    return placed([[np.column_stack([4 + 3 * np.cos(angle), 4 + 3 * np.sin(angle)])]], WEB_MERCATOR_256, LEVEL)
