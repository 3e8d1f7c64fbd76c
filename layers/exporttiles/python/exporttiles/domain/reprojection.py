"""Reprojection of polygons.

By way of longitude and latitude, where polygons are cut at the edge of the
world and at the limits of the target system, so that no coordinate is infinite.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import AreaError
from exporttiles.domain.rings import Polygon, Ring, clip, wrap
from exporttiles.domain.spatial_reference import SpatialReference, transformer
from exporttiles.domain.world import Period, period, usable_box

VERTICES_LIMIT = 300_000
"""Vertices of an area after its curved edges were traced."""

TOLERANCE_METRES = 0.1
"""Distance between a traced edge and its curve."""

LONGEST_METRES = 1.2e6
"""Edges up to this length may stay uncut: 11 degrees."""

_ROUNDS = 12  # an edge is cut in three this many times at most
_THIRDS = np.array([[1 / 3], [2 / 3]])  # not halves: the middle of an S lies on its chord

Coordinates = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of coordinates.

    Attributes:
        forward: from x and y to the coordinates of the target.
        back: from x and y of the target.
        longest: longest edge that may stay uncut, in units of the source.
        tolerance: between an edge and its curve, in units of the target.
        world: period of x in the target; None if it has none.
    """

    forward: Callable[..., tuple[Coordinates, ...]]
    back: Callable[..., tuple[Coordinates, ...]]
    longest: float
    tolerance: float
    world: Period | None

    @classmethod
    def between(cls, source: SpatialReference, target: SpatialReference) -> "Change":
        """Return the change between two references, to 0.1 m."""
        return cls(
            transformer(source, target).transform,
            transformer(target, source).transform,
            LONGEST_METRES / source.metres_per_unit,
            TOLERANCE_METRES / target.metres_per_unit,
            period(target),
        )


def reproject(polygons: Sequence[Polygon], source: SpatialReference, target: SpatialReference) -> list[Polygon]:
    """Return polygons in another reference, inside its world.

    Edges are straight in ``source`` and traced by short ones in ``target``, to
    0.1 m or as near as `VERTICES_LIMIT` lets it come.

    Args:
        polygons: a union; x may run on past the edge of the world.
        source: reference of the polygons.
        target: reference of the result.

    Returns:
        A union; empty if nothing can be expressed in ``target``.

    Raises:
        AreaError: coordinates are not finite there, not on this world, or
            take too many vertices to trace.
    """
    if not polygons:
        return []
    world = period(source)
    if world is not None:
        polygons = _flatten(wrap(polygons, world.start, world.width))
    if target.is_same_as(source):
        return list(polygons)
    middle = source.geographic
    degrees = _transform_polygons(polygons, source, middle)
    if target.is_same_as(middle):
        return degrees
    west, south, east, north = usable_box(target)
    degrees = _flatten(wrap(degrees, west, 360.0))
    return _transform_polygons(clip(degrees, (west, south, east, north)), middle, target)


def _flatten(pieces: Iterable[Iterable[Polygon]]) -> list[Polygon]:
    return list(chain.from_iterable(pieces))


def _transform_polygons(
    polygons: Sequence[Polygon], source: SpatialReference, target: SpatialReference
) -> list[Polygon]:
    if not polygons or target.is_same_as(source):
        return list(polygons)
    return transform_polygons(polygons, Change.between(source, target))


def transform_polygons(polygons: Sequence[Polygon], change: Change) -> list[Polygon]:
    """Trace polygons into other coordinates; cut them where their world ends.

    Raises:
        AreaError: coordinates are not finite there, or edges take too many vertices to trace.
    """
    rings = [np.concatenate([ring, ring[:1]]) for polygon in polygons for ring in polygon]
    traced, world = trace(rings, change), change.world
    if world is None:
        opened = iter([ring[:-1] for ring in traced])
        return [tuple(next(opened) for _ in polygon) for polygon in polygons]
    pole = partial(_enclosed_pole, change=change, quarter=world.width / 4)
    unwound = (_unwind(ring, world, pole, given) for ring, given in zip(traced, rings, strict=True))
    whole = [tuple(next(unwound) for _ in polygon) for polygon in polygons]
    # The pieces stay one polygon: a hole may have been traced from the other edge.
    return [tuple(chain.from_iterable(pieces)) for pieces in wrap(whole, world.start, world.width)]


def trace(paths: Sequence[Coordinates], change: Change) -> list[Coordinates]:
    """Return paths in other coordinates, with vertices added where edges curve.

    Args:
        paths: (n, 2) each, n > 1; of a ring, with its first vertex repeated at the end.
        change: to coordinates of any dimension.

    Raises:
        AreaError: coordinates are not finite there, or edges take too many vertices to trace.
    """
    given = np.concatenate(paths)
    last = np.zeros(len(given), np.bool_)
    last[np.cumsum([len(path) for path in paths]) - 1] = True
    seen = _transform_points(change.forward, given)
    fresh = ~last  # vertices whose edge to the next was not looked into yet
    for _ in range(_ROUNDS):
        edges = np.flatnonzero(fresh)
        side = given[edges + 1] - given[edges]
        thirds = given[edges, np.newaxis] + side[:, np.newaxis] * _THIRDS
        there = _transform_points(change.forward, thirds.reshape(-1, 2)).reshape(len(edges), 2, -1)
        deviation = _deviation(seen[edges], seen[edges + 1], there, change.world)
        deviation[np.hypot(side[:, 0], side[:, 1]) > change.longest] = np.inf
        bad = np.flatnonzero(deviation > change.tolerance)
        room = max(0, VERTICES_LIMIT - len(given)) // 2
        if len(bad) > room:  # spend it on the worst
            bad = np.sort(bad[np.argsort(-deviation[bad], kind="stable")[:room]])
        if not len(bad):
            break
        after = np.repeat(edges[bad] + 1, 2)
        fresh[:] = False
        fresh[edges[bad]] = True
        given = np.insert(given, after, thirds[bad].reshape(-1, 2), axis=0)
        seen = np.insert(seen, after, there[bad].reshape(2 * len(bad), -1), axis=0)
        fresh = np.insert(fresh, after, values=True)
        last = np.insert(last, after, values=False)
    side = np.diff(given, axis=0)[~last[:-1]]
    if np.hypot(side[:, 0], side[:, 1]).max() > change.longest:
        raise AreaError(f"The area has too many long edges to trace with {VERTICES_LIMIT:,} vertices.")
    return np.split(seen, np.flatnonzero(last)[:-1] + 1)


def _transform_points(transform: Callable[..., tuple[Coordinates, ...]], points: Coordinates) -> Coordinates:
    result = np.column_stack(transform(points[:, 0], points[:, 1]))
    if not np.isfinite(result).all():
        raise AreaError("The area reaches where its spatial reference, or the service's, is not defined.")
    return result


def _deviation(start: Coordinates, end: Coordinates, between: Coordinates, world: Period | None) -> Coordinates:
    """Return how far points lie from the line between two others; (n,), from (n, 2, dimensions)."""
    chord, offset = end - start, between - start[:, np.newaxis]
    if world is not None:  # round the world and the short way are the same
        chord[:, 0] -= world.width * np.rint(chord[:, 0] / world.width)
        offset[..., 0] -= world.width * np.rint(offset[..., 0] / world.width)
    square = np.square(chord).sum(axis=1)[:, np.newaxis]
    inner = (offset * chord[:, np.newaxis]).sum(axis=2)
    along = np.divide(inner, square, out=np.zeros_like(inner), where=square > 0)
    beside = offset - along[..., np.newaxis] * chord[:, np.newaxis]
    return np.asarray(np.sqrt(np.square(beside).sum(axis=2)).max(axis=1))


def _unwind(ring: Ring, world: Period, pole: Callable[[Ring], float], given: Ring) -> Ring:
    """Open a closed ring and undo its jumps of x at the edge of the world.

    The ends of a ring round a pole are then a world apart: two vertices at the pole join them.
    """
    jumps = np.rint(np.diff(ring[:, 0]) / world.width)
    if not jumps.any():
        return ring[:-1]
    turns = np.concatenate([[0.0], np.cumsum(jumps)])
    x, y = ring[:, 0] - turns * world.width, ring[:, 1]
    if turns[-1] == 0:
        return np.column_stack([x, y])[:-1]
    top = pole(given)
    return np.column_stack([[*x, x[-1], x[0]], [*y, top, top]])


def _enclosed_pole(ring: Ring, change: Change, quarter: float) -> float:
    """Return the pole inside of a ring, as y in the units of the target."""
    x, y = change.back([0.0, 0.0], [quarter, -quarter])
    return quarter if _contains(ring, x[0], y[0]) else -quarter


def _contains(ring: Ring, x: float, y: float) -> bool:
    """Return True if a point lies inside, by the crossings to its left."""
    following = np.roll(ring, -1, axis=0)
    crossed = (ring[:, 1] <= y) != (following[:, 1] <= y)
    start, end = ring[crossed], following[crossed]
    along = (y - start[:, 1]) / (end[:, 1] - start[:, 1])
    return bool(np.count_nonzero(start[:, 0] + along * (end[:, 0] - start[:, 0]) < x) % 2)
