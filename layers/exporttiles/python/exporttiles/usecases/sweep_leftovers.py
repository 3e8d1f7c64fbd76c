"""Remove what jobs left behind that ended without CloseJob, or are forgotten."""

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
    """Removes what jobs do not need, and uploads that nobody completes."""

    jobs: JobTable
    packages: PackageStore
    remove_leftovers: RemoveLeftovers

    def __call__(self, beginning: str) -> Sweep:
        """Sweep the uploads of all jobs, and the objects of those whose ids begin so."""
        uploads = self.packages.abort_uploads("", lambda key: self._is_over(owner_of(key)))
        return Sweep(sum(map(self.remove_leftovers, set(self.packages.owners(beginning)))), uploads)

    def _is_over(self, job_id: str) -> bool:
        try:
            return self.jobs.get(job_id).status.is_final
        except JobNotFoundError:
            return True
