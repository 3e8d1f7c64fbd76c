"""What runs the steps of an export."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exporttiles.domain.job import Job


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
