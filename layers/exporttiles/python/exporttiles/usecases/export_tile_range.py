"""Export one work item: tiles in, one fragment of the final package out.

A worker may be run twice, even at once, and may go on after its job has ended:
the first report counts, and late output is deleted.
"""

from dataclasses import dataclass
from datetime import timedelta

from exporttiles.domain.cost import Usage
from exporttiles.domain.errors import ExportCancelledError
from exporttiles.domain.job import JobStatus
from exporttiles.formats.packages.output import Output
from exporttiles.formats.packages.outputs import output_of
from exporttiles.messages.export import Export
from exporttiles.messages.fragment_report import FragmentReport
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock, UsageMeter
from exporttiles.ports.tiles import TileSources
from exporttiles.usecases.build_fragment import FragmentBuilder, RewriteAll
from exporttiles.usecases.planned_bundles import read_places

_STATUS_INTERVAL = timedelta(seconds=5)
"""How long a worker builds bundles before it reads the status of its job again."""


@dataclass(frozen=True, slots=True)
class ExportTileRange:
    """Builds the bundles of a work item.

    Attributes:
        objects: the package bucket.
        run_all: recompresses tiles, in their order: ``map``, or that of a pool of
            processes. Threads are no help: the codec holds the interpreter.
    """

    jobs: JobTable
    objects: ObjectStore
    sources: TileSources
    clock: Clock
    meter: UsageMeter
    run_all: RewriteAll = map

    def __call__(self, item: WorkItem) -> FragmentReport:
        """Write the fragment and the report of a work item; return the report.

        Raises:
            ExportCancelledError: the job was cancelled or has ended.
            SourceError: the tile cache cannot be read; a retry may help.
            DamagedCacheError: the tile cache is damaged.
        """
        self._require_executing(item.job_id)
        keys = JobKeys(item.job_id)
        export = Export.from_json(self.objects.read(keys.export))
        output = output_of(export.service, export.request)
        report = self._write_fragment(item, export, output)
        written = [keys.fragment(item.number, report.crc32)]
        # Only the first report counts: a retry must not push progress past 100 %.
        is_first = self.objects.create(keys.report(item.number), report.to_json())
        if output.is_folder:
            written += self._deliver(keys, item.number)
        if is_first:
            self.jobs.count_work_item(item.job_id, report.selected_count, report.fragment_bytes)
        self._delete_if_late(item.job_id, written)
        return report

    def _require_executing(self, job_id: str) -> None:
        if self.jobs.get(job_id).status is not JobStatus.EXECUTING:
            raise ExportCancelledError(job_id)

    def _write_fragment(self, item: WorkItem, export: Export, output: Output) -> FragmentReport:
        before, checked_at = self.meter.snapshot(), self.clock.now()
        drawn = export.as_drawn
        fragment = FragmentBuilder(item, drawn, self.sources.open(drawn.service.cache), output, self.run_all)
        for bundle, places in zip(item.bundles, read_places(self.objects, item), strict=True):
            if self.clock.now() - checked_at > _STATUS_INTERVAL:
                self._require_executing(item.job_id)
                checked_at = self.clock.now()
            fragment.add(bundle, places)
        made = fragment.fragment
        # Read before and written after: the export, the report, and the files of a dataset.
        around = Usage(gets=3, puts=1 + len(made.members)) if output.is_folder else Usage(gets=1, puts=1)
        if made.pieces:
            self.objects.write(JobKeys(item.job_id).fragment(item.number, made.crc32), made.pieces)
        return fragment.report(self.meter.snapshot() - before + around + item.used)

    def _deliver(self, keys: JobKeys, number: int) -> list[str]:
        """Write the files of a dataset in place; return their keys.

        They are cut from the fragment of the first report, whichever worker wrote
        it: the files and the archive are equal even if a tile changes between two attempts.
        """
        report = FragmentReport.from_json(self.objects.read(keys.report(number)))
        if not report.members:
            return []
        fragment = self.objects.read(keys.fragment(number, report.crc32))
        delivered = []
        for name, content in report.contents(fragment):
            delivered.append(keys.delivered(name))
            self.objects.write(delivered[-1], bytes(content))
        return delivered

    def _delete_if_late(self, job_id: str, written: list[str]) -> None:
        """Delete output that was written after the job had ended, and perhaps after CloseJob had cleaned up.

        Output of a resumable job is finished work, late or not.
        """
        job = self.jobs.get(job_id)
        if not job.status.is_final or job.resumable_until:
            return
        if job.status is JobStatus.SUCCEEDED:  # the delivered files belong to its package
            del written[1:]
        self.objects.delete(written)
        raise ExportCancelledError(job_id)
