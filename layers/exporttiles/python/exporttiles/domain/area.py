"""Areas of interest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
from exporttiles.domain.rings import COORDINATE_LIMIT, Polygon, Ring, bounding_box, bounding_boxes, box_polygon, clip
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.wording import counted

VERTICES_LIMIT = 100_000
"""Limit of the vertices of a requested area."""

RINGS_LIMIT = 10_000
"""Limit of the rings of a requested area."""

_SLIVER = 1e-12  # of its length; a ring less wide than this is a line
_ROUNDING = 1e-12  # of coordinates: 20 micrometres in Web Mercator
_CORNERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A union of polygons.

    Attributes:
        polygons: each a tuple of rings under the even-odd rule, so that holes
            and parts need no order, no sense of rotation and no repair; a
            ring is (n, 2) float64, x before y, with or without its first
            vertex repeated at the end.
        spatial_reference: of the coordinates.
    """

    polygons: tuple[Polygon, ...]
    spatial_reference: SpatialReference

    @classmethod
    def from_rings(
        cls,
        polygons: Iterable[Sequence[Sequence[Sequence[float]]]],
        spatial_reference: SpatialReference,
    ) -> "Area":
        """Return the area of untrusted polygons.

        Args:
            polygons: a union; each a list of rings, a ring a list of vertices
                that begin with x and y; z and m are ignored.
            spatial_reference: of the coordinates.

        Raises:
            AreaError: the coordinates are not finite numbers, there are too
                many vertices or rings, or the area is empty.
        """
        found = with_area(read_polygons(polygons))
        if not found:
            raise AreaError("The area selects nothing: its coordinates are a point or a line.")
        return cls(found, spatial_reference)

    @classmethod
    def from_extent(cls, extent: Extent, spatial_reference: SpatialReference | None = None) -> "Area":
        """Return an envelope as an area; two boxes where it crosses the world's edge.

        Args:
            extent: in a geographic reference xmin may be greater than xmax.
            spatial_reference: where given, the bounding boxes there: the
                result is made of rectangles.

        Raises:
            AreaError: the envelope is empty, or far outside of the world.
        """
        reference = spatial_reference or extent.spatial_reference
        return cls(tuple(box_polygon(box.sides) for box in extent.boxes(reference)), reference)

    @classmethod
    def of_all(cls, full_extent: Extent) -> "Area":
        """Return the full extent of a service, unclipped: a cache may have tiles beyond the edge of the world."""
        return cls((box_polygon(full_extent.sides),), full_extent.spatial_reference)

    @classmethod
    def union(cls, areas: Sequence["Area"]) -> "Area":
        """Return the union of areas of one spatial reference; at least one."""
        polygons = tuple(polygon for area in areas for polygon in area.polygons)
        return cls(polygons, areas[0].spatial_reference)

    @property
    def extent(self) -> Extent:
        """Return the bounding box of all polygons."""
        return Extent(*bounding_box(self.polygons), self.spatial_reference)

    @property
    def is_rectangle(self) -> bool:
        """Return True if the area is its own bounding box."""
        if len(self.polygons) != 1 or len(self.polygons[0]) != 1:
            return False
        corners = _find_corners(self.polygons[0][0])
        if len(corners) != _CORNERS:
            return False
        box = {(x, y) for x, y in box_polygon(self.extent.sides)[0].tolist()}
        steps = np.diff(corners, axis=0, append=corners[:1])
        return {(x, y) for x, y in corners.tolist()} == box and not (steps[:, 0] * steps[:, 1]).any()

    def within(self, extent: Extent) -> "Area | None":
        """Return the part of the area that lies in an envelope; None if there is none.

        Args:
            extent: in the reference of the area.
        """
        if self.extent.intersection(extent) == self.extent:
            return None if self.extent.is_empty else self
        polygons = clip(self.polygons, extent.sides)
        if not polygons:
            return None
        sides, boxes = np.array(extent.sides), bounding_boxes(polygons)
        rounding = _ROUNDING * np.abs(boxes).max()  # polygons that only touch the envelope are left out
        reaches = (boxes[:, :2] < sides[2:] - rounding) & (boxes[:, 2:] > sides[:2] + rounding)
        polygons = list(compress(polygons, reaches.all(axis=1)))
        return Area(tuple(polygons), self.spatial_reference) if polygons else None

    def to(self, spatial_reference: SpatialReference) -> "Area":
        """Return the area in another reference, moved into its world.

        Straight edges are traced there to 0.1 m; x beyond the edge of the
        world continues on the other side; parts that cannot be expressed (a
        pole in Mercator) are cut off. For the same reference, too, the area is
        moved into the world.

        Raises:
            AreaError: no part of it can be expressed there, or coordinates
                are not finite or far outside of the world.
        """
        from exporttiles.domain.reprojection import reproject

        polygons = reproject(self.polygons, self.spatial_reference, spatial_reference)
        if not polygons:
            raise AreaError("The area lies outside of the service's spatial reference.")
        return Area(tuple(polygons), spatial_reference)


def read_polygons(polygons: Iterable[Sequence[Sequence[Sequence[float]]]]) -> list[Polygon]:
    """Return untrusted polygons as arrays, without rings that have no vertex.

    Raises:
        AreaError: the coordinates are not finite numbers, or there are none, or too many vertices or rings.
    """
    try:
        sent = [list(polygon) for polygon in polygons]
        vertices = sum(len(ring) for rings in sent for ring in rings)
    except TypeError as error:
        raise AreaError("The area is not made of lists of rings.") from error
    _check_count(sum(map(len, sent)), RINGS_LIMIT, "ring")
    _check_count(vertices, VERTICES_LIMIT, "vertex", "vertices")
    if not vertices:
        raise AreaError("The area has no coordinates.")
    return [tuple(read_vertices(ring) for ring in rings if len(ring)) for rings in sent]


def with_area(polygons: Iterable[Polygon]) -> tuple[Polygon, ...]:
    """Return polygons without the rings that are a point or a line, and none that has no other ring."""
    kept = (tuple(ring for ring in rings if _has_area(ring)) for rings in polygons)
    return tuple(polygon for polygon in kept if polygon)


def _check_count(number: int, limit: int, *noun: str) -> None:
    if number > limit:
        raise AreaError(f"The area has {counted(number, *noun)}; {limit:,} are allowed.")


def read_vertices(vertices: Sequence[Any]) -> Ring:
    """Return untrusted vertices as an array.

    Raises:
        AreaError: the coordinates are not finite numbers.
    """
    try:
        ring = np.array([(vertex[0], vertex[1]) for vertex in vertices], np.float64)
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise AreaError("A ring of the area is not a list of [x, y] coordinates.") from error
    if not (np.abs(ring) < COORDINATE_LIMIT).all():  # false for nan, too
        raise AreaError("The area has coordinates that are not finite numbers, or too large.")
    return ring


def _has_area(ring: Ring) -> bool:
    """Return True if vertices are not all on a point or a line; a bow-tie has area."""
    offset = ring - ring[0]
    square = np.square(offset).sum(axis=1)
    far = offset[square.argmax()]
    across = np.abs(far[0] * offset[:, 1] - far[1] * offset[:, 0])
    return bool(across.max() > _SLIVER * square.max())


def _find_corners(ring: Ring) -> Ring:
    """Remove vertices in the middle of vertical and horizontal sides."""
    different: Ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
    before, after = np.roll(different, 1, axis=0), np.roll(different, -1, axis=0)
    turns: Ring = different[~((different == before) & (different == after)).any(axis=1)]
    return turns
