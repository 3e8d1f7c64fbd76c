"""Areas of interest: reading rings, and projection into other references."""

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given

from exporttiles.domain.area import RINGS_LIMIT, VERTICES_LIMIT, Area
from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from tests.unit.domain.strategies import fixture_area, unions

WEB_MERCATOR = SpatialReference(102100, 3857)
ANTARCTIC = SpatialReference(3031)
TRIANGLE = [[0, 0], [10, 0], [0, 10]]


def square_metres(area):
    """The area of rings that do not cross themselves, holes taken off."""
    total = 0.0
    for polygon in area.polygons:
        x, y = np.concatenate([np.vstack([ring, ring[:1], [[math.nan] * 2]]) for ring in polygon]).T
        total += abs(np.nansum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
    return total


def circle(radius, x=0.0, y=0.0, turn=1):
    angle = turn * np.linspace(0, 2 * np.pi, 61)[:-1]
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)]).tolist()


@pytest.mark.parametrize("ring", [TRIANGLE, [*TRIANGLE, TRIANGLE[0]], TRIANGLE[::-1]])
def test_a_ring_may_be_closed_or_not_and_turn_either_way(ring):
    assert Area.from_rings([[ring]], WGS84).extent.sides == (0, 0, 10, 10)


def test_heights_and_measures_are_not_looked_at():
    area = Area.from_rings([[[[x, y, 99, 1] for x, y in TRIANGLE]]], WGS84)

    assert area.extent.sides == (0, 0, 10, 10)


def test_rings_without_area_are_dropped_beside_others():
    area = Area.from_rings([[TRIANGLE, [[5, 5]], []], [[[1, 1], [2, 2], [3, 3]]]], WGS84)

    assert [len(polygon) for polygon in area.polygons] == [1]


@pytest.mark.parametrize("polygons", [[], [[]], [[[]]]])
def test_an_area_without_coordinates_is_refused(polygons):
    with pytest.raises(AreaError, match="no coordinates"):
        Area.from_rings(polygons, WGS84)


@pytest.mark.parametrize("ring", [[[1, 1]], [[1, 1]] * 4, [[0, 0], [1, 1]], [[0, 0], [0.1, 0.3], [0.2, 0.6], [0, 0]]])
def test_an_area_that_is_a_point_or_a_line_is_refused(ring):
    with pytest.raises(AreaError, match="selects nothing"):
        Area.from_rings([[ring]], WGS84)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e16, None])
def test_coordinates_that_are_no_places_are_refused(number):
    with pytest.raises(AreaError, match="not finite numbers"):
        Area.from_rings([[[*TRIANGLE, [number, 1]]]], WGS84)


@pytest.mark.parametrize(
    "polygons", [5, [5], [[5]], [[[5]]], [[[[1]]]], [[[["x", 1]]]], [[["ab"]]], [[{"a": 1}]], [[[[10**400, 1]]]]]
)
def test_anything_but_lists_of_coordinates_is_refused(polygons):
    with pytest.raises(AreaError, match="not"):
        Area.from_rings(polygons, WGS84)


def test_too_many_vertices_are_refused_with_their_number():
    with pytest.raises(AreaError, match="1,000,000 vertices; 100,000"):
        Area.from_rings([[TRIANGLE * (10 * VERTICES_LIMIT // 3) + [[1, 1]]]], WGS84)


def test_too_many_rings_are_refused_with_their_number():
    with pytest.raises(AreaError, match="10,001 rings; 10,000"):
        Area.from_rings([[TRIANGLE]] * (RINGS_LIMIT + 1), WGS84)


def test_an_extent_is_a_rectangle():
    assert Area.from_extent(Extent(0, 1, 2, 3, WGS84)).is_rectangle


@pytest.mark.parametrize(
    ("ring", "expected"),
    [
        ([[0, 0], [0, 2], [3, 2], [3, 0], [0, 0]], True),
        ([[0, 0], [0, 1], [0, 2], [3, 2], [3, 2], [3, 0], [1, 0]], True),
        ([[0, 0], [3, 2], [0, 2], [3, 0]], False),
        ([[0, 0], [0, 2], [3, 2]], False),
        ([[0, 0], [0, 2], [3, 2], [3, 1]], False),
        ([[0, 0], [0, 2], [3, 2], [3, 0]] * 2, False),
        ([[0, 0], [0, 2], [1, 2], [1, 1], [2, 1], [2, 2], [3, 2], [3, 0]], False),
    ],
)
def test_a_rectangle_is_known_by_its_corners(ring, expected):
    assert Area.from_rings([[ring]], WGS84).is_rectangle is expected


@pytest.mark.parametrize("reference", [WGS84, WEB_MERCATOR])
def test_a_full_extent_beyond_the_edge_of_the_world_stays_where_the_tiles_are(reference):
    edge = 20037508.342787 if reference is WEB_MERCATOR else 180.0
    beyond = Extent(edge * 0.99, -10, edge * 1.02, 10, reference)

    assert Area.of_all(beyond).extent == beyond
    assert len(Area.from_extent(beyond).polygons) == 2  # as a user means it


def test_two_rectangles_are_none():
    box = [[0, 0], [0, 2], [3, 2], [3, 0]]

    assert not Area.from_rings([[box], [box]], WGS84).is_rectangle
    assert not Area.from_rings([[box, box]], WGS84).is_rectangle


def test_a_rectangle_of_degrees_is_one_in_mercator():
    area = Area.from_rings([[[[-100, 35], [-100, 45], [-60, 45], [-60, 35]]]], WGS84)

    assert area.to(WEB_MERCATOR).is_rectangle


def test_an_area_in_its_own_reference_stays_as_it_is():
    area = fixture_area("greece")

    found = area.to(WGS84)

    rings = zip(chain(*area.polygons), chain(*found.polygons), strict=True)
    assert all(np.array_equal(before, after) for before, after in rings)


def test_a_slanting_side_is_traced_where_it_curves():
    area = Area.from_rings([[[[0, 50], [20, 60], [0, 60]]]], WGS84).to(WEB_MERCATOR)

    ring = area.polygons[0][0]
    degrees = np.column_stack([ring[:, 0], ring[:, 1]])
    middle = Extent(9.999999, 55, 10.000001, 55.000001, WGS84).to(WEB_MERCATOR)
    along = np.interp(middle.xmin, *np.sort(degrees[(ring[:, 1] < ring[:, 1].max())], axis=0).T)
    assert along == pytest.approx(middle.ymin, abs=0.3)


def test_mercator_goes_to_degrees_and_back():
    area = fixture_area("laos").to(WEB_MERCATOR)

    back = area.to(WGS84).to(WEB_MERCATOR)

    assert back.extent.sides == pytest.approx(area.extent.sides, abs=1e-6)
    assert square_metres(back) == pytest.approx(square_metres(area), rel=1e-9)


@pytest.mark.parametrize("target", [WEB_MERCATOR, SpatialReference(3395), WGS84, ANTARCTIC])
def test_antarctica_is_finite(target):
    area = fixture_area("antarctica").to(target)

    assert all(np.isfinite(ring).all() for polygon in area.polygons for ring in polygon)


def test_antarctica_in_mercator_ends_beyond_the_last_row_of_tiles():
    extent = fixture_area("antarctica").to(WEB_MERCATOR).extent

    assert extent.ymin < -20037508
    assert (extent.xmin, extent.xmax) == pytest.approx((-20037508.34, 20037508.34), abs=0.01)


@pytest.mark.parametrize("turns", [-2, -1, 1, 2])
def test_longitudes_may_run_on_round_the_world(turns):
    moved = [[[x + 360 * turns, y] for x, y in TRIANGLE]]

    found = Area.from_rings([moved], WGS84).to(WEB_MERCATOR)

    expected = Area.from_rings([[TRIANGLE]], WGS84).to(WEB_MERCATOR)
    assert found.extent.sides == pytest.approx(expected.extent.sides)


def test_an_area_wider_than_the_world_covers_it_everywhere():
    area = Area.from_rings([[[[-200, -10], [200, -10], [200, 10], [-200, 10]]]], WGS84)

    found = area.to(WGS84)

    assert [Area((polygon,), WGS84).extent.sides for polygon in found.polygons] == [
        (160, -10, 180, 10),
        (-180, -10, 180, 10),
        (-180, -10, -160, 10),
    ]


@pytest.mark.parametrize("x", [0, 1_000_000])
def test_a_hole_stays_one_where_its_polygon_crosses_the_antimeridian(x):
    area = Area.from_rings([[circle(1.5e6, x, -2_500_000), circle(7e5, x, -2_500_000, turn=-1)]], ANTARCTIC)

    back = area.to(WGS84).to(ANTARCTIC)

    assert square_metres(back) == pytest.approx(square_metres(area), rel=1e-6)


def test_a_ring_around_a_pole_holds_the_pole():
    extent = Area.from_rings([[circle(2e6)]], ANTARCTIC).to(WGS84).extent

    assert extent.sides[:3] == (-180, -90, 180)
    assert extent.ymax == pytest.approx(-71.74, abs=0.01)


def test_a_ring_around_the_pole_goes_to_degrees_and_back():
    area = Area.from_rings([[circle(2e6), circle(1e6, turn=-1)]], ANTARCTIC)

    back = area.to(WGS84).to(ANTARCTIC)

    assert back.extent.sides == pytest.approx(area.extent.sides, abs=0.2)


@pytest.mark.parametrize("wkid", [2193, 2154, 3031, 3413, 3035, 32601, 54012, 3832, 4807, 4267, 102113])
@pytest.mark.parametrize("source", [4326, 3857])
def test_an_area_as_large_as_the_world_is_finite_everywhere(wkid, source):
    world = Extent(-180, -85, 180, 85, WGS84).to(SpatialReference(source))

    area = Area.from_extent(world).to(SpatialReference(wkid))

    assert all(np.isfinite(ring).all() for polygon in area.polygons for ring in polygon)


def test_a_hostile_area_of_long_edges_is_refused():
    y = np.linspace(-80, 80, VERTICES_LIMIT)
    zigzag = np.column_stack([np.tile([-80.0, 80.0], VERTICES_LIMIT // 2), y])

    with pytest.raises(AreaError, match="too many long edges"):
        Area.from_rings([[zigzag]], WGS84).to(WEB_MERCATOR)


def test_a_hostile_area_of_curved_edges_is_traced_with_bounded_vertices():
    places = np.random.default_rng(3).uniform((1.2e6, 4.8e6), (1.9e6, 6.1e6), (VERTICES_LIMIT, 2))

    area = Area.from_rings([[places]], SpatialReference(2193)).to(WEB_MERCATOR)

    assert sum(len(ring) for polygon in area.polygons for ring in polygon) < 310_000


@given(polygons=unions())
def test_whatever_is_taken_can_be_projected(polygons):
    try:
        area = Area.from_rings(polygons, WGS84)
    except AreaError:
        return

    found = area.to(WEB_MERCATOR)

    assert all(map(math.isfinite, found.extent.sides))
