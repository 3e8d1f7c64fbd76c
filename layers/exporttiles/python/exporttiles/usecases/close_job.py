"""End a job: write its final status and messages, and clean up."""

from dataclasses import dataclass
from datetime import timedelta

from exporttiles.domain.cost import bill
from exporttiles.domain.errors import error_classes
from exporttiles.domain.job import (
    Delivery,
    Job,
    JobStatus,
    Message,
    MessageKind,
    Package,
    Progress,
    Series,
)
from exporttiles.messages.execution import Failure
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageStore
from exporttiles.ports.process import Clock
from exporttiles.usecases.close_batch import CloseBatch
from exporttiles.usecases.completion_messages import since_text, success_messages
from exporttiles.usecases.remove_leftovers import RemoveLeftovers
from exporttiles.usecases.reuse_package import ReusePackage

NO_RESUME = frozenset(found.__name__ for found in error_classes() if not found.is_resumable)
"""Names of the errors that recur however often the export is tried, and of those that put finished work in doubt."""


@dataclass(frozen=True, slots=True)
class CloseJob:
    """Ends a job once, and deletes what it no longer needs.

    Called on every path of the workflow, when a work item fails, and by the event
    of an execution that ended without it. Each call returns the job if it ended it,
    and None otherwise, so that a job counts once. A second call does not change the
    job, but cleans up what the first one left or what was written later; a call for
    an earlier attempt does neither.

    Attributes:
        objects: the package bucket.
        packages: the same bucket.
        job_lifetime: how long a job is kept after its package made room for newer ones.
        resume_window: how long finished work of a job that failed is kept.
        reuse: remembers finished packages.
        close_batch: ends batches, which have packages instead of a package.
    """

    jobs: JobTable
    objects: ObjectStore
    packages: PackageStore
    clock: Clock
    job_lifetime: timedelta
    resume_window: timedelta
    reuse: ReusePackage
    remove_leftovers: RemoveLeftovers
    close_batch: CloseBatch

    def end_batch(self, batch_id: str, attempt: int = 1) -> Job | None:
        """End a batch whose packages have all been made, or failed."""
        closed = self.close_batch(self.jobs.get(batch_id), attempt)
        self._cleaned_up(batch_id)
        return closed

    def succeed(self, job_id: str, packed: PackedPackage, attempt: int = 1) -> Job | None:
        """End a job with its package, unless it was cancelled meanwhile.

        A delta without tiles has no package: its job ends as failed, but with a delivery
        (see `Job.is_up_to_date`).
        """
        job, now = self.jobs.get(job_id), self.clock.now()
        export = Export.from_json(self.objects.read(JobKeys(job_id).export))
        billed = bill(packed.used, packed.work_items, at_once=packed.at_once, packers=packed.packers)
        up_to_date_count = packed.up_to_date_count if export.request.since else None
        delivery = Delivery(packed.tile_count, packed.missing_count, billed.dollars, up_to_date_count)
        if not packed.tile_count:
            text = f"Nothing to deliver: none of the tiles that exist has changed since {since_text(export)}."
            return self._end(job_id, JobStatus.FAILED, text, attempt=attempt, delivery=delivery, is_resumable=False)
        is_closed = self.jobs.advance(
            job_id,
            JobChange(
                JobStatus.SUCCEEDED,
                attempt=attempt,
                messages=success_messages(job, export, packed, billed, now),
                # Includes workers that died between their report and its count.
                progress=Progress(packed.work_items, packed.work_items, job.tile_count, packed.size_bytes),
                package=Package(packed.key, packed.name, packed.size_bytes),
                delivery=delivery,
                finished_at=now,
            ),
        )
        if not is_closed:
            return self._end(job_id, JobStatus.CANCELLED, "The export was cancelled.", attempt=attempt)
        self._count_in_batch(job, packed.size_bytes)
        self.reuse.remember(job, export)
        return self._cleaned_up(job_id)

    def fail(self, job_id: str, failure: Failure, attempt: int = 1) -> Job | None:
        """End a failed job."""
        text, is_resumable = f"The export failed: {failure.reason}", failure.error not in NO_RESUME
        return self._end(job_id, JobStatus.FAILED, text, attempt=attempt, is_resumable=is_resumable)

    def stop(self, job_id: str, attempt: int = 1, *, timed_out: bool) -> Job | None:
        """End a job whose execution was stopped or timed out."""
        if timed_out:
            text = "The export took longer than allowed and was stopped. Export a smaller area."
            return self._end(job_id, JobStatus.TIMED_OUT, text, attempt=attempt)
        return self._end(job_id, JobStatus.CANCELLED, "The export was stopped by an operator.", attempt=attempt)

    def _make_room(self, newest: Job, series: Series) -> None:
        """Delete the oldest packages of a series beyond the number that is kept.

        The job is changed before its package is deleted, so that no link is dead; the
        sweeper deletes packages that a crash leaves between the two.
        """
        found = {job.job_id: job for job in self.jobs.series(series.key) if job.status is JobStatus.SUCCEEDED}
        found[newest.job_id] = newest  # the index is eventually consistent
        by_age = sorted(found.values(), key=lambda job: (job.submitted_at, job.job_id), reverse=True)
        text = f"The package was removed to make room for newer ones: {series.keep} of this series are kept."
        for job in by_age[series.keep :]:
            expires_at = self.clock.now() + self.job_lifetime
            packages = self.close_batch.list_packages(job.job_id) if job.package_count else ()
            # Those of a batch first: a crash leaves the batch, and the next export of the series finds it again.
            for job_id in (*(package.item.job_id for package in packages), job.job_id):
                if self.jobs.delete(job_id, Message(MessageKind.ERROR, text), expires_at):
                    self.remove_leftovers(job_id)

    def _end(
        self,
        job_id: str,
        status: JobStatus,
        text: str,
        *,
        attempt: int,
        delivery: Delivery | None = None,
        is_resumable: bool = True,
    ) -> Job | None:
        """End a job without a package, unless it has ended."""
        job, now = self.jobs.get(job_id), self.clock.now()
        if job.package_count:
            return self.close_batch(job, attempt, status, text)
        if job.status is JobStatus.CANCELLING:  # a cancelled job ends as cancelled, even if its workflow failed
            status, text, delivery = JobStatus.CANCELLED, "The export was cancelled.", None
        until = None
        if self.resume_window and is_resumable and (status is not JobStatus.CANCELLED or self._is_cut_short(job)):
            until = min(now + self.resume_window, job.expires_at)
            text = f"{text.rstrip('.')}. It can be resumed until {until:%Y-%m-%d %H:%M} UTC."
        has_ended_now = self.jobs.advance(
            job_id,
            JobChange(
                status,
                attempt=attempt,
                messages=[Message(MessageKind.ERROR, text)],
                delivery=delivery,
                finished_at=now,
                resumable_until=until,
            ),
        )
        if has_ended_now:
            self._count_in_batch(job, 0)
        job = self._cleaned_up(job_id)
        return job if has_ended_now else None

    def _is_cut_short(self, job: Job) -> bool:
        """Return True for a package of a batch that nobody cancelled, so that the batch can be resumed."""
        if not job.batch_id:
            return False
        return self.jobs.get(job.batch_id).status not in {JobStatus.CANCELLING, JobStatus.CANCELLED}

    def _count_in_batch(self, job: Job, size_bytes: int) -> None:
        """Add an ended job to the progress of its batch."""
        if job.batch_id:
            self.jobs.count_work_item(job.batch_id, job.tile_count, size_bytes)

    def _cleaned_up(self, job_id: str) -> Job:
        """Delete what an ended job no longer needs, and return the job."""
        job, keys = self.jobs.get(job_id), JobKeys(job_id)
        if not job.status.is_final:  # resumed meanwhile
            return job
        for prefix in (keys.fragments, keys.packages):
            self.packages.abort_uploads(prefix)
        self.remove_leftovers(job_id)
        if job.status is JobStatus.SUCCEEDED and job.series:  # also on a retry
            self._make_room(job, job.series)
        return self.jobs.get(job_id)
