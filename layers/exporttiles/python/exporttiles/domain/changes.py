"""Compact description of the tiles of a delta: blocks, and the changed tiles in each."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

from exporttiles.domain.tiling import BundleIndex, TileRange

MAX_BLOCKS = 64
"""Maximum blocks per bundle; more are replaced by one block around all of them."""


@dataclass(frozen=True, slots=True)
class ChangedBlock:
    """A block of tiles, and how many of them are in the delta."""

    tiles: TileRange
    tile_count: int


def changed_blocks(bundle: BundleIndex, places: Iterable[tuple[int, int]]) -> list[ChangedBlock]:
    """Return the blocks that hold some tiles of a bundle, from the top left.

    Args:
        bundle: the bundle.
        places: row and column of each tile in the scheme.
    """
    columns_of = defaultdict[int, list[int]](list)
    for row, column in sorted(places):
        columns_of[row].append(column)
    growing: dict[tuple[int, int], int] = {}  # columns of a block -> its first row
    blocks: list[TileRange] = []
    for row in range(bundle.row, bundle.tile_range.row_stop + 1):  # one row more, to close all
        runs = set(_runs(columns_of[row]))
        blocks += [TileRange(bundle.level, growing.pop(run), row, *run) for run in growing.keys() - runs]
        growing |= dict.fromkeys(runs - growing.keys(), row)
    if len(blocks) <= MAX_BLOCKS:
        return [
            ChangedBlock(block, block.count) for block in sorted(blocks, key=lambda b: (b.row_start, b.column_start))
        ]
    return [ChangedBlock(reduce(TileRange.union, blocks), sum(block.count for block in blocks))]


def _runs(columns: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the half-open runs of ascending columns."""
    start = stop = -1
    for column in columns:
        if column != stop:
            if stop >= 0:
                yield start, stop
            start = column
        stop = column + 1
    if stop >= 0:
        yield start, stop
