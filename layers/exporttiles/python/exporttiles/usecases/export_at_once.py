"""Run a whole export in one process: a small one on AWS, or any on the command line."""

from dataclasses import dataclass, replace

from exporttiles.messages.documents import read_document
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.objects import ObjectStore
from exporttiles.usecases.export_tile_range import ExportTileRange
from exporttiles.usecases.pack_tile_package import PackTilePackage
from exporttiles.usecases.plan_export import PlanExport


@dataclass(frozen=True, slots=True)
class ExportAtOnce:
    """Runs the steps of the workflow in sequence; the package is the same.

    Attributes:
        objects: the package bucket.
    """

    objects: ObjectStore
    plan_export: PlanExport
    export_tile_range: ExportTileRange
    pack_tile_package: PackTilePackage

    def __call__(self, job_id: str) -> PackedPackage:
        """Plan a job, export its work items in order, and pack the fragments.

        Raises:
            ExportTilesError: as the steps do.
        """
        plan = self.plan_export(job_id)
        for item in read_document(self.objects.read(plan.work_items_key)):
            self.export_tile_range(WorkItem.from_json(item))
        return replace(self.pack_tile_package(job_id), at_once=True)
