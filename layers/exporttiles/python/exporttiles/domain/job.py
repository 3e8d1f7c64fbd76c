"""A job: one export as the client sees it."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from exporttiles.domain.quota import ANONYMOUS
from exporttiles.domain.service import ServiceType

_JOB_ID = re.compile(r"j[0-9a-f]{32}")


def job_id_of(*identity: str) -> str:
    """Return the job id of an idempotency key: the same for equal texts."""
    return f"j{sha256(json.dumps(identity).encode()).hexdigest()[:32]}"


def is_job_id(text: str) -> bool:
    """Return True if a text has the form of a job id: ``j`` and 32 hexadecimal digits."""
    return _JOB_ID.fullmatch(text) is not None


def in_words(time: datetime) -> str:
    """Format a time in UTC for messages, as ArcGIS Server does."""
    return f"{time:%A, %B %-d, %Y %-I:%M:%S %p} UTC"


class JobStatus(StrEnum):
    """The states of a job, without Esri's prefix."""

    SUBMITTED = "Submitted"
    EXECUTING = "Executing"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    TIMED_OUT = "TimedOut"
    DELETED = "Deleted"

    @property
    def is_final(self) -> bool:
        """Return True if the job has ended; only its deletion or a resume may follow."""
        return not SUCCESSORS[self]


_ENDS = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT})

SUCCESSORS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.SUBMITTED: _ENDS | {JobStatus.EXECUTING, JobStatus.CANCELLING},
    # Executing again: a retried planner finds the job executing.
    JobStatus.EXECUTING: _ENDS | {JobStatus.EXECUTING, JobStatus.CANCELLING},
    # A job that is being cancelled cannot succeed: its package is deleted.
    JobStatus.CANCELLING: _ENDS - {JobStatus.SUCCEEDED},
    **{end: frozenset() for end in _ENDS},
    JobStatus.DELETED: frozenset(),
}
"""State transitions that the workflow makes."""

RESUMABLE = _ENDS
"""Final states from which a job may be resumed, if it left something to do: one that failed or timed out, a batch that
succeeded without some packages, and a package that was cancelled because the workflow of its batch ended early."""


class Operation(StrEnum):
    """The asynchronous operations of an image service."""

    EXPORT_TILES = "exportTiles"
    ESTIMATE_EXPORT_TILES_SIZE = "estimateExportTilesSize"


class MessageKind(StrEnum):
    """How serious a message is."""

    INFORMATIVE = "Informative"
    WARNING = "Warning"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the job, shown to the client."""

    kind: MessageKind
    text: str


@dataclass(frozen=True, slots=True)
class Package:
    """A finished file: its key in the package bucket, its name, its length."""

    key: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """Results of a finished export.

    Attributes:
        tile_count: tiles in the package.
        missing_count: selected tiles that the cache does not have.
        cost_dollars: estimated AWS cost, without storage and download.
        up_to_date_count: selected tiles that have not changed since the time
            that the request names; None if it names none.
    """

    tile_count: int
    missing_count: int
    cost_dollars: float
    up_to_date_count: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Exports of which only the newest packages are kept, such as those of a schedule.

    Attributes:
        key: identifies the series.
        keep: number of packages to keep, from 1.
    """

    key: str
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """Optional properties of a new export job.

    Attributes:
        owner: id of the caller's API key; '' without one.
        job_id: of a request that may be delivered more than once: the first delivery
            creates the job, the others find it. '' creates a new job.
        client_token: idempotency token that the client chose: with it the same
            request finds its job, and another request is refused.
        callback_data: JSON that each event of the job carries.
        series: which keeps some of its packages for longer than others.
        caller: that the job is counted for if it has no owner.
        service_type: the type that the client requested, for messages.
    """

    owner: str = ""
    job_id: str = ""
    client_token: str = ""
    callback_data: str = ""
    series: Series | None = None
    caller: str = ANONYMOUS
    service_type: ServiceType = ServiceType.IMAGE


NO_OPTIONS = SubmitOptions()


@dataclass(frozen=True, slots=True)
class PackageFolder:
    """Names of the files and folders directly in a folder of a finished dataset."""

    files: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the workers.

    Attributes:
        work_items: how many there are; 0 before the plan is made.
        done_tile_count: tiles of the finished work items, whether they exist
            or not, so that large items count more.
        done_bytes: written by the finished work items.
    """

    work_items: int = 0
    done_work_items: int = 0
    done_tile_count: int = 0
    done_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated tile count and size of an export, and how long it takes; None where that is not known."""

    tile_count: int
    size_bytes: int
    seconds: int | None = None


_MEASURED_PERCENT = 5
"""Share of the tiles that must be finished before the speed of an export is known."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the table holds it.

    Attributes:
        job_id: ``j`` and 32 hexadecimal digits.
        submitted_at, finished_at: in UTC.
        expires_at: when the job and its package are deleted, in UTC.
        tile_count: tiles that the request selects, whether they exist or not.
        owner: id of the API key that it was made with; '' where none was needed.
        caller: that it is counted for if it has no owner.
        expected_bytes: estimated size, from the mean tile of the cache, or of as much work (`TileCache.work_bytes`).
        name: given by the client; '' for none.
        callback_data: JSON of the client that each event of the job carries; '' for none.
        series: of the job; it decides how long the package is kept.
        attempt: 1, and one more with every resume.
        resumed_at: time of the last resume, in UTC.
        resumable_until: when the finished work of a failed job is deleted, in
            UTC; None if there is none.
        progressed_at: when the last work item was finished, in UTC; None before the first.
        package_count: of a batch, how many packages it has; 0 for other jobs.
        batch_id: of a package of a batch, the id of the batch; '' for other jobs.
    """

    job_id: str
    service_name: str
    status: JobStatus
    submitted_at: datetime
    expires_at: datetime
    tile_count: int
    messages: tuple[Message, ...] = ()
    progress: Progress = field(default_factory=Progress)
    finished_at: datetime | None = None
    package: Package | None = None
    operation: Operation = Operation.EXPORT_TILES
    estimate: Estimate | None = None
    owner: str = ""
    caller: str = ANONYMOUS
    delivery: Delivery | None = None
    name: str = ""
    callback_data: str = ""
    expected_bytes: int = 0
    series: Series | None = None
    attempt: int = 1
    resumed_at: datetime | None = None
    resumable_until: datetime | None = None
    progressed_at: datetime | None = None
    package_count: int = 0
    batch_id: str = ""

    @property
    def counted_for(self) -> str:
        """Return the caller of the quota that counts the job."""
        return self.owner or self.caller

    @property
    def waiting_since(self) -> datetime:
        """Return when the present attempt began."""
        return self.resumed_at or self.submitted_at

    def is_resumable(self, now: datetime) -> bool:
        """Return True if the job can be resumed."""
        return self.status in RESUMABLE and self.resumable_until is not None and now < self.resumable_until

    @property
    def is_up_to_date(self) -> bool:
        """Return True if a delta succeeded without a package: no tile has changed since the given time."""
        return self.status is JobStatus.FAILED and self.delivery is not None

    @property
    def is_whole(self) -> bool:
        """Return True unless the job is a batch of which some packages are missing."""
        return not self.package_count or self.progress.done_tile_count >= self.tile_count

    def remaining_seconds(self, now: datetime) -> float | None:
        """Estimate how long the workers still need, from the tiles that they finished so far; None if unknown.

        It is unknown before there is something to measure, after a resume, whose earlier work took another time, and
        once the estimate has passed.
        """
        done, progressed_at = self.progress.done_tile_count, self.progressed_at
        is_measured = done * 100 >= self.tile_count * _MEASURED_PERCENT and done < self.tile_count
        if self.status is not JobStatus.EXECUTING or self.attempt > 1 or progressed_at is None or not is_measured:
            return None
        elapsed = (progressed_at - self.submitted_at).total_seconds()
        left = elapsed * (self.tile_count - done) / done - (now - progressed_at).total_seconds()
        return left if left > 0 else None

    @property
    def percent(self) -> int:
        """Return the progress from 0 to 100; 100 only when all work is done."""
        if not self.tile_count:
            return 0
        return min(100, self.progress.done_tile_count * 100 // self.tile_count)
