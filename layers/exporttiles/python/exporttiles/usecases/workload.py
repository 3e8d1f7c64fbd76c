"""The work of an export: how long it takes, and with how many workers. The planner and estimates share it."""

from dataclasses import dataclass

from exporttiles.domain.parts import copy_seconds
from exporttiles.domain.plan import FragmentSize, concurrency, file_readers, worker_seconds
from exporttiles.domain.service import CacheLayout, TileFormat
from exporttiles.messages.export import Export

_START_SECONDS = 5
"""Of starting, planning and closing an export, about."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of an export.

    Attributes:
        seconds: for one worker.
        workers: how many there are at a time.
        size_bytes: about the size of the package.
    """

    seconds: float
    workers: int
    size_bytes: int

    @property
    def duration_seconds(self) -> float:
        """Estimate the time from the request to the package."""
        return _START_SECONDS + self.seconds / self.workers + copy_seconds(self.size_bytes)


def expected_item_count(export: Export, tile_count: int, size_bytes: int) -> int:
    """Estimate how many work items an export has, before it is planned."""
    work_bytes = max(size_bytes, tile_count * export.service.cache.work_bytes if export.service.cache.mosaic else 0)
    return -(-work_bytes // FragmentSize.of(work_bytes).target) or 1


def workload_of(
    export: Export,
    tile_count: int,
    size_bytes: int,
    *,
    item_count: int,
    clipped_count: int,
    max_concurrency: int,
    file_reads_per_second: int,
) -> Workload:
    """Return the work of an export; the numbers of tiles and bytes are estimates.

    Args:
        export: as it was accepted.
        tile_count: tiles to look for.
        size_bytes: about their total size in the package.
        item_count: how many work items there are.
        clipped_count: tiles on the border of an area that they are clipped to.
        max_concurrency: limit of concurrent workers for one export.
        file_reads_per_second: limit of requests to a cache of single files.
    """
    from_files = export.service.cache.layout is CacheLayout.FILES
    drawn = export.as_drawn
    mosaic, request = drawn.service.cache.mosaic, drawn.request
    is_drawn_as_png = mosaic is not None and mosaic.tile_format is TileFormat.PNG
    seconds = worker_seconds(
        tile_count,
        size_bytes,
        from_files=from_files,
        recompressed=request.compression_quality is not None,
        converted=request.tile_format is not None or is_drawn_as_png,
        clipped_count=clipped_count,
        drawn=mosaic is not None,
    )
    most = (
        min(max_concurrency, file_readers(tile_count, seconds, file_reads_per_second))
        if from_files
        else max_concurrency
    )
    return Workload(seconds, concurrency(item_count, seconds, most), size_bytes)
