"""Find the tiles of one level that a union of polygons reaches into, by rows.

All coordinates are in tiles from the origin of the tiling scheme.

1. Each row of tiles is a band. Its upper and lower line lie in the row, away
   from the edge of the tiles by the margin: to touch a tile is not to reach into it.
2. Each edge of a polygon is cut to the bands that it meets. A piece reaches
   into the columns between its ends, again up to the margin.
3. Where the edges of a polygon cross the upper line of a band, the crossings
   are sorted from left to right. By the even-odd rule the line is inside the
   polygon from the first to the second, from the third to the fourth, and so
   on. The lower line likewise.
4. These pieces and stretches of lines are the outline of the polygon in the
   band. Its tiles are the union of theirs: no tile is looked at, and no ring
   needs repair.
5. A part of a polygon that lies between the bands, or between columns, reaches
   into no tile. `exporttiles.domain.strips` finds such parts; each gets the tile
   that holds its middle.

All rows of all polygons are sorted at once: `_NumberLine` lays them end to end,
and a run of tiles is an interval of integers on it.
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
class _NumberLine:
    """The rows of the first polygon end to end, those of the second and so on, with a gap of one tile after each row.

    Attributes:
        width: tiles in a row, and the gap.
    """

    row_start: int
    row_count: int
    column_start: int
    width: int

    def position(self, polygon: Integers, row: Integers, column: Integers) -> Integers:
        """Return where the tiles of polygons are on the line."""
        number = polygon * self.row_count + row - self.row_start
        return number * self.width + column - self.column_start


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Half-open runs on a number line, ascending and apart."""

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
        starts, stops = (np.concatenate([ends, ends + step]) for ends in (self.start, self.stop))
        return _Runs(*_union(starts, stops))


class Scanline:
    """The edges of polygons on the tiles of one level.

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
        self._row_start = np.floor(upper[:, 1] + margin).astype(np.int64)
        self._row_stop = np.ceil(lower[:, 1] - margin).astype(np.int64)
        met = np.flatnonzero(self._row_start < self._row_stop)
        self._row_start, self._row_stop = self._row_start[met], self._row_stop[met]
        self._all = upper, lower, polygon
        upper, lower = upper[met], lower[met]
        self._upper, self._lower, self._polygon = upper, lower, polygon[met]
        self._polygon_count = int(polygon.max(initial=-1)) + 1
        # The first row whose upper line an edge crosses; the row after the
        # last one whose lower line it crosses.
        self._enters = np.ceil(upper[:, 1] - margin).astype(np.int64)
        self._leaves = np.floor(lower[:, 1] + margin).astype(np.int64)
        run, fall = (lower - upper).T
        self._slope = np.divide(run, fall, out=np.zeros_like(run), where=fall > 0)

    @cached_property
    def _vertical(self) -> StripEdges:
        """The edges in the strips between columns."""
        upper, lower, polygon = self._all
        return StripEdges.cut(upper[:, ::-1], lower[:, ::-1], polygon, self._margin)

    @cached_property
    def _horizontal(self) -> StripEdges:
        """The edges in the strips between rows."""
        return StripEdges.cut(*self._all, self._margin)

    def work(self, row_start: int, row_stop: int) -> int:
        """Return the number of edge-row pairs, to which time and memory are proportional."""
        start, stop = np.maximum(self._row_start, row_start), np.minimum(self._row_stop, row_stop)
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
        line = self._number_line(row_start, row_stop)
        reached = self._reached_runs(line, np.arange(len(self._row_start)), np.arange(row_start, row_stop))
        start, stop = reached.start, reached.stop
        row, column = self._tiles_of_strips(row_start, row_stop)
        if self._polygon_count > 1 or len(row):  # lay all polygons onto the rows of the first
            first = start % (line.row_count * line.width)
            single = line.position(np.zeros_like(row), row, column)
            start, stop = _union(np.concatenate([first, single]), np.concatenate([first + stop - start, single + 1]))
        row, column = np.divmod(start, line.width)
        column += line.column_start
        return RowRuns(row + row_start, column, column + stop - start)

    def _number_line(self, row_start: int, row_stop: int) -> _NumberLine:
        return _NumberLine(row_start, row_stop - row_start, self.columns[0], self.columns[1] - self.columns[0] + 1)

    def _reached_runs(self, line: _NumberLine, edges: Integers, rows: Integers) -> _Runs:
        """Return the tiles into which each polygon reaches deeper than the margin.

        Args:
            line: of the runs.
            edges: all edges of some polygons.
            rows: ascending.
        """
        edge, row = self._edge_row_pairs(edges, rows)
        upper, lower = self._upper[edge, 0], self._lower[edge, 0]
        enters, leaves = row >= self._enters[edge], row < self._leaves[edge]
        below = row - self._upper[edge, 1]  # from the edge's upper end down to the top of the row
        first = self._column_below(edge, below + self._margin)
        last = self._column_below(edge, below + (1 - self._margin))
        first_start, first_stop = self._reach(np.where(enters, first, upper))
        last_start, last_stop = self._reach(np.where(leaves, last, lower))

        # Crossings are sorted by polygon, row, upper before lower line, and place from left to right.
        # The place is start + stop: crossings that share it reach into the same tiles.
        bits = (2 * line.width).bit_length()
        number = self._polygon[edge] * line.row_count + (row - line.row_start)
        upper_key = (2 * number << bits) + first_start + first_stop
        lower_key = (2 * number + 1 << bits) + last_start + last_stop
        key = _sorted(np.concatenate([upper_key[enters], lower_key[leaves]]))
        begin, end = key[0::2], key[1::2]
        inside, place = (begin >> bits + 1) * line.width, (1 << bits) - 1

        number *= line.width
        start, stop = _union(
            np.concatenate([number + np.minimum(first_start, last_start), inside + ((begin & place) >> 1)]),
            np.concatenate([number + np.maximum(first_stop, last_stop), inside + ((end & place) + 1 >> 1)]),
        )
        return _Runs(start, stop)

    def _tiles_of_strips(self, row_start: int, row_stop: int) -> tuple[Integers, Integers]:
        """Return row and column of the tiles for parts of polygons that lie in strips alone.

        A part in the strip of one line is further than the margin from all
        tiles but the two beside it, a part where two strips cross from all but
        four. If its polygon reaches into none of them, the part gets the one
        that holds its middle; but not if it is only the tip of what reaches
        into a tile next to these.
        """
        # Where strips cross, the rows before and after count, too.
        start, stop = self._vertical.tiles
        vertical = self._vertical[(start <= row_stop) & (stop >= row_start) & (start < stop)]
        horizontal = self._horizontal[(self._horizontal.line >= row_start) & (self._horizontal.line <= row_stop)]
        polygons = np.union1d(vertical.polygon, horizontal.polygon)
        if not len(polygons):
            return polygons, polygons
        line = self._number_line(row_start - 1, row_stop + 1)
        sides = vertical.beside_tiles(row_start - 1, row_stop + 1)
        rows = np.union1d(np.add.outer([-1, 0, 1], sides.tile), np.add.outer([-1, 0], horizontal.line))
        rows = rows[(rows >= row_start - 1) & (rows <= row_stop)]
        reached = self._reached_runs(line, np.flatnonzero(np.isin(self._polygon, polygons)), rows)

        # Parts between two columns.
        left_or_right = reached.extended(1)
        side = line.position(sides.polygon, sides.tile, sides.line)
        side_columns, side_rows = sides.middle(_needs_tile(sides, side, left_or_right, line.width))

        # Parts between two rows. Edges with selected tiles all along them need no further look.
        above_or_below = reached.extended(line.width)
        start, stop = horizontal.tiles
        covered = above_or_below.hold(line.position(horizontal.polygon, horizontal.line, start), stop - start)
        horizontal = horizontal[~covered]
        if np.maximum(stop - start, 0)[~covered].sum() > WORK_LIMIT:
            raise AreaError(
                f"The area is too complex for level {self._level}: it follows the edge between rows of tiles "
                f"for more than {WORK_LIMIT:,} tiles."
            )
        ends = horizontal.beside_tiles(*self.columns)
        end = line.position(ends.polygon, ends.line, ends.tile)
        end_rows, end_columns = ends.middle(_needs_tile(ends, end, above_or_below, 1))

        # Parts where two strips cross, unless a tile beside them is selected or they continue in a strip.
        corners = horizontal.corners()
        corner = line.position(corners.polygon, corners.row, corners.column)
        taken = above_or_below.hold(corner - 1) | above_or_below.hold(corner)
        taken |= np.isin(corner, side) | np.isin(corner - line.width, side)
        taken |= np.isin(corner, end) | np.isin(corner - 1, end)

        corner_rows, corner_columns = corners.middle(~taken)

        row = np.concatenate([side_rows, end_rows, corner_rows])
        column = np.concatenate([side_columns, end_columns, corner_columns])
        here = (row >= row_start) & (row < row_stop)
        return row[here], column[here]

    def _edge_row_pairs(self, edges: Integers, rows: Integers) -> tuple[Integers, Integers]:
        """Return each pair of an edge and a row it meets."""
        met = edges[(self._row_start[edges] <= rows[-1]) & (self._row_stop[edges] > rows[0])]
        first = np.searchsorted(rows, self._row_start[met])
        count = np.searchsorted(rows, self._row_stop[met]) - first
        return np.repeat(met, count), rows[ranges(first, count)]

    def _column_below(self, edge: Integers, below: Floats) -> Floats:
        """Return the column of edges at a distance below their upper ends."""
        upper, lower = self._upper[edge, 0], self._lower[edge, 0]
        column = upper + below * self._slope[edge]
        within: Floats = np.clip(column, np.minimum(upper, lower), np.maximum(upper, lower))
        return within

    def _reach(self, column: Floats) -> tuple[Integers, Integers]:
        """Return the first tile that a span from here reaches into, and the end of the tiles of a span up to here."""
        start = np.floor(column + self._margin).astype(np.int64)
        stop = np.ceil(column - self._margin).astype(np.int64)
        return start - self.columns[0], stop - self.columns[0]


def thinned(start: Floats, stop: Floats, polygon: Integers, margin: float) -> tuple[Floats, Floats, Integers]:
    """Join consecutive edges inside of one tile: the selection stays the same, and work goes by the tiles of outlines.

    All of these edges reach into that tile. Outside of it they cross no line, and replacing them moves no other edge:
    a point there keeps its number of crossings, or changes it by an even number.

    Args:
        start: (n, 2) column and row of the beginning of each edge, in tiles.
        stop: (n, 2) of its end.
        polygon: (n,) which polygon it is of.
        margin: how far from the edges of the tile they must stay.
    """
    tile = np.floor(start + margin)
    is_inside = ((tile == np.floor(stop + margin)) & (tile + 1 == np.ceil(np.maximum(start, stop) - margin))).all(
        axis=1
    )
    is_inside &= (tile + 1 == np.ceil(np.minimum(start, stop) - margin)).all(axis=1)
    joins = is_inside[1:] & is_inside[:-1] & (polygon[1:] == polygon[:-1]) & (start[1:] == stop[:-1]).all(axis=1)
    is_first, is_last = np.ones((2, len(start)), np.bool_)
    is_first[1:], is_last[:-1] = ~joins, ~joins
    return start[is_first], stop[is_last], polygon[is_first]


def _needs_tile(parts: StripParts, position: Integers, beside: _Runs, step: int) -> Flags:
    """Return a mask of the parts in strips that need a tile.

    Args:
        parts: of polygons.
        position: (n,) of the parts on a number line.
        beside: positions where a tile on either side of the line between tiles is reached.
        step: from the position of one tile along that line to the next.
    """
    is_tip: Flags = ~parts.is_long & (parts.goes_before | parts.goes_after)
    is_tip &= ~parts.goes_before | beside.hold(position - step)
    is_tip &= ~parts.goes_after | beside.hold(position + step)
    needs_tile: Flags = ~beside.hold(position) & ~is_tip & (parts.low < parts.high)
    return needs_tile


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
