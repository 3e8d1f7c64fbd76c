"""Remove what jobs left behind that ended without CloseJob, or are forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, JobStatus
from exporttiles.messages.keys import JobKeys, owner_of
from exporttiles.ports.clock import Clock
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageStore

_SLICES = 256
_SLICE_SECONDS = 300


def slice_at(time: datetime) -> str:
    """Return the beginning of the job ids that are looked at in these five minutes.

    Ids are evenly spread, so that each of 256 slices is small, and the whole
    bucket is seen in less than a day whatever it holds.
    """
    return f"j{int(time.timestamp()) // _SLICE_SECONDS % _SLICES:02x}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """How much was removed."""

    object_count: int
    upload_count: int


@dataclass(frozen=True, slots=True)
class SweepLeftovers:
    """Removes fragments and packages that no job needs, and uploads that nobody completes.

    What is small (the request, the export, the reports) is left to the bucket's lifecycle.

    Attributes:
        objects: the package bucket.
        packages: the same.
    """

    jobs: JobTable
    objects: ObjectStore
    packages: PackageStore
    clock: Clock

    def __call__(self, beginning: str) -> Sweep:
        """Sweep the uploads of all jobs, and the objects of those whose ids begin so."""
        uploads = self.packages.abort_uploads("", lambda key: self._is_over(owner_of(key)))
        unwanted = [prefix for job_id in set(self.packages.owners(beginning)) for prefix in self._unwanted(job_id)]
        keys = [stored.key for prefix in unwanted for stored in self.objects.list(prefix)]
        self.objects.delete(keys)
        return Sweep(len(keys), uploads)

    def _is_over(self, job_id: str) -> bool:
        job = self._job(job_id)
        return job is None or job.status.is_final

    def _unwanted(self, job_id: str) -> Iterator[str]:
        """Yield the prefixes of what a job needs no more."""
        job, keys = self._job(job_id), JobKeys(job_id)
        if job and (not job.status.is_final or job.is_resumable(self.clock.now())):
            return
        yield keys.fragments
        if not (job and job.status is JobStatus.SUCCEEDED):
            yield keys.packages

    def _job(self, job_id: str) -> Job | None:
        """Return a job; None if it is unknown: it is written before its first fragment."""
        try:
            return self.jobs.get(job_id)
        except JobNotFoundError:
            return None
