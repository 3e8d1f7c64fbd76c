"""Cutting an export into work items of about the same cost.

A work item is one or more whole bundles: a bundle has one writer, always, so
that no tile can be lost between two of them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporttiles.domain.errors import AreaError
from exporttiles.domain.parts import MAX_PART_BYTES, MAX_PARTS
from exporttiles.domain.tiling import BundleIndex

Bundle = TypeVar("Bundle")

FRAGMENT_TARGET_BYTES = 16 * 1024 * 1024
"""What a work item aims to write at least: well above the 5 MiB that a part of
a multipart upload must have, so that an estimate may be three times too high."""

LARGE_FRAGMENT_BYTES = 64 * 1024 * 1024
"""What work items of large exports aim to write: each costs two state
transitions and three writes, more than its second of work."""

FEW_WORK_ITEMS = 16
"""So many there are before they grow: enough for progress to be seen."""

MAX_WORK_ITEMS = MAX_PARTS - 1
"""Each makes a part of the package at most, and the directory makes the last."""

BUNDLE_OVERHEAD_BYTES = 64 + 128 * 128 * 8
"""Header and index of a bundle, whatever it holds."""

MAX_BUNDLES = 1_000_000
"""Bundles of one export that a planner takes on."""

_WORKER_BYTES = 200 * 10**6
"""What a worker needs besides its fragment."""

_WORKER_SECONDS = 10
"""Work that a worker is started for: ten times what it takes to start one."""

# What one worker does in a second, on one processor and the network of a function.
_BYTES_PER_SECOND = 50_000_000
_FILES_PER_SECOND = 1_500
_RECOMPRESSED_PER_SECOND = 1_000


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """A bundle and how many tiles of it are selected.

    Attributes:
        places: of the selected tiles that exist, row in the bundle times 128
            plus column; None where that is not known.
    """

    index: BundleIndex
    tile_count: int
    places: Sequence[int] | None = None

    @property
    def wanted_count(self) -> int:
        """Return the number of tiles to look for."""
        return self.tile_count if self.places is None else len(self.places)

    def size_bytes(self, average_tile_bytes: int) -> int:
        """Return about how large the bundle will be."""
        return BUNDLE_OVERHEAD_BYTES + self.wanted_count * average_tile_bytes


@dataclass(frozen=True, slots=True)
class FragmentSize:
    """What work items write, in bytes: about the target, and never less than the least, but for the last.

    Both grow with the job, so that small ones show progress, large ones cost
    little, and there are never more work items than a package has parts.
    """

    target: int
    least: int

    @classmethod
    def of(cls, total_bytes: int) -> "FragmentSize":
        """Return how large fragments should be for a package of a size."""
        target = max(FRAGMENT_TARGET_BYTES, min(LARGE_FRAGMENT_BYTES, total_bytes // FEW_WORK_ITEMS))
        bounded = -(-total_bytes // (MAX_WORK_ITEMS - 1))
        return cls(max(target, bounded), max(target // 2, bounded))


def largest_fragment_bytes(worker_bytes: int) -> int:
    """Return how much a work item may write: a worker holds it in memory, and S3 copies it in one piece.

    Args:
        worker_bytes: memory of a worker.
    """
    return min(MAX_PART_BYTES, worker_bytes - _WORKER_BYTES)


def limited(bundles: Iterable[Bundle]) -> Iterator[Bundle]:
    """Yield bundles until there are more than a planner can take on.

    Raises:
        AreaError: there are.
    """
    for number, bundle in enumerate(bundles):
        if number >= MAX_BUNDLES:
            raise AreaError(f"The area touches more than {MAX_BUNDLES:,} bundles: export it in parts.")
        yield bundle


def group_bundles(
    bundles: Iterable[PlannedBundle], average_tile_bytes: int, size: FragmentSize, largest_bytes: int = MAX_PART_BYTES
) -> Iterator[tuple[PlannedBundle, ...]]:
    """Yield groups of neighbouring bundles that each cost about the target.

    Small bundles are gathered; a heavy one stands alone unless what was
    gathered before it is too little for a fragment of its own. Order is kept,
    so a package lists its bundles as the scheme does.

    Args:
        bundles: in the order of the scheme.
        average_tile_bytes: what a tile comes to.
        size: what a group aims at.
        largest_bytes: what no group may exceed.

    Raises:
        AreaError: a group does.
    """
    group: list[PlannedBundle] = []
    group_bytes = 0
    for bundle in bundles:
        size_bytes = bundle.size_bytes(average_tile_bytes)
        if size.least <= group_bytes and group_bytes + size_bytes > size.target:
            yield tuple(group)
            group, group_bytes = [], 0
        group.append(bundle)
        group_bytes += size_bytes
        if group_bytes > largest_bytes:
            raise AreaError(
                f"The package would need a part of about {group_bytes / 1e6:,.0f} MB; it may have {MAX_PARTS:,} of at "
                f"most {largest_bytes / 1e6:,.0f} MB, as S3 and the memory of a worker allow. "
                "Export a smaller area, or fewer levels."
            )
        if group_bytes >= size.target:
            yield tuple(group)
            group, group_bytes = [], 0
    if group:
        yield tuple(group)


def shares(total: int, weights: Sequence[int]) -> Iterator[int]:
    """Yield whole shares of a number, in proportion to weights; together they are the number."""
    whole, given, weight = sum(weights), 0, 0
    for each in weights:
        weight += each
        share = total * weight // whole - given
        given += share
        yield share


def worker_seconds(tile_count: int, size_bytes: int, *, from_files: bool, recompressed: bool) -> float:
    """Return about how long one worker would take for a whole export.

    Args:
        tile_count: tiles to look for.
        size_bytes: about what they come to.
        from_files: each tile is a request of its own.
        recompressed: each tile is decoded and encoded.
    """
    seconds = size_bytes / _BYTES_PER_SECOND
    if from_files:
        seconds += tile_count / _FILES_PER_SECOND
    if recompressed:
        seconds += tile_count / _RECOMPRESSED_PER_SECOND
    return seconds


def concurrency(work_items: int, seconds: float, most: int) -> int:
    """Return how many work items of an export run at a time.

    Each worker that is started has seconds of work to do, so that a small
    export leaves the account's functions, and the cache's requests, to others.

    Args:
        work_items: how many there are.
        seconds: what one worker would take for all of them.
        most: what the operator allows one export.
    """
    return max(1, min(most, work_items, math.ceil(seconds / _WORKER_SECONDS)))
