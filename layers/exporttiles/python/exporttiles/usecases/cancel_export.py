"""Cancel an export."""

from dataclasses import dataclass

from exporttiles.domain.errors import JobStateError
from exporttiles.domain.job import Job, JobStatus
from exporttiles.ports.jobs import JobChange, JobTable


@dataclass(frozen=True, slots=True)
class CancelExport:
    """Marks a job as cancelling: each step checks that before it begins, and CloseJob ends the job."""

    jobs: JobTable

    def __call__(self, job_id: str) -> Job:
        """Return the cancelled job.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has ended.
        """
        if not self.jobs.advance(job_id, JobChange(JobStatus.CANCELLING)):
            job = self.jobs.get(job_id)
            raise JobStateError(f"Job {job_id} cannot be cancelled: it is {job.status.value}.")
        return self.jobs.get(job_id)
