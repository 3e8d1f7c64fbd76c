"""Fakes of the ports, with real state, and a runner of the workflow's steps."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zlib import crc32 as crc32_of

from obstore.store import MemoryStore

from exporttiles.adapters.archives import within
from exporttiles.adapters.json_folders import ApiKeys, ServiceCatalog, Subscriptions
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.process import METER
from exporttiles.adapters.tile_sources import read_cache, with_rasters
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import DamagedPackageError, ExportTilesError, PackageError
from exporttiles.domain.job import Job, Package
from exporttiles.domain.parts import CopiedPart, Part, checked_parts
from exporttiles.domain.service import TileCache
from exporttiles.messages.execution import Failure, execution_name
from exporttiles.messages.keys import FOLDERS, owner_of
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.events import Event
from exporttiles.ports.packages import PackageJoiner, UploadEndedError
from exporttiles.ports.tiles import TileSource
from exporttiles.ports.workflow import Execution, ExecutionStatus
from exporttiles.settings import Settings


class FakeClock:
    """A clock that advances by a second with every call."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


class FakePackages:
    """Packages in an object store in memory, joined by the rules of S3."""

    def __init__(self, objects: ObstoreObjects) -> None:
        self.objects = objects
        self.written_bytes = 0
        """Bytes of parts that were uploaded, not copied."""
        self.uploads: dict[str, str] = {}
        """Open uploads: id -> key."""
        self._parts: dict[str, dict[int, bytes]] = {}
        self._count = 0

    def begin(self, key: str) -> str:
        self._count += 1
        upload_id = f"upload-{self._count}"
        self.uploads[upload_id], self._parts[upload_id] = key, {}
        METER.count(puts=1)
        return upload_id

    def join(
        self, key: str, upload_id: str, parts: Sequence[Part], crc32: int, has_time: Callable[[], bool] = lambda: True
    ) -> bool:
        try:
            return self._join(key, upload_id, parts, crc32, has_time)
        except PackageError:
            self.abort(key, upload_id)
            raise

    def _join(self, key: str, upload_id: str, parts: Sequence[Part], crc32: int, has_time: Callable[[], bool]) -> bool:
        METER.count(puts=1)  # the list of parts
        if upload_id not in self.uploads:
            if self._checksum(key) != crc32:
                raise UploadEndedError(key)
            return True
        done = self._parts[upload_id]
        missing = [(number, part) for number, part in checked_parts(parts) if number not in done]
        for number, part in missing:
            if number == missing[0][0] or has_time():
                done[number] = self._body(part)
        if len(done) < len(parts) or (missing and not has_time()):
            return False
        body = b"".join(done[number] for number in sorted(done))
        if crc32_of(body) != crc32:
            raise DamagedPackageError(f"The package has the checksum {crc32_of(body):08x} instead of {crc32:08x}.")
        self.objects.write(key, body)  # counts as completing the upload
        self.abort(key, upload_id)
        return True

    def _body(self, part: Part) -> bytes:
        METER.count(puts=1)
        if isinstance(part, CopiedPart):
            try:
                return self.objects.read(part.key)[part.start : part.start + part.size_bytes]
            except KeyError as error:
                raise PackageError(f"There is no object '{part.key}'.") from error
        self.written_bytes += part.size_bytes
        return part.read()

    def _checksum(self, key: str) -> int | None:
        try:
            return crc32_of(self.objects.read(key))
        except KeyError:
            return None

    def abort(self, key: str, upload_id: str) -> None:
        del key
        self.uploads.pop(upload_id, None)
        self._parts.pop(upload_id, None)

    def owners(self, beginning: str) -> Iterator[str]:
        for folder in FOLDERS:
            owners = (owner_of(stored.key) for stored in self.objects.list(folder))
            yield from (owner for owner in owners if owner.startswith(beginning))

    def abort_uploads(self, prefix: str, is_unwanted: Callable[[str], bool] = lambda _: True) -> int:
        unwanted = [name for name, key in self.uploads.items() if key.startswith(prefix) and is_unwanted(key)]
        for name in unwanted:
            self.abort(self.uploads[name], name)
        return len(unwanted)

    def download_url(self, package: Package) -> str:
        return f"https://packages.example/{package.key}?signed"


class FakeWorkflow:
    """Records executions; starting an attempt again does nothing."""

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}

    @property
    def started(self) -> list[str]:
        return list(self.executions)

    def start(self, job: Job) -> None:
        self.executions.setdefault(execution_name(job.job_id, job.attempt), Execution(ExecutionStatus.RUNNING))

    def find(self, job_id: str, attempt: int = 1) -> Execution | None:
        return self.executions.get(execution_name(job_id, attempt))

    def stop(self, job_id: str, attempt: int = 1) -> None:
        if self.find(job_id, attempt) == Execution(ExecutionStatus.RUNNING):
            self.executions[execution_name(job_id, attempt)] = Execution(ExecutionStatus.ABORTED)


class FakeInbox:
    """Request files by key and version, and the answers to them."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}

    def read_start(self, key: str, version: str, size_bytes: int) -> tuple[bytes, int]:
        body = self.files[key, version]
        return body[:size_bytes], len(body)

    def write(self, key: str, body: bytes) -> None:
        self.files[key, ""] = body


class FakeTimers:
    """Records events with the times at which they are due."""

    def __init__(self) -> None:
        self.timers: dict[str, tuple[datetime, Event]] = {}

    def set(self, name: str, at: datetime, event: Event) -> None:
        self.timers[name] = at, event


class FakeAnnouncer:
    """Records announced events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def announce(self, events: Sequence[Event]) -> None:
        self.events += events


class FakeSources:
    """Opens caches in one object store, ignoring the store in their URL."""

    def __init__(self, objects: ObstoreObjects) -> None:
        self.objects = objects

    def open(self, cache: TileCache) -> TileSource:
        return read_cache(within(self.objects, cache.url.rpartition("/")[2]), with_rasters(cache, self.objects))


def join(packages: PackageJoiner, key: str, parts: Iterable[Part], crc32: int) -> None:
    """Join parts to one object, in one call."""
    assert packages.join(key, packages.begin(key), list(parts), crc32)


def memory() -> ObstoreObjects:
    """Return an empty store."""
    return ObstoreObjects(MemoryStore())


def a_runtime(tiles: ObstoreObjects | None = None) -> Runtime:
    """Return a runtime of fakes; tiles and services are in one store, jobs in another."""
    tiles, objects, clock = tiles or memory(), memory(), FakeClock()
    return Runtime(
        settings=Settings("tiles", "packages", "jobs", timedelta(days=3)),
        api_keys=ApiKeys(tiles),
        services=ServiceCatalog(tiles),
        jobs=MemoryJobs(clock),
        objects=objects,
        packages=FakePackages(objects),
        sources=FakeSources(tiles),
        workflow=FakeWorkflow(),
        inbox=FakeInbox(),
        subscriptions=Subscriptions(tiles),
        timers=FakeTimers(),
        announcer=FakeAnnouncer(),
        clock=clock,
    )


def run_workflow(runtime: Runtime, job_id: str) -> Job:
    """Run the steps of a submitted job like the state machine; return the job."""
    attempt = runtime.jobs.get(job_id).attempt
    try:
        key = runtime.plan_export(job_id).work_items_key
        for item in json.loads(runtime.objects.read(key)):
            runtime.export_tile_range(WorkItem.from_json(item))
        packed = runtime.pack_tile_package(job_id)
    except ExportTilesError as error:
        runtime.close_job.fail(job_id, Failure(type(error).__name__, str(error)), attempt)
    else:
        runtime.close_job.succeed(job_id, packed, attempt)
    return runtime.jobs.get(job_id)
