"""End a batch: its status and messages follow from its packages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from exporttiles.domain.job import Delivery, Job, JobStatus, Message, MessageKind, Progress, in_words
from exporttiles.domain.wording import counted
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock
from exporttiles.usecases.list_packages import BatchPackage, ListPackages

_MOST_NAMED = 50
"""Failed packages that messages name: clients read all messages every few seconds."""


@dataclass(frozen=True, slots=True)
class CloseBatch:
    """Ends a batch once, and cancels packages that are still being made.

    A batch succeeds with a warning for each package that failed, because clients of ArcGIS download only what a job
    that succeeded lists; it fails if there is no package at all.

    Attributes:
        objects: the package bucket.
        resume_window: how long finished work of a job that failed is kept.
    """

    jobs: JobTable
    objects: ObjectStore
    clock: Clock
    resume_window: timedelta
    list_packages: ListPackages

    def __call__(self, batch: Job, attempt: int, stopped_as: JobStatus | None = None, reason: str = "") -> Job | None:
        """Return the batch if this call ended it, else None.

        Args:
            batch: the job.
            attempt: its attempt that has ended.
            stopped_as: final status of a batch whose workflow did not reach its end; None if it did.
            reason: why it did not, as a sentence.
        """
        if attempt != batch.attempt:  # it was resumed since
            return None
        packages = self.list_packages(batch.job_id)
        for package in packages:
            if package.is_open and package.job:
                self.jobs.advance(package.job.job_id, JobChange(JobStatus.CANCELLING))
        if batch.series:  # its list would expire before its packages
            keys = JobKeys(batch.job_id)
            self.objects.write(keys.kept_batch, self.objects.read(keys.batch))
        if batch.status is not JobStatus.CANCELLING:
            change = self._change(batch, attempt, packages, stopped_as, reason)
            if self.jobs.advance(batch.job_id, change):
                return self.jobs.get(batch.job_id)
        # A batch that is being cancelled ends as cancelled, whatever became of its workflow.
        change = self._change(batch, attempt, packages, JobStatus.CANCELLED, "The export was cancelled.")
        is_closed = self.jobs.get(batch.job_id).status is JobStatus.CANCELLING and self.jobs.advance(
            batch.job_id, change
        )
        return self.jobs.get(batch.job_id) if is_closed else None

    def _change(
        self, batch: Job, attempt: int, packages: Sequence[BatchPackage], stopped_as: JobStatus | None, reason: str
    ) -> JobChange:
        now = self.clock.now()
        made = [package.job for package in packages if package.job and package.is_finished]
        delivered = [package.job for package in packages if package.job and package.job.delivery]
        failed = [package for package in packages if package.failure]
        status = stopped_as or (JobStatus.SUCCEEDED if made else JobStatus.FAILED)
        until = None
        can_resume = any(package.job is None or package.is_open or package.job.is_resumable(now) for package in failed)
        if self.resume_window and can_resume and status is not JobStatus.CANCELLED:
            until = min(now + self.resume_window, batch.expires_at)
        messages = [Message(MessageKind.WARNING, text) for text in _failures(failed)]
        size_bytes = sum(job.package.size_bytes for job in made if job.package)
        finished = f"{len(made):,} of {counted(len(packages), 'package')}"
        texts = [f"{finished} {'is' if len(made) == 1 else 'are'} finished: {counted(size_bytes, 'byte')}."]
        if until:
            texts.append(f"The others can be resumed until {until:%Y-%m-%d %H:%M} UTC.")
        delivery = None
        if delivered:
            delivery = _sum([job.delivery for job in delivered if job.delivery])
            texts.append(f"Estimated AWS cost: ${delivery.cost_dollars:.4f}, without storage and download.")
        messages += [Message(MessageKind.INFORMATIVE, text) for text in texts]
        if status is JobStatus.SUCCEEDED:
            seconds = (now - batch.submitted_at).total_seconds()
            text = f"Succeeded at {in_words(now)} (Elapsed Time: {seconds:.2f} seconds)"
            messages.append(Message(MessageKind.INFORMATIVE, text))
        else:
            unchanged = "Nothing to deliver: no package has a tile that has changed."
            why = reason or (f"None of {counted(len(packages), 'package')} could be made." if failed else unchanged)
            messages.append(Message(MessageKind.ERROR, why))
        return JobChange(
            status,
            attempt=attempt,
            messages=messages,
            progress=Progress(
                len(packages),
                len(made),
                sum(package.item.tile_count for package in packages if not package.failure),
                size_bytes,
            ),
            delivery=delivery if status is JobStatus.SUCCEEDED or not failed else None,
            finished_at=now,
            resumable_until=until,
        )


def _failures(failed: Sequence[BatchPackage]) -> list[str]:
    """Return a text on each package that failed, the first of them by name."""
    texts = [f"Package {package.item.value}: {package.failure}" for package in failed[:_MOST_NAMED]]
    if len(failed) > _MOST_NAMED:
        others = counted(len(failed) - _MOST_NAMED, "other package")
        texts.append(f"{others} failed, too; the list of packages names them.")
    return texts


def _sum(deliveries: Sequence[Delivery]) -> Delivery:
    up_to_date_counts = [each.up_to_date_count for each in deliveries if each.up_to_date_count is not None]
    return Delivery(
        sum(each.tile_count for each in deliveries),
        sum(each.missing_count for each in deliveries),
        sum(each.cost_dollars for each in deliveries),
        sum(up_to_date_counts) if up_to_date_counts else None,
    )
