"""The tiles that an area selects."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
from exporttiles.domain.scanline import Floats, Integers, RowRuns, Scanline
from exporttiles.domain.tiling import (
    EDGE_PIXELS,
    PACKET_SIZE,
    BundleIndex,
    TileRange,
    TilingScheme,
)

WORK_LIMIT = 1 << 24
"""Meetings of an edge and a tile row at one level: two to four seconds of work."""


@dataclass(frozen=True, eq=False)
class TileSelection:
    """Tiles that an area reaches into, deeper than `EDGE_PIXELS`.

    Time and memory go by the edges of the area and the rows of tiles they
    meet, never by the number of tiles.

    Attributes:
        area: in the scheme's reference, and in its world (see `Area.to`).
        limit: tiles outside of this envelope are never selected: the full
            extent of the service, in the scheme's reference.
    """

    scheme: TilingScheme
    area: Area
    limit: Extent
    _scanlines: dict[int, Scanline] = field(default_factory=dict, init=False, repr=False)

    def count(self, level: int) -> int:
        """Return the number of selected tiles.

        Raises:
            AreaError: the area is too complex for this level.
            InvalidParameterError: the scheme does not have the level.
        """
        if self.area.is_rectangle:
            return self._block(level).count
        scanline = self._scanline(level)
        return sum(runs.count for runs in scanline.runs(*scanline.rows))

    def rows(self, level: int, row_start: int, row_stop: int) -> RowRuns:
        """Return the selected tiles of some rows as runs of columns.

        Raises:
            AreaError, InvalidParameterError: as `count`.
        """
        found = list(self._scanline(level).runs(row_start, row_stop))
        empty = np.empty(0, np.int64)
        return RowRuns(
            np.concatenate([empty, *(runs.row for runs in found)]),
            np.concatenate([empty, *(runs.column_start for runs in found)]),
            np.concatenate([empty, *(runs.column_stop for runs in found)]),
        )

    def bundles(self, level: int) -> Iterator[tuple[BundleIndex, int]]:
        """Yield the bundles that hold selected tiles, and how many each holds.

        Ascending by row, then by column.

        Raises:
            AreaError, InvalidParameterError: as `count`.
        """
        scanline = self._scanline(level)
        first, stop = scanline.rows
        block = self._block(level)
        west, east = block.column_start // PACKET_SIZE, -(-block.column_stop // PACKET_SIZE)
        for row in range(first // PACKET_SIZE * PACKET_SIZE, stop, PACKET_SIZE):
            counts = np.zeros(east - west, np.int64)
            for runs in scanline.runs(row, row + PACKET_SIZE):
                counts += _count_by_bundle(runs, west, east)
            for column in np.flatnonzero(counts).tolist():
                bundle = BundleIndex(level, row, (west + column) * PACKET_SIZE)
                yield bundle, int(counts[column])

    def mask(self, bundle: BundleIndex) -> NDArray[np.bool_]:
        """Return which tiles of a bundle are selected: (128, 128), row before column.

        Raises:
            AreaError, InvalidParameterError: as `count`.
        """
        runs = self.rows(bundle.level, bundle.row, bundle.row + PACKET_SIZE)
        start = np.clip(runs.column_start - bundle.column, 0, PACKET_SIZE)
        stop = np.clip(runs.column_stop - bundle.column, 0, PACKET_SIZE)
        steps = np.zeros((PACKET_SIZE, PACKET_SIZE + 1), np.int8)
        np.add.at(steps, (runs.row - bundle.row, start), 1)
        np.subtract.at(steps, (runs.row - bundle.row, stop), 1)
        return steps.cumsum(axis=1, dtype=np.int8)[:, :-1].astype(np.bool_)

    def _block(self, level: int) -> TileRange:
        """Return the smallest block of tiles around the selected ones."""
        around = self.scheme.tile_range(self.area.extent, level)
        block = around.intersection(self.scheme.tile_range(self.limit, level))
        return block if block.count else TileRange(level, 0, 0, 0, 0)

    def _scanline(self, level: int) -> Scanline:
        """Return the edges over the tiles of a level; the last one asked for is kept."""
        scanline = self._scanlines.get(level)
        if scanline is None:
            span = self.scheme.tile_span(level)
            start, stop, polygon = self._edges
            origin = np.array([self.scheme.origin_x, self.scheme.origin_y])
            scanline = Scanline(
                (start - origin) * (1, -1) / span,
                (stop - origin) * (1, -1) / span,
                polygon,
                self._block(level),
                EDGE_PIXELS / self.scheme.tile_size,
            )
            work = scanline.work(*scanline.rows)
            if work > WORK_LIMIT:
                raise AreaError(
                    f"The area is too complex for level {level}: its edges meet rows of tiles "
                    f"{work:,} times; {WORK_LIMIT:,} are allowed."
                )
            self._scanlines.clear()
            self._scanlines[level] = scanline
        return scanline

    @cached_property
    def _edges(self) -> tuple[Floats, Floats, Integers]:
        """Both ends of each edge in map units, (n, 2), and its polygon, (n,)."""
        rings = [ring for polygon in self.area.polygons for ring in polygon]
        sizes = [sum(map(len, polygon)) for polygon in self.area.polygons]
        start = np.concatenate(rings)
        stop = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
        return start, stop, np.repeat(np.arange(len(sizes)), sizes)


def _count_by_bundle(runs: RowRuns, west: int, east: int) -> Integers:
    """Return how many tiles lie in each bundle; ``west`` and ``east`` count bundles."""
    first, start = np.divmod(runs.column_start - west * PACKET_SIZE, PACKET_SIZE)
    last, stop = np.divmod(runs.column_stop - west * PACKET_SIZE, PACKET_SIZE)
    length = east - west + 1  # a run may stop where the last bundle does
    whole = np.bincount(first, minlength=length) - np.bincount(last, minlength=length)
    tiles = whole.cumsum() * PACKET_SIZE
    tiles -= np.bincount(first, start, length).astype(np.int64)
    tiles += np.bincount(last, stop, length).astype(np.int64)
    return tiles[:-1]
