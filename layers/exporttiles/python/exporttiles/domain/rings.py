"""Rings of coordinates under the even-odd rule: a point in an odd number of rings is inside.

Rings need no repair under this rule: order and direction do not matter, and a
ring that crosses itself has a defined inside.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import AreaError

Ring = NDArray[np.float64]
"""(n, 2) coordinates, x before y; the first may be repeated at the end, or not."""

Polygon = tuple[Ring, ...]
"""Rings that belong together under the even-odd rule."""

Box = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax."""

COORDINATE_LIMIT = 1e15
"""Larger coordinates are mistakes; the squares of smaller ones are still finite."""

_GRIDS = [2**power for power in range(12, -1, -1)]  # cells along the longer side; 4096 is more than a screen shows
_COARSEST_GRID = 64  # coarser ones would make boxes of most shapes
_TURNS_LIMIT = 10  # times round the world before coordinates are taken for a mistake
_WIDTH_LIMIT = 3  # worlds side by side that one polygon may reach into
_HAIR = 5e-10  # worlds, 2 cm: reaching this far over the edge is rounding, to centimetres or to 1e-7 degrees


def bounding_boxes(polygons: Sequence[Polygon]) -> NDArray[np.float64]:
    """Return the smallest box around each polygon: (n, 4) xmin, ymin, xmax, ymax."""
    points = np.concatenate([ring for polygon in polygons for ring in polygon])
    sizes = np.array([sum(map(len, polygon)) for polygon in polygons])
    first = np.cumsum(sizes) - sizes
    return np.hstack([np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)])


def bounding_box(polygons: Sequence[Polygon]) -> Box:
    """Return the smallest box around all polygons."""
    boxes = bounding_boxes(polygons)
    return (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def edges_of(polygons: Sequence[Polygon]) -> tuple[Ring, Ring, NDArray[np.int64]]:
    """Return both ends of each edge, (n, 2), and its polygon, (n,), from 0."""
    rings = [ring for polygon in polygons for ring in polygon]
    sizes = [sum(map(len, polygon)) for polygon in polygons]
    nothing = np.empty((0, 2))
    start = np.concatenate([nothing, *rings])
    stop = np.concatenate([nothing, *(np.roll(ring, -1, axis=0) for ring in rings)])
    return start, stop, np.repeat(np.arange(len(sizes)), np.array(sizes, np.int64))


def box_polygon(box: Box) -> Polygon:
    """Return a box as one ring of its four corners."""
    xmin, ymin, xmax, ymax = box
    return (np.array([(xmin, ymin), (xmin, ymax), (xmax, ymax), (xmax, ymin)], np.float64),)


def clip(polygons: Sequence[Polygon], box: Box) -> list[Polygon]:
    """Clip polygons to a box; leave out those outside of it."""
    for axis, bound, sign in ((0, box[0], 1), (0, box[2], -1), (1, box[1], 1), (1, box[3], -1)):
        if not polygons:
            break
        reach = bounding_boxes(polygons)[:, axis if sign > 0 else axis + 2]
        polygons = [
            _clip_to_side(polygon, axis, bound, sign) if over else polygon
            for polygon, over in zip(polygons, (sign * reach < sign * bound).tolist(), strict=True)
        ]
        polygons = [polygon for polygon in polygons if polygon]
    return list(polygons)


def simplified(groups: Sequence[Sequence[Polygon]], most_vertices: int) -> list[tuple[Polygon, ...]]:
    """Move vertices to a grid, and leave out those that fall on the one before: neighbours still fit together.

    The grid becomes coarser until there are few enough vertices. If that would cost the shapes, each polygon becomes
    its box instead, and equal boxes of a group become one. Rings become points if they are smaller than the grid.

    Args:
        groups: polygons; each group keeps its place in the result.
        most_vertices: of all groups together; 144 a group (36 boxes), if that is more.
    """
    polygons = [polygon for group in groups for polygon in group]
    rings = [ring for polygon in polygons for ring in polygon]
    points = np.concatenate(rings)
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    is_first = np.diff(ring_of, prepend=-1) > 0
    longest = max(np.ptp(points, axis=0).tolist())
    for cells in _GRIDS:
        if cells < _COARSEST_GRID:
            break
        moved = _on_grid(points, longest / cells)
        kept = is_first | (moved != np.roll(moved, 1, axis=0)).any(axis=1)
        if np.count_nonzero(kept) <= most_vertices:
            simple = iter(np.split(moved[kept], np.flatnonzero(np.diff(ring_of[kept])) + 1))
            return [tuple(tuple(next(simple) for _ in polygon) for polygon in group) for group in groups]
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    boxes = bounding_boxes(polygons)
    for cells in _GRIDS:
        rows = np.unique(np.column_stack([group_of, _on_grid(boxes, longest / cells)]), axis=0)
        if 4 * len(rows) <= most_vertices:
            break
    found: list[list[Polygon]] = [[] for _ in groups]
    for group, *box in rows.tolist():
        found[int(group)].append(box_polygon((box[0], box[1], box[2], box[3])))
    return [tuple(group) for group in found]


def _on_grid(coordinates: NDArray[np.float64], cell: float) -> NDArray[np.float64]:
    """Return the nearest places on a grid, to a thousandth of its cells."""
    if not cell:
        return coordinates
    digits = 3 - math.floor(math.log10(cell))
    return np.round(np.round(coordinates / cell) * cell, digits)


def wrap(polygons: Sequence[Polygon], start: float, width: float) -> list[list[Polygon]]:
    """Return polygons cut where the world ends, each piece moved into it.

    Args:
        polygons: rings whose x may run on past the edge of the world.
        start: x of the world's left edge.
        width: x once round the world.

    Returns:
        For each polygon its pieces: one, if it crosses no edge.

    Raises:
        AreaError: x is so far from the world that it must be a mistake.
    """
    if not polygons:
        return []
    turns = (bounding_boxes(polygons)[:, [0, 2]] - start) / width
    hair = np.minimum(_HAIR, (turns[:, 1] - turns[:, 0]) / 4)  # a polygon may be as small
    first = np.floor(turns[:, 0] + hair)
    stop = np.maximum(first + 1, np.ceil(turns[:, 1] - hair))
    if np.abs([first, stop]).max() > _TURNS_LIMIT or (stop - first).max() > _WIDTH_LIMIT:
        xmin, _, xmax, _ = bounding_box(polygons)
        raise AreaError(
            f"The area reaches from x = {xmin:g} to {xmax:g}, far beyond the edge of the world. "
            "Is its spatial reference right?"
        )
    inside = ((first == 0) & (stop == 1)).tolist()
    return [
        [polygon] if whole else _pieces(polygon, range(int(begin), int(end)), start, width)
        for polygon, whole, begin, end in zip(polygons, inside, first, stop, strict=True)
    ]


def _pieces(polygon: Polygon, turns: range, start: float, width: float) -> list[Polygon]:
    moved = [tuple(ring - np.array([turn * width, 0.0]) for ring in polygon) for turn in turns]
    if len(turns) == 1:
        return moved
    return clip(moved, (start, -math.inf, start + width, math.inf))


def _clip_to_side(polygon: Polygon, axis: int, bound: float, sign: int) -> Polygon:
    """Keep the side of a line on which ``sign * coordinate >= sign * bound``.

    The remaining chains of vertices are joined along the line, from the first
    crossing to the second, from the third to the fourth and so on: there the
    line is inside the polygon.
    """
    rings: list[Ring] = []
    chains: list[Ring] = []
    for ring in polygon:
        inside = sign * ring[:, axis] >= sign * bound
        if inside.all():
            rings.append(ring)
        elif inside.any():
            chains += _chains(ring, inside, axis, bound)
    if not chains:
        return tuple(rings)
    ends = np.array([point[1 - axis] for chain in chains for point in (chain[0], chain[-1])])
    order = np.argsort(ends, kind="stable")
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    walked = [False] * len(chains)
    for first in range(len(chains)):
        walk, end = [], 2 * first  # ends 2i and 2i + 1 are those of chain i
        while not walked[end // 2]:
            walked[end // 2] = True
            walk.append(chains[end // 2][:: -1 if end % 2 else 1])
            end = int(partner[end ^ 1])
        if walk:
            rings.append(np.concatenate(walk))
    return tuple(rings)


def _chains(ring: Ring, inside: NDArray[np.bool_], axis: int, bound: float) -> list[Ring]:
    """Return the chains of vertices inside, each from the entering to the leaving crossing."""
    order = (np.arange(len(ring) + 1) + inside.argmin()) % len(ring)  # begin outside
    ring, inside = ring[order], inside[order]
    crosses = inside[:-1] != inside[1:]
    start, step = ring[:-1][crosses], np.diff(ring, axis=0)[crosses]
    along = (bound - start[:, axis]) / step[:, axis]
    points = np.stack([ring[:-1], ring[:-1]], axis=1)  # each vertex, then the crossing after it
    points[crosses, 1] = start + along[:, np.newaxis] * step
    points[crosses, 1, axis] = bound
    kept = np.stack([inside[:-1], crosses], axis=1)
    enters = np.stack([np.zeros_like(crosses), crosses & inside[1:]], axis=1)[kept]
    return np.split(points[kept], np.flatnonzero(enters)[1:])
