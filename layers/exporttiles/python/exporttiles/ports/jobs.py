"""The job table."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Protocol

from exporttiles.domain.job import Delivery, Job, JobStatus, Message, Package, Progress
from exporttiles.domain.quota import UNLIMITED, Quota


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
        refund: quota that gets the tiles of the job back, because no work was done for them.
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
    refund: Quota = UNLIMITED


class JobTable(Protocol):
    """The stored jobs. A change is refused if it is not legal in the present state of the job."""

    def create(self, job: Job, quota: Quota = UNLIMITED) -> bool:
        """Insert a job if the quota of its caller has room for it, and count it. Return False if the id already exists.

        Jobs and tiles are counted if, and only if, the job is inserted: concurrent calls never exceed a quota.

        Raises:
            QuotaExceededError: the quota has no room; nothing is changed.
        """
        ...

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobNotFoundError: there is no such job, or it has expired.
        """
        ...

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of some jobs that exist and have not expired, by id."""
        ...

    def open_jobs(self) -> Iterator[Job]:
        """Yield unfinished jobs, oldest first; a job that was created a moment ago may be missing."""
        ...

    def advance(self, job_id: str, change: JobChange) -> bool:
        """Move a job to a state if that is legal. Return False, with nothing changed, if it is not."""
        ...

    def series(self, key: str) -> Iterator[Job]:
        """Yield the jobs of a series, newest first; a job that was created a moment ago may be missing."""
        ...

    def delete(self, job_id: str, message: Message, expires_at: datetime) -> bool:
        """Mark the package of a succeeded job as deleted, append a message, and set when the job expires.

        Returns:
            False, with nothing changed, when the job has not succeeded.
        """
        ...

    def resume(
        self,
        job_id: str,
        attempt: int,
        now: datetime,
        expires_at: datetime,
        message: Message,
        *,
        quota: Quota = UNLIMITED,
    ) -> bool:
        """Move a failed job back to the first state, once for each attempt; clear the end of the last one.

        The job counts as open again if, and only if, it is resumed; its tiles are not counted again.

        Args:
            job_id: the job.
            attempt: the new one: that of the job plus 1.
            now: the job must be resumable at this time.
            expires_at: new expiry of the job.
            message: appended to those of the job.
            quota: of the caller that the job is counted for.

        Returns:
            False, with nothing changed, when it is not resumable or was resumed already.

        Raises:
            QuotaExceededError: the caller has too many open jobs; nothing is changed.
        """
        ...

    def recount(self, job_id: str, progress: Progress) -> None:
        """Replace the progress by a recount."""
        ...

    def count_work_item(self, job_id: str, tile_count: int, size_bytes: int) -> None:
        """Add a finished work item to the progress, and note the time; do nothing unless the job is executing."""
        ...
