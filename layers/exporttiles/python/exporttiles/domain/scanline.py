"""Tiles that a union of polygons reaches into, row by row.

The band of a tile row meets a polygon in pieces. The outline of a piece is
made of polygon edges cut to the band, and of stretches of the band's upper and
lower line that lie inside by the even-odd rule. The piece covers the same
span of x as these. So columns come from edges and crossings alone: no tile is looked
at, and no ring needs repair.

Bands and columns leave out the strips along tile edges. `exporttiles.domain.strips`
finds the parts of a polygon that lie in strips alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exporttiles.domain.errors import AreaError
from exporttiles.domain.strips import Flags, Floats, Integers, StripEdges, StripParts, ranges

WORK_LIMIT = 1 << 23
"""Limit of edge-row pairs at all requested levels: one to two seconds of work."""

_CHUNK = 1 << 15  # meetings of an edge and a row worked on at a time: they fit into a CPU's cache
_CHUNK_ROWS = 1 << 12  # leaves 51 of a key's 63 bits to polygons and columns


@dataclass(frozen=True, slots=True, eq=False)
class RowRuns:
    """Runs of tiles: (n,) rows and half-open columns, ascending and apart."""

    row: Integers
    column_start: Integers
    column_stop: Integers

    @property
    def count(self) -> int:
        """Return the number of tiles."""
        return int((self.column_stop - self.column_start).sum())


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis for the rows of every polygon, one after the other, with a gap after each row."""

    row_start: int
    row_count: int
    column_start: int
    width: int

    def place(self, polygon: Integers, row: Integers, column: Integers) -> Integers:
        """Return where tiles are on the axis."""
        line = polygon * self.row_count + row - self.row_start
        return line * self.width + column - self.column_start


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Half-open runs on an axis, ascending and apart."""

    start: Integers
    stop: Integers

    def hold(self, start: Integers, count: Integers | int = 1) -> Flags:
        """Return a mask of the spans that lie within one run."""
        if not len(self.start):
            return np.zeros(len(start), np.bool_)
        run = np.searchsorted(self.start, start, side="right") - 1
        return (run >= 0) & (start + count <= self.stop[run])

    def extended(self, step: int) -> "_Runs":
        """Return the runs joined with themselves a step further on."""
        return _Runs(
            *_union(np.concatenate([self.start, self.start + step]), np.concatenate([self.stop, self.stop + step]))
        )


class Scanline:
    """Edges of polygons over the tiles of one level.

    Args:
        start, stop: (n, 2) column and row of the ends of each edge, in tiles
            from the origin.
        polygon: (n,) which polygon an edge is of, from 0.
        level: for errors.
        margin: how deep an area must reach into a tile, in tiles.

    Attributes:
        rows, columns: half-open, around all selected tiles.
    """

    def __init__(self, start: Floats, stop: Floats, polygon: Integers, level: int, margin: float) -> None:
        rising = (start[:, 1] > stop[:, 1])[:, np.newaxis]
        upper, lower = np.where(rising, stop, start), np.where(rising, start, stop)
        self.columns, self.rows = _touched(start[:, 0]), _touched(start[:, 1])
        self._level, self._margin = level, margin
        # An end lies below the upper line of a row if ceil(y - margin) > row, and
        # above its lower line if floor(y + margin) <= row: the very terms of
        # `TilingScheme.tile_range`, so that both select the same tiles.
        self._start = np.floor(upper[:, 1] + margin).astype(np.int64)
        self._stop = np.ceil(lower[:, 1] - margin).astype(np.int64)
        met = np.flatnonzero(self._start < self._stop)
        self._start, self._stop = self._start[met], self._stop[met]
        self._all = upper, lower, polygon
        upper, lower = upper[met], lower[met]
        self._upper, self._lower, self._polygon = upper, lower, polygon[met]
        self._polygon_count = int(polygon.max(initial=-1)) + 1
        # The first row whose upper line an edge crosses; the row after the
        # last whose lower line it crosses.
        self._enters = np.ceil(upper[:, 1] - margin).astype(np.int64)
        self._leaves = np.floor(lower[:, 1] + margin).astype(np.int64)
        run, fall = (lower - upper).T
        self._slope = np.divide(run, fall, out=np.zeros_like(run), where=fall > 0)

    @cached_property
    def _upright(self) -> StripEdges:
        """Edges in the strips between columns."""
        upper, lower, polygon = self._all
        return StripEdges.cut(upper[:, ::-1], lower[:, ::-1], polygon, self._margin)

    @cached_property
    def _flat(self) -> StripEdges:
        """Edges in the strips between rows."""
        return StripEdges.cut(*self._all, self._margin)

    def work(self, row_start: int, row_stop: int) -> int:
        """Return the number of edge-row pairs, to which time and memory are proportional."""
        start, stop = np.maximum(self._start, row_start), np.minimum(self._stop, row_stop)
        return int(np.maximum(stop - start, 0).sum())

    def runs(self, row_start: int, row_stop: int) -> Iterator[RowRuns]:
        """Yield the selected tiles of some rows, a bounded number at a time.

        Raises:
            AreaError: polygons follow tile edges past more tiles than `WORK_LIMIT`.
        """
        pending = [(max(row_start, self.rows[0]), min(row_stop, self.rows[1]))]
        while pending:
            start, stop = pending.pop()
            work = self.work(start, stop)
            if stop - start > 1 and (work > _CHUNK or stop - start > _CHUNK_ROWS):
                middle = (start + stop) // 2
                pending += [(middle, stop), (start, middle)]
            elif start < stop:
                yield self._runs(start, stop)

    def _runs(self, row_start: int, row_stop: int) -> RowRuns:
        axis = self._axis(row_start, row_stop)
        reached = self._reached(axis, np.arange(len(self._start)), np.arange(row_start, row_stop))
        start, stop = reached.start, reached.stop
        row, column = self._for_strips(row_start, row_stop)
        if self._polygon_count > 1 or len(row):  # bring all polygons together
            line = start % (axis.row_count * axis.width)
            beside = axis.place(np.zeros_like(row), row, column)
            start, stop = _union(np.concatenate([line, beside]), np.concatenate([line + stop - start, beside + 1]))
        row, column = np.divmod(start, axis.width)
        column += axis.column_start
        return RowRuns(row + row_start, column, column + stop - start)

    def _axis(self, row_start: int, row_stop: int) -> _Axis:
        return _Axis(row_start, row_stop - row_start, self.columns[0], self.columns[1] - self.columns[0] + 1)

    def _reached(self, axis: _Axis, edges: Integers, rows: Integers) -> _Runs:
        """Return the tiles into which each polygon reaches deeper than the margin.

        Args:
            axis: of the runs.
            edges: all edges of some polygons.
            rows: ascending.
        """
        edge, row = self._meetings(edges, rows)
        upper, lower = self._upper[edge, 0], self._lower[edge, 0]
        enters, leaves = row >= self._enters[edge], row < self._leaves[edge]
        below = row - self._upper[edge, 1]  # of the row's top, below the edge's upper end
        first = self._column_at(edge, below + self._margin)
        last = self._column_at(edge, below + (1 - self._margin))
        first_start, first_stop = self._reach(np.where(enters, first, upper))
        last_start, last_stop = self._reach(np.where(leaves, last, lower))

        # Crossings of a line, paired from left to right within a polygon. They
        # are ordered by start + stop: those that share it reach the same tiles.
        bits = (2 * axis.width).bit_length()
        along = self._polygon[edge] * axis.row_count + (row - axis.row_start)
        first_key = (2 * along << bits) + first_start + first_stop
        last_key = (2 * along + 1 << bits) + last_start + last_stop
        key = _sorted(np.concatenate([first_key[enters], last_key[leaves]]))
        begin, end = key[0::2], key[1::2]
        inside, sums = (begin >> bits + 1) * axis.width, (1 << bits) - 1

        along *= axis.width
        start, stop = _union(
            np.concatenate([along + np.minimum(first_start, last_start), inside + ((begin & sums) >> 1)]),
            np.concatenate([along + np.maximum(first_stop, last_stop), inside + ((end & sums) + 1 >> 1)]),
        )
        return _Runs(start, stop)

    def _for_strips(self, row_start: int, row_stop: int) -> tuple[Integers, Integers]:
        """Return row and column of the tiles for parts of polygons that lie in strips alone.

        A part in the strip of one line is further than the margin from all
        tiles but the two beside it, a part where two strips cross from all but
        four. If its polygon reaches into none of them, the part gets the one
        that holds its middle; but not if it is only the tip of what reaches
        into a tile next to these.
        """
        # Where strips cross, the rows before and after count, too.
        start, stop = self._upright.tiles
        upright = self._upright[(start <= row_stop) & (stop >= row_start) & (start < stop)]
        level = self._flat[(self._flat.line >= row_start) & (self._flat.line <= row_stop)]
        polygons = np.union1d(upright.polygon, level.polygon)
        if not len(polygons):
            return polygons, polygons
        axis = self._axis(row_start - 1, row_stop + 1)
        sides = upright.beside_tiles(row_start - 1, row_stop + 1)
        rows = np.union1d(np.add.outer([-1, 0, 1], sides.tile), np.add.outer([-1, 0], level.line))
        rows = rows[(rows >= row_start - 1) & (rows <= row_stop)]
        reached = self._reached(axis, np.flatnonzero(np.isin(self._polygon, polygons)), rows)

        side = axis.place(sides.polygon, sides.tile, sides.line)
        left_or_right = reached.extended(1)
        column, row = sides.middle(_is_left_out(sides, side, left_or_right, axis.width))

        above_or_below = reached.extended(axis.width)
        start, stop = level.tiles
        covered = above_or_below.hold(axis.place(level.polygon, level.line, start), stop - start)
        level = level[~covered]
        if np.maximum(stop - start, 0)[~covered].sum() > WORK_LIMIT:
            raise AreaError(
                f"The area is too complex for level {self._level}: it follows the edge between rows of tiles "
                f"for more than {WORK_LIMIT:,} tiles."
            )
        ends = level.beside_tiles(*self.columns)
        end = axis.place(ends.polygon, ends.line, ends.tile)
        more_rows, more_columns = ends.middle(_is_left_out(ends, end, above_or_below, 1))

        corners = level.corners()
        corner = axis.place(corners.polygon, corners.row, corners.column)
        taken = above_or_below.hold(corner - 1) | above_or_below.hold(corner)
        taken |= np.isin(corner, side) | np.isin(corner - axis.width, side)
        taken |= np.isin(corner, end) | np.isin(corner - 1, end)
        corner_rows, corner_columns = corners.middle(~taken)

        row = np.concatenate([row, more_rows, corner_rows])
        column = np.concatenate([column, more_columns, corner_columns])
        here = (row >= row_start) & (row < row_stop)
        return row[here], column[here]

    def _meetings(self, edges: Integers, rows: Integers) -> tuple[Integers, Integers]:
        """Return each pair of an edge and a row it meets."""
        met = edges[(self._start[edges] <= rows[-1]) & (self._stop[edges] > rows[0])]
        first = np.searchsorted(rows, self._start[met])
        count = np.searchsorted(rows, self._stop[met]) - first
        return np.repeat(met, count), rows[ranges(first, count)]

    def _column_at(self, edge: Integers, below: Floats) -> Floats:
        """Return where edges are, this far below their upper ends."""
        upper, lower = self._upper[edge, 0], self._lower[edge, 0]
        column = upper + below * self._slope[edge]
        within: Floats = np.clip(column, np.minimum(upper, lower), np.maximum(upper, lower))
        return within

    def _reach(self, column: Floats) -> tuple[Integers, Integers]:
        """Return the tiles that a span from, and a span up to here reach into."""
        start = np.floor(column + self._margin).astype(np.int64)
        stop = np.ceil(column - self._margin).astype(np.int64)
        return start - self.columns[0], stop - self.columns[0]


def _is_left_out(parts: StripParts, place: Integers, beside: _Runs, step: int) -> Flags:
    """Return a mask of the parts in strips that need a tile.

    Args:
        parts: of polygons.
        place: (n,) where the parts are on an axis.
        beside: where on the axis a tile on either side of the line is reached.
        step: on the axis, from one tile along the line to the next.
    """
    is_tip: Flags = ~parts.is_long & (parts.goes_before | parts.goes_after)
    is_tip &= ~parts.goes_before | beside.hold(place - step)
    is_tip &= ~parts.goes_after | beside.hold(place + step)
    left_out: Flags = ~beside.hold(place) & ~is_tip & (parts.low < parts.high)
    return left_out


def _touched(places: Floats) -> tuple[int, int]:
    """Return the half-open range of tiles from the least to the greatest place."""
    if not len(places):
        return 0, 0
    start, stop = math.floor(places.min()), math.ceil(places.max())
    return min(start, stop - 1), stop


def _union(start: Integers, stop: Integers) -> tuple[Integers, Integers]:
    """Join spans that overlap or touch."""
    some = start < stop
    start, stop = _sorted(start[some]), _sorted(stop[some])
    # A span is new where all that began before it have ended.
    new = np.flatnonzero(start[1:] > stop[:-1])
    return np.concatenate([start[:1], start[new + 1]]), np.concatenate([stop[new], stop[-1:]])


def _sorted(keys: Integers) -> Integers:
    # The rows of an edge ascend already, and the stable sort merges such
    # stretches: measured three times as fast as the default.
    return np.sort(keys, kind="stable")
