"""Envelopes with a spatial reference."""

import math
from dataclasses import dataclass

from exporttiles.domain.errors import AreaError
from exporttiles.domain.reprojection import reproject
from exporttiles.domain.rings import COORDINATE_LIMIT, Box, bounding_box, box_polygon, wrap
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.world import period


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
    def sides(self) -> Box:
        """Return xmin, ymin, xmax and ymax."""
        return self.xmin, self.ymin, self.xmax, self.ymax

    @property
    def is_empty(self) -> bool:
        """Tell whether the envelope holds no area, or is not finite."""
        finite = all(map(math.isfinite, self.sides))
        return not (finite and self.xmin < self.xmax and self.ymin < self.ymax)

    def intersection(self, other: "Extent") -> "Extent":
        """Return what two envelopes of one reference share; may be empty."""
        return Extent(
            max(self.xmin, other.xmin),
            max(self.ymin, other.ymin),
            min(self.xmax, other.xmax),
            min(self.ymax, other.ymax),
            self.spatial_reference,
        )

    def parts(self) -> tuple["Extent", ...]:
        """Return the envelope cut at the edge of the world, each part inside it.

        Raises:
            AreaError: it holds no area, is not finite, or not of this world.
        """
        xmin, ymin, xmax, ymax = self.sides
        world = period(self.spatial_reference)
        if xmin > xmax and world is not None and self.spatial_reference.is_geographic:
            xmax += world.width
        within = max(map(abs, self.sides)) < COORDINATE_LIMIT
        if not within or Extent(xmin, ymin, xmax, ymax, self.spatial_reference).is_empty:
            shown = ", ".join(f"{side:g}" for side in self.sides)
            message = f"The extent {shown} (xmin, ymin, xmax, ymax) is empty, not finite or too large."
            raise AreaError(message)
        pieces = [box_polygon((xmin, ymin, xmax, ymax))]
        if world is not None:
            (pieces,) = wrap(pieces, world.start, world.width)
        return tuple(Extent(*bounding_box([piece]), self.spatial_reference) for piece in pieces)

    def to(self, spatial_reference: SpatialReference) -> "Extent":
        """Return the bounding box of this envelope in another reference.

        The sides are traced: a straight side is a curve elsewhere. What
        crosses the edge of the world there gets a box from edge to edge;
        `Area.from_extent` keeps two instead.

        Raises:
            AreaError: no part of it can be expressed there.
        """
        if spatial_reference.is_same_as(self.spatial_reference) and not self.is_empty:
            return Extent(*self.sides, spatial_reference)
        boxes = [box_polygon(part.sides) for part in self.parts()]
        polygons = reproject(boxes, self.spatial_reference, spatial_reference)
        if not polygons:
            message = "The extent lies outside of the service's spatial reference."
            raise AreaError(message)
        return Extent(*bounding_box(polygons), spatial_reference)
