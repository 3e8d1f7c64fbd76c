"""Extents and their projection into other spatial references."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84, SpatialReference

WEB_MERCATOR = SpatialReference(102100, 3857)
EDGE = 20037508.342789244


def sides(extents):
    return [extent.sides for extent in extents]


def test_an_extent_in_its_own_reference_stays_as_it_is():
    extent = Extent(0.1, 0.2, 0.3, 0.4, SpatialReference(3857))

    assert extent.to(WEB_MERCATOR) == Extent(0.1, 0.2, 0.3, 0.4, WEB_MERCATOR)


@given(west=st.floats(-180, 179), south=st.floats(-84, 83), width=st.floats(1e-6, 1), height=st.floats(1e-6, 1))
def test_degrees_go_to_web_mercator_and_back(west, south, width, height):
    extent = Extent(west, south, west + width, south + height, WGS84)

    assert extent.to(WEB_MERCATOR).to(WGS84).sides == pytest.approx(extent.sides, abs=1e-9)


def test_a_side_that_curves_is_met_where_it_bulges():
    extent = Extent(1_000_000, 4_700_000, 2_200_000, 6_200_000, SpatialReference(2193))

    found = extent.to(WGS84)

    middle = Extent(1_599_999, 4_700_000, 1_600_001, 4_700_001, extent.spatial_reference).to(WGS84)
    corner = Extent(1_000_000, 4_700_000, 1_000_001, 4_700_001, extent.spatial_reference).to(WGS84)
    assert middle.ymin < corner.ymin - 0.1
    assert found.ymin == pytest.approx(middle.ymin, abs=2e-6)


def test_the_world_in_degrees_is_cut_where_mercator_ends():
    found = Extent(-180, -90, 180, 90, WGS84).to(WEB_MERCATOR)

    assert (found.xmin, found.xmax) == (-EDGE, EDGE)
    assert 20037508 < found.ymax < 22_000_000
    assert found.ymin == -found.ymax


@pytest.mark.parametrize("xmax", [190, -170])
def test_an_extent_across_the_antimeridian_is_two_boxes(xmax):
    extent = Extent(170, -10, xmax, 10, WGS84)

    assert sides(extent.boxes(WGS84)) == [(170, -10, 180, 10), (-180, -10, -170, 10)]
    assert [(box.xmin > 0, box.xmax > 0) for box in extent.boxes(WEB_MERCATOR)] == [(True, True), (False, False)]


def test_an_extent_across_the_antimeridian_has_a_bounding_box_round_the_world():
    found = Extent(170, -10, -170, 10, WGS84).to(WEB_MERCATOR)

    assert (found.xmin, found.xmax) == (-EDGE, EDGE)


def test_a_projected_extent_across_the_antimeridian_is_two_boxes():
    chatham_islands = Extent(2_000_000, 5_000_000, 2_500_000, 5_300_000, SpatialReference(2193))

    found = chatham_islands.boxes(WEB_MERCATOR)

    assert sorted((box.xmin < 0, box.xmax - box.xmin < 1_000_000) for box in found) == [(False, True), (True, True)]


def test_mercator_metres_beyond_the_edge_of_the_world_come_round():
    found = Extent(EDGE - 1000, 0, EDGE + 1000, 1000, WEB_MERCATOR).boxes(WGS84)

    assert [box.xmin for box in found] == pytest.approx([179.991, -180], abs=1e-4)
    assert [box.xmax for box in found] == pytest.approx([180, -179.991], abs=1e-4)


def test_a_cap_around_a_pole_has_the_pole_in_its_bounding_box():
    found = Extent(-1e6, -1e6, 1e6, 1e6, SpatialReference(3031)).to(WGS84)

    assert found.sides[:3] == (-180, -90, 180)
    assert -80 < found.ymax < -75


@pytest.mark.parametrize("target", [2193, 2154, 3031, 3413, 3035, 32601, 54012, 2056, 27700, 3832, 4807, 4267])
def test_the_whole_world_is_finite_everywhere(target):
    found = Extent(-180, -90, 180, 90, WGS84).to(SpatialReference(target))

    assert all(map(math.isfinite, found.sides))
    assert not found.is_empty


@pytest.mark.parametrize(
    "given_sides",
    [(1, 1, 1, 2), (1, 2, 3, 2), (0, 5, 1, 1), (math.nan, 0, 1, 1), (0, 0, math.inf, 1), (0, math.nan, 1, 1)],
)
@pytest.mark.parametrize("target", [WGS84, WEB_MERCATOR])
def test_an_extent_without_area_is_refused(given_sides, target):
    with pytest.raises(AreaError, match=r"must be less than|is not a finite number, or too large"):
        Extent(*given_sides, WGS84).to(target)


def test_metres_taken_for_degrees_are_asked_about():
    with pytest.raises(AreaError, match="Is its spatial reference right"):
        Extent(500_000, 4_000_000, 510_000, 4_010_000, WGS84).to(WEB_MERCATOR)


def test_an_extent_beyond_the_last_parallel_is_refused():
    with pytest.raises(AreaError, match="outside of the service's spatial reference"):
        Extent(0, 88, 10, 89, WGS84).to(WEB_MERCATOR)


def test_an_extent_where_its_reference_is_not_defined_is_refused():
    with pytest.raises(AreaError, match="not defined"):
        Extent(1e9, 1e9, 2e9, 2e9, SpatialReference(3035)).to(WEB_MERCATOR)
