"""What the use cases need from the world, as protocols.

The adapters implement these for AWS and for a folder; the tests bring fakes
that keep real state.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.cost import Use
from exporttiles.domain.job import Delivery, Job, JobStatus, Message, Package, Progress
from exporttiles.domain.parts import Part
from exporttiles.domain.service import ImageService, TileCache
from exporttiles.domain.subscription import Subscription
from exporttiles.domain.tiling import BundleIndex

if TYPE_CHECKING:  # who asks for a job's status needs no arrays
    import numpy as np
    from numpy.typing import NDArray

Tile = bytes | memoryview
"""An encoded image."""

PlacedTile = tuple[tuple[int, int], Tile]
"""Row and column in the scheme, and the tile."""

Mask: TypeAlias = "NDArray[np.bool_]"
"""(128, 128) tiles of a bundle, row before column, from its top-left tile."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a bus carries it: what kind it is, and a JSON document."""

    detail_type: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """What lies directly below a prefix: objects, and prefixes of more, each in key order."""

    objects: Sequence[StoredObject]
    folders: Sequence[str]


class ExecutionStatus(StrEnum):
    """The states of an execution, in the words of Step Functions."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"


@dataclass(frozen=True, slots=True)
class Execution:
    """The steps of a job on their way, or at their end.

    Attributes:
        error, cause: of one that failed, as the workflow tells them.
    """

    status: ExecutionStatus
    error: str = ""
    cause: str = ""


class ObjectReader(Protocol):
    """Objects under keys: in one bucket, below one folder, or inside one archive."""

    def read(self, key: str) -> bytes:
        """Return a whole object.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store did not answer as it should.
        """
        ...

    def read_start(self, key: str, size_bytes: int) -> tuple[memoryview, int]:
        """Return the first bytes of an object, fewer if it is shorter, and its whole length.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store did not answer as it should.
        """
        ...

    def read_many(self, keys: Sequence[str]) -> Iterator[bytes | None]:
        """Yield whole objects in the order of their keys; None where there is none.

        Several are read at a time; the first is there before the last is asked for.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[memoryview]:
        """Yield byte ranges ``[start, stop)`` of one object, several read at a time.

        A range that reaches past the end yields what there is; one that
        begins there is refused.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store did not answer as it should, or the object
                has been replaced since its start was read.
        """
        ...

    def sizes_bytes(self, keys: Sequence[str]) -> Iterator[int | None]:
        """Yield the lengths of objects in the order of their keys; None where there is none.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def modified_at(self, keys: Sequence[str]) -> Iterator[datetime | None]:
        """Yield when objects were written, in the order of their keys, to the second; None where there is none.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a prefix, in key order."""
        ...


class ObjectStore(ObjectReader, Protocol):
    """Objects that can be written, too."""

    def write(self, key: str, body: bytes | Sequence[Tile]) -> None:
        """Store an object whole, replacing what was there; its bytes may come in pieces."""
        ...

    def create(self, key: str, body: bytes) -> bool:
        """Store an object if the key is free; tell whether it was."""
        ...

    def list_folder(self, prefix: str) -> StoredFolder:
        """Return what lies directly below a prefix that ends in ``/``; nothing if there is no such folder.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; keys without an object are passed over."""
        ...


class PackageJoiner(Protocol):
    """Makes packages of parts, visible only when whole."""

    def join(self, key: str, parts: Iterable[Part], crc32: int) -> None:
        """Make one object of parts, in order; nothing is visible until all is there.

        When parts are refused, nothing is left behind.

        Args:
            key: of the object.
            parts: at least one.
            crc32: of the whole object; the store compares it with the bytes that it has.

        Raises:
            DamagedPackageError: the bytes are others; an object may be left.
            PackageError: the parts break the store's rules, or one is gone.
            SourceError: the store did not answer as it should; trying again may help.
        """
        ...


class PackageStore(PackageJoiner, Protocol):
    """Finished packages, and those that are being made."""

    def owners(self, beginning: str) -> Iterator[str]:
        """Yield the ids of the jobs that own an object, of those that begin so; some come twice."""
        ...

    def abort_uploads(self, prefix: str, is_unwanted: Callable[[str], bool] = ...) -> int:
        """End uploads that are not complete; return how many.

        Args:
            prefix: of their keys; '' for all.
            is_unwanted: tells by its key whether an upload is to end; by default each is.
        """
        ...

    def download_url(self, package: Package) -> str:
        """Return a link that works without credentials for a short time."""
        ...


class TileSource(Protocol):
    """A tile cache, read a bundle at a time."""

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles of one bundle that are wanted and exist, as they arrive.

        A tile whose record is damaged comes as no bytes, so that it can be
        told from one that does not exist.

        Args:
            bundle: which 128 by 128 block.
            selected: the tiles that are wanted.

        Raises:
            SourceError: the cache cannot be read; a missing tile is no error.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> "NDArray[np.int32]":
        """Return the bytes of the tiles that are wanted, without reading them.

        Args:
            bundle: which 128 by 128 block.
            selected: the tiles that are wanted.

        Returns:
            (128, 128) bytes, row before column; 0 where a tile does not exist
            or is not wanted.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...

    def unchanged(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return which of the tiles that are wanted exist and were written before a time.

        The store knows when an object was written: of a cache of files that
        is one tile, of others all tiles of a bundle or of an archive.

        Args:
            bundle: which 128 by 128 block.
            selected: the tiles that are wanted.
            since: in UTC; what was written in that second has changed.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...


class TileSources(Protocol):
    """Opens tile caches."""

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        ...


class ServiceCatalog(Protocol):
    """The published image services."""

    def get(self, name: str) -> ImageService:
        """Return a service by ``Name`` or ``Folder/Name``.

        Raises:
            ServiceNotFoundError: there is none, or the name is not one.
        """
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all services, in order."""
        ...

    def put(self, service: ImageService) -> None:
        """Publish a service, replacing one of the same name."""
        ...


class ApiKeyStore(Protocol):
    """The API keys, without their tokens."""

    def get(self, key_id: str) -> ApiKey:
        """Return a key, expired or not.

        Raises:
            KeyError: there is none.
        """
        ...

    def put(self, key: ApiKey) -> None:
        """Keep a key."""
        ...

    def list(self) -> Sequence[ApiKey]:
        """Return all keys by name."""
        ...

    def delete(self, key_id: str) -> None:
        """Forget a key; it opens nothing from the next request on."""
        ...


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

    def advance(
        self,
        job_id: str,
        status: JobStatus,
        *,
        attempt: int | None = None,
        messages: Sequence[Message] = (),
        work_items: int | None = None,
        progress: Progress | None = None,
        package: Package | None = None,
        delivery: Delivery | None = None,
        finished_at: datetime | None = None,
        resumable_until: datetime | None = None,
    ) -> bool:
        """Move a job to a state and append messages, if the move is legal.

        Args:
            job_id: the job.
            status: the state.
            attempt: whose doing this is; a job that was resumed since stays as
                it is. None for those who may speak at any time.
            messages: for the person who waits.
            work_items: how many there are.
            progress: what is true at the end, in place of what was counted.
            package: what is delivered.
            delivery: what the export came to.
            finished_at: when it ended.
            resumable_until: how long its finished work is kept.

        Returns:
            False, with nothing changed, when the job's state does not allow it.
        """
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


class Starter(Protocol):
    """Starts the steps of an export."""

    def start(self, job: Job) -> None:
        """Start the steps for the present attempt of a job; a second start of one attempt does nothing."""
        ...


class Workflow(Starter, Protocol):
    """Runs the steps of exports."""

    def find(self, job_id: str, attempt: int = 1) -> Execution | None:
        """Return how the steps of an attempt fare; None if they were never started."""
        ...

    def stop(self, job_id: str, attempt: int = 1) -> None:
        """End the steps of an attempt; steps that have ended stay as they are."""
        ...


class Inbox(Protocol):
    """Request files that others put down, and the answers beside them."""

    def read_start(self, key: str, version: str, size_bytes: int) -> tuple[bytes, int]:
        """Return the first bytes of a file, fewer if it is shorter, and its whole length.

        Args:
            key: of the file.
            version: which of its versions; '' for the present one.
            size_bytes: how much to read at most.

        Raises:
            KeyError: it is gone.
        """
        ...

    def write(self, key: str, body: bytes) -> None:
        """Store a JSON document, replacing what was there."""
        ...


class Subscriptions(Protocol):
    """The exports that are wanted whenever new imagery has come."""

    def names(self) -> Sequence[str]:
        """Return the names of all subscriptions, in order."""
        ...

    def get(self, name: str) -> Subscription:
        """Return a subscription.

        Raises:
            KeyError: there is none.
            InvalidParameterError: what is kept is none.
        """
        ...


class Timers(Protocol):
    """Events that are sent later."""

    def set(self, name: str, at: datetime, event: Event) -> None:
        """Send an event at a time; a timer of this name that has not rung yet is put off until then."""
        ...


class Announcer(Protocol):
    """Tells the world."""

    def announce(self, events: Sequence[Event]) -> None:
        """Send events in their order; when it returns, all of them are on their way.

        Raises:
            AnnouncementError: some were not accepted; trying again may send others twice.
        """
        ...


class Meter(Protocol):
    """Counts what this process uses of AWS."""

    def read(self) -> Use:
        """Return what was used so far: two readings tell what was used between them."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...


Parameters = Mapping[str, str]
"""Request parameters as a client sent them, after URL decoding."""
