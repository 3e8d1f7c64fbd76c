"""Exports that share an account: the state machine file on a virtual clock, with a quota of concurrent functions.

Only what decides about time and throttling is modelled: which function runs for how long, how many run at a time, and
what the retriers of the file do with a call that finds none free. Nothing sleeps; a seed gives the same run again.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from tests.workflow.stack import MACHINE

THROTTLED = "Lambda.TooManyRequestsException"
EVENTS_OF_A_RETRY = 3  # TaskScheduled, TaskStarted, TaskFailed
_MAP_START_SECONDS = (0.1, 0.5)  # between the end of a child execution and the first call of the next
_DEFAULT_DELAY_SECONDS, _DEFAULT_RATE = 1, 2.0  # of a retrier that names none: states-language.net

Process = Generator["float | list[Process]", None, bool]
"""Yields seconds to sleep, or processes to wait for; returns True if it succeeded."""


@dataclass(frozen=True, slots=True)
class Load:
    """An export, as far as it takes functions.

    Attributes:
        seconds: the shortest and the longest run of each function, by its name.
        items: work items; 0 for an export that one function makes at once.
        workers: how many of them run at a time; the planner says so.
        begins: seconds after the beginning of the simulation.
        packages: of a batch, the export of each package; of other exports none.
        at_once: how many packages run at a time; the template says so.
    """

    seconds: Mapping[str, tuple[float, float]]
    items: int
    workers: int
    begins: float = 0
    packages: "Sequence[Load]" = ()
    at_once: int = 1


@dataclass
class Ended:
    """How an export ended: whether well, after how many seconds, and with how many events in its longest history."""

    has_succeeded: bool
    seconds: float
    events: int


@dataclass
class Account:
    """Functions of one account and region.

    Attributes:
        free: how many more functions may run, besides those that are reserved.
        reserved: how many workers may run, by the template's `WorkerReservedConcurrency`; 0: they take of the others.
        tries: calls by outcome: "ran" and "throttled".
        machine: the state machine; other than the file's to see what a change of it does.
    """

    free: int
    reserved: int = 0
    seed: int = 1
    machine: Mapping[str, Any] = field(default_factory=lambda: MACHINE)
    tries: Counter[str] = field(default_factory=Counter)
    now: float = 0

    def run(self, loads: Sequence[Load]) -> list[Ended]:
        """Run exports side by side; return how each ended."""
        self._idle = {"account": self.free, "workers": self.reserved}
        self._random = random.Random(self.seed)  # noqa: S311  (no secret)
        ended: dict[int, Ended] = {}
        self._wakes: list[tuple[float, int, Process, Callable[[bool], None]]] = []
        self._order = count()

        def end(number: int, history: Counter[str], has_succeeded: bool) -> None:  # noqa: FBT001
            seconds = self.now - loads[number].begins
            ended[number] = Ended(has_succeeded, seconds, max(history.values(), default=0))

        for number, load in enumerate(loads):
            history = Counter[str]()
            self._wake(
                load.begins, self._execution(load, self.machine, "parent", history), partial(end, number, history)
            )
        while self._wakes:
            self.now, _, process, end = heappop(self._wakes)
            self._step(process, end)
        return [ended[number] for number in range(len(loads))]

    def _wake(self, at: float, process: Process, end: Callable[[bool], None]) -> None:
        heappush(self._wakes, (at, next(self._order), process, end))

    def _step(self, process: Process, end: Callable[[bool], None]) -> None:
        try:
            wanted = next(process)
        except StopIteration as stop:
            end(stop.value)
            return
        if not isinstance(wanted, list):
            self._wake(self.now + wanted, process, end)
            return
        left = len(wanted)

        def one_ended(_: bool) -> None:  # noqa: FBT001
            nonlocal left
            left -= 1
            if not left:
                self._wake(self.now, process, end)

        for each in wanted:
            self._wake(self.now, each, one_ended)

    def _execution(self, load: Load, machine: Mapping[str, Any], name: str, history: Counter[str]) -> Process:
        """Walk through the states of an execution."""
        state_name = machine["StartAt"]
        has_succeeded = True
        while True:
            state = machine["States"][state_name]
            match state["Type"]:
                case "Succeed":
                    return has_succeeded
                case "Fail":
                    return False
                case "Choice":
                    state_name = _chosen(load, state_name, state, has_failed=not has_succeeded)
                    continue
                case "Task" if "StateMachineArn" in state["Parameters"]:
                    is_done = yield from self._execution(load, self.machine, f"execution of {name}", history)
                case "Task":
                    is_done = yield from self._task(load, state, name, history)
                case "Map":
                    is_done = yield from self._map(load, state, history)
            if not is_done and "Catch" not in state:
                return False
            has_succeeded = has_succeeded and is_done
            if is_done and state.get("End"):
                return has_succeeded
            state_name = state["Next"] if is_done else state["Catch"][-1]["Next"]

    def _task(self, load: Load, state: Mapping[str, Any], name: str, history: Counter[str]) -> Process:
        """Call a function until it runs, or until no retrier says to call it again."""
        function = state["Parameters"]["FunctionName"].strip("${}").removesuffix("FunctionArn")
        retrier = next(each for each in state["Retry"] if {THROTTLED, "States.ALL"} & set(each["ErrorEquals"]))
        pool = "workers" if self.reserved and function == "ExportTileRange" else "account"
        for attempt in count():
            history[name] += EVENTS_OF_A_RETRY
            if self._idle[pool]:
                self.tries["ran"] += 1
                self._idle[pool] -= 1
                yield self._random.uniform(*load.seconds[function])
                self._idle[pool] += 1
                return True
            self.tries["throttled"] += 1
            if attempt == retrier["MaxAttempts"]:
                return False
            yield self._delay(retrier, attempt)
        raise AssertionError

    def _delay(self, retrier: Mapping[str, Any], attempt: int) -> float:
        longest = retrier.get("MaxDelaySeconds", float("inf"))
        first, rate = retrier.get("IntervalSeconds", _DEFAULT_DELAY_SECONDS), retrier.get("BackoffRate", _DEFAULT_RATE)
        delay = min(first * rate ** min(attempt, 20), longest)
        return self._random.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay

    def _map(self, load: Load, state: Mapping[str, Any], history: Counter[str]) -> Process:
        """Run the items of a map, so many at a time; no other item begins once one has failed."""
        items = enumerate(load.packages or [load] * load.items)
        failed: list[int] = []

        def worker() -> Process:
            for number, item in items:
                if failed:
                    return False
                yield self._random.uniform(*_MAP_START_SECONDS)
                if not (yield from self._execution(item, state["ItemProcessor"], f"item {number}", history)):
                    failed.append(number)
            return True

        yield [worker() for _ in range(load.at_once if load.packages else load.workers)]
        return not failed


def _chosen(load: Load, name: str, state: Mapping[str, Any], *, has_failed: bool) -> str:
    """Return the state that a choice leads to."""
    if name == "Kind?":
        batch, small = (choice["Next"] for choice in state["Choices"])
        return batch if load.packages else state["Default"] if load.items else small
    is_first = {"Submitted?": True, "Packed?": False, "Failed?": has_failed}[name]
    chosen: str = state["Choices"][0]["Next"] if is_first else state["Default"]
    return chosen


def without_retriers_of(error: str) -> dict[str, Any]:
    """Return the state machine as it would be without the retriers that name an error."""

    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [
                cut(each) for each in value if not (isinstance(each, dict) and error in each.get("ErrorEquals", []))
            ]
        return {name: cut(each) for name, each in value.items()} if isinstance(value, dict) else value

    changed: dict[str, Any] = cut(json.loads(json.dumps(MACHINE)))
    return changed
