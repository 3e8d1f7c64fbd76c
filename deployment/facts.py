"""Facts about a stack: claims that are proved, failed or unproved."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from deployment.client import Client
from deployment.stack import Stack


class Status(StrEnum):
    """The result of checking a claim."""

    PROVED = "proved"
    FAILED = "failed"
    UNPROVED = "unproved"


class UnprovedError(Exception):
    """A claim cannot be checked here."""


class DisprovedError(Exception):
    """A claim is not true."""


Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """A claim and the result of checking it.

    Attributes:
        name: with the part of the proof before the dot.
        claim: one sentence, which is true if the fact is proved.
        reason: why it failed or could not be checked; '' if it is proved.
        figures: measured values; units stand in the names.
    """

    name: str
    claim: str
    status: Status
    reason: str = ""
    figures: Figures = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fact as JSON, without empty members."""
        members = {"name": self.name, "status": str(self.status), "claim": self.claim}
        more = {"reason": self.reason, "figures": dict(self.figures)}
        return members | {name: value for name, value in more.items() if value}


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a cache. Each bundle becomes a work item."""

    bundles: int
    bundle_megabytes: float

    @property
    def gigabytes(self) -> float:
        """Return the size of the cache, and of its package."""
        return self.bundles * self.bundle_megabytes / 1000


@dataclass
class Subject:
    """The stack under test, and the jobs that later questions look at.

    Attributes:
        name: of the stack.
        token: opens all services.
        endpoint: of the emulator; '' on AWS.
        deploy: deploys the stack again with other parameters.
        jobs: of exports that have ended, by the name of the question.
    """

    name: str
    token: str
    size: Size
    endpoint: str
    deploy: Callable[[Mapping[str, str]], None]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def stack(self) -> Stack:
        """Return the stack, which must be deployed by now."""
        return Stack(self.name)

    @property
    def client(self) -> Client:
        """Return a client of its services."""
        return Client(self.stack, self.token, timeout_seconds=1_800)


@dataclass(frozen=True, slots=True)
class Question:
    """A claim and the way to check it.

    Attributes:
        ask: returns figures; raises UnprovedError or DisprovedError.
        not_on_emulator: why the emulator cannot prove the claim; '' if it can.
    """

    name: str
    claim: str
    ask: Callable[[Subject], Figures]
    not_on_emulator: str = ""

    def put(self, subject: Subject) -> Fact:
        """Check the claim and return the fact; an error makes it a failed one."""
        try:
            status, reason, figures = Status.PROVED, "", self.ask(subject)
        except UnprovedError as error:
            status, reason, figures = Status.UNPROVED, str(error), {}
        except Exception as error:  # noqa: BLE001  (the other questions are asked, and the stack is deleted)
            status, reason, figures = Status.FAILED, str(error) or repr(error), {}
        if subject.endpoint and self.not_on_emulator:
            said = f" It said: {reason}" if reason else ""
            status, reason = Status.UNPROVED, f"{self.not_on_emulator}{said}"
        return Fact(self.name, self.claim, status, reason[:600], figures)

    def unasked(self, reason: str) -> Fact:
        """Return the fact without checking the claim."""
        return Fact(self.name, self.claim, Status.UNPROVED, reason)


def put_all(questions: Iterable[Question], subject: Subject, say: Callable[[str], None]) -> Iterator[Fact]:
    """Check claims one after the other, and yield the facts."""
    for question in questions:
        began = time.monotonic()
        fact = question.put(subject)
        seconds = time.monotonic() - began
        say(f"  {fact.status} ({seconds:.0f} s): {question.claim}{f' {fact.reason}' if fact.reason else ''}")
        yield fact


def require(holds: object, said: str) -> None:
    """Raise DisprovedError unless a condition is true.

    Args:
        holds: the condition.
        said: the finding that contradicts it.
    """
    if not holds:
        raise DisprovedError(said)


def errors_of(job: Mapping[str, Any]) -> Sequence[str]:
    """Return the error messages of a job."""
    return [message["description"] for message in job["messages"] if message["type"].endswith("Error")]
