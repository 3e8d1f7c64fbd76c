"""Parts of polygons in the strips along tile edges, too narrow to reach deep into a tile.

A line separates two rows or two columns of tiles: line n lies between the tiles
n - 1 and n. Its strip is as wide as the margin on either side. All coordinates
are in tiles from the origin; `along` is the coordinate along the lines, `across`
the other one. So the same code serves rows and columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.tiling import ROUNDED_UP

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_TIP_TILES = 0.25
"""Shorter parts that continue beside a selected tile are tips: they select no tile of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class StripParts:
    """Parts of polygons, each in the strip of one line beside one tile.

    Attributes:
        polygon, line, tile: (n,) integers.
        low, high: (n,) least and greatest coordinate across the line.
        goes_before, goes_after: (n,) True if it continues beside the previous tile, and the next.
        is_long: (n,) True if it is longer than a tip.
    """

    polygon: Integers
    line: Integers
    tile: Integers
    low: Floats
    high: Floats
    goes_before: Flags
    goes_after: Flags
    is_long: Flags

    def middle(self, chosen: Flags) -> tuple[Integers, Integers]:
        """Return the tiles that hold the middle of some parts: across the line, and along it."""
        return _middle_tile(self.low[chosen], self.high[chosen]), self.tile[chosen]


@dataclass(frozen=True, slots=True, eq=False)
class CornerParts:
    """Parts of polygons where the strips of two lines cross.

    Attributes:
        polygon, row, column: (n,) integers; one line is above the row, one left of the column.
        low, high: (n, 2) least and greatest column and row.
    """

    polygon: Integers
    row: Integers
    column: Integers
    low: Floats
    high: Floats

    def middle(self, chosen: Flags) -> tuple[Integers, Integers]:
        """Return row and column of the tiles that hold the middle of some parts."""
        column, row = _middle_tile(self.low[chosen], self.high[chosen]).T
        return row, column


@dataclass(frozen=True, slots=True, eq=False)
class StripEdges:
    """Polygon edges, cut to the strips of parallel lines.

    Other edges cross a strip and reach deep into a tile on either side. Kept are
    those that may not: edges that end in the strip, and edges so nearly
    parallel to the line that they follow it past a whole tile.

    Attributes:
        polygon, line: (n,) integers.
        along: (n, 2) both ends along the line, ascending.
        across: (n, 2) both ends across it.
        margin: half the width of a strip.
    """

    polygon: Integers
    line: Integers
    along: Floats
    across: Floats
    margin: float

    @classmethod
    def cut(cls, start: Floats, stop: Floats, polygon: Integers, margin: float) -> "StripEdges":
        """Return edges cut to the strips that they touch.

        Args:
            start: (n, 2) one end of each edge: along the lines, then across.
            stop: (n, 2) the other end.
            polygon: (n,) which polygon an edge is of.
            margin: half the width of a strip.
        """
        low, high = np.minimum(start[:, 1], stop[:, 1]), np.maximum(start[:, 1], stop[:, 1])
        first, last = np.ceil(low - margin), np.floor(high + margin)
        begins, ends = np.floor(low + margin) >= first, np.ceil(high - margin) <= last
        parallel = (high - low) * (1 - 2 * margin) <= 2.01 * margin * np.abs(stop[:, 0] - start[:, 0])
        edge = np.flatnonzero((first <= last) & (begins | ends | parallel))
        first, last = first[edge].astype(np.int64), last[edge].astype(np.int64)
        # Of an edge that is not parallel, only the strips of its ends.
        middle = np.where(parallel[edge], last + 1, first + begins[edge])
        again = np.where(ends[edge], np.maximum(last, middle), last + 1)
        count = np.column_stack([middle - first, last + 1 - again]).ravel()
        line = ranges(np.column_stack([first, again]).ravel(), count)
        edge = np.repeat(np.repeat(edge, 2), count)
        return cls._between(start[edge], stop[edge], polygon[edge], line, margin)

    @classmethod
    def _between(cls, start: Floats, stop: Floats, polygon: Integers, line: Integers, margin: float) -> "StripEdges":
        """Return edges cut to the strip of one line each."""
        turned = (start[:, 0] > stop[:, 0])[:, np.newaxis]
        start, stop = np.where(turned, stop, start), np.where(turned, start, stop)
        across = np.column_stack([start[:, 1], stop[:, 1]])
        limits = line[:, np.newaxis] + np.array([[-margin, margin]])
        cut = np.clip(across, limits[:, :1], limits[:, 1:])
        share = _share(cut - across[:, :1], across[:, 1:] - across[:, :1])
        along = start[:, :1] + share * (stop - start)[:, :1]
        along = np.where(cut == across, np.column_stack([start[:, 0], stop[:, 0]]), along)
        return cls(polygon, line, along, cut, margin)

    def __getitem__(self, chosen: Flags) -> "StripEdges":
        """Return some of the edges."""
        return StripEdges(self.polygon[chosen], self.line[chosen], self.along[chosen], self.across[chosen], self.margin)

    @property
    def tiles(self) -> tuple[Integers, Integers]:
        """Return the tiles along which each edge runs, half-open; none where it stays in a crossing of two strips."""
        start, stop = np.floor(self.along[:, 0] + self.margin), np.ceil(self.along[:, 1] - self.margin)
        return start.astype(np.int64), stop.astype(np.int64)

    def beside_tiles(self, tile_start: int, tile_stop: int) -> StripParts:
        """Return the parts of polygons beside each of some tiles, without the crossings with other strips."""
        start, stop = self.tiles
        start, stop = np.maximum(start, tile_start), np.minimum(stop, tile_stop)
        count = np.maximum(stop - start, 0)
        tile, edge = ranges(start, count), np.repeat(np.arange(len(count)), count)
        along, across = self.along[edge], self.across[edge]
        limits = tile[:, np.newaxis] + np.array([[self.margin, 1 - self.margin]])
        share = np.clip(_share(limits - along[:, :1], along[:, 1:] - along[:, :1]), 0, 1)
        across = across[:, :1] + share * (across[:, 1:] - across[:, :1])
        length = np.minimum(along[:, 1], limits[:, 1]) - np.maximum(along[:, 0], limits[:, 0])
        order, first = _groups(self.polygon[edge], self.line[edge], tile)
        edge, tile = edge[order], tile[order]
        return StripParts(
            self.polygon[edge][first],
            self.line[edge][first],
            tile[first],
            np.minimum.reduceat(across.min(axis=1)[order], first),
            np.maximum.reduceat(across.max(axis=1)[order], first),
            np.logical_or.reduceat((along[:, 0] <= limits[:, 0])[order], first),
            np.logical_or.reduceat((along[:, 1] >= limits[:, 1])[order], first),
            # The edges of both sides count: a part has at least two wherever it is.
            np.add.reduceat(length[order], first) >= 2 * _TIP_TILES,
        )

    def corners(self) -> CornerParts:
        """Return the parts of polygons where these strips cross those of the other lines."""
        start, stop = self.tiles
        inside = start >= stop
        along, across = self.along[inside], self.across[inside]
        order, first = _groups(self.polygon[inside], self.line[inside], start[inside])
        at = np.flatnonzero(inside)[order][first]
        low = np.column_stack([along[:, 0], across.min(axis=1)])
        high = np.column_stack([along[:, 1], across.max(axis=1)])
        return CornerParts(
            self.polygon[at],
            self.line[at],
            start[at],
            np.minimum.reduceat(low[order], first),
            np.maximum.reduceat(high[order], first),
        )


def ranges(start: Integers, count: Integers) -> Integers:
    """Return the integers of several ranges, concatenated."""
    before = np.cumsum(count) - count
    integers: Integers = np.arange(int(count.sum())) + np.repeat(start - before, count)
    return integers


def _share(part: Floats, whole: Floats) -> Floats:
    """Return two parts divided by a whole; 0 and 1 if the whole is 0."""
    shares: Floats = np.divide(part, whole, out=np.tile([0.0, 1.0], (len(part), 1)), where=whole != 0)
    return shares


def _middle_tile(low: Floats, high: Floats) -> Integers:
    """Return the tiles that hold the middle of spans, by the same formula as `TilingScheme.tile_range`."""
    tile: Integers = np.minimum(np.floor((low + high) / 2 * ROUNDED_UP), np.ceil(high) - 1).astype(np.int64)
    return tile


def _groups(*keys: Integers) -> tuple[Integers, Integers]:
    """Return an order in which equal keys follow each other, and where each group begins."""
    order = np.lexsort(keys)
    differs = np.zeros(len(order), np.bool_)
    differs[:1] = True
    for key in keys:
        differs[1:] |= np.diff(key[order]) != 0
    return order, np.flatnonzero(differs)
