"""Plan an export: divide it into work items."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath

from exporttiles.domain.errors import AreaError, EmptyExportError, ExportCancelledError
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import Job, JobStatus
from exporttiles.domain.parts import MAX_PART_BYTES
from exporttiles.domain.pixels import PixelSelection
from exporttiles.domain.plan import (
    DRAWING_BYTES,
    FILE_READS_PER_SECOND,
    FragmentSize,
    PlannedBundle,
    group_bundles,
    limited,
    require_time,
    shares,
)
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.packages.database import overhead_bytes, too_large
from exporttiles.formats.packages.outputs import output_of
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import Plan, WorkItem
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import UsageMeter
from exporttiles.ports.tiles import TileSource, TileSources
from exporttiles.usecases.completion_messages import no_tile_exists
from exporttiles.usecases.conversion_growth import conversion_growth
from exporttiles.usecases.plan_remaining import plan_remaining
from exporttiles.usecases.planned_bundles import planned_bundles
from exporttiles.usecases.workload import workload_of

_PNG_BYTES_PER_PIXEL = 1.5
"""Of imagery, of which half of a tile on the border is transparent, to estimate the size of a package."""

_LARGEST_PNG_BYTES_PER_PIXEL = 3.6
"""Of noise, to limit the size of a fragment."""


@dataclass(frozen=True, slots=True)
class PlanExport:
    """Writes the work items of a job for the distributed Map.

    Attributes:
        objects: the package bucket.
        max_concurrency: limit of concurrent workers for one export.
        largest_fragment_bytes: limit for the fragment of one worker.
        file_reads_per_second: limit of requests to a cache of single files.
        export_timeout: longest time that an export may take.
        max_database_bytes: limit of a file that the packer writes on a disk.
    """

    jobs: JobTable
    objects: ObjectStore
    sources: TileSources
    meter: UsageMeter
    max_concurrency: int
    largest_fragment_bytes: int = MAX_PART_BYTES
    file_reads_per_second: int = FILE_READS_PER_SECOND
    export_timeout: timedelta = timedelta.max
    max_database_bytes: int = sys.maxsize

    def __call__(self, job_id: str) -> Plan:
        """Write the work items to the package bucket; return their key, and how many may run at a time.

        Raises:
            ExportCancelledError: the job was cancelled or has ended.
            AreaError: the area has too many or too large bundles, or would take too long.
            EmptyExportError: none of the selected tiles exists.
            SourceError: the tile cache cannot be read; a retry may help.
            DamagedCacheError: the tile cache is damaged.
        """
        if not self.jobs.advance(job_id, JobChange(JobStatus.EXECUTING)):
            raise ExportCancelledError(job_id)
        keys = JobKeys(job_id)
        job = self.jobs.get(job_id)
        export = Export.from_json(self.objects.read(keys.export))
        clipped = _most_clipped(export)
        clipped_share = min(1.0, clipped.total() / max(1, job.tile_count))
        tile_bytes = _expected_tile_bytes(export, clipped_share)
        if job.attempt > 1 and (remaining := plan_remaining(self.jobs, self.objects, job_id, job.attempt)):
            left = job.tile_count - self.jobs.get(job_id).progress.done_tile_count
            workers = self._concurrency(export, remaining.item_count, left, left * tile_bytes, clipped_share)
            return Plan(remaining.key, workers)
        before = self.meter.snapshot()
        output = output_of(export.service, export.request)
        source = self.sources.open(export.as_drawn.service.cache)
        in_scheme = list(limited(_bundles(export, source, output.bundle_overhead_bytes, clipped)))
        bundles = [in_scheme[place] for place in output.in_order([bundle.index for bundle in in_scheme])]
        if not bundles:
            raise EmptyExportError(no_tile_exists(export.service, job.tile_count))

        growth = conversion_growth(export, source, bundles)
        tile_bytes = round(tile_bytes * growth)
        total_bytes = sum(bundle.size_bytes(tile_bytes) for bundle in bundles)
        groups = list(self._groups(export, bundles, tile_bytes))
        wanted_count = sum(bundle.wanted_count for bundle in bundles)
        if output.is_written and wanted_count * (tile_bytes + overhead_bytes(tile_bytes)) > self.max_database_bytes:
            raise AreaError(too_large(PurePosixPath(output.file_name).suffix, self.max_database_bytes))
        workers = self._concurrency(export, len(groups), wanted_count, total_bytes, clipped_share)
        absent_count = job.tile_count - sum(bundle.tile_count for bundle in bundles)
        weights = [sum(bundle.size_bytes(tile_bytes) for bundle in group) for group in groups]
        items = [
            self._item(job, number, group, share)
            for number, (group, share) in enumerate(zip(groups, shares(absent_count, weights), strict=True))
        ]
        used = self.meter.snapshot() - before
        if used.gets or used.puts:
            items[0] = replace(items[0], used=used)
        self.jobs.advance(job_id, JobChange(JobStatus.EXECUTING, work_items=len(items)))
        # One at a time: as dictionaries, a million bundles take much more memory than as text.
        self.objects.write(keys.work_items, f"[{', '.join(json.dumps(item.to_json()) for item in items)}]".encode())
        return Plan(keys.work_items, workers)

    def _groups(
        self, export: Export, bundles: Sequence[PlannedBundle], tile_bytes: int
    ) -> Iterator[tuple[PlannedBundle, ...]]:
        """Yield the bundles of each work item.

        Raises:
            AreaError: a work item is too large.
        """
        largest_bytes = self.largest_fragment_bytes
        if export.service.cache.mosaic:
            tile_bytes, largest_bytes = max(tile_bytes, export.service.cache.work_bytes), largest_bytes - DRAWING_BYTES
        size = FragmentSize.of(sum(bundle.size_bytes(tile_bytes) for bundle in bundles))
        return group_bundles(bundles, tile_bytes, size, largest_bytes)

    def _concurrency(
        self, export: Export, item_count: int, tile_count: int, size_bytes: int, clipped_share: float
    ) -> int:
        """Return how many work items may run at a time; the numbers of tiles and bytes are estimates.

        Raises:
            AreaError: the export would take longer than it may.
        """
        work = workload_of(
            export,
            tile_count,
            size_bytes,
            item_count=item_count,
            clipped_count=round(clipped_share * tile_count),
            max_concurrency=self.max_concurrency,
            file_reads_per_second=self.file_reads_per_second,
        )
        require_time(tile_count, size_bytes, work.seconds, work.workers, self.export_timeout)
        return work.workers

    def _item(self, job: Job, number: int, bundles: Sequence[PlannedBundle], absent_count: int) -> WorkItem:
        """Return a work item; store the places of its tiles if they are known."""
        places = [bundle.places for bundle in bundles]
        if has_places := any(known is not None for known in places):
            self.objects.write(JobKeys(job.job_id).places(number), json.dumps(places).encode())
        indexes = tuple(bundle.index for bundle in bundles)
        return WorkItem(job.job_id, number, indexes, job.attempt, absent_count, has_places)


def _bundles(
    export: Export, source: TileSource, overhead_bytes: int, clipped: Counter[BundleIndex]
) -> Iterator[PlannedBundle]:
    """Yield the bundles of an export, in the order of the scheme.

    Args:
        export: the accepted export.
        source: reads the cache.
        overhead_bytes: of a bundle in the output, besides its tiles.
        clipped: how many tiles of each bundle are clipped at most.
    """
    service, request = export.service, export.request
    selection = ExportSelection(service, request)
    png_bytes = round(_LARGEST_PNG_BYTES_PER_PIXEL * service.tiling_scheme.tile_size**2) if _makes_png(export) else 0
    for level in request.levels:
        for bundle in planned_bundles(source, selection.at(level), level):
            clipped_count = min(bundle.wanted_count, clipped[bundle.index])
            yield replace(bundle, overhead_bytes=overhead_bytes + clipped_count * png_bytes)


def _most_clipped(export: Export) -> Counter[BundleIndex]:
    """Return how many tiles of each bundle are clipped at most."""
    clipped: Counter[BundleIndex] = Counter()
    if export.request.clip:
        selection = ExportSelection(export.service, export.request)
        for level in export.request.levels:
            pixels = PixelSelection(export.service.tiling_scheme, export.request.area_at(level))
            clipped.update(pixels.border_counts(selection.at(level).block(level)))
    return clipped


def _makes_png(export: Export) -> bool:
    """Return True if clipped tiles may become larger: all but JPEG tiles that stay JPEG."""
    return "png" in export.request.delivered(export.service).tile_format.encodings


def _expected_tile_bytes(export: Export, clipped_share: float) -> int:
    """Return the mean size of a tile before conversion; clipped JPEG tiles that become PNG grow."""
    mean_bytes, clip = export.service.cache.average_tile_bytes, export.request.clip
    if clip is None or clip.color is not None or "jpeg" not in export.service.tile_format.encodings:
        return mean_bytes
    png_bytes = _PNG_BYTES_PER_PIXEL * export.service.tiling_scheme.tile_size**2
    return round(mean_bytes + clipped_share * max(0, png_bytes - mean_bytes))
