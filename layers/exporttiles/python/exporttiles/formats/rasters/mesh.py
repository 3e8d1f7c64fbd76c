"""Meshes that map pixels of a drawing to pixels of a raster.

A mesh is a set of rectangles of the drawing; in each, places in the raster are interpolated between those of its
corners. A rectangle is divided until that differs from the exact place by less than `TOLERANCE_PIXELS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
ToSource = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Returns columns and rows in the raster of columns and rows in the drawing; not finite where there are none."""

TOLERANCE_PIXELS = 0.04
"""Of the drawing: how far a pixel may be drawn from its place."""

_MAX_CELLS = 2**16
_JUMP_PIXELS = 8.0
_FIVE = np.linspace(0, 1, 5)  # not the middle alone: that of an S lies on its chord


@dataclass(frozen=True, eq=False)
class Mesh:
    """Cells of a drawing and where they lie in a raster.

    Attributes:
        cells: (n, 4) half-open left, top, right and bottom in pixels of the drawing.
        corners: (n, 4, 2) columns and rows in pixels of the raster: top left, bottom left, bottom right, top right.
        is_whole: the cells cover all of the window that was asked for.
    """

    cells: Integers
    corners: Floats
    is_whole: bool

    @property
    def ratios(self) -> tuple[float, float]:
        """Return how many pixels of the raster a pixel of the drawing is wide and high: the median of the cells."""
        sides = (self.cells[:, 2:] - self.cells[:, :2])[:, np.newaxis]
        steps = np.stack([self.corners[:, 3] - self.corners[:, 0], self.corners[:, 1] - self.corners[:, 0]], axis=-1)
        width, height = np.median(np.linalg.norm(steps / sides, axis=-1), axis=0).tolist()
        return width, height

    def within(self, width: int, height: int) -> "Mesh":
        """Return the cells that meet a raster of some size in pixels."""
        low, high = self.corners.min(axis=1), self.corners.max(axis=1)
        meets = (high > 0).all(axis=1) & (low < (width, height)).all(axis=1)
        return self if meets.all() else Mesh(self.cells[meets], self.corners[meets], is_whole=False)


def mesh(to_source: ToSource, window: tuple[int, int, int, int], cell: int) -> Mesh:
    """Return the mesh of a window of a drawing.

    Args:
        to_source: the exact mapping.
        window: half-open left, top, right and bottom in pixels of the drawing.
        cell: largest side of a cell in pixels.
    """
    left, top, right, bottom = window
    xs = np.unique([left, *range(left // cell * cell + cell, right, cell), right])
    ys = np.unique([top, *range(top // cell * cell + cell, bottom, cell), bottom])
    columns, rows = np.meshgrid(np.arange(len(xs) - 1), np.arange(len(ys) - 1))
    cells = np.stack([xs[columns], ys[rows], xs[columns + 1], ys[rows + 1]], axis=-1).reshape(-1, 4).astype(np.int64)
    done_cells, done_corners = [np.empty((0, 4), np.int64)], [np.empty((0, 4, 2))]
    count, is_whole = 0, True
    while len(cells):
        places = _places(to_source, cells)
        corners = places[:, [0, -1, -1, 0], [0, 0, -1, -1]]
        error = _error(places) / _sizes(corners, cells)
        size = np.maximum(cells[:, 2] - cells[:, 0], cells[:, 3] - cells[:, 1])
        is_good = error < TOLERANCE_PIXELS  # false where it is not finite
        is_last = (size == 1) | (count + 4 * len(cells) > _MAX_CELLS)
        is_cut = (size == 1) & (error >= _JUMP_PIXELS) & np.isfinite(places).all(axis=(1, 2, 3))
        corners[is_cut] = _beside_jump(places[is_cut][:, ::2, ::2])
        is_kept = is_good | is_cut | (is_last & (error < _JUMP_PIXELS))
        is_whole &= not (is_last & ~is_kept).any()
        done_cells.append(cells[is_kept])
        done_corners.append(corners[is_kept])
        count += int(is_kept.sum())
        cells = _quartered(cells[~is_good & ~is_last])
    return Mesh(np.concatenate(done_cells), np.concatenate(done_corners), is_whole)


def _places(to_source: ToSource, cells: Integers) -> Floats:
    """Return the places (n, 5, 5, 2) in the raster of the corners of cells, and of places between them; rows first."""
    x = cells[:, 0, np.newaxis] + (cells[:, 2] - cells[:, 0])[:, np.newaxis] * _FIVE
    y = cells[:, 1, np.newaxis] + (cells[:, 3] - cells[:, 1])[:, np.newaxis] * _FIVE
    columns = np.broadcast_to(x[:, np.newaxis, :], (len(cells), 5, 5))
    rows = np.broadcast_to(y[:, :, np.newaxis], (len(cells), 5, 5))
    found = to_source(columns.ravel(), rows.ravel())
    return np.stack(found, axis=-1).reshape(-1, 5, 5, 2)


def _beside_jump(places: Floats) -> Floats:
    """Return the corners of cells that are cut by the edge of the world: from their middles, in equal steps.

    Args:
        places: (n, 3, 3, 2) of corners, middles of sides, and centres; rows before columns.
    """
    middle = places[:, 1, 1]
    across = _shorter(middle - places[:, 1, 0], places[:, 1, 2] - middle)
    down = _shorter(middle - places[:, 0, 1], places[:, 2, 1] - middle)
    return np.stack([middle - across - down, middle - across + down, middle + across + down, middle + across - down], 1)


def _shorter(one: Floats, other: Floats) -> Floats:
    lengths = np.linalg.norm(one, axis=-1), np.linalg.norm(other, axis=-1)
    return np.where((lengths[0] < lengths[1])[:, np.newaxis], one, other)


def _error(places: Floats) -> Floats:
    """Return the largest distance of exact places from interpolated ones, in pixels of the raster."""
    steps = _FIVE[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        left, right = (places[:, :1, side] * (1 - steps) + places[:, -1:, side] * steps for side in (0, -1))
        off = left[:, :, np.newaxis] * (1 - steps) + right[:, :, np.newaxis] * steps - places
        found: Floats = np.hypot(off[..., 0], off[..., 1]).max(axis=(1, 2))
    return found


def _sizes(corners: Floats, cells: Integers) -> Floats:
    """Return how many pixels of the raster a pixel of a cell is wide, at least one."""
    with np.errstate(invalid="ignore"):
        across, down = corners[:, 3] - corners[:, 0], corners[:, 1] - corners[:, 0]
        widths = np.hypot(across[:, 0], across[:, 1]) / (cells[:, 2] - cells[:, 0])
        heights = np.hypot(down[:, 0], down[:, 1]) / (cells[:, 3] - cells[:, 1])
        sizes: Floats = np.maximum(1.0, np.minimum(widths, heights))
    return sizes


def _quartered(cells: Integers) -> Integers:
    """Return cells cut in two along each side that is longer than a pixel."""
    left, top, right, bottom = cells.T
    middle, centre = (left + right) // 2, (top + bottom) // 2
    quarters = [
        (left, top, middle, centre),
        (middle, top, right, centre),
        (left, centre, middle, bottom),
        (middle, centre, right, bottom),
    ]
    found = np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])
    return found[(found[:, 0] < found[:, 2]) & (found[:, 1] < found[:, 3])]
