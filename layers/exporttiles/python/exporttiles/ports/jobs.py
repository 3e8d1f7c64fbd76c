"""The jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Protocol

from exporttiles.domain.job import Delivery, Job, JobStatus, Message, Package, Progress


@dataclass(frozen=True, slots=True)
class JobChange:
    """A move of a job to a state, and the values that come with it; None keeps the present one.

    Attributes:
        status: the new state.
        attempt: the attempt that makes the change: refused if the job was resumed since. None is never refused.
        messages: appended to those of the job.
        work_items: how many there are.
        progress: the final progress, in place of what was counted.
        package: the file that is delivered.
        delivery: tile counts and cost of the finished export.
        finished_at: when the job ended.
        resumable_until: how long its finished work is kept.
    """

    status: JobStatus
    _: KW_ONLY
    attempt: int | None = None
    messages: Sequence[Message] = ()
    work_items: int | None = None
    progress: Progress | None = None
    package: Package | None = None
    delivery: Delivery | None = None
    finished_at: datetime | None = None
    resumable_until: datetime | None = None


class JobTable(Protocol):
    """The jobs; every change is conditional on a legal change of state."""

    def create(self, job: Job) -> bool:
        """Store a new job; tell whether its id was free."""
        ...

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobNotFoundError: there is none, or it has expired.
        """
        ...

    def open_jobs(self) -> Iterator[Job]:
        """Yield the jobs that have not ended, those that wait longest first; one that just ended may be missed."""
        ...

    def advance(self, job_id: str, change: JobChange) -> bool:
        """Move a job to a state if that is legal. Return False, with nothing changed, if it is not."""
        ...

    def series(self, key: str) -> Iterator[Job]:
        """Yield the jobs of a series, the last submitted first; one that was just made may not be among them."""
        ...

    def delete(self, job_id: str, message: Message, expires_at: datetime) -> bool:
        """Take the package from a job that succeeded, say why, and set when the job is forgotten.

        Returns:
            False, with nothing changed, when the job has not succeeded.
        """
        ...

    def resume(self, job_id: str, attempt: int, now: datetime, expires_at: datetime, message: Message) -> bool:
        """Move a job that failed back to the first state, once for each attempt; forget why it failed.

        Args:
            job_id: the job.
            attempt: the one that begins: the last one, and 1.
            now: it must still be resumable.
            expires_at: when the job is forgotten now.
            message: for the person who waits.

        Returns:
            False, with nothing changed, when it is not resumable or has gone on already.
        """
        ...

    def recount(self, job_id: str, progress: Progress) -> None:
        """Replace the progress by what was counted anew."""
        ...

    def count_work_item(self, job_id: str, tile_count: int, size_bytes: int) -> None:
        """Add one finished work item, its tiles and its bytes to the progress; a late one counts nothing."""
        ...
