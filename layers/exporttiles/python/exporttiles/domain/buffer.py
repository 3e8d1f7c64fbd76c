"""Buffers of lines and points: areas of all places within a distance of them.

Distances are geodesic, on the ellipsoid of the reference. Lines are straight in their own reference, as the edges of
polygons are. They are cut into short edges, and up to `_GROUP_EDGES` neighbours at a time are buffered in an azimuthal
equidistant projection about their middle.

The error of such a buffer is small whatever the distance: to first order in the curvature K of the earth, the square of
the distance between the places x and y of this projection (vectors from its middle) is |x - y|^2 - K/3 |x cross y|^2. A
place y at the distance d of a place x of the line has |x cross y| <= |x| d, so the relative error is at most K/6 |x|^2.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod, Proj, Transformer

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError
from exporttiles.domain.reprojection import (
    LONGEST_METRES,
    TOLERANCE_METRES,
    VERTICES_LIMIT,
    Change,
    Coordinates,
    trace,
    transform_polygons,
)
from exporttiles.domain.rings import Polygon, bounding_box, box_polygon, wrap
from exporttiles.domain.spatial_reference import SpatialReference, transformer
from exporttiles.domain.world import period

EDGES_LIMIT = 20_000
"""Limit of the edges and points of a buffer, after long edges were cut: a few seconds of work."""

PRECISION = 1e-3
"""Largest error of the distance between the edge of a buffer and its line, over that distance."""

_ARC_SHARE = 6e-4  # of PRECISION; the others are those of the projection (1.8e-4) and, twice, of edges that are cut
_ARC_EDGES = 16  # of a quarter of a circle: their middles are 1.2e-3 nearer than their ends
_CUT_SHARE = 1e-4
_CELL_METRES = 200_000.0  # no place is further than 173 km from the middle of its cell, or half an edge more
_GROUP_EDGES = 128  # one hostile group, whose edges all cross, takes 0.2 s


def buffer_of(
    paths: Sequence[Coordinates],
    reference: SpatialReference,
    distance_metres: float,
    vertices_left: int = VERTICES_LIMIT,
) -> Area:
    """Return the area of all places within a distance of some lines and points.

    It contains all that is nearer than 0.999 times the distance, and nothing further away than 1.001 times; the
    cutting of edges adds 0.1 m to that error.

    Args:
        paths: (n, 2) each, x before y; one vertex for a point.
        reference: of the coordinates; edges are straight in it.
        distance_metres: greater than 0.
        vertices_left: limit of the vertices of the result, less those of other buffers of one request.

    Returns:
        A union of polygons in longitude and latitude on the datum of the reference, which may overlap.

    Raises:
        AreaError: coordinates are not finite, not on this world, or need too many edges or vertices.
    """
    _check_edges(sum(max(len(path) - 1, 1) for path in paths))
    earth = _Earth(reference.geographic)
    tolerance_metres = max(TOLERANCE_METRES, _CUT_SHARE * distance_metres)
    edges = _edges(paths, reference, earth, tolerance_metres)
    polygons: list[Polygon] = []
    for group in _groups(edges.mean(axis=1)):
        change = earth.change_about(edges[group].mean(axis=(0, 1)), tolerance_metres)
        local = np.column_stack(change.back(*earth.to_degrees(edges[group].reshape(-1, 3)))).reshape(-1, 2, 2)
        found = transform_polygons(_union_of_buffers(local, distance_metres), change)
        vertices_left -= sum(len(ring) for polygon in found for ring in polygon)
        if vertices_left < 0:
            raise AreaError(f"The buffer takes more than {VERTICES_LIMIT:,} vertices. Send fewer lines and points.")
        polygons += found
    return Area(tuple(polygons), reference.geographic)


def take_shorter_ways(paths: Sequence[Coordinates], reference: SpatialReference) -> tuple[list[Coordinates], int]:
    """Return lines whose edges go at most half round the world, and the number of edges that went further.

    Such a line comes from a track over the antimeridian: x jumps from 179 to -179 degrees. It runs on to 181 in the
    result.

    Raises:
        AreaError: x is so far from the world that it must be a mistake.
    """
    world = period(reference)
    if world is None or not paths:
        return list(paths), 0
    wrap([box_polygon(bounding_box([tuple(paths)]))], world.start, world.width)
    far = sum(int((np.abs(np.diff(path[:, 0])) > world.width / 2).sum()) for path in paths)
    if not far:
        return list(paths), 0
    return [np.column_stack([np.unwrap(path[:, 0], period=world.width), path[:, 1]]) for path in paths], far


class _Earth:
    """The ellipsoid of a reference of longitude and latitude."""

    def __init__(self, degrees: SpatialReference) -> None:
        shape = cast("Geod", degrees.crs.get_geod())  # every such reference has one
        self._world = period(degrees)
        self._degree_metres = math.radians(1) * shape.a
        self._axes = {"a": shape.a, "b": shape.b}
        self._cart = Transformer.from_pipeline(
            "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
            f"+step +proj=cart +a={shape.a!r} +b={shape.b!r}"
        )

    def to_space(self, longitude: Coordinates, latitude: Coordinates) -> tuple[Coordinates, ...]:
        """Return metres from the earth's centre."""
        found: tuple[Coordinates, ...] = self._cart.transform(longitude, latitude, np.zeros_like(longitude))
        return found

    def to_degrees(self, space: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Return longitude and latitude of places, (n, 3) or (3,), whatever their height is."""
        x, y, z = space.T
        longitude, latitude, _ = self._cart.transform(x, y, z, direction="INVERSE")
        return longitude, latitude

    def change_about(self, middle: Coordinates, tolerance_metres: float) -> Change:
        """Return the change from the azimuthal equidistant projection about a place in space to degrees."""
        longitude, latitude = self.to_degrees(middle)
        projection = Proj({"proj": "aeqd", "lon_0": longitude, "lat_0": latitude, **self._axes})
        return Change(
            partial(projection, inverse=True),
            projection,
            longest=LONGEST_METRES,
            tolerance=tolerance_metres / self._degree_metres,
            world=self._world,
        )


def _edges(
    paths: Sequence[Coordinates], reference: SpatialReference, earth: _Earth, tolerance_metres: float
) -> Coordinates:
    """Return short edges in space: (n, 2, 3) metres from the earth's centre.

    A chord lies below the surface, so an edge is cut by its length even where it is straight on a map: one that lies
    0.1 m below is 2.3 km long.
    """
    to_degrees, world = transformer(reference, reference.geographic).transform, period(reference)

    def forward(x: Coordinates, y: Coordinates) -> tuple[Coordinates, ...]:
        if world is not None:  # PROJ refuses more than a few turns
            with np.errstate(invalid="ignore"):  # infinite x is refused below
                x = world.start + (x - world.start) % world.width
        return earth.to_space(*to_degrees(x, y))

    longest = LONGEST_METRES / reference.metres_per_unit
    change = Change(forward, forward, longest, tolerance=tolerance_metres, world=None)
    # A point is an edge of length 0.
    traced = trace([path if len(path) > 1 else np.repeat(path, 2, axis=0) for path in paths], change)
    _check_edges(sum(len(path) - 1 for path in traced))
    return np.concatenate([np.stack([path[:-1], path[1:]], axis=1) for path in traced])


def _check_edges(count: int) -> None:
    if count > EDGES_LIMIT:
        raise AreaError(
            f"Its lines and points have {count:,} edges, where long ones are cut into pieces; {EDGES_LIMIT:,} are "
            "allowed in a buffer. Simplify the lines, or export them in parts."
        )


def _groups(middles: Coordinates) -> Iterator[NDArray[np.intp]]:
    """Yield the indices of edges in the same cell of a grid in space, in the order of the line."""
    cells = np.floor(middles / _CELL_METRES).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    order = np.argsort(cell, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        yield from np.split(members, range(_GROUP_EDGES, len(members), _GROUP_EDGES))


def _union_of_buffers(edges: Coordinates, distance_metres: float) -> list[Polygon]:
    """Return the union of the buffers of edges in a plane, (n, 2, 2), without polygons that overlap.

    Each edge is buffered alone: GEOS simplifies lines by 1 % of the distance.
    """
    outwards = distance_metres * (1 + _ARC_SHARE)
    buffers = shapely.buffer(shapely.linestrings(edges), outwards, quad_segs=_ARC_EDGES)
    return [
        tuple(shapely.get_coordinates(ring)[:-1] for ring in (polygon.exterior, *polygon.interiors))
        for polygon in shapely.get_parts(shapely.union_all(buffers))
    ]
