"""The workflow that runs the steps of an export."""

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
    """An execution of the steps of a job.

    Attributes:
        error, cause: of a failed execution, as Step Functions reports them.
    """

    status: ExecutionStatus
    error: str = ""
    cause: str = ""


class Starter(Protocol):
    """Starts executions."""

    def start(self, job: Job) -> None:
        """Start the execution of a job's current attempt; do nothing if it was started before."""
        ...


class Workflow(Starter, Protocol):
    """Starts, finds and stops executions."""

    def find(self, job_id: str, attempt: int = 1) -> Execution | None:
        """Return the execution of an attempt; None if it was never started."""
        ...

    def stop(self, job_id: str, attempt: int = 1) -> None:
        """Stop the execution of an attempt; do nothing if it has ended."""
        ...
