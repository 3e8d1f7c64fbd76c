"""Start an export again where it failed."""

from dataclasses import dataclass

from exporttiles.domain.errors import JobStateError
from exporttiles.domain.job import RESUMABLE, Job, Message, MessageKind, in_words
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.process import Clock
from exporttiles.ports.workflow import Starter


@dataclass(frozen=True, slots=True)
class ResumeExport:
    """Begins the next attempt of a job that failed; the planner hands out only what is missing."""

    jobs: JobTable
    workflow: Starter
    clock: Clock

    def __call__(self, job_id: str) -> Job:
        """Return the job, submitted again; it keeps its id and lives as long as a new one.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has not failed, or left nothing to go on from.
        """
        job, now = self.jobs.get(job_id), self.clock.now()
        attempt = job.attempt + 1
        message = Message(MessageKind.INFORMATIVE, f"Resumed at {in_words(now)}.")
        expires_at = now + (job.expires_at - job.waiting_since)
        if not self.jobs.resume(job_id, attempt, now, expires_at, message):
            raise JobStateError(f"Job {job_id} cannot be resumed: {_reason(self.jobs.get(job_id))}.")
        resumed = self.jobs.get(job_id)
        self.workflow.start(resumed)  # should that fail, the watchman tries it again
        return resumed


def _reason(job: Job) -> str:
    if job.status not in RESUMABLE:
        return f"it is {job.status}"
    if job.resumable_until is None:
        return "it left nothing to go on from; send a new request"
    return f"its finished work was kept until {job.resumable_until:%Y-%m-%d %H:%M} UTC"
