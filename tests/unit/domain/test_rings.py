"""Clipping of rings, compared with shapely."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from exporttiles.domain.errors import AreaError
from exporttiles.domain.rings import bounding_box, box_polygon, clip, simplified, wrap
from tests.unit.domain.strategies import region, unions

SQUARE = box_polygon((0.0, 0.0, 10.0, 10.0))
NEEDLE_AND_KITE = [
    [(0.015625, 5.390625), (0, 0), (0, 0.015625), (4.8125, -0.015625), (5.03125, 3.375)],
    [(4.828125, 0.109375), (0, 0), (0.828125, 4.109375), (3.1875, 5.765625), (3.3125, 0)],
]


def as_arrays(polygons):
    return [tuple(np.array(ring, float) for ring in polygon) for polygon in polygons]


@given(polygons=unions())
@example(polygons=[NEEDLE_AND_KITE])  # which GEOS gets wrong in floating point
def test_clipping_is_the_intersection_with_the_box(polygons):
    (polygon, *_) = as_arrays(polygons)
    box = (2.03, 1.03, 6.03, 5.03)

    clipped = clip([polygon], box)

    expected = shapely.intersection(region(polygon), shapely.box(*box))
    found = region(clipped[0]) if clipped else shapely.Polygon()
    assert shapely.symmetric_difference(found, expected).area == pytest.approx(0, abs=1e-6)


def test_two_legs_that_are_cut_off_become_two_rings_without_an_edge_between_them():
    legs = np.array([(0, 0), (2, 0), (2, 8), (4, 8), (4, 0), (6, 0), (6, 10), (0, 10)], float)

    (clipped,) = clip([(legs,)], (-1, -1, 10, 5))

    assert sorted(bounding_box([(ring,)]) for ring in clipped) == [(0, 0, 2, 5), (4, 0, 6, 5)]


def test_polygons_outside_of_the_box_are_left_out():
    assert clip([SQUARE], (20, 0, 30, 10)) == []


def a_circle(x, radius, vertices):
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    return (np.column_stack([x + radius * np.cos(angles), radius * np.sin(angles)]),)


def test_a_simplified_area_has_few_vertices_and_nearly_the_same_shape():
    (whole,) = groups = [[a_circle(0, 1000, 50_000)]]

    ((simple,),) = simplified(groups, 1000)

    assert 100 < len(simple[0]) <= 1000
    assert region(simple).symmetric_difference(region(whole[0])).area < 0.02 * region(whole[0]).area


def test_many_small_rings_stay_rings():
    groups = [[a_circle(10 * at, 4, 20)] for at in range(1000)]

    found = simplified(groups, 5000)

    assert sum(len(ring) for ((ring,),) in found) <= 5000
    assert sum(len(ring) >= 3 for ((ring,),) in found) > 500


@given(polygons=unions(), copies=st.integers(1, 200), most_vertices=st.integers(1, 1000))
def test_a_simplified_area_never_has_more_vertices_than_allowed(polygons, copies, most_vertices):
    polygons = as_arrays(polygons)
    group = [
        tuple(ring + np.array([at % 14, at // 14]) for ring in polygon) for at in range(copies) for polygon in polygons
    ]

    found = simplified([group, group], most_vertices)

    assert sum(len(ring) for each in found for polygon in each for ring in polygon) <= max(most_vertices, 2 * 144)
    assert all(found)


def test_a_zigzag_with_too_many_vertices_becomes_its_box():
    zigzag = np.array([(at / 1000, at % 2 * 1000) for at in range(1000)])

    ((polygon,),) = simplified([[(zigzag,)]], 100)

    assert bounding_box([polygon]) == pytest.approx((0, 0, 1, 1000), abs=1)
    assert len(polygon[0]) == 4


def test_neighbours_that_are_simplified_together_share_their_border():
    left, right = box_polygon((0.0, 0.0, 1.23456, 1.0)), box_polygon((1.23456, 0.0, 3.0, 1.0))

    (left,), (right,) = simplified([[left], [right]], 100)

    assert region(left).intersection(region(right)).area == 0
    assert region(left).union(region(right)).area == pytest.approx(3.0, abs=0.01)


def test_a_ring_smaller_than_the_grid_becomes_a_point():
    _, (tiny,) = simplified([[a_circle(0, 1000, 4)], [a_circle(5000, 0.001, 4)]], 100)

    assert len(tiny[0]) == 1


def test_polygons_in_the_world_stay_unchanged():
    assert wrap([SQUARE], -180, 360) == [[SQUARE]]


def test_polygons_one_turn_away_are_moved_into_the_world():
    ((piece,),) = wrap([box_polygon((370.0, 0.0, 380.0, 10.0))], -180, 360)

    assert bounding_box([piece]) == (10, 0, 20, 10)


def test_polygons_across_the_edge_of_the_world_are_cut():
    (pieces,) = wrap([box_polygon((170.0, 0.0, 190.0, 10.0))], -180, 360)

    assert [bounding_box([piece]) for piece in pieces] == [(170, 0, 180, 10), (-180, 0, -170, 10)]


def test_a_hole_is_cut_with_its_polygon():
    frame = (*box_polygon((170.0, 0.0, 190.0, 10.0)), *box_polygon((175.0, 2.0, 185.0, 8.0)))

    (pieces,) = wrap([frame], -180, 360)

    assert [region(piece).area for piece in pieces] == [70, 70]


@pytest.mark.parametrize("box", [(1e9, 0, 1e9 + 1, 1), (-800, 0, 800, 1)])
def test_coordinates_far_outside_of_the_world_are_refused(box):
    with pytest.raises(AreaError, match="far beyond the edge of the world"):
        wrap([box_polygon(box)], -180, 360)
