"""Which pixels of which tiles lie in an area, compared with GDAL and with every centre by itself."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely.geometry import Polygon

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError, InvalidParameterError
from exporttiles.domain.export import ExportArea
from exporttiles.domain.extent import Extent
from exporttiles.domain.pixels import PixelSelection, require_clippable
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from tests.builders import WEB_MERCATOR, a_service, put_files
from tests.fakes import memory

SCHEME = WEB_MERCATOR_256
SIZE = SCHEME.tile_size
LEVEL = 9
BUNDLE = BundleIndex(LEVEL, 128, 256)
RESOLUTION = SCHEME.lod(LEVEL).resolution
LEFT = SCHEME.origin_x + BUNDLE.column * SIZE * RESOLUTION
TOP = SCHEME.origin_y - BUNDLE.row * SIZE * RESOLUTION
ALL = np.ones((PACKET_SIZE, PACKET_SIZE), np.bool_)


def in_map_units(ring):
    """Convert x and y in pixels from the top left corner of the bundle."""
    return [(LEFT + x * RESOLUTION, TOP - y * RESOLUTION) for x, y in ring]


def an_area(*polygons):
    """Return an area of polygons, each a list of rings in pixels."""
    return Area.from_rings([[in_map_units(ring) for ring in rings] for rings in polygons], WEB_MERCATOR)


def a_box(xmin, ymin, xmax, ymax):
    return [(xmin, ymin), (xmin, ymax), (xmax, ymax), (xmax, ymin)]


def cut(area, selected=ALL, bundle=BUNDLE):
    found = PixelSelection(SCHEME, area).cut(bundle, selected)
    return {
        (row - bundle.row, column - bundle.column): np.unpackbits(np.frombuffer(bits, np.uint8))
        .reshape(SIZE, SIZE)
        .astype(np.bool_)
        for (row, column), bits in found.items()
    }


def selected_by(area, bundle=BUNDLE):
    whole = Extent(SCHEME.origin_x, -SCHEME.origin_y, -SCHEME.origin_x, SCHEME.origin_y, WEB_MERCATOR)
    return TileSelection(SCHEME, area, whole).mask(bundle)


def pixels_of(area, rows, columns):
    """Return the pixels of some tiles, whether they are cut or not, as one picture."""
    selected = np.zeros_like(ALL)
    selected[:rows, :columns] = True
    found = cut(area, selected)
    whole = np.ones((SIZE, SIZE), np.bool_)
    return np.block([[found.get((row, column), whole) for column in range(columns)] for row in range(rows)])


def by_each_centre(polygons, side):
    """Return the pixels of a square whose centres lie in an odd number of rings of a polygon, one edge at a time."""
    y, x = np.mgrid[:side, :side] + 0.5
    covered = np.zeros((side, side), np.bool_)
    for rings in polygons:
        inside = np.zeros_like(covered)
        for ring in rings:
            for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
                crosses = (y0 <= y) != (y1 <= y)
                with np.errstate(divide="ignore", invalid="ignore"):
                    inside ^= crosses & (x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        covered |= inside
    return covered


# Eighths of a pixel around two by two tiles: many ends are centres, and on edges of tiles and pixels.
eighths = st.integers(-300, 8 * 2 * SIZE + 300).map(lambda number: number / 8)
sixteenths = st.integers(-300, 16 * 2 * SIZE + 300).map(lambda number: (2 * number + 1) / 32)
rings = st.lists(st.tuples(sixteenths, sixteenths), min_size=3, max_size=9)


@given(st.lists(st.lists(rings, min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_pixel_is_in_the_area_if_its_centre_is_in_an_odd_number_of_rings_of_a_polygon(polygons):
    try:
        area = an_area(*polygons)
    except AreaError:
        return  # all rings are points or lines

    differ = pixels_of(area, 2, 2) ^ by_each_centre(polygons, 2 * SIZE)

    assert np.count_nonzero(differ) <= on_an_edge(polygons, differ)


def on_an_edge(polygons, differ):
    """Return how many of some pixels have their centre on an edge, up to rounding."""
    y, x = np.argwhere(differ).T + 0.5
    found = np.zeros(len(x), np.bool_)
    for ring in (ring for rings in polygons for ring in rings):
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            found |= np.abs((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) < 1e-5 * np.hypot(x1 - x0, y1 - y0)
    return np.count_nonzero(found)


@given(st.lists(st.lists(st.tuples(eighths, eighths), min_size=3, max_size=12), min_size=1, max_size=3))
def test_gdal_draws_the_same_pixels(drawn):
    repaired = [Polygon(ring).buffer(0) for ring in drawn]
    parts = [part for each in repaired for part in getattr(each, "geoms", [each]) if part.area > 0]
    polygons = [[ring.coords[:-1] for ring in (part.exterior, *part.interiors)] for part in parts]
    if not polygons:
        return

    differ = pixels_of(an_area(*polygons), 2, 2) ^ rasterize(parts, (2 * SIZE, 2 * SIZE)).astype(np.bool_)

    # GDAL gives a centre on an edge to another side.
    assert np.count_nonzero(differ) <= on_an_edge(polygons, differ)


def test_tiles_within_the_area_and_tiles_on_its_edge_are_not_cut():
    area = an_area([a_box(0, 0, 3 * SIZE, 2 * SIZE)])

    assert cut(area, selected_by(area)) == {}


@pytest.mark.parametrize("off", [-0.04, 0.04])
def test_an_edge_that_rounding_puts_beside_a_tile_edge_cuts_nothing(off):
    area = an_area([a_box(off, off, 3 * SIZE + off, 2 * SIZE - off)])

    assert cut(area, selected_by(area)) == {}


def test_only_the_tiles_on_the_border_are_cut():
    area = an_area([a_box(SIZE / 2, SIZE / 2, 100.5 * SIZE, 90.5 * SIZE)])

    found = cut(area, selected_by(area))

    assert len(found) == 2 * 101 + 2 * 91 - 4
    assert {row for row, column in found if 0 < column < 100} == {0, 90}


def test_a_bundle_in_the_middle_of_an_area_is_not_looked_at():
    reach = 1000 * SIZE

    assert cut(an_area([[(-reach, -reach), (-reach, reach), (reach, reach), (reach, -reach)]])) == {}


def test_a_bundle_outside_of_the_area_has_no_pixel():
    found = cut(an_area([a_box(-2 * SIZE, -2 * SIZE, -SIZE, -SIZE)]))

    assert len(found) == PACKET_SIZE**2
    assert not any(pixels.any() for pixels in found.values())


def test_polygons_that_share_an_edge_share_no_pixel_and_leave_none_out():
    left, right = [(10, 10), (10, 200), (100, 200), (40, 10)], [(40, 10), (100, 200), (220, 200), (220, 10)]
    both = np.add(*(pixels_of(an_area([ring]), 1, 1).astype(int) for ring in (left, right)))

    np.testing.assert_array_equal(both, pixels_of(an_area([a_box(10, 10, 220, 200)]), 1, 1))
    np.testing.assert_array_equal(pixels_of(an_area([left], [right]), 1, 1), both)


def test_a_hole_is_outside_and_a_ring_that_crosses_itself_needs_no_repair():
    hole = pixels_of(an_area([a_box(0, 0, SIZE, SIZE), a_box(64, 64, 128, 128)]), 1, 1)
    bow_tie = pixels_of(an_area([[(0, 0), (200, 200), (200, 0), (0, 200)]]), 1, 1)

    assert np.count_nonzero(~hole) == 64 * 64
    assert bow_tie[100, 10]
    assert bow_tie[100, 190]
    assert not bow_tie[10, 100]


def test_many_crossings_are_worked_on_a_part_at_a_time(monkeypatch):
    teeth = [(x, 5 + 245 * (x % 2)) for x in range(200)]
    area = an_area([[*teeth, (199, 255), (0, 255)]])
    expected = pixels_of(area, 1, 1)

    monkeypatch.setattr("exporttiles.domain.pixels._CHUNK", 300)

    np.testing.assert_array_equal(pixels_of(area, 1, 1), expected)


def test_an_area_whose_edges_cross_too_many_pixels_is_refused():
    objects = memory()
    put_files(objects, 0)
    service = a_service(objects)
    across = 1.9e7
    teeth = [(across * (number / 50_000 - 1), across * (-1) ** number) for number in range(90_000)]
    area = Area.from_rings([[[*teeth]]], WEB_MERCATOR)

    require_clippable(service, [ExportArea(area, (0, 1, 2, 3))])
    with pytest.raises(InvalidParameterError, match=r"clip: .* The area is too complex to clip these levels"):
        require_clippable(service, [ExportArea(area, (8,))])


def test_the_border_is_about_as_many_tiles_as_are_cut():
    area = an_area([a_box(SIZE / 2, SIZE / 2, 100.5 * SIZE, 90.5 * SIZE)])

    counts = PixelSelection(SCHEME, area).border_counts(BUNDLE.tile_range)

    assert counts.keys() == {BUNDLE}
    assert counts[BUNDLE] == pytest.approx(len(cut(area, selected_by(area))), rel=0.05)


# Around three by three bundles, so that edges begin, end and run on outside of them.
far = st.integers(-200, 8 * 3 * PACKET_SIZE + 200).map(lambda number: number * SIZE / 8)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.tuples(far, far), min_size=3, max_size=12), min_size=1, max_size=3), st.integers(1, 1000))
def test_no_bundle_has_more_tiles_to_clip_than_the_border_counts(rings, chunk):
    try:
        area = an_area(*([ring] for ring in rings))
    except AreaError:
        return  # all rings are points or lines
    tiles = TileRange(LEVEL, BUNDLE.row, BUNDLE.row + 2 * PACKET_SIZE, BUNDLE.column, BUNDLE.column + 2 * PACKET_SIZE)

    pixels = PixelSelection(SCHEME, area)
    with mock.patch("exporttiles.domain.pixels._CHUNK", chunk):
        counts = pixels.border_counts(tiles)

    bundles = [BundleIndex(LEVEL, row, column) for row in (128, 256) for column in (256, 384)]
    assert counts.keys() <= set(bundles)
    for bundle in bundles:
        assert len(pixels.cut(bundle, selected_by(area, bundle))) <= counts[bundle]
