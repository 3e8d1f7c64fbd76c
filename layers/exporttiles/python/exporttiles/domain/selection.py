"""The tiles that an area selects."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
from exporttiles.domain.rings import edges_of
from exporttiles.domain.scanline import WORK_LIMIT, RowRuns, Scanline, thinned
from exporttiles.domain.strips import Floats, Integers
from exporttiles.domain.tiling import EDGE_PIXELS, PACKET_SIZE, BundleIndex, TileRange, TilingScheme

BUNDLES_AT_A_TIME = 4096
"""Bundles between the edges of an area that are counted together."""


@dataclass(frozen=True, eq=False)
class TileSelection:
    """The tiles of an area within the full extent of a service.

    Each polygon selects the tiles into which it reaches deeper than
    `EDGE_PIXELS`; where this would leave a part of it further than that from
    all of them, it also selects the tile that holds the middle of that part.

    So an area on tile edges selects no neighbours, however it was rounded; each
    polygon has at least one tile at every level; the tiles cover the area up to
    `EDGE_PIXELS`; and the polygon touches each of them. Tiles that a polygon
    reaches that deep are selected by every polygon around it, too. An extent never selects
    fewer tiles than an extent within it.

    Time and memory go by the edges of the area and the rows of tiles they
    meet, never by the number of tiles.

    Attributes:
        area: in the scheme's reference, and in its world (see `Area.to`).
        limit: the full extent of the service, in the scheme's reference.
    """

    scheme: TilingScheme
    area: Area
    limit: Extent
    _scanlines: dict[int, Scanline] = field(default_factory=dict, init=False, repr=False)
    _rows_of_bundles: dict[tuple[int, int], RowRuns] = field(default_factory=dict, init=False, repr=False)

    def work(self, level: int) -> int:
        """Return how often edges of the area meet rows of tiles of a level; 0 if none is looked at.

        Raises:
            AreaError, InvalidParameterError: as `count`.
        """
        if self._is_rectangle:
            return 0
        scanline = self._scanline(level)
        return self._check_work(scanline, level, *scanline.rows)

    def count(self, level: int) -> int:
        """Return the number of selected tiles.

        Raises:
            AreaError: the area is too complex for this level.
            InvalidParameterError: the scheme does not have the level.
        """
        if self._is_rectangle:
            return self.block(level).count
        self.work(level)
        scanline = self._scanline(level)
        return sum(runs.count for runs in scanline.runs(*scanline.rows))

    def rows(self, level: int, row_start: int, row_stop: int) -> RowRuns:
        """Return the selected tiles of some rows as runs of columns.

        Raises:
            AreaError, InvalidParameterError: as `count`.
        """
        scanline = self._scanline(level)
        self._check_work(scanline, level, row_start, row_stop)
        found = list(scanline.runs(row_start, row_stop))
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
        if not self._is_rectangle:
            self._check_work(scanline, level, first, stop)
        west = scanline.columns[0] // PACKET_SIZE
        width = scanline.columns[1] // PACKET_SIZE + 1 - west  # a run may stop where the last bundle does
        rows = max(1, BUNDLES_AT_A_TIME // width) * PACKET_SIZE
        for row in range(first // PACKET_SIZE * PACKET_SIZE, stop, rows):
            tile_counts: Counter[int] = Counter()
            for runs in scanline.runs(row, row + rows):
                tile_counts.update(count_by_bundle(runs, west, width))
            for number, tile_count in sorted(tile_counts.items()):
                down, along = divmod(number, width)
                yield BundleIndex(level, down * PACKET_SIZE, (west + along) * PACKET_SIZE), tile_count

    def mask(self, bundle: BundleIndex) -> NDArray[np.bool_]:
        """Return which tiles of a bundle are selected: (128, 128), row before column.

        Raises:
            AreaError, InvalidParameterError: as `count`.
        """
        runs = self._row_of_bundles(bundle)
        here = (runs.column_start < bundle.column + PACKET_SIZE) & (runs.column_stop > bundle.column)
        row = runs.row[here] - bundle.row
        steps = np.zeros((PACKET_SIZE, PACKET_SIZE + 1), np.int8)
        np.add.at(steps, (row, np.maximum(runs.column_start[here] - bundle.column, 0)), 1)
        np.subtract.at(steps, (row, np.minimum(runs.column_stop[here] - bundle.column, PACKET_SIZE)), 1)
        return steps.cumsum(axis=1, dtype=np.int8)[:, :-1].astype(np.bool_)

    def _row_of_bundles(self, bundle: BundleIndex) -> RowRuns:
        """Return the runs in the rows of a bundle; cached for its neighbours."""
        place = bundle.level, bundle.row
        if place not in self._rows_of_bundles:
            runs = self.rows(bundle.level, bundle.row, bundle.row + PACKET_SIZE)
            self._rows_of_bundles.clear()
            self._rows_of_bundles[place] = runs
        return self._rows_of_bundles[place]

    def block(self, level: int) -> TileRange:
        """Return a block of tiles around the selected ones.

        Raises:
            InvalidParameterError: the scheme does not have the level.
        """
        if self._within and self._is_rectangle:
            return self.scheme.tile_range(self._within.extent, level)
        scanline = self._scanline(level)
        return TileRange(level, *scanline.rows, *scanline.columns)

    @property
    def why_empty(self) -> str:
        """Return why the selection is empty, as text for users; '' if it is not."""
        if self._within:
            return ""
        if self.area.within(self.limit):
            return "the area lies left of the origin of its tiling scheme, or above it"
        return "the area lies outside the service's full extent"

    @cached_property
    def _within(self) -> Area | None:
        """The part of the area that may select tiles: within the limit, right of the origin and below it."""
        origin_x, origin_y = self.scheme.origin_x, self.scheme.origin_y
        xmin, ymax = max(self.limit.xmin, origin_x), min(self.limit.ymax, origin_y)
        return self.area.within(replace(self.limit, xmin=xmin, ymax=ymax))

    @cached_property
    def _is_rectangle(self) -> bool:
        return self._within is not None and self._within.is_rectangle

    def _scanline(self, level: int) -> Scanline:
        """Return the edges over the tiles of a level; cached for the last level."""
        scanline = self._scanlines.get(level)
        if scanline is None:
            span = self.scheme.tile_span(level)
            start, stop, polygon = self._edges
            origin, margin = np.array([self.scheme.origin_x, self.scheme.origin_y]), EDGE_PIXELS / self.scheme.tile_size
            start, stop = ((ends - origin) * (1, -1) / span for ends in (start, stop))
            scanline = Scanline(*thinned(start, stop, polygon, margin), level, margin)
            self._scanlines.clear()
            self._scanlines[level] = scanline
        return scanline

    def _check_work(self, scanline: Scanline, level: int, row_start: int, row_stop: int) -> int:
        """Return how often edges meet some rows, or refuse the area."""
        work = scanline.work(row_start, row_stop)
        if work > WORK_LIMIT:
            raise AreaError(
                f"The area is too complex for level {level}: its edges meet rows of tiles "
                f"{work:,} times; {WORK_LIMIT:,} are allowed."
            )
        return work

    @cached_property
    def _edges(self) -> tuple[Floats, Floats, Integers]:
        """Both ends of each edge in map units, (n, 2), and its polygon, (n,)."""
        return edges_of(self._within.polygons if self._within else ())


def count_by_bundle(runs: RowRuns, west: int, width: int) -> dict[int, int]:
    """Return how many tiles lie in each bundle; they are numbered row by row.

    Args:
        runs: of any rows.
        west: the first column of bundles.
        width: bundles in a row, and one more.
    """
    start_of_row = runs.row // PACKET_SIZE * width - west
    first, last = start_of_row + runs.column_start // PACKET_SIZE, start_of_row + runs.column_stop // PACKET_SIZE
    # Between two bundles in which a run begins or ends, all hold as many tiles.
    turns, turn = np.unique(np.concatenate([first, last]), return_inverse=True)
    begins, ends, length = turn[: len(first)], turn[len(first) :], len(turns)
    crossing = np.cumsum(np.bincount(begins, minlength=length) - np.bincount(ends, minlength=length)) * PACKET_SIZE
    at_turn = crossing - np.bincount(begins, runs.column_start % PACKET_SIZE, length)
    at_turn += np.bincount(ends, runs.column_stop % PACKET_SIZE, length)
    number = np.where(crossing > 0, np.diff(turns, append=0), 1)  # none crosses the last
    turn = np.cumsum(number) - number
    bundle = np.arange(number.sum()) + np.repeat(turns - turn, number)
    count = np.repeat(crossing, number)
    count[turn] = at_turn
    held = count > 0  # a run may end where the next bundle begins
    return dict(zip(bundle[held].tolist(), count[held].tolist(), strict=True))
