"""Cut an accepted export into work items."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from exporttiles.domain.errors import ExportCancelledError
from exporttiles.domain.job import JobStatus
from exporttiles.domain.parts import MAX_PART_BYTES
from exporttiles.domain.plan import (
    BUNDLE_OVERHEAD_BYTES,
    FragmentSize,
    PlannedBundle,
    concurrency,
    group_bundles,
    limited,
    worker_seconds,
)
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import CacheLayout
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import Plan, WorkItem
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.usecases.plan_rest import plan_rest


@dataclass(frozen=True, slots=True)
class PlanExport:
    """Writes the work items of a job where the distributed Map reads them.

    Attributes:
        objects: the package bucket.
        max_concurrency: workers that one export may have at a time.
        largest_fragment_bytes: what one worker can write.
    """

    jobs: JobTable
    objects: ObjectStore
    max_concurrency: int
    largest_fragment_bytes: int = MAX_PART_BYTES

    def __call__(self, job_id: str) -> Plan:
        """Return where the work items lie, a JSON array in the package bucket, and how many may run at a time.

        Raises:
            ExportCancelledError: the job is no longer wanted.
            AreaError: the area touches too many bundles, or too much is in them.
        """
        if not self.jobs.advance(job_id, JobStatus.EXECUTING):
            raise ExportCancelledError(job_id)
        keys = JobKeys(job_id)
        attempt = self.jobs.get(job_id).attempt
        if attempt > 1 and (rest := plan_rest(self.jobs, self.objects, job_id, attempt)):
            return Plan(rest.key, min(rest.item_count, self.max_concurrency))
        export = Export.from_json(self.objects.read(keys.export))
        tile_bytes = export.service.cache.average_tile_bytes

        tile_counts = [bundle.tile_count for bundle in limited(_bundles(export))]
        tile_count = sum(tile_counts)
        total_bytes = len(tile_counts) * BUNDLE_OVERHEAD_BYTES + tile_count * tile_bytes
        size = FragmentSize.of(total_bytes)
        groups = group_bundles(_bundles(export), tile_bytes, size, self.largest_fragment_bytes)
        items = [
            WorkItem(job_id, number, tuple(bundle.index for bundle in group), attempt).to_json()
            for number, group in enumerate(groups)
        ]
        self.jobs.advance(job_id, JobStatus.EXECUTING, work_items=len(items))
        self.objects.write(keys.work_items, json.dumps(items).encode())
        seconds = worker_seconds(
            tile_count,
            total_bytes,
            from_files=export.service.cache.layout is CacheLayout.FILES,
            recompressed=export.request.compression_quality is not None,
        )
        return Plan(keys.work_items, concurrency(len(items), seconds, self.max_concurrency))


def _bundles(export: Export) -> Iterator[PlannedBundle]:
    service, request = export.service, export.request
    selection = TileSelection(service.tiling_scheme, request.area, service.full_extent)
    for level in request.levels:
        for index, tile_count in selection.bundles(level):
            yield PlannedBundle(index, tile_count)
