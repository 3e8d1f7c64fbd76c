"""Cut an accepted export into work items."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from exporttiles.domain.errors import ExportCancelledError
from exporttiles.domain.job import JobStatus
from exporttiles.domain.plan import PlannedBundle, fragment_target_bytes, group_bundles, limited
from exporttiles.domain.selection import TileSelection
from exporttiles.messages import Export, JobKeys, WorkItem
from exporttiles.ports import JobTable, ObjectStore


@dataclass(frozen=True, slots=True)
class PlanExport:
    """Writes the work items of a job where the distributed Map reads them."""

    jobs: JobTable
    objects: ObjectStore

    def __call__(self, job_id: str) -> str:
        """Return the key of the work items, a JSON array in the package bucket.

        Raises:
            ExportCancelledError: the job is no longer wanted.
            AreaError: the area touches too many bundles.
        """
        if not self.jobs.advance(job_id, JobStatus.EXECUTING):
            raise ExportCancelledError(job_id)
        keys = JobKeys(job_id)
        export = Export.from_json(self.objects.read(keys.export))
        tile_bytes = export.service.cache.average_tile_bytes

        total_bytes = sum(bundle.size_bytes(tile_bytes) for bundle in limited(_bundles(export)))
        groups = group_bundles(_bundles(export), tile_bytes, fragment_target_bytes(total_bytes))
        items = [
            WorkItem(job_id, number, tuple(bundle.index for bundle in group)).to_json()
            for number, group in enumerate(groups)
        ]
        self.objects.write(keys.work_items, json.dumps(items).encode())
        self.jobs.advance(job_id, JobStatus.EXECUTING, work_items=len(items))
        return keys.work_items


def _bundles(export: Export) -> Iterator[PlannedBundle]:
    service, request = export.service, export.request
    selection = TileSelection(service.tiling_scheme, request.area, service.full_extent)
    for level in request.levels:
        for index, tile_count in selection.bundles(level):
            yield PlannedBundle(index, tile_count)
