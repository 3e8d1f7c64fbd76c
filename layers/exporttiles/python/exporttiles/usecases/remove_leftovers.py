"""Delete the objects that an ended job no longer needs."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, JobStatus
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock


@dataclass(frozen=True, slots=True)
class RemoveLeftovers:
    """Deletes fragments and packages by their keys alone: no document has to be readable.

    A resumable job keeps its finished work: the fragments, and the files of a
    dataset in their folders, but not the package. Small objects (the request,
    the export, the reports) are left to the bucket's lifecycle.

    Attributes:
        objects: the package bucket.
    """

    jobs: JobTable
    objects: ObjectStore
    clock: Clock

    def __call__(self, job_id: str) -> int:
        """Delete objects, and return their number: none of an unfinished job, all of an unknown one."""
        job = self._job(job_id)
        keys = list(self._unwanted(job_id, job))
        if not keys or self._job(job_id) != job:  # resumed meanwhile: the objects may belong to the next attempt
            return 0
        self.objects.delete(keys)
        return len(keys)

    def _unwanted(self, job_id: str, job: Job | None) -> Iterator[str]:
        keys = JobKeys(job_id)
        if job and not job.status.is_final:
            return
        is_resumable = job is not None and job.is_resumable(self.clock.now())
        if not is_resumable:
            yield from self._below(keys.fragments)
        if not (job and job.status is JobStatus.SUCCEEDED):
            yield from (key for key in self._below(keys.packages) if not (is_resumable and keys.is_finished_work(key)))

    def _below(self, prefix: str) -> Iterator[str]:
        return (stored.key for stored in self.objects.list(prefix))

    def _job(self, job_id: str) -> Job | None:
        """Return a job; None if it has expired (a job is stored before its first object)."""
        try:
            return self.jobs.get(job_id)
        except JobNotFoundError:
            return None
