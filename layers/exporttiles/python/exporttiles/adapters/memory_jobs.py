"""Jobs in memory, for exports without AWS."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import SUCCESSORS, Job, JobStatus, Message, Progress
from exporttiles.domain.quota import UNLIMITED, Quota
from exporttiles.ports.jobs import JobChange
from exporttiles.ports.process import Clock


class MemoryJobs:
    """The jobs of one process.

    Attributes:
        jobs: by id.
    """

    def __init__(self, clock: Clock) -> None:
        self.jobs: dict[str, Job] = {}
        self._clock = clock
        self._counted: defaultdict[str, set[str]] = defaultdict(set)
        """Ids of the jobs that count as open until they end, by caller."""
        self._tiles: Counter[tuple[str, date]] = Counter()
        """Tiles that were selected, by caller and day."""

    def create(self, job: Job, quota: Quota = UNLIMITED) -> bool:
        """Insert a job if the quota of its caller has room for it. Return False if the id already exists."""
        if job.job_id in self.jobs:
            return False
        day = (quota.caller, job.submitted_at.date())
        if quota.max_tiles_per_day and self._tiles[day] + job.tile_count > quota.max_tiles_per_day:
            raise quota.tiles_exceeded(job.tile_count, self._tiles[day], job.submitted_at)
        self._count_open(job.job_id, quota)
        if quota.max_tiles_per_day:
            self._tiles[day] += job.tile_count
        self.jobs[job.job_id] = job
        return True

    def _count_open(self, job_id: str, quota: Quota) -> None:
        """Count a job as open if it has a limit."""
        if quota.max_open_jobs:
            open_count = sum(not self.jobs[each].status.is_final for each in self._counted[quota.caller])
            if open_count >= quota.max_open_jobs:
                raise quota.open_jobs_exceeded(open_count)
            self._counted[quota.caller].add(job_id)

    def get(self, job_id: str) -> Job:
        """Return a job."""
        job = self.jobs.get(job_id)
        if job is None or job.expires_at <= self._clock.now():
            raise JobNotFoundError(f"There is no job {job_id}, or it has expired.")
        return job

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of some jobs that exist and have not expired, by id."""
        now = self._clock.now()
        return {name: self.jobs[name] for name in job_ids if name in self.jobs and self.jobs[name].expires_at > now}

    def open_jobs(self) -> Iterator[Job]:
        """Yield unfinished jobs, oldest first."""
        waiting = [job for job in self.jobs.values() if not job.status.is_final]
        return iter(sorted(waiting, key=lambda job: job.waiting_since))

    def advance(self, job_id: str, change: JobChange) -> bool:
        """Move a job to a state if that is legal."""
        job = self.jobs.get(job_id)
        if job is None or change.status not in SUCCESSORS[job.status] or change.attempt not in (None, job.attempt):
            return False
        progress = change.progress or job.progress
        if change.work_items is not None:
            progress = replace(progress, work_items=change.work_items)
        self.jobs[job_id] = replace(
            job,
            status=change.status,
            messages=(*job.messages, *change.messages),
            progress=progress,
            package=change.package or job.package,
            delivery=change.delivery or job.delivery,
            finished_at=change.finished_at or job.finished_at,
            resumable_until=change.resumable_until or job.resumable_until,
        )
        if change.refund.max_tiles_per_day:
            self._tiles[change.refund.caller, job.submitted_at.date()] -= job.tile_count
        return True

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
        """Move a failed job back to the first state, once for each attempt, if the quota of its caller has room."""
        job = self.jobs.get(job_id)
        if job is None or job.attempt != attempt - 1 or not job.is_resumable(now):
            return False
        self._count_open(job_id, quota)
        self.jobs[job_id] = replace(
            job,
            status=JobStatus.SUBMITTED,
            messages=(*job.messages, message),
            attempt=attempt,
            resumed_at=now,
            expires_at=expires_at,
            finished_at=None,
            resumable_until=None,
        )
        return True

    def recount(self, job_id: str, progress: Progress) -> None:
        """Replace the progress by a recount."""
        self.jobs[job_id] = replace(self.jobs[job_id], progress=progress)

    def series(self, key: str) -> Iterator[Job]:
        """Yield the jobs of a series, newest first."""
        found = [job for job in self.jobs.values() if job.series and job.series.key == key]
        alive = [job for job in found if job.expires_at > self._clock.now()]
        return iter(sorted(alive, key=lambda job: job.submitted_at, reverse=True))

    def delete(self, job_id: str, message: Message, expires_at: datetime) -> bool:
        """Mark the package of a succeeded job as deleted."""
        job = self.jobs.get(job_id)
        if job is None or job.status is not JobStatus.SUCCEEDED:
            return False
        self.jobs[job_id] = replace(
            job,
            status=JobStatus.DELETED,
            messages=(*job.messages, message),
            expires_at=expires_at.replace(microsecond=0),
            package=None,
            series=None,
        )
        return True

    def count_work_item(self, job_id: str, tile_count: int, size_bytes: int) -> None:
        """Add a finished work item to the progress, if the job is executing."""
        job = self.jobs.get(job_id)
        if job is None or job.status is not JobStatus.EXECUTING:
            return
        done = job.progress
        progress = Progress(
            done.work_items,
            done.done_work_items + 1,
            done.done_tile_count + tile_count,
            done.done_bytes + size_bytes,
        )
        self.jobs[job_id] = replace(job, progress=progress, progressed_at=self._clock.now())
