"""Faults between a function and the services it calls, injected at its ports."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import EndpointConnectionError

from exporttiles.domain.errors import SourceError
from tests.chaos.multipart import refusal
from tests.chaos.rights import rights_of


class KilledError(BaseException):
    """The process was killed: none of its code runs any more, no `except` and no `finally`."""


@dataclass
class Process:
    """One invocation of a function.

    Attributes:
        is_alive: False once it was killed; every later call to a port raises `KilledError`.
        has_credentials: False once they have expired; every later call to a port fails.
        stalled: called with the name of the event that it waits for, when it stalls.
        released: set when a stalled process may continue.
    """

    name: str
    stalled: Callable[[str], None] = lambda _: None
    is_alive: bool = True
    has_credentials: bool = True
    released: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Attributes:
        calls: pattern of the calls that can fail so, such as ``PlanExport/objects.write``.
        before, after: run before or after such a call; `after` may change its result.
        message: pattern of the error message of a job that fails of it; '' if no job may fail of it.
    """

    name: str
    calls: str
    before: Callable[["Chaos", Process, str], None] | None = None
    after: Callable[["Chaos", Process, str, Any], Any] | None = None
    message: str = ""

    def matches(self, call: str) -> bool:
        """Return True if a call can fail so."""
        return re.fullmatch(self.calls, call) is not None


@dataclass
class Fault:
    """One fault of a plan: strikes the calls ``[first, first + times)`` of those that its kind matches."""

    kind: Kind
    first: int
    times: int
    seen: int = 0

    def strikes(self, call: str) -> bool:
        """Count a call. Return True if it is to fail."""
        if not self.kind.matches(call):
            return False
        self.seen += 1
        return self.first < self.seen <= self.first + self.times


class Chaos:
    """Injects a plan of faults.

    Attributes:
        calls: every call to a port so far.
        rights: rights that these calls need, each with the name of the process.
        hits: number of times that each kind of fault happened.
        actions: functions that faults run by name: cancel the job, change a tile, deliver an event.
    """

    def __init__(self, plan: list[Fault], actions: dict[str, Callable[[], None]]) -> None:
        self.plan = plan
        self.actions = actions
        self.calls: list[str] = []
        self.rights: set[tuple[str, str, str]] = set()
        self.hits: Counter[str] = Counter()
        self.is_calm = False
        self._lock = threading.Lock()

    def call(self, process: Process, operation: str, act: Callable[[], Any]) -> Any:
        """Call a port, with the faults that strike the call."""
        call = f"{process.name}/{operation}"
        if not process.is_alive:
            raise KilledError
        with self._lock:
            self.calls.append(call)
            faults = [] if self.is_calm else [fault for fault in self.plan if fault.strikes(call)]
            self.hits.update(fault.kind.name for fault in faults)
        if not process.has_credentials:
            raise _error(operation, "ExpiredToken")
        for fault in faults:
            if fault.kind.before:
                fault.kind.before(self, process, operation)
        result = act()
        result = list(result) if isinstance(result, Iterator) else result
        for fault in faults:
            if fault.kind.after:
                result = fault.kind.after(self, process, operation, result)
        return iter(result) if isinstance(result, list) else result

    def wrap(self, port: Any, name: str, process: Process) -> Any:
        """Return a port whose calls by a process can fail."""
        return _Faulty(self, port, name, process)


@dataclass
class _Faulty:
    _chaos: Chaos
    _port: Any
    _name: str
    _process: Process
    _operation: str = ""

    def __getattr__(self, method: str) -> Any:
        act = getattr(self._port, method)
        if method == "get_paginator":
            return lambda operation: _Faulty(self._chaos, act(operation), self._name, self._process, operation)
        if not callable(act):
            return act

        def call(*args: Any, **more: Any) -> Any:
            args = tuple(list(each) if isinstance(each, Iterator) else each for each in args)
            for right in rights_of(self._name, self._operation or method, args, more):
                self._chaos.rights.add((self._process.name, *right))
            return self._chaos.call(self._process, f"{self._name}.{method}", partial(act, *args, **more))

        return call


def _error(operation: str, code: str) -> Exception:
    """Return the error that the adapter of a port would raise."""
    port, _, method = operation.partition(".")
    if port in {"tiles", "objects"}:
        return SourceError(f"The store did not answer for 'key': {code}")
    if code == "Timeout":
        return EndpointConnectionError(endpoint_url="https://aws.example (Timeout)")
    return refusal(code, method, f"{code}.")


def _fails(code: str) -> dict[str, Any]:
    def fail(_chaos: Chaos, _process: Process, operation: str) -> None:
        raise _error(operation, code)

    return {"before": fail, "message": code}


def _loses_answer(code: str) -> dict[str, Any]:
    def lose(_chaos: Chaos, _process: Process, operation: str, _result: Any) -> Any:
        raise _error(operation, code)

    return {"after": lose, "message": code}


def _die(_chaos: Chaos, process: Process, _operation: str, _result: Any = None) -> None:
    process.is_alive = False
    raise KilledError


def _stall(until: str, _chaos: Chaos, process: Process, _operation: str) -> None:
    process.stalled(until)
    process.released.wait()


def _expire(_chaos: Chaos, process: Process, operation: str) -> None:
    process.has_credentials = False
    raise _error(operation, "ExpiredToken")


def _acts(action: str) -> Callable[[Chaos, Process, str], None]:
    return lambda chaos, _process, _operation: chaos.actions[action]()


def _shortened(_chaos: Chaos, _process: Process, _operation: str, result: Any) -> Any:
    if isinstance(result, list):
        return [body and body[: len(body) // 2] for body in result]
    if isinstance(result, tuple):
        return result[0][: len(result[0]) // 2], result[1]
    return result[: len(result) // 2]


def _garbled(_chaos: Chaos, _process: Process, _operation: str, result: Any) -> Any:
    if isinstance(result, tuple):
        return memoryview(bytes(len(result[0]))), result[1]
    return bytes(len(result))


_READS = r"(read|read_many|read_start|read_ranges)"
_WRITES = r"(write|create)"
_S3 = r"(create_multipart_upload|upload_part|upload_part_copy|complete_multipart_upload)"
_STEPS = r"(ExportAtOnce|PlanExport|ExportTileRange|PackTilePackage|CloseJob)"
_WAITS = rf"{_STEPS}/(?!tiles)\S*"  # below a reader Python 3.11 holds locks that processes do not share
_STOPPED = "was stopped"
_DAMAGED = r"(\.bundle|\.pmtiles)(:| has)"

KINDS = [
    Kind("tiles: throttled", rf".*/tiles\.{_READS}", **_fails("SlowDown")),
    Kind("tiles: no answer in time", rf".*/tiles\.{_READS}", **_fails("Timeout")),
    Kind("tiles: torn body", r"ExportTileRange/tiles\.read_ranges", after=_shortened, message=_DAMAGED),
    Kind("tiles: wrong bytes in an index", r"ExportTileRange/tiles\.read_start", after=_garbled, message=_DAMAGED),
    Kind("tiles: some vanish", rf"{_STEPS}/tiles\.{_READS}", before=_acts("vanish"), message="exists in|was replaced"),
    Kind(
        "tiles: some change",
        rf"{_STEPS}/tiles\.{_READS}",
        before=_acts("change"),
        message="was replaced|has become shorter",
    ),
    Kind("objects: wrong bytes", rf"{_STEPS}/objects\.read", after=_garbled, message="is damaged: it is not JSON"),
    Kind("objects: throttled read", rf"{_STEPS}/objects\.({_READS}|sizes_bytes)", **_fails("SlowDown")),
    Kind("objects: throttled write", rf".*/objects\.{_WRITES}", **_fails("SlowDown")),
    Kind("objects: answer to a write lost", rf".*/objects\.{_WRITES}", **_loses_answer("Timeout")),
    Kind(
        "objects: listing and deleting fail",
        r".*/(objects\.(list|delete)|s3\.(paginate|abort_multipart_upload))",
        **_fails("InternalError"),
    ),
    Kind("jobs: throttled", r".*/jobs\..*", **_fails("ThrottlingException")),
    Kind("jobs: answer to a change lost", r".*/jobs\.(create|advance|count_work_item)", **_loses_answer("Timeout")),
    Kind("upload: throttled", rf".*/s3\.{_S3}", **_fails("SlowDown")),
    Kind("upload: no connection", rf".*/s3\.{_S3}", **_fails("Timeout")),
    Kind("upload: answer lost", rf".*/s3\.{_S3}", **_loses_answer("InternalError")),
    Kind("worker killed before a call", r"ExportTileRange/.*", before=_die, message=_STOPPED),
    Kind("worker killed after a call", r"ExportTileRange/.*", after=_die, message=_STOPPED),
    Kind("packer killed before a call", r"PackTilePackage/.*", before=_die, message=_STOPPED),
    Kind("packer killed after a call", r"PackTilePackage/.*", after=_die, message=_STOPPED),
    Kind("packer killed while it uploads", r"PackTilePackage/s3\..*", after=_die, message=_STOPPED),
    Kind("killed while it does all at once", r"ExportAtOnce/.*", after=_die, message=_STOPPED),
    Kind("planner killed", r"PlanExport/.*", after=_die, message=_STOPPED),
    Kind("closer killed before a call", r"CloseJob/.*", before=_die, message=_STOPPED),
    Kind("closer killed after a call", r"CloseJob/.*", after=_die, message=_STOPPED),
    Kind("twice at once", _WAITS, before=partial(_stall, "next"), message=_STOPPED),
    Kind("goes on after the end", _WAITS, before=partial(_stall, "end"), message=_STOPPED),
    Kind("goes on in the next attempt", _WAITS, before=partial(_stall, "resume"), message=_STOPPED),
    Kind("credentials expire", rf"{_STEPS}/.*", before=_expire, message="ExpiredToken"),
    Kind("answer of a step lost", rf"{_STEPS}/answer\.now", before=_die, message=_STOPPED),
    Kind("execution aborted", _WAITS, before=partial(_stall, "ABORTED")),
    Kind("execution times out", _WAITS, before=partial(_stall, "TIMED_OUT")),
    Kind("cancelled", rf"{_STEPS}/.*", before=_acts("cancel")),
    Kind("start refused", r"Request/workflow\.start", **_fails("ThrottlingException")),
    Kind("answer to a start lost", r"Request/workflow\.start", **_loses_answer("Timeout")),
    Kind("request: killed", r"Request/.*", before=_die),
    Kind("request delivered twice", r"Request/answer\.now", before=_acts("request again")),
    Kind("end delivered twice", r"CloseJob/answer\.now", before=_acts("end again")),
]

LATE_END = Kind("end of the first attempt delivered during the second", _WAITS, before=_acts("late end"))
"""The only fault that strikes the second attempts of jobs that failed in the first."""
