"""The names of executions, and the errors that Step Functions reports."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from exporttiles.domain.job import Job, is_job_id
from exporttiles.messages.keys import JobKeys


def execution_name(job_id: str, attempt: int) -> str:
    """Return the name of the execution of an attempt. AWS does not reuse a name within 90 days."""
    return job_id if attempt == 1 else f"{job_id}-{attempt}"


def is_execution_name(name: str) -> bool:
    """Return True if an execution was started for a job."""
    job_id, dash, attempt = name.partition("-")
    return is_job_id(job_id) and (attempt.isdecimal() if dash else True)


def read_execution_name(name: str) -> tuple[str, int]:
    """Return the job id and the attempt of an execution."""
    job_id, _, attempt = name.partition("-")
    return job_id, int(attempt or 1)


def execution_input(job: Job) -> dict[str, Any]:
    """Return the input of the execution of a job's current attempt."""
    document = {"job_id": job.job_id, "attempt": job.attempt, "expected_bytes": job.expected_bytes}
    return document | ({"packages_key": JobKeys(job.job_id).batch} if job.package_count else {})


_TIMEOUTS = {"Sandbox.Timedout", "States.Timeout"}
_STOPPED = {"Lambda.Unknown", "Runtime.ExitError", "States.TaskFailed"}
"""Error names of a function that was killed before it could raise its own error."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step failed: the name of the error and its text."""

    error: str
    cause: str

    @property
    def reason(self) -> str:
        """Return the reason in words for the client.

        When a function was killed, Lambda reports only the signal, and Step
        Functions an unknown error.
        """
        if "signal: killed" in self.cause:
            return "a function ran out of memory. Deploy with a larger WorkerMemory."
        if self.error in _TIMEOUTS or "Task timed out after" in self.cause:
            return "a function took longer than allowed. Export a smaller area."
        if self.error in _STOPPED:
            return "a function was stopped before its end: it took too long, or more memory than its WorkerMemory."
        return self.cause or self.error

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Failure":
        """Return the failure in the input of a ``Catch`` or in a status event.

        The cause of a failed Lambda function is a JSON document of the exception;
        only its message is for people.
        """
        error = document.get("Error") or document.get("error") or ""
        cause = document.get("Cause") or document.get("cause") or ""
        with suppress(ValueError, KeyError, TypeError):
            cause = json.loads(cause)["errorMessage"]
        return cls(str(error), str(cause))
