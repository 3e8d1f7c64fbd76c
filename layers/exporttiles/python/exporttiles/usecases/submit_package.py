"""Start the job of one package of a batch."""

from dataclasses import dataclass

from exporttiles.domain.errors import ExportCancelledError, JobNotFoundError
from exporttiles.domain.job import Job, JobStatus, Message, MessageKind, in_words
from exporttiles.domain.wording import counted
from exporttiles.messages.batch import BatchItem
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.process import Clock
from exporttiles.usecases.reuse_package import ReusePackage


@dataclass(frozen=True, slots=True)
class SubmitPackage:
    """Creates the job of a package when its turn comes, or resumes it with its batch.

    The job is an ordinary export, but for the limits of its caller: those hold for the batch.

    Attributes:
        objects: the package bucket.
        reuse: finds finished packages.
    """

    jobs: JobTable
    objects: ObjectReader
    clock: Clock
    reuse: ReusePackage

    def __call__(self, item: BatchItem) -> Job:
        """Return the job of a package. It has work to do unless its status is final; a second call changes nothing.

        Raises:
            ExportCancelledError: the batch was cancelled or has ended.
        """
        batch = self.jobs.get(item.batch_id)
        if batch.status is JobStatus.SUBMITTED:
            self.jobs.advance(batch.job_id, JobChange(JobStatus.EXECUTING, work_items=batch.package_count))
        elif batch.status is not JobStatus.EXECUTING:
            raise ExportCancelledError(batch.job_id)
        try:
            job = self._resumed(batch, self.jobs.get(item.job_id))
        except JobNotFoundError:
            job = self._created(batch, item)
        if self.jobs.get(batch.job_id).status is JobStatus.CANCELLING:  # by a call that did not see this job
            self.jobs.advance(job.job_id, JobChange(JobStatus.CANCELLING))
        return job

    def _created(self, batch: Job, item: BatchItem) -> Job:
        now = self.clock.now()
        selected = f"{counted(item.tile_count, 'tile is', 'tiles are')} selected."
        job = Job(
            job_id=item.job_id,
            service_name=batch.service_name,
            status=JobStatus.FAILED if item.refusal else JobStatus.SUBMITTED,
            submitted_at=now,
            finished_at=now if item.refusal else None,
            expires_at=batch.expires_at,
            tile_count=item.tile_count,
            messages=(
                Message(MessageKind.INFORMATIVE, f"Start Time: {in_words(now)}"),
                *(Message(MessageKind.INFORMATIVE, text) for text in item.notes),
                *(Message(MessageKind.WARNING, text) for text in item.warnings),
                Message(MessageKind.ERROR, item.refusal)
                if item.refusal
                else Message(MessageKind.INFORMATIVE, selected),
            ),
            owner=batch.owner,
            caller=batch.caller,
            name=item.name,
            callback_data=batch.callback_data,
            expected_bytes=item.expected_bytes,
            batch_id=batch.job_id,
        )
        if not item.refusal:
            export = Export.from_json(self.objects.read(JobKeys(item.job_id).export))
            job = self.reuse(job, export, now)
        if self.jobs.create(job) and job.status.is_final:
            size_bytes = job.package.size_bytes if job.package else 0
            self.jobs.count_work_item(batch.job_id, job.tile_count, size_bytes)
        return self.jobs.get(job.job_id)

    def _resumed(self, batch: Job, job: Job) -> Job:
        """Resume a job that failed before its batch was resumed."""
        if job.finished_at is None or batch.resumed_at is None or job.finished_at > batch.resumed_at:
            return job
        now = self.clock.now()
        if job.is_resumable(now):
            message = Message(MessageKind.INFORMATIVE, f"Resumed at {in_words(now)}.")
            self.jobs.resume(job.job_id, job.attempt + 1, now, batch.expires_at, message)
            return self.jobs.get(job.job_id)
        return job
