"""Whole exports with faults drawn from a seed, and checks of what each leaves."""

import io
import json
import random
import re
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

from exporttiles.adapters import s3_packages
from exporttiles.adapters.json_folders import ApiKeys, ServiceCatalog, Subscriptions
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.adapters.s3_packages import S3Packages
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain import parts, plan
from exporttiles.domain.errors import JobNotFoundError, JobStateError
from exporttiles.domain.job import Job, JobStatus, MessageKind, job_id_of
from exporttiles.events.announcements import announcements
from exporttiles.events.requests import REQUESTED
from exporttiles.messages.execution import execution_name
from exporttiles.messages.keys import VERIFICATION_NAME, JobKeys
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.workflow import Execution, ExecutionStatus
from exporttiles.settings import Settings
from functions.close_job import app as close_job
from functions.export_at_once import app as export_at_once
from functions.export_tile_range import app as export_tile_range
from functions.pack_tile_package import app as pack_tile_package
from functions.plan_export import app as plan_export
from functions.request_export import app as request_export
from functions.submit_package import app as submit_package
from tests.builders import a_service, a_tile
from tests.caches import Tiles, put_pmtiles, put_v2, put_xyz
from tests.chaos.faults import KINDS, LATE_END, Chaos, Fault, KilledError, Kind, Process
from tests.chaos.machine import Machine, StepError
from tests.chaos.multipart import MemoryS3
from tests.fakes import FakeAnnouncer, FakeClock, FakeInbox, FakeSources, FakeTimers, FakeWorkflow, a_runtime, memory
from tests.functions.test_event_functions import schema
from tests.functions.test_workflow_functions import Context
from tests.workflow.stack import RESOURCES

HANDLERS = {
    "SubmitPackage": submit_package.handler,
    "ExportAtOnce": export_at_once.handler,
    "PlanExport": plan_export.handler,
    "ExportTileRange": export_tile_range.handler,
    "PackTilePackage": pack_tile_package.handler,
    "CloseJob": close_job.handler,
    "Request": request_export.handler,
}
JOB_ID = job_id_of("chaos", "1")
KEYS = JobKeys(JOB_ID)
DELIVERIES = RESOURCES["RequestQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
EVENT_ATTEMPTS = 3  # of a function that an event invokes
FAILED, TIMED_OUT, ABORTED = ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT, ExecutionStatus.ABORTED
MOST_CALLS = (
    60  # a late end is delivered first during one of these: a second attempt that has little left makes no more
)
TIMES = (1, 1, 2, 99)  # calls in a row that a fault strikes

CACHES = {"files": put_xyz, "bundles": put_v2, "PMTiles": put_pmtiles}
OUTPUTS = {
    "tpkx": {"tilePackage": True},
    "tpk": {"tilePackage": True, "storageFormatType": "esriMapCacheStorageModeCompact"},
    "PMTiles": {"tilePackage": True, "storageFormatType": "PMTiles"},
    "MBTiles": {"tilePackage": True, "storageFormatType": "MBTiles"},
    "GeoPackage": {"tilePackage": True, "storageFormatType": "GeoPackage"},
    "dataset": {"tilePackage": False, "storageFormatType": "esriMapCacheStorageModeCompactV2"},
}
PACKED_BY_PARTS = "tpkx"
"""The output whose packer has time for one part in each invocation."""

EXPECTED_BYTES = {"side by side": 2, "at once": 0}  # less than 1 counts as a small export
SCENARIOS = [
    *((cache_name, output, "side by side") for cache_name in CACHES for output in OUTPUTS),
    *(("files", "dataset", "at once"), ("bundles", "tpkx", "at once"), ("PMTiles", "tpk", "at once")),
]
MUTATIONS = {"tiles: some vanish": "vanished", "tiles: some change": "changed"}

Scenario = tuple[str, str, str]
Delivered = Mapping[str, bytes]


@cache
def cache_of(state: str) -> Tiles:
    """Return the tiles of seven bundles, with gaps: at first (''), or after a change during the job."""
    spans = {0: range(1), 1: range(2), 2: range(1, 3), 8: range(126, 130)}
    places = [(level, row, column) for level, span in spans.items() for row in span for column in span]
    tiles = {place: a_tile(*place) for place in places if place not in {(8, 126, 126), (8, 129, 128)}}
    if state == "vanished":
        del tiles[8, 127, 128]
    if state == "changed":
        tiles[8, 127, 128] = a_tile(8, 0, 0, quality=90)
    return tiles


class Stream:
    """A job table that records every change of the job, as its DynamoDB stream does."""

    def __init__(self, jobs: JobTable) -> None:
        self.jobs = jobs
        self.changes: list[tuple[Job | None, Job]] = []

    def __getattr__(self, method: str) -> Callable[..., Any]:
        act = getattr(self.jobs, method)
        return act if method == "get" else partial(self._record, act)

    def _record(self, act: Callable[..., Any], *args: Any, **more: Any) -> Any:
        before = self._present()
        result = act(*args, **more)
        now = self._present()
        if now is not None and now != before:
            self.changes.append((before, now))
        return result

    def _present(self) -> Job | None:
        try:
            return self.jobs.get(JOB_ID)
        except JobNotFoundError:
            return None


class EndedError(BaseException):
    """The execution was aborted or timed out."""


@dataclass
class Zombie:
    """A stalled invocation that its caller has given up on, and that continues later."""

    process: Process
    thread: Thread
    until: str

    def release(self) -> None:
        self.process.released.set()
        self.thread.join()


@dataclass
class World:
    """One account: buckets, job table, workflow and functions."""

    scenario: Scenario
    faults: list[Fault] = field(default_factory=list)
    table: JobTable | None = None

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.tiles, self.objects = memory(), memory()
        self.s3 = MemoryS3(self.objects)
        self.stream = Stream(self.table or MemoryJobs(self.clock))
        self.settings = Settings("tiles", "packages", "jobs", timedelta(days=3), public_base_url="https://maps.example")
        self.workflow = FakeWorkflow()
        self.inbox = FakeInbox()
        self.zombies: list[Zombie] = []
        self.is_cancel_accepted = False
        self.packed: Any = None
        self.late_ends = 0
        self.problems: list[str] = []
        actions = {
            "vanish": partial(self.put_tiles, "vanished"),
            "change": partial(self.put_tiles, "changed"),
            "cancel": self.cancel,
            "request again": lambda: None,
            "end again": lambda: None,
            "late end": self.deliver_late_end,
        }
        self.chaos = Chaos(self.faults, actions)
        self.calm = Chaos([], {})
        url = self.put_tiles("")
        ServiceCatalog(self.tiles).put(a_service(self.tiles, url=url))

    def put_tiles(self, state: str) -> str:
        """Store the tiles of a state of the cache, and return its address."""
        tiles = cache_of(state)
        for stored in list(self.tiles.list("World")):
            if self.scenario[0] == "files" and f"{stored.key}" and not _is_of(stored.key, tiles):
                self.tiles.delete([stored.key])
        return CACHES[self.scenario[0]](self.tiles, tiles)

    def cancel(self) -> None:
        """Cancel the job as a client does."""
        with suppress(JobStateError, JobNotFoundError):
            self.calm_runtime("Api").cancel_export(JOB_ID)
            self.is_cancel_accepted = True

    def calm_runtime(self, name: str) -> Runtime:
        """Return the runtime of a function that no fault strikes."""
        return self.runtime(Process(name), self.calm)

    def runtime(self, process: Process, chaos: Chaos) -> Runtime:
        """Return the runtime of a process, whose calls to ports can fail."""
        wrap = partial(chaos.wrap, process=process)
        tiles, objects = wrap(self.tiles, "tiles"), wrap(self.objects, "objects")
        return replace(
            a_runtime(),
            settings=self.settings,
            api_keys=ApiKeys(tiles),
            services=ServiceCatalog(tiles),
            jobs=wrap(self.stream, "jobs"),
            objects=objects,
            packages=S3Packages(wrap(self.s3, "s3"), "packages", 60),
            sources=FakeSources(tiles),
            workflow=wrap(self.workflow, "workflow"),
            inbox=wrap(self.inbox, "inbox"),
            subscriptions=Subscriptions(tiles),
            timers=wrap(FakeTimers(), "timers"),
            announcer=wrap(FakeAnnouncer(), "announcer"),
            clock=self.clock,
        )

    def invoke(self, name: str, payload: Any) -> Any:
        """Run a function until it ends, or until it stalls and its caller gives up.

        Raises:
            StepError: it failed; with the error name and cause of Step Functions.
            EndedError: the execution was aborted or timed out meanwhile.
        """
        process, outcome = Process(name), SimpleQueue[tuple[str, Any]]()
        context = Context(remaining_seconds=0 if self.scenario[1] == PACKED_BY_PARTS else 900)
        process.stalled = lambda until: outcome.put((until, None))

        def work() -> None:
            try:
                answer = HANDLERS[name](payload, context, runtime=self.runtime(process, self.chaos))
                self.chaos.call(process, "answer.now", lambda: None)
                outcome.put(("answered", answer))
            except KilledError:
                outcome.put(("killed", None))
            except Exception as error:  # noqa: BLE001  (as Lambda does)
                outcome.put(("failed", error))

        thread = Thread(target=work, daemon=True)
        thread.start()
        kind, result = outcome.get()
        if kind not in {"answered", "killed", "failed"}:
            self.zombies.append(Zombie(process, thread, kind))
            if kind in {"ABORTED", "TIMED_OUT"}:
                raise EndedError(kind)
            raise StepError("Lambda.Unknown", "The cause could not be determined because Lambda did not answer.")
        thread.join()
        self.release(f"next {name}")
        if kind == "killed":
            cause = {"errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1 Error: Runtime exited: killed"}
            raise StepError("Runtime.ExitError", json.dumps(cause))
        if kind == "failed":
            name = type(result).__name__
            raise StepError(name, json.dumps({"errorMessage": str(result), "errorType": name, "stackTrace": []}))
        if name in {"ExportAtOnce", "PackTilePackage"} and result["finished"]:
            self.packed = result
        return result

    def release(self, until: str) -> None:
        """Let invocations continue that stalled until an event; 'end' releases all but those until 'resume'."""
        for zombie in list(self.zombies):
            if until in {f"{zombie.until} {zombie.process.name}", zombie.until if zombie.until == "resume" else "end"}:
                self.zombies.remove(zombie)
                zombie.release()

    def request(self, event_id: str = "1", **more: Any) -> None:
        """Deliver a request until it is handled or moved to the dead-letter queue."""
        detail = {"service": "World_Imagery", "exportExtent": "-2.8,-2.8,2.8,2.8,EPSG:4326", "levels": "0-2,8"}
        detail["exportExtent"] = json.dumps(
            {"xmin": -2.8, "ymin": -2.8, "xmax": 2.8, "ymax": 2.8, "spatialReference": {"wkid": 4326}}
        )
        detail |= OUTPUTS[self.scenario[1]] | more
        event = {"detail-type": REQUESTED, "source": "chaos", "id": event_id, "detail": detail}
        for _ in range(DELIVERIES):
            with suppress(StepError):
                self.invoke("Request", {"Records": [{"body": json.dumps(event)}]})
                return

    def execute(self, attempt: int = 1) -> None:
        """Run the execution that was started, and deliver the event of its end unless it succeeded."""
        end = Execution(ExecutionStatus.SUCCEEDED)
        start = {"job_id": JOB_ID, "attempt": attempt, "expected_bytes": EXPECTED_BYTES[self.scenario[2]]}
        try:
            Machine(self.invoke, self.objects).run(start)
        except StepError as error:
            end = Execution(ExecutionStatus.FAILED, error.failure["Error"], error.failure["Cause"])
        except EndedError as ended:
            end = Execution(ExecutionStatus(str(ended)))
        self.workflow.executions[execution_name(JOB_ID, attempt)] = end
        if end.status is not ExecutionStatus.SUCCEEDED:
            self.close(end_event(end, attempt))
        self.release("end")

    def close(self, event: Mapping[str, Any]) -> None:
        """Deliver the event of an end, with the retries of an asynchronous invocation."""
        for _ in range(EVENT_ATTEMPTS):
            with suppress(StepError, EndedError):
                self.invoke("CloseJob", event)
                return

    def deliver_late_end(self) -> None:
        """Deliver an end of the first attempt during the second, another one at each call.

        Stalled invocations of the first attempt continue as well.
        """
        was_calm, self.chaos.is_calm = self.chaos.is_calm, True
        self.release("resume")
        failure = {"Error": "SourceError", "Cause": "late"}
        late = [end_event(Execution(status, "E", "late"), 1) for status in (FAILED, TIMED_OUT, ABORTED)]
        late.append({"job_id": JOB_ID, "attempt": 1, "number": 0, "bundles": [], "failure": failure})
        late.append({"job_id": JOB_ID, "attempt": 1, "failure": failure})
        if self.packed:
            late.append({"job_id": JOB_ID, "attempt": 1, "result": {"package": self.packed}})
        event = late[self.late_ends % len(late)]
        self.late_ends += 1
        before = self.protected_state()
        self.close(event)
        self.chaos.is_calm = was_calm
        if before != self.protected_state():
            self.problems.append(f"{event} made {self.protected_state()} of {before}")

    def protected_state(self) -> tuple[Job | None, Delivered, Sequence[str]]:
        """Return the state that a late end must not change: job, packages and, until the job has ended, fragments."""
        job = self.job()
        is_open = job is not None and not job.status.is_final
        return job, self.delivered(), [stored.key for stored in self.objects.list(KEYS.fragments)] if is_open else []

    def watch(self) -> None:
        """Run WatchJobs until it gives up on a job whose execution never started."""
        runtime = self.calm_runtime("WatchJobs")
        for _ in range(4):
            self.clock.time += timedelta(minutes=6)
            is_started = JOB_ID in self.workflow.started
            assert not runtime.watch_jobs().failures
            if not is_started and JOB_ID in self.workflow.started:
                self.execute()
        runtime.delete_orphans(JOB_ID)

    def resume(self, late_end: Fault) -> None:
        """Resume a failed job, while ends of its first attempt are delivered late."""
        self.calm_runtime("Api").resume_export(JOB_ID)
        self.chaos.plan, self.chaos.is_calm = [late_end], False
        self.execute(attempt=2)
        self.chaos.is_calm = True
        self.deliver_late_end()

    def job(self) -> Job | None:
        """Return the job, if there is one."""
        try:
            return self.stream.get(JOB_ID)
        except JobNotFoundError:
            return None

    def delivered(self) -> Delivered:
        """Return the delivered objects by key."""
        found = {stored.key: self.objects.read(stored.key) for stored in self.objects.list(KEYS.packages)}
        return found | {key: b"contains the time" for key in found if key.endswith(VERIFICATION_NAME)}


def end_event(end: Execution, attempt: int) -> Mapping[str, Any]:
    """Return the EventBridge event for the end of an execution."""
    name = execution_name(JOB_ID, attempt)
    return {"detail": {"name": name, "status": end.status, "error": end.error or None, "cause": end.cause or None}}


def _is_of(key: str, tiles: Tiles) -> bool:
    level, column, row = map(int, re.findall(r"\d+", key))
    return (level, row, column) in tiles


@dataclass(frozen=True, slots=True)
class Calm:
    """The result of an export without faults: delivered objects by key, and all calls to ports."""

    delivered: Delivered
    calls: list[str]


@cache
def calm(scenario: Scenario, state: str = "") -> Calm:
    """Run a scenario without faults."""
    world = World(scenario)
    world.put_tiles(state)
    with small_parts():
        world.request()
        world.execute()
    job = world.job()
    assert job, "no job"
    assert job.status is JobStatus.SUCCEEDED, job.messages[-1].text
    return Calm(world.delivered(), world.chaos.calls)


@contextmanager
def small_parts() -> Iterator[None]:
    """Copy small fragments, one for each bundle, and in their order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "FRAGMENT_TARGET_BYTES", 1)
        patch.setattr(parts, "MIN_PART_BYTES", 140_000)
        patch.setattr(parts, "WRITTEN_PART_BYTES", 200_000)
        patch.setattr(s3_packages, "COPIERS", 1)
        patch.setattr(s3_packages, "_WRITERS", 1)
        yield


@dataclass
class Outcome:
    """The result of one run."""

    seed: int
    scenario: Scenario
    planned: list[tuple[str, int, int]]
    hits: Counter[str]
    status: str
    needs_watchman: bool
    problems: list[str]
    rights: set[tuple[str, str, str]]


def planned(kind: Kind, scenario: Scenario, source: random.Random) -> Fault:
    """Return a fault of a kind that strikes a call which the run without faults makes."""
    count = sum(map(kind.matches, calm(scenario).calls))
    return Fault(kind, source.randrange(count), source.choice(TIMES))


def silence_output() -> None:
    """Suppress metrics and warnings in this process."""
    sys.stdout = io.StringIO()
    warnings.simplefilter("ignore")


def run(seed: int, table: JobTable | None = None) -> Outcome:
    """Run an export with the faults of a seed; the kinds take turns."""
    source = random.Random(seed)  # noqa: S311
    kinds = [KINDS[seed % len(KINDS)]]
    scenario = source.choice([s for s in SCENARIOS if any(map(kinds[0].matches, calm(s).calls))])
    possible = [kind for kind in KINDS if any(map(kind.matches, calm(scenario).calls))]
    while seed >= len(KINDS) and source.random() < 0.4:
        kind = source.choice(possible)
        if kind not in kinds and not {kind.name, *(k.name for k in kinds)} >= MUTATIONS.keys():
            kinds.append(kind)
    faults = [planned(kind, scenario, source) for kind in kinds]
    drawn = [(fault.kind.name, fault.first, fault.times) for fault in faults]
    world = World(scenario, faults, table)
    with small_parts():
        world.request()
        if JOB_ID in world.workflow.started:
            world.execute()
        world.release("end")
        world.chaos.is_calm = True
        if not seed % 2:
            world.release("resume")
        if world.chaos.hits["request delivered twice"]:
            world.request()
        names = {kind.name for kind in kinds}
        needs_watchman = bool(list(_problems(world, names)))
        world.watch()
        job = world.job()
        if job and not job.is_resumable(world.clock.time):
            world.release("resume")
            world.watch()
        if world.chaos.hits["end delivered twice"]:
            before = world.job(), world.delivered()
            world.close(end_event(Execution(FAILED, "E", "late"), 1))
            assert before == (world.job(), world.delivered())
        problems = list(_problems(world, names))
        job = world.job()
        if job and job.is_resumable(world.clock.time):
            if seed % 2:
                late_end = Fault(LATE_END, source.randrange(MOST_CALLS), source.choice(TIMES))
                problems += _problems_of_resuming(world, names, late_end)
            else:
                problems += _problems_of_giving_up(world)
    status = str(job.status) if job else "no job"
    rights = world.chaos.rights | world.calm.rights
    return Outcome(seed, scenario, drawn, world.chaos.hits, status, needs_watchman, problems, rights)


def _problems_of_resuming(world: World, kinds: set[str], late_end: Fault) -> Any:
    """Resume a failed job without faults but with late ends, and yield why it did not succeed."""
    world.resume(late_end)
    yield from world.problems
    job = world.job()
    if job and job.status is JobStatus.SUCCEEDED:
        yield from _problems_of_success(world, job, kinds)
    else:
        yield f"resumed, and it is {job}"


def _problems_of_giving_up(world: World) -> Any:
    """Let a failed job expire, and yield what it leaves."""
    world.clock.time += timedelta(days=1, hours=1)
    world.watch()
    left = [stored.key for stored in world.objects.list(KEYS.fragments)] + list(world.delivered())
    if left:
        yield f"still there when it is too late to resume: {left}"


def _problems(world: World, kinds: set[str]) -> Any:
    job = world.job()
    if job is None:
        if world.workflow.started:
            yield "started without a job"
        return
    keeps_work = job.is_resumable(world.clock.time)
    left = [stored.key for stored in world.objects.list(KEYS.fragments)]
    if left and not keeps_work:
        yield f"fragments are left: {left}"
    if world.s3.uploads:
        yield f"uploads are left: {world.s3.uploads.keys()}"
    if not job.status.is_final:
        yield f"the job is still {job.status}"
    elif job.status is JobStatus.SUCCEEDED:
        yield from _problems_of_success(world, job, kinds)
    else:
        is_dataset = world.scenario[1] == "dataset"
        packages = [key for key in world.delivered() if not (keeps_work and is_dataset and KEYS.is_finished_work(key))]
        if packages:
            yield f"packages are left: {packages}"
        yield from _problems_of_message(world, job)
    yield from _problems_of_progress(world)


def _problems_of_success(world: World, job: Job, kinds: set[str]) -> Any:
    if world.is_cancel_accepted:
        yield "a success overwrote a cancel"
    delivered, states = world.delivered(), ["", *(MUTATIONS[name] for name in kinds & MUTATIONS.keys())]
    expected = [calm(world.scenario, state).delivered for state in states]
    if delivered not in expected:
        yield from _problems_of_members(delivered, expected)
    tile_counts = [len(cache_of(state)) for state in states]
    if not job.delivery or job.delivery.tile_count not in tile_counts:
        yield f"the job reports {job.delivery}, not {tile_counts} tiles"
    elif job.delivery.tile_count + job.delivery.missing_count != job.tile_count:
        yield f"{job.delivery} of {job.tile_count} tiles"
    if job.progress.done_tile_count != job.tile_count:
        yield f"progress at the end: {job.progress} of {job.tile_count} tiles"


def _problems_of_members(delivered: Delivered, expected: list[Delivered]) -> Any:
    """Yield the files that match neither the cache before its change nor after it."""
    if all(delivered.keys() != each.keys() for each in expected):
        yield f"other files: {delivered.keys()}"
        return
    for key, body in delivered.items():
        if not key.endswith((".tpkx", ".tpk", ".zip")):
            if body not in [each[key] for each in expected]:
                yield f"{key} differs"
            continue
        whole, found = [_members(each[key]) for each in expected], _members(body)
        for name, content in found.items():
            if content not in [each.get(name) for each in whole]:
                yield f"{name} in {key} differs"
        if all(found.keys() != each.keys() for each in whole):
            yield f"other members in {key}: {found.keys()}"


def _members(package: bytes) -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _problems_of_message(world: World, job: Job) -> Any:
    text = [message.text for message in job.messages if message.kind is MessageKind.ERROR]
    if len(text) != 1:
        yield f"{len(text)} error messages: {text}"
        return
    if re.search(r"None|Traceback|\{|errorMessage|RequestId|<", text[0]):
        yield f"not written for people: {text[0]}"
    if job.status is JobStatus.FAILED:
        patterns = [fault.kind.message for fault in world.chaos.plan if world.chaos.hits[fault.kind.name]]
        if not any(pattern and re.search(pattern, text[0]) for pattern in patterns):
            yield f"not the cause: {text[0]}"


def _problems_of_progress(world: World) -> Any:
    events = []
    for before, now in world.stream.changes:
        if now.progress.done_tile_count > now.tile_count:
            yield f"progress beyond the end: {now.progress} of {now.tile_count}"
        if before and before.status.is_final and now.status is not before.status:
            yield f"{now.status} after {before.status}"
        events += announcements(before, now, "https://maps.example")
    for event in events:
        schema("job_status_change").validate(event.detail)
    statuses = [event.detail["status"] for event in events if event.detail["status"] != "progress"]
    percents = [event.detail["percent"] for event in events]
    if len(statuses) != 2 or statuses[0] != "submitted" or percents != sorted(percents):
        yield f"events: {statuses} {percents}"
