"""Planning: grouping the bundles of an export into work items of about the same cost.

A work item is one or more whole bundles, so that every bundle has one writer
and no tile can be lost between two of them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from exporttiles.domain.errors import AreaError
from exporttiles.domain.parts import COPIERS, COPY_BYTES_PER_SECOND, MAX_PART_BYTES, MAX_PARTS, copy_seconds
from exporttiles.domain.tiling import BundleIndex
from exporttiles.domain.wording import counted

Bundle = TypeVar("Bundle")

FRAGMENT_TARGET_BYTES = 16 * 1024 * 1024
"""Target size of a work item: well above the 5 MiB minimum of a part of a
multipart upload, so that an estimate may be three times too high."""

LARGE_FRAGMENT_BYTES = 64 * 1024 * 1024
"""Target size of a work item of a large export: each item costs two state
transitions and three writes, more than its second of work."""

FEW_WORK_ITEMS = 16
"""Work items grow only if there are more than this: enough to show progress."""

MAX_WORK_ITEMS = MAX_PARTS - 2
"""Limit of the work items of a job: each writes at most one part of the package, and there may be one part before and
one after them."""

BUNDLE_OVERHEAD_BYTES = 64 + 128 * 128 * 8
"""Header and index of a bundle, the same for all bundles."""

MAX_BUNDLES = 1_000_000
"""Limit of the bundles of one export."""

FILE_READS_PER_SECOND = 5_500
"""Requests that S3 answers in a second below one prefix, before it has split it.
Source: Amazon S3 User Guide, "Best practices design patterns: optimizing Amazon S3 performance"."""

_WORKER_BYTES = 200 * 10**6
"""Memory of a worker without its fragment."""

_WORKER_SECONDS = 10
"""Work per worker that justifies its start: ten times the start-up time."""

# Throughput of one worker, with one processor and the network of a function.
_BYTES_PER_SECOND = 50_000_000
_FILES_PER_SECOND = 1_500
_RECOMPRESSED_PER_SECOND = 1_000
_CONVERTED_PER_SECOND = 150
_CLIPPED_PER_SECOND = 50
_DRAWN_PER_SECOND = 150

DRAWING_BYTES = 1_000 * 10**6
"""Memory of a worker for the pictures that tiles are drawn from. Most files take 200 MB, those with the largest legal
strips nearly all of it: `tests/unit/adapters/test_raster_memory.py`."""


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """A bundle and how many tiles of it are selected.

    Attributes:
        places: of the selected tiles that exist, row in the bundle times 128
            plus column; None where that is not known.
        overhead_bytes: of the bundle in the output, besides its tiles.
    """

    index: BundleIndex
    tile_count: int
    places: Sequence[int] | None = None
    overhead_bytes: int = BUNDLE_OVERHEAD_BYTES

    @property
    def wanted_count(self) -> int:
        """Return the number of tiles to look for."""
        return self.tile_count if self.places is None else len(self.places)

    def size_bytes(self, average_tile_bytes: int) -> int:
        """Estimate the size of the bundle."""
        return self.overhead_bytes + self.wanted_count * average_tile_bytes


@dataclass(frozen=True, slots=True)
class FragmentSize:
    """Target and minimum size of work items in bytes; the last one may be smaller.

    Both grow with the job, so that small ones show progress, large ones cost
    little, and there are never more work items than a package has parts.
    """

    target: int
    least: int

    @classmethod
    def of(cls, total_bytes: int) -> "FragmentSize":
        """Return the target and minimum for a package of a total size."""
        target = max(FRAGMENT_TARGET_BYTES, min(LARGE_FRAGMENT_BYTES, total_bytes // FEW_WORK_ITEMS))
        bounded = -(-total_bytes // (MAX_WORK_ITEMS - 1))
        return cls(max(target, bounded), max(target // 2, bounded))


def largest_fragment_bytes(worker_bytes: int) -> int:
    """Return the maximum size of a fragment, which a worker holds in memory and S3 copies in one part.

    Args:
        worker_bytes: memory of a worker.
    """
    return min(MAX_PART_BYTES, worker_bytes - _WORKER_BYTES)


def limited(bundles: Iterable[Bundle]) -> Iterator[Bundle]:
    """Yield bundles up to `MAX_BUNDLES`.

    Raises:
        AreaError: there are more.
    """
    for number, bundle in enumerate(bundles):
        if number >= MAX_BUNDLES:
            raise AreaError(f"The area touches more than {MAX_BUNDLES:,} bundles: export it in parts.")
        yield bundle


def group_bundles(
    bundles: Iterable[PlannedBundle], average_tile_bytes: int, size: FragmentSize, largest_bytes: int = MAX_PART_BYTES
) -> Iterator[tuple[PlannedBundle, ...]]:
    """Yield groups of neighbouring bundles that each cost about the target.

    Small bundles are gathered; a heavy one stands alone unless the group before
    it is too small for a fragment of its own. Order is kept,
    so a package lists its bundles as the scheme does.

    Args:
        bundles: in the order of the scheme.
        average_tile_bytes: mean size of a tile.
        size: target and minimum size of a group.
        largest_bytes: maximum size of a group.

    Raises:
        AreaError: a group is larger.
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
                f"most {largest_bytes / 1e6:,.0f} MB, as S3 and the memory of a worker (WorkerMemory) allow. "
                "Export a smaller area, or fewer levels."
            )
        if group_bytes >= size.target:
            yield tuple(group)
            group, group_bytes = [], 0
    if group:
        yield tuple(group)


def shares(total: int, weights: Sequence[int]) -> Iterator[int]:
    """Split a number into integers in proportion to weights."""
    whole, given, weight = sum(weights), 0, 0
    for each in weights:
        weight += each
        share = total * weight // whole - given
        given += share
        yield share


def worker_seconds(
    tile_count: int,
    size_bytes: int,
    *,
    from_files: bool,
    recompressed: bool,
    converted: bool = False,
    clipped_count: int = 0,
    drawn: bool = False,
) -> float:
    """Estimate how long one worker would take for a whole export.

    Args:
        tile_count: tiles to look for.
        size_bytes: about their total size.
        from_files: each tile is a request of its own.
        recompressed: each tile is decoded and encoded.
        converted: each tile is decoded and encoded in another format, or drawn as PNG.
        clipped_count: tiles on the border of an area that they are clipped to.
        drawn: each tile is drawn from rasters.
    """
    seconds = size_bytes / _BYTES_PER_SECOND
    if from_files:
        seconds += tile_count / _FILES_PER_SECOND
    if converted:
        seconds += tile_count / _CONVERTED_PER_SECOND
    elif recompressed:
        seconds += tile_count / _RECOMPRESSED_PER_SECOND
    if drawn:
        seconds += tile_count / _DRAWN_PER_SECOND
    return seconds + clipped_count / _CLIPPED_PER_SECOND


def file_readers(tile_count: int, seconds: float, reads_per_second: int) -> int:
    """Return how many workers together send the given number of requests to a cache of single files.

    Args:
        tile_count: files to read, one request each.
        seconds: of work for one worker.
        reads_per_second: of all workers.
    """
    return math.ceil(seconds * reads_per_second / max(1, tile_count))


def concurrency(work_items: int, seconds: float, most: int) -> int:
    """Return how many work items of an export run at a time.

    Each worker that is started has seconds of work to do, so that a small
    export leaves the account's functions, and the cache's requests, to others.

    Args:
        work_items: how many there are.
        seconds: of work for one worker.
        most: limit of the operator.
    """
    return max(1, min(most, work_items, math.ceil(seconds / _WORKER_SECONDS)))


def require_time(tile_count: int, size_bytes: int, seconds: float, workers: int, timeout: timedelta) -> None:
    """Refuse an export that would be stopped before its end.

    Args:
        tile_count: tiles to look for.
        size_bytes: about the size of the package.
        seconds: of work for one worker.
        workers: how many there are at a time.
        timeout: longest time that an export may take.

    Raises:
        AreaError: it would take longer.
    """
    reading, joining = seconds / workers, copy_seconds(size_bytes)
    if reading + joining > timeout.total_seconds():
        raise AreaError(
            f"ExportTimeoutSeconds ({timeout.total_seconds():,.0f}): the export would take about "
            f"{reading / 3600:,.1f} hours to read {counted(tile_count, 'tile')} with {counted(workers, 'worker')}, and "
            f"{joining / 3600:,.1f} hours to join a package of {size_bytes / 1e9:,.0f} GB ({COPIERS} parts at a time, "
            f"{COPY_BYTES_PER_SECOND / 1e6:,.0f} MB/s each). Export a smaller area or fewer levels, or deploy with a "
            "larger ExportTimeoutSeconds, MaxConcurrency or, for a cache of single files, FileReadsPerSecond."
        )
