"""The pixels of tiles that lie in an area.

A pixel lies in the area if its centre does: in an odd number of rings of one of
the polygons. A centre exactly on an edge belongs to the polygon on its right or
below it, so that polygons that share an edge share no pixel.

1. Polygons are clipped to a bundle and the pixels around it.
2. Where edges cross the line through the centres of a row of pixels, the crossings
   are sorted from left to right. The line is in the polygon from the first to the
   second, from the third to the fourth, and so on.
3. A tile that no stretch begins or ends in lies inside or outside as a whole.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.area import Area
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import ExportArea
from exporttiles.domain.extent import Extent
from exporttiles.domain.rings import edges_of
from exporttiles.domain.scanline import RowRuns
from exporttiles.domain.selection import count_by_bundle
from exporttiles.domain.service import ImageService
from exporttiles.domain.strips import Flags, Floats, Integers, ranges
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange, TilingScheme

CLIP_WORK_LIMIT = 1 << 29
"""Limit of crossings of edges and rows of pixels at all levels: one to two minutes of work."""

_CHUNK = 1 << 20  # crossings at a time: some 50 MB
_CENTRE = 0.5
_ROUNDING = 1e-6  # of a tile


@dataclass(frozen=True, slots=True, eq=False)
class PixelSelection:
    """The pixels of an area on the tiles of a scheme.

    Attributes:
        area: in the scheme's reference, and in its world (see `Area.to`).
    """

    scheme: TilingScheme
    area: Area

    def cut(self, bundle: BundleIndex, selected: NDArray[np.bool_]) -> dict[tuple[int, int], bytes]:
        """Return the tiles of a bundle that do not lie in the area as a whole, with their pixels.

        Time goes by the crossings in the bundle, memory by the tiles that are returned.

        Args:
            bundle: the bundle.
            selected: (128, 128) mask of the tiles to look at, row before column.

        Returns:
            Row and column in the scheme -> one bit for each pixel, 1 in the area: rows
            from the top, each padded to bytes, the leftmost pixel in the highest bit.
        """
        size = self.scheme.tile_size
        around, corner, resolution = self._surroundings(bundle)
        area = self.area.within(around)
        if area is not None and area.is_rectangle and area.extent == around:
            return {}
        start, stop, polygon = edges_of(area.polygons if area else ())
        edges = _Edges.of((start - corner) * (1, -1) / resolution, (stop - corner) * (1, -1) / resolution, polygon)
        nothing = bytes(size * -(-size // 8))
        found = {}
        for row in np.flatnonzero(selected.any(axis=1)).tolist():
            columns = np.flatnonzero(selected[row]).tolist()
            for column, inside in _cut_row(edges.in_rows(row * size, (row + 1) * size), row * size, columns, size):
                bits = np.packbits(inside, axis=1).tobytes() if inside.any() else nothing
                found[bundle.row + row, bundle.column + column] = bits
        return found

    def border_counts(self, tiles: TileRange) -> Counter[BundleIndex]:
        """Return how many tiles of each bundle are clipped at most: those that edges of the area meet.

        A tile that two edges meet counts twice.

        Args:
            tiles: to look at, such as a block around the selected ones.
        """
        span = self.scheme.tile_span(tiles.level)
        start, stop, _ = edges_of(self.area.polygons)
        corner = np.array([self.scheme.origin_x, self.scheme.origin_y])
        start, stop = ((ends - corner) * (1, -1) / span for ends in (start, stop))
        rising = (start[:, 1] > stop[:, 1])[:, np.newaxis]
        upper, lower = np.where(rising, stop, start), np.where(rising, start, stop)
        first = np.clip(np.floor(upper[:, 1] - _ROUNDING), tiles.row_start, tiles.row_stop).astype(np.int64)
        last = np.clip(np.floor(lower[:, 1] + _ROUNDING), tiles.row_start - 1, tiles.row_stop - 1).astype(np.int64)
        count = np.maximum(last + 1 - first, 0)
        west, width = tiles.column_start // PACKET_SIZE, (tiles.column_stop - 1) // PACKET_SIZE + 2
        found: Counter[BundleIndex] = Counter()
        chunk = np.cumsum(count) // _CHUNK
        for number in np.unique(chunk).tolist():
            chosen = np.flatnonzero((chunk == number) & (count > 0))
            edge, row = np.repeat(chosen, count[chosen]), ranges(first[chosen], count[chosen])
            runs = _met(upper[edge], lower[edge], row, tiles)
            for place, tile_count in count_by_bundle(runs, west, width).items():
                down, along = divmod(place, width)
                found[BundleIndex(tiles.level, down * PACKET_SIZE, (west + along) * PACKET_SIZE)] += tile_count
        return found

    def _surroundings(self, bundle: BundleIndex) -> tuple[Extent, Floats, float]:
        """Return the envelope of a bundle and one pixel around it, its top left corner, and its resolution."""
        resolution, span = self.scheme.lod(bundle.level).resolution, self.scheme.tile_span(bundle.level)
        left, top = self.scheme.origin_x + bundle.column * span, self.scheme.origin_y - bundle.row * span
        reach = PACKET_SIZE * span + resolution
        around = Extent(left - resolution, top - reach, left + reach, top + resolution, self.area.spatial_reference)
        return around, np.array([left, top]), resolution


def require_clippable(service: ImageService, areas: Iterable[ExportArea]) -> None:
    """Refuse to clip tiles to areas that would take too long.

    Raises:
        InvalidParameterError: their edges cross too many rows of pixels.
    """
    work = 0.0
    for each in areas:
        if within := each.area.within(service.full_extent):
            start, stop, _ = edges_of(within.polygons)
            height = float(np.abs(stop[:, 1] - start[:, 1]).sum())
            work += sum(height / service.tiling_scheme.lod(level).resolution for level in each.levels)
    if work > CLIP_WORK_LIMIT:
        raise InvalidParameterError(
            "clip",
            "true",
            f"The area is too complex to clip these levels: its edges cross rows of pixels {work:,.0f} times; "
            f"{CLIP_WORK_LIMIT:,} are allowed. Ask for fewer or less detailed levels, or for a simpler area.",
        )


def _met(upper: Floats, lower: Floats, row: Integers, tiles: TileRange) -> RowRuns:
    """Return the tiles that edges meet in one row each.

    Args:
        upper: (n, 2) column and row of the upper ends of the edges, in tiles.
        lower: (n, 2) likewise of the lower ends.
        row: (n,) in which each edge is looked at.
        tiles: others are left out.
    """
    (run, fall), x = (lower - upper).T, upper[:, 0]
    slope = np.divide(run, fall, out=np.zeros_like(run), where=fall > 0)
    ends = [x + (np.clip(row + step, upper[:, 1], lower[:, 1]) - upper[:, 1]) * slope for step in (0, 1)]
    ends[1] = np.where(fall > 0, ends[1], lower[:, 0])
    column_start = np.floor(np.minimum(*ends) - _ROUNDING).astype(np.int64)
    column_stop = np.floor(np.maximum(*ends) + _ROUNDING).astype(np.int64) + 1
    column_start = np.maximum(column_start, tiles.column_start)
    column_stop = np.minimum(column_stop, tiles.column_stop)
    here = column_start < column_stop
    return RowRuns(row[here], column_start[here], column_stop[here])


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Edges that cross rows of pixels, in pixels from the top left corner of a bundle.

    Attributes:
        upper: (n, 2) x and y of the upper ends.
        slope: (n,) step in x for each step down.
        polygon: (n,) which polygon an edge is of.
        row_start, row_stop: (n,) half-open, the rows whose centres an edge crosses.
    """

    upper: Floats
    slope: Floats
    polygon: Integers
    row_start: Integers
    row_stop: Integers

    @classmethod
    def of(cls, start: Floats, stop: Floats, polygon: Integers) -> "_Edges":
        """Return the edges between points, without those that cross no row."""
        rising = (start[:, 1] > stop[:, 1])[:, np.newaxis]
        upper, lower = np.where(rising, stop, start), np.where(rising, start, stop)
        row_start = np.ceil(upper[:, 1] - _CENTRE).astype(np.int64)
        row_stop = np.ceil(lower[:, 1] - _CENTRE).astype(np.int64)
        crosses = row_start < row_stop
        run, fall = (lower - upper)[crosses].T
        return cls(upper[crosses], run / fall, polygon[crosses], row_start[crosses], row_stop[crosses])

    def in_rows(self, row_start: int, row_stop: int) -> "_Edges":
        """Return the edges that cross some rows."""
        met = (self.row_start < row_stop) & (self.row_stop > row_start)
        return _Edges(self.upper[met], self.slope[met], self.polygon[met], self.row_start[met], self.row_stop[met])

    def stretches(self, row_start: int, row_stop: int, width: int) -> tuple[Integers, Integers, Integers]:
        """Return the stretches of rows of pixels in the polygons: their row and half-open columns, up to a width."""
        first = np.maximum(self.row_start, row_start)
        count = np.maximum(np.minimum(self.row_stop, row_stop) - first, 0)
        edge, row = np.repeat(np.arange(len(count)), count), ranges(first, count)
        x = self.upper[edge, 0] + (row + _CENTRE - self.upper[edge, 1]) * self.slope[edge]
        column = np.clip(np.ceil(x - _CENTRE), 0, width).astype(np.int64)
        # The edges of a polygon cross each line an even number of times.
        line = self.polygon[edge] * (row_stop - row_start) + row - row_start
        key = np.sort(line * (width + 1) + column)
        begin, end = key[0::2], key[1::2]
        held = begin < end
        line, column = np.divmod(begin[held], width + 1)
        return line % (row_stop - row_start) + row_start, column, column + (end - begin)[held]


def _cut_row(edges: _Edges, row_start: int, columns: Sequence[int], size: int) -> Iterator[tuple[int, Flags]]:
    """Yield the tiles of a row that do not lie in the area as a whole: column, and (size, size) pixels.

    Args:
        edges: those that cross its rows of pixels.
        row_start: its first row of pixels.
        columns: of the tiles to look at, ascending.
        size: of a tile.
    """
    # The number of polygons that begin less those that end: in each row of a tile, and at each of its pixels.
    steps = np.zeros((size, PACKET_SIZE), np.int32)
    steps_in_tile: dict[int, NDArray[np.int32]] = {}
    rows = max(1, _CHUNK // max(1, len(edges.slope)))
    for first in range(row_start, row_start + size, rows):
        last = min(first + rows, row_start + size)
        row, begin, end = edges.stretches(first, last, PACKET_SIZE * size)
        for place, step in ((begin, 1), (end, -1)):
            for column, rows_of_tile, pixels in _by_tile(row - row_start, place, size):
                np.add.at(steps[:, column], rows_of_tile, step)
                inner = steps_in_tile.setdefault(column, np.zeros((size, size), np.int32))
                np.add.at(inner, (rows_of_tile, pixels), step)
    before: NDArray[np.int32] = np.cumsum(steps, axis=1) - steps
    is_covered: Flags = np.greater(before, 0)
    is_whole: Flags = np.logical_and.reduce(is_covered, axis=0)
    for column in columns:
        if column in steps_in_tile:
            inside: Flags = np.greater(before[:, [column]] + steps_in_tile[column].cumsum(axis=1), 0)
            if not inside.all():
                yield column, inside
        elif not is_whole[column]:
            yield column, np.repeat(is_covered[:, [column]], size, axis=1)


def _by_tile(row: Integers, place: Integers, size: int) -> Iterator[tuple[int, Integers, Integers]]:
    """Yield the column of each tile with some of the pixels, and their rows and columns in it."""
    order = np.argsort(place, kind="stable")
    row, (tile, pixel) = row[order], np.divmod(place[order], size)
    starts = np.flatnonzero(np.diff(tile, prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(tile)]):
        if tile[start] < PACKET_SIZE:
            yield int(tile[start]), row[start:stop], pixel[start:stop]
