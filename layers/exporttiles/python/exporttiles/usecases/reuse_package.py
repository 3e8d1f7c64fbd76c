"""Answer an export with the finished package of an equal one."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, JobStatus, Message, MessageKind, Progress
from exporttiles.messages.export import Export
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore

PROMISED = timedelta(hours=24)
"""Remaining lifetime that a reused package must have."""


@dataclass(frozen=True, slots=True)
class ReusePackage:
    """Finds the package of an equal request for the same published cache.

    Attributes:
        objects: the package bucket.
        window: how old a package may be; 0 turns it off.
    """

    jobs: JobTable
    objects: ObjectStore
    window: timedelta

    def remember(self, job: Job, export: Export) -> None:
        """Record a succeeded job. Packages of a series are deleted early, and not reused."""
        if self.window and job.series is None and export.request.since is None:
            self.objects.write(export.reuse_key, json.dumps({"job_id": job.job_id}).encode())

    def __call__(self, job: Job, export: Export, now: datetime) -> Job:
        """Return a new job: succeeded if there is a package for it, otherwise unchanged.

        The job refers to the package of the earlier job, and expires with it.
        """
        if not self.window or job.series or export.request.since or job.status is not JobStatus.SUBMITTED:
            return job
        try:
            earlier = self.jobs.get(json.loads(self.objects.read(export.reuse_key))["job_id"])
        except (KeyError, JobNotFoundError):
            return job
        package, made_at = earlier.package, earlier.finished_at
        if package is None or made_at is None or earlier.delivery is None or earlier.status is not JobStatus.SUCCEEDED:
            return job
        if made_at < now - self.window or earlier.expires_at < now + PROMISED:
            return job
        if [*self.objects.sizes_bytes([package.key])] != [package.size_bytes]:
            return job
        said = f"Answered with the package of an equal export that was made at {made_at:%Y-%m-%d %H:%M:%S} UTC."
        warnings = [message for message in earlier.messages if message.kind is MessageKind.WARNING]
        return replace(
            job,
            status=JobStatus.SUCCEEDED,
            messages=(
                *job.messages,
                *(message for message in warnings if message not in job.messages),
                Message(MessageKind.INFORMATIVE, said),
            ),
            progress=Progress(done_tile_count=job.tile_count, done_bytes=package.size_bytes),
            finished_at=now,
            expires_at=earlier.expires_at,
            package=package,
            delivery=replace(earlier.delivery, cost_dollars=0.0),
        )
