"""Esri curves, approximated by chords."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.formats.areas.curve_rings import TOLERANCE, trace_ring

angles = st.floats(0, math.tau)
coordinates = st.floats(-2e7, 2e7)


def at(centre, radius, angle):
    return [centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)]


def middles(vertices):
    """The vertices and the middles of the chords between them, where these are farthest from the curve."""
    points = np.array([vertex[:2] for vertex in vertices])
    return np.concatenate([points, (points[1:] + points[:-1]) / 2])


def sweep(vertices, centre):
    """The angle that vertices go round a centre, positive against the clock."""
    points = np.array(vertices) - centre
    return np.diff(np.unwrap(np.arctan2(points[:, 1], points[:, 0]))).sum()


@given(st.tuples(coordinates, coordinates), st.floats(0.1, 1e6), angles, st.floats(0.2, math.tau - 0.2), st.booleans())
def test_a_circular_arc_goes_by_way_of_its_interior_point_along_its_circle(centre, radius, first, turn, clockwise):
    turn = -turn if clockwise else turn
    start, interior, end = (at(centre, radius, first + turn * along) for along in (0, 0.4, 1))

    vertices = list(trace_ring([start, {"c": [end, interior]}]))

    distances = np.linalg.norm(middles(vertices) - centre, axis=1)
    assert np.abs(distances - radius).max() <= 1.01 * TOLERANCE * radius + 1e-6
    assert (vertices[0], vertices[-1]) == (start, end)
    assert sweep(vertices, centre) == pytest.approx(turn, abs=1e-3)


@given(
    st.tuples(coordinates, coordinates), st.floats(0.1, 1e6), angles, st.floats(0.01, math.tau - 0.01), st.booleans()
)
def test_an_arc_about_a_centre_goes_the_way_that_it_says(centre, radius, first, turn, clockwise):
    start, end = at(centre, radius, first), at(centre, radius, first + (-turn if clockwise else turn))

    vertices = list(trace_ring([start, {"a": [end, [*centre], int(turn < math.pi), int(clockwise)]}]))

    distances = np.linalg.norm(middles(vertices) - centre, axis=1)
    assert np.abs(distances - radius).max() <= 1.01 * TOLERANCE * radius + 1e-6
    assert sweep(vertices, centre) == pytest.approx(-turn if clockwise else turn, abs=1e-3)


@pytest.mark.parametrize(
    "curve", [{"c": [[1, 0], [-1, 0]]}, {"a": [[1, 0], [0, 0], 0, 1]}, {"a": [[1, 0], [0, 0], 0, 0]}]
)
def test_an_arc_that_ends_where_it_begins_is_a_whole_circle(curve):
    vertices = list(trace_ring([[1, 0], curve]))

    assert abs(sweep(vertices, (0, 0))) == pytest.approx(math.tau)
    assert np.linalg.norm(middles(vertices), axis=1) == pytest.approx(1, abs=TOLERANCE)


def test_an_elliptic_arc_is_turned_and_flattened():
    rotation, axis, ratio = math.radians(30), 4, 0.5
    along, across = (
        np.array([math.cos(rotation), math.sin(rotation)]),
        np.array([-math.sin(rotation), math.cos(rotation)]),
    )
    start, end = (axis * along).tolist(), (-axis * along).tolist()

    vertices = list(trace_ring([start, {"a": [end, [0, 0], 1, 0, rotation, axis, ratio]}]))

    x, y = (middles(vertices) @ direction for direction in (along, across))
    assert (x / axis) ** 2 + (y / axis / ratio) ** 2 == pytest.approx(1, abs=3 * TOLERANCE)
    assert y.min() > -1e-9  # against the clock: over the top


@given(st.lists(st.tuples(coordinates, coordinates), min_size=4, max_size=4))
def test_a_bezier_curve_is_followed(places):
    start, first, second, end = map(np.array, places)

    vertices = np.array(list(trace_ring([[*start], {"b": [[*end], [*first], [*second]]}])))

    t = np.linspace(0, 1, 2 * len(vertices) - 1)[:, np.newaxis]
    curve = (1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * first + 3 * t * t * (1 - t) * second + t**3 * end
    chords = np.repeat((vertices[1:] + vertices[:-1]) / 2, 1, axis=0)
    length = sum(np.linalg.norm(b - a) for a, b in ((start, first), (first, second), (second, end)))
    assert np.abs(curve[::2] - vertices).max() <= 1e-9 * length + 1e-7
    assert np.abs(curve[1::2] - chords).max(initial=0) <= TOLERANCE * length + 1e-7


def test_straight_parts_stay_as_they_are():
    ring = [[0, 0, 5], [1, 0, 6, None], {"c": [[1, 2, 7], [1, 1]]}, [0, 2]]

    assert list(trace_ring(ring)) == [[0, 0, 5], [1, 0, 6, None], [1, 1], [1, 2], [0, 2]]


@pytest.mark.parametrize(
    "ring",
    [
        [{"c": [[1, 1], [0, 1]]}],
        [[0, 0], {}],
        [[0, 0], {"c": [[1, 1]]}],
        [[0, 0], {"c": [[1, True], [0, 1]]}],
        [[0, 0], {"c": [[1, math.nan], [0, 1]]}],
        [[0, 0], {"a": [[1, 1], [0, 1], 0, 0, 0, -1, 0.5]}],
        [[0, 0], {"a": [[1, 1], [0, 1], 0, 0, 0, 1]}],
        [[0, 0], {"b": [[1, 1], [0, 1]]}],
        [[0, 0], {"z": [[1, 1], [0, 1]]}],
        [[0, 0], {"c": [[1, None], [0, 1]]}],
        [[0, 0], {"b": [[1, 1], None, [0, 1]]}],
        [[0, 0], {"c": None}],
        [[0, 0], {"a": [[1, 1], [0, 1], 0, "no"]}],
        [[0, 0], {"a": [[1, 1], [0, 1], 0, None]}],
    ],
)
def test_invalid_curves_are_refused_and_shown_as_json(ring):
    with pytest.raises(ValueError, match=r"curve|coordinate|vertex|sense of an arc") as refusal:
        list(trace_ring(ring))
    assert not re.search("None|True|'", str(refusal.value))
