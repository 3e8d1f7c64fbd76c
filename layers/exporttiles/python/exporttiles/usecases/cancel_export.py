"""Cancel an export."""

from dataclasses import dataclass

from exporttiles.domain.errors import JobStateError
from exporttiles.domain.job import Job, JobStatus
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.usecases.list_packages import ListPackages


@dataclass(frozen=True, slots=True)
class CancelExport:
    """Marks a job as cancelling: each step checks that before it begins, and CloseJob ends the job.

    With a batch, the packages that are being made are cancelled, and no other begins; finished ones are kept.
    """

    jobs: JobTable
    list_packages: ListPackages

    def __call__(self, job_id: str) -> Job:
        """Return the cancelled job.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has ended.
        """
        if not self.jobs.advance(job_id, JobChange(JobStatus.CANCELLING)):
            job = self.jobs.get(job_id)
            raise JobStateError(f"Job {job_id} cannot be cancelled: it is {job.status.value}.")
        job = self.jobs.get(job_id)
        for package in self.list_packages(job_id) if job.package_count else ():
            if package.is_open:
                self.jobs.advance(package.item.job_id, JobChange(JobStatus.CANCELLING))
        return job
