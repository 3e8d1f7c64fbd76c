"""Envelopes with a spatial reference."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporttiles.domain.errors import AreaError
from exporttiles.domain.spatial_reference import SpatialReference

if TYPE_CHECKING:  # every service has an extent, but few requests carry one elsewhere
    from exporttiles.domain.rings import Box


@dataclass(frozen=True, slots=True)
class Extent:
    """An envelope in the units of its spatial reference; x east, y north.

    In a geographic reference xmin > xmax means that it crosses the
    antimeridian (RFC 7946, section 5.2).
    """

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    spatial_reference: SpatialReference

    @property
    def sides(self) -> "Box":
        """Return xmin, ymin, xmax and ymax."""
        return self.xmin, self.ymin, self.xmax, self.ymax

    @property
    def unwound_sides(self) -> "Box":
        """Return the sides, with xmax beyond the edge of the world if the envelope crosses it."""
        if self.xmin <= self.xmax or not self.spatial_reference.is_geographic:
            return self.sides
        from exporttiles.domain.world import period

        world = period(self.spatial_reference)
        return self.xmin, self.ymin, self.xmax + (world.width if world else 0.0), self.ymax

    @property
    def is_empty(self) -> bool:
        """Return True if the envelope has no area, or is not finite."""
        finite = all(map(math.isfinite, self.sides))
        return not (finite and self.xmin < self.xmax and self.ymin < self.ymax)

    def intersection(self, other: "Extent") -> "Extent":
        """Return the intersection of two envelopes of one reference; may be empty."""
        return Extent(
            max(self.xmin, other.xmin),
            max(self.ymin, other.ymin),
            min(self.xmax, other.xmax),
            min(self.ymax, other.ymax),
            self.spatial_reference,
        )

    def union(self, other: "Extent") -> "Extent":
        """Return the smallest envelope around two envelopes of one reference."""
        return Extent(
            min(self.xmin, other.xmin),
            min(self.ymin, other.ymin),
            max(self.xmax, other.xmax),
            max(self.ymax, other.ymax),
            self.spatial_reference,
        )

    def boxes(self, spatial_reference: SpatialReference) -> tuple["Extent", ...]:
        """Return the bounding boxes of this envelope in another reference.

        An envelope that crosses the edge of the world there has two. Its sides
        are traced, as a straight line in one reference is a curve in another;
        in its own reference the envelope is returned unchanged.

        Raises:
            AreaError: the envelope has no area, is not finite or far outside
                of the world, or no part of it can be expressed there.
        """
        from exporttiles.domain.reprojection import reproject
        from exporttiles.domain.rings import COORDINATE_LIMIT, bounding_box, box_polygon

        xmin, ymin, xmax, ymax = self.unwound_sides
        if not all(abs(side) < COORDINATE_LIMIT for side in self.sides):  # false for nan, too
            shown = ", ".join(f"{side:g}" for side in self.sides)
            raise AreaError(f"A side of {shown} (xmin, ymin, xmax, ymax) is not a finite number, or too large.")
        for axis, lower, upper in (("x", xmin, xmax), ("y", ymin, ymax)):
            if lower >= upper:
                raise AreaError(f"{axis}min ({lower:.12g}) must be less than {axis}max ({upper:.12g}).")
        box = box_polygon((xmin, ymin, xmax, ymax))
        found = reproject([box], self.spatial_reference, spatial_reference)
        if not found:
            raise AreaError("The extent lies outside of the service's spatial reference.")
        rings = (ring for polygon in found for ring in polygon)
        return tuple(Extent(*bounding_box([(ring,)]), spatial_reference) for ring in rings)

    def to(self, spatial_reference: SpatialReference) -> "Extent":
        """Return the bounding box of this envelope in another reference.

        An envelope across the edge of the world becomes a box from edge to edge;
        `boxes` returns two.

        Raises:
            AreaError: as `boxes`.
        """
        if spatial_reference.is_same_as(self.spatial_reference) and not self.is_empty:
            return Extent(*self.sides, spatial_reference)
        lower_x, lower_y, upper_x, upper_y = zip(*(box.sides for box in self.boxes(spatial_reference)), strict=True)
        return Extent(min(lower_x), min(lower_y), max(upper_x), max(upper_y), spatial_reference)
