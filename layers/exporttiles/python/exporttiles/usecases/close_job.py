"""End a job: write its final status and messages, and clean up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporttiles.domain.cost import Bill, bill
from exporttiles.domain.errors import error_classes
from exporttiles.domain.job import (
    RESUMABLE,
    Delivery,
    Job,
    JobStatus,
    Message,
    MessageKind,
    Package,
    Progress,
    Series,
    in_words,
)
from exporttiles.domain.wording import counted, level_names
from exporttiles.messages.execution import Failure
from exporttiles.messages.export import Export
from exporttiles.messages.keys import CHANGES_NAME, JobKeys
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageStore
from exporttiles.ports.process import Clock
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
    """

    jobs: JobTable
    objects: ObjectStore
    packages: PackageStore
    clock: Clock
    job_lifetime: timedelta
    resume_window: timedelta
    reuse: ReusePackage
    remove_leftovers: RemoveLeftovers

    def succeed(self, job_id: str, packed: PackedPackage, attempt: int = 1) -> Job | None:
        """End a job with its package, unless it was cancelled meanwhile.

        A delta without tiles has no package: its job ends as failed, but with a delivery
        (see `Job.is_up_to_date`).
        """
        job, now = self.jobs.get(job_id), self.clock.now()
        export = Export.from_json(self.objects.read(JobKeys(job_id).export))
        billed = bill(packed.used, packed.work_items, at_once=packed.at_once)
        up_to_date_count = packed.up_to_date_count if export.request.since else None
        delivery = Delivery(packed.tile_count, packed.missing_count, billed.dollars, up_to_date_count)
        if not packed.tile_count:
            text = f"Nothing to deliver: none of the tiles that exist has changed since {_time(export)}."
            return self._end(job_id, JobStatus.FAILED, text, attempt=attempt, delivery=delivery, is_resumable=False)
        is_closed = self.jobs.advance(
            job_id,
            JobChange(
                JobStatus.SUCCEEDED,
                attempt=attempt,
                messages=_success(job, export, packed, billed, now),
                # Includes workers that died between their report and its count.
                progress=Progress(packed.work_items, packed.work_items, job.tile_count, packed.size_bytes),
                package=Package(packed.key, packed.name, packed.size_bytes),
                delivery=delivery,
                finished_at=now,
            ),
        )
        if not is_closed:
            return self._end(job_id, JobStatus.CANCELLED, "The export was cancelled.", attempt=attempt)
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
            if self.jobs.delete(job.job_id, Message(MessageKind.ERROR, text), expires_at):
                self.remove_leftovers(job.job_id)

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
        if job.status is JobStatus.CANCELLING:  # a cancelled job ends as cancelled, even if its workflow failed
            status, text, delivery = JobStatus.CANCELLED, "The export was cancelled.", None
        until = None
        if self.resume_window and status in RESUMABLE and is_resumable:
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
        job = self._cleaned_up(job_id)
        return job if has_ended_now else None

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


def completion_messages(export: Export, packed: PackedPackage) -> list[Message]:
    """Return the messages on a finished package: its size, and the tiles that it lacks."""
    warnings = [*_empty_levels(export, packed), *_flaws(packed), *packed.warnings]
    return [
        *(Message(MessageKind.WARNING, text) for text in warnings),
        *(Message(MessageKind.INFORMATIVE, text) for text in _contents(export, packed)),
    ]


def _empty_levels(export: Export, packed: PackedPackage) -> Iterator[str]:
    """Yield a warning about requested levels without tiles.

    Others have messages already: levels beyond those of the service, and gaps between delivered levels.
    """
    service = export.service
    found_levels = [level for level in export.request.levels if level not in packed.empty_levels]
    empty_levels = [
        level
        for level in packed.empty_levels
        if service.min_level <= level <= service.max_level and not found_levels[0] < level < found_levels[-1]
    ]
    if empty_levels:
        yield f"levels: The cache has no tiles of {level_names(empty_levels)} in the selected area."


def _flaws(packed: PackedPackage) -> Iterator[str]:
    """Yield warnings about missing and flawed tiles."""
    flaws: list[tuple[int, str, Sequence[str]]] = [
        (
            packed.missing_count - packed.empty_tile_count,
            "Selected tiles that do not exist in the cache and are left out",
            (),
        ),
        (packed.left_out.count, "Selected tiles that cannot be used and are left out", packed.left_out.examples),
        (
            packed.not_recompressed.count,
            "Tiles that cannot be recompressed and are left as they are",
            packed.not_recompressed.examples,
        ),
    ]
    for count, text, examples in flaws:
        if count:
            listed = f" ({'; '.join(examples)})" if examples else ""
            yield f"{text}: {count:,}{listed}."


def _contents(export: Export, packed: PackedPackage) -> Iterator[str]:
    """Yield sentences on the contents of a package."""
    tiles = counted(packed.tile_count, "tile is", "tiles are")
    yield f"{tiles} in {packed.name}: {counted(packed.size_bytes, 'byte')}."
    if export.request.since:
        yield (
            f"{counted(packed.up_to_date_count, 'tile has', 'tiles have')} not changed since {_time(export)} "
            f"and {'is' if packed.up_to_date_count == 1 else 'are'} left out; "
            f"{CHANGES_NAME} beside the package lists the others."
        )
    if export.request.compression_quality is not None:
        yield (
            f"Recompressed to JPEG quality {export.request.compression_quality}; "
            f"the tiles had {counted(packed.source_bytes, 'byte')} before."
        )


def _success(job: Job, export: Export, packed: PackedPackage, billed: Bill, now: datetime) -> list[Message]:
    seconds = (now - job.submitted_at).total_seconds()
    used = (
        f"Used: {counted(billed.used.gets, 'read')} and {counted(billed.used.puts, 'write')} of S3, "
        f"{billed.used.gigabyte_seconds:,.1f} GB-s in {counted(billed.invocations, 'function call')}, "
        f"{counted(billed.transitions, 'state transition')}."
    )
    texts = [
        used,
        f"Estimated AWS cost: ${billed.dollars:.4f}, without storage and download.",
        f"Succeeded at {in_words(now)} (Elapsed Time: {seconds:.2f} seconds)",
    ]
    return [*completion_messages(export, packed), *(Message(MessageKind.INFORMATIVE, text) for text in texts)]


def _time(export: Export) -> str:
    return f"{export.request.since:%Y-%m-%d %H:%M:%S} UTC"
