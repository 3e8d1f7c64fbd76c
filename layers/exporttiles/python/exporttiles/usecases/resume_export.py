"""Resume a failed export."""

from dataclasses import dataclass

from exporttiles.domain.errors import JobStateError
from exporttiles.domain.job import Job, JobStatus, Message, MessageKind, Progress, in_words
from exporttiles.domain.quota import Quota
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.process import Clock
from exporttiles.ports.workflow import Starter
from exporttiles.usecases.list_packages import ListPackages


@dataclass(frozen=True, slots=True)
class ResumeExport:
    """Starts the next attempt of a failed job; the planner hands out only the remaining work items.

    The next attempt of a batch resumes the packages that failed, and makes those that were not begun. It keeps its
    expiry, which is that of the packages that are finished.

    Attributes:
        max_open_jobs: limit of each caller; 0 for none, and then the job is not counted. See `Quota`.
    """

    jobs: JobTable
    workflow: Starter
    clock: Clock
    list_packages: ListPackages
    max_open_jobs: int = 0

    def __call__(self, job_id: str) -> Job:
        """Return the job, submitted again; it keeps its id and lives as long as a new one.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has not failed, or cannot be resumed.
            QuotaExceededError: the caller that it is counted for has too many open jobs.
        """
        job, now = self.jobs.get(job_id), self.clock.now()
        attempt = job.attempt + 1
        message = Message(MessageKind.INFORMATIVE, f"Resumed at {in_words(now)}.")
        expires_at = job.expires_at if job.package_count else now + (job.expires_at - job.waiting_since)
        quota = Quota(job.counted_for, self.max_open_jobs)
        if not self.jobs.resume(job_id, attempt, now, expires_at, message, quota=quota):
            raise JobStateError(f"Job {job_id} cannot be resumed: {_reason(self.jobs.get(job_id))}.")
        if job.package_count:
            self.jobs.recount(job_id, self._progress(job))
        resumed = self.jobs.get(job_id)
        self.workflow.start(resumed)  # if this fails, WatchJobs retries it
        return resumed

    def _progress(self, batch: Job) -> Progress:
        """Return the progress of a batch: its finished packages."""
        finished = [package.job for package in self.list_packages(batch.job_id) if package.job and package.is_finished]
        return Progress(
            batch.package_count,
            len(finished),
            sum(job.tile_count for job in finished),
            sum(job.package.size_bytes for job in finished if job.package),
        )


def _reason(job: Job) -> str:
    if job.status not in {JobStatus.FAILED, JobStatus.TIMED_OUT} and job.resumable_until is None:
        return f"it is {job.status}"
    if job.resumable_until is None:
        return "it left no finished work; send a new request"
    return f"its finished work was kept until {job.resumable_until:%Y-%m-%d %H:%M} UTC"
