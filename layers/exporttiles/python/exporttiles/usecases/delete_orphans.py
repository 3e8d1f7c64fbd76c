"""Delete orphaned objects: of jobs that ended without CloseJob, and of expired jobs."""

from dataclasses import dataclass
from datetime import datetime

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.messages.keys import owner_of
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.packages import PackageStore
from exporttiles.usecases.remove_leftovers import RemoveLeftovers

_SLICES = 256
_SLICE_SECONDS = 300


def slice_at(time: datetime) -> str:
    """Return the prefix of the job ids to sweep in these five minutes.

    Ids are evenly distributed over 256 prefixes, so that each sweep is small and
    the whole bucket is swept in less than a day.
    """
    return f"j{int(time.timestamp()) // _SLICE_SECONDS % _SLICES:02x}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Numbers of deleted objects and aborted uploads."""

    object_count: int
    upload_count: int


@dataclass(frozen=True, slots=True)
class DeleteOrphans:
    """Deletes orphaned objects, and aborts orphaned uploads."""

    jobs: JobTable
    packages: PackageStore
    remove_leftovers: RemoveLeftovers

    def __call__(self, beginning: str) -> Sweep:
        """Sweep the uploads of all jobs, and the objects of jobs whose ids have a prefix."""
        uploads = self.packages.abort_uploads("", lambda key: self._is_over(owner_of(key)))
        return Sweep(sum(map(self.remove_leftovers, set(self.packages.owners(beginning)))), uploads)

    def _is_over(self, job_id: str) -> bool:
        try:
            return self.jobs.get(job_id).status.is_final
        except JobNotFoundError:
            return True
