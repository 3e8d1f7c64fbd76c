"""Limits of coordinate systems: the period of x, and the usable longitudes and latitudes."""

import math
from dataclasses import dataclass
from functools import lru_cache

from pyproj import CRS

from exporttiles.domain.rings import Box
from exporttiles.domain.spatial_reference import WGS84, SpatialReference, transformer

_MARGIN_DEGREES = 10.0  # tiles may lie beyond the area of use; formulas hold this far
_LAST_PARALLEL = 86.0  # limit unless the area of use reaches further; Web Mercator ends at 85.06
_SHIFTED_POLE = 89.99  # the pole itself has no longitude


@dataclass(frozen=True, slots=True)
class Period:
    """Start and width of one turn around the world, in map units."""

    start: float
    width: float


@lru_cache(maxsize=64)
def period(reference: SpatialReference) -> Period | None:
    """Return the period of x if x depends on longitude alone, else None.

    It does in degrees, in Mercator and in the other cylindrical projections.
    """
    if reference.is_geographic:
        radians: float = reference.crs.axis_info[0].unit_conversion_factor
        return Period(-math.pi / radians, 2 * math.pi / radians)
    middle = _central_meridian(reference.crs)
    longitudes = [middle, middle + 30, middle + 60, middle + 30, middle + 60]
    x, _ = transformer(WGS84, reference).transform(longitudes, [0, 0, 0, 40, 40])
    steps = [value - x[0] for value in x]
    if not steps[2] > 0 or not all(
        math.isclose(step, steps[2] * share, rel_tol=1e-9)
        for step, share in zip(steps, (0, 0.5, 1, 0.5, 1), strict=True)
    ):
        return None
    half = steps[2] * 3
    return Period(x[0] - half, 2 * half)


@lru_cache(maxsize=64)
def usable_box(reference: SpatialReference) -> Box:
    """Return the degrees of longitude and latitude that can be expressed.

    Longitudes run without a jump from the edge opposite the central meridian,
    so they may lie beyond 180; latitudes may leave out the poles.
    """
    if reference.is_geographic:
        return -180.0, -_SHIFTED_POLE, 180.0, _SHIFTED_POLE
    middle = _central_meridian(reference.crs)
    use = reference.crs.area_of_use
    west, south, east, north = use.bounds if use else (-180.0, -_LAST_PARALLEL, 180.0, _LAST_PARALLEL)
    if period(reference) is not None:
        south, north = min(south, -_LAST_PARALLEL), max(north, _LAST_PARALLEL)
        return middle - 180, south, middle + 180, north
    south = min(south, max(-_LAST_PARALLEL, south - _MARGIN_DEGREES))
    north = max(north, min(_LAST_PARALLEL, north + _MARGIN_DEGREES))
    half = ((east - west) % 360 or 360) / 2
    centre = middle + math.remainder(west + half - middle, 360)
    west, east = centre - half - _MARGIN_DEGREES, centre + half + _MARGIN_DEGREES
    if east - west >= 360:
        return middle - 180, south, middle + 180, north
    return max(west, middle - 180), south, min(east, middle + 180), north


def _central_meridian(crs: CRS) -> float:
    """Return the middle of a projection, in degrees from Greenwich."""
    projected = crs.source_crs if crs.is_bound and crs.source_crs else crs
    operation, zero = projected.coordinate_operation, projected.prime_meridian
    if operation is None or zero is None:
        return 0.0
    offset = zero.longitude * float(zero.unit_conversion_factor)
    for parameter in operation.params:
        if parameter.name.startswith("Longitude of"):
            angle = float(parameter.value) * float(parameter.unit_conversion_factor)
            return math.degrees(angle + offset)
    return 0.0
