"""Buffers of lines and points, judged by geodesic distances."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from exporttiles.domain.area import Area
from exporttiles.domain.buffer import EDGES_LIMIT, PRECISION, buffer_of
from exporttiles.domain.errors import AreaError
from exporttiles.domain.spatial_reference import WGS84, SpatialReference

GEOD = Geod(ellps="WGS84")
SPACE = Transformer.from_crs(4979, 4978, always_xy=True)
CUT_METRES = 0.3  # of cut edges: in space, in the projection and in degrees
SAMPLES = 4001


def places_on(path, reference=WGS84):
    """Return many places on a line that is straight in its reference: (n, 2) degrees."""
    path = np.asarray(path, float)
    if len(path) > 1:
        along = np.linspace(0, len(path) - 1, SAMPLES)
        path = np.column_stack([np.interp(along, range(len(path)), path[:, axis]) for axis in (0, 1)])
    change = Transformer.from_crs(reference.crs, WGS84.crs, always_xy=True)
    return np.column_stack(change.transform(path[:, 0], path[:, 1]))


def in_space(places):
    return np.column_stack(SPACE.transform(places[:, 0], places[:, 1], np.zeros(len(places))))


def distances(places, line):
    """Return the geodesic distance of places from a line of many places, which is nearly straight between them."""
    ends, found = in_space(line), []
    for place, start in zip(places, in_space(places), strict=True):
        near = int(np.square(ends - start).sum(axis=1).argmin())
        beside = line[[max(near - 1, 0), near, min(near + 1, len(line) - 1)]].copy()
        beside[:, 0] = np.unwrap(beside[:, 0], period=360)
        along = np.linspace(0, 2, 101)
        east, north = (np.interp(along, range(3), beside[:, axis]) for axis in (0, 1))
        _, _, metres = GEOD.inv(np.full(101, place[0]), np.full(101, place[1]), east, north)
        found.append(min(metres))
    return np.array(found)


def around(line, metres, rng, count=300):
    """Return places at given distances, in any direction, from random places of a line."""
    chosen = line[rng.integers(len(line), size=count)]
    east, north, _ = GEOD.fwd(chosen[:, 0], chosen[:, 1], rng.uniform(0, 360, count), metres(count))
    return np.column_stack([east, north])


def is_inside(area, places):
    """Return True for places in one of the polygons, each under the even-odd rule."""
    points, inside = shapely.points(places), np.zeros(len(places), bool)
    for polygon in area.polygons:
        crossed = np.zeros(len(places), bool)
        for ring in polygon:
            crossed ^= shapely.contains_properly(shapely.Polygon(ring), points)
        inside |= crossed
    return inside


def check(path, metres, reference=WGS84, seed=7):
    """Compare a buffer with geodesic distances on both sides of its edge."""
    rng, line = np.random.default_rng(seed), places_on(path, reference)
    area = buffer_of([np.asarray(path, float)], reference, metres)
    margin = metres * PRECISION + CUT_METRES
    inner = around(line, lambda count: np.where(rng.random(count) < 0.5, 1, rng.random(count)) * (metres - margin), rng)
    assert is_inside(area, inner).all()
    outer = around(line, lambda count: metres * (1 + PRECISION * 1.1 + rng.random(count) ** 3) + CUT_METRES, rng)
    outer = outer[distances(outer, line) > metres + margin]
    assert len(outer) > 50
    assert not is_inside(area, outer).any()


TRACKS = {
    "a bend": [[8, 47], [8.05, 47.02], [8.03, 47.06]],
    "there and back": [[8, 47], [8.05, 47], [8, 47]],
    "a point": [[8, 47]],
    "at the equator": [[-0.05, -0.02], [0.05, 0.03]],
    "at 70 degrees": [[25, 70], [25.2, 70.05], [25.1, 70.1]],
    "at 85 degrees": [[-40, 85], [-39, 85.05], [-41, 85.1]],
    "across the antimeridian": [[179.95, -17], [180.05, -17.02], [180, -16.9]],
    "along the antimeridian": [[180, 10], [180, 10.1]],
}


@pytest.mark.parametrize("metres", [20, 500, 20_000])
@pytest.mark.parametrize("track", TRACKS.values(), ids=TRACKS)
def test_the_edge_of_a_buffer_is_at_its_geodesic_distance(track, metres):
    check(track, metres)


FAR = {
    "a parallel": ([[-60, 60], [60, 60]], 100_000),
    "a meridian": ([[10, -60], [10, 60]], 100_000),
    "half round the world": ([[-100, 40], [80, -40]], 300_000),
    "near a pole": ([[0, 88], [120, 88]], 50_000),
    "the largest distance": ([[0, 0], [20, 30]], 1_000_000),
    "the largest distance about a point": ([[20, 50]], 1_000_000),
}


@pytest.mark.parametrize(("track", "metres"), FAR.values(), ids=FAR)
def test_long_lines_and_large_distances_keep_the_precision(track, metres):
    check(track, metres)


POLAR = {
    "a point beside the pole": ([[30, 89.5]], 100_000),
    "a point on the pole": ([[0, 90]], 100_000),
    "a line over the pole": ([[0, 89], [0, 90], [180, 90], [180, 89]], 50_000),
    "the south pole": ([[-120, -89.8]], 500_000),
}


@pytest.mark.parametrize(("track", "metres"), POLAR.values(), ids=POLAR)
def test_a_buffer_may_hold_a_pole(track, metres):
    check(track, metres)


@pytest.mark.parametrize(
    ("wkid", "track"),
    [
        (25832, [[400_000, 5_200_000], [480_000, 5_300_000]]),
        (3857, [[800_000, 6_000_000], [1_800_000, 8_000_000]]),
        (3031, [[-200_000, 0], [200_000, 10_000]]),
    ],
)
def test_lines_are_straight_in_their_own_reference(wkid, track):
    check(track, 2_000, SpatialReference(wkid))


def test_distances_are_those_of_the_ellipsoid_of_the_reference():
    moon = SpatialReference(wkt=CRS.from_user_input("ESRI:104903").to_wkt())

    ((ring,),) = buffer_of([np.array([[0.0, 0.0]])], moon, 30_000).polygons

    assert np.degrees(30_000 / 1_737_400) == pytest.approx(ring[:, 0].max(), rel=PRECISION)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-85, 85)), min_size=1, max_size=2),
    st.floats(1_000, 500_000),
    st.integers(0, 99),
)
def test_any_line_is_buffered_at_its_distance(track, metres, seed):
    check(track, metres, seed=seed)


def test_a_closed_line_leaves_a_hole():
    area = buffer_of([np.array([[0.0, 0], [0, 1], [1, 1], [1, 0], [0, 0]])], WGS84, 1_000)

    assert list(is_inside(area, np.array([[0.5, 0.5], [0, 0.5], [1, 0.2]]))) == [False, True, True]


def test_a_buffer_contains_a_smaller_buffer_of_a_part_of_its_line():
    line = np.array([[8.0, 47], [8.05, 47.02], [8.03, 47.06]])

    rings = np.concatenate([ring for polygon in buffer_of([line[:2]], WGS84, 500).polygons for ring in polygon])

    assert is_inside(buffer_of([line], WGS84, 502), rings).all()


def test_edges_of_a_buffer_have_a_limit():
    zigzag = np.random.default_rng(1).uniform([7, 46], [8, 47], (EDGES_LIMIT + 2, 2))

    with pytest.raises(AreaError, match=rf"^Its lines and points have [\d,]+ edges.*; {EDGES_LIMIT:,} are allowed"):
        buffer_of([zigzag], WGS84, 1_000_000)


def test_vertices_of_a_buffer_have_a_limit():
    points = np.random.default_rng(1).uniform([-170, -80], [170, 80], (5_000, 1, 2))

    with pytest.raises(AreaError, match=r"^The buffer takes more than 300,000 vertices"):
        buffer_of(list(points), WGS84, 10)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_coordinates_that_are_not_finite_are_refused(bad):
    with pytest.raises(AreaError, match="is not defined"):
        buffer_of([np.array([[0.0, 0.0], [bad, 1.0]])], WGS84, 500)


def test_a_buffer_is_an_area_in_every_reference():
    area = buffer_of([np.array([[179.9, 84.9], [180.1, 85.0]])], WGS84, 10_000)

    mercator = area.to(SpatialReference(3857))

    assert isinstance(mercator, Area)
    assert mercator.extent.xmin == pytest.approx(-20037508.34, abs=1)
    assert mercator.extent.xmax == pytest.approx(20037508.34, abs=1)
