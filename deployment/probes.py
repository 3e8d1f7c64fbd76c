"""Looking at a deployed stack: objects, executions, logs and links; and settings that a claim changes for a while."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from deployment.facts import Subject, UnprovedError
from exporttiles.messages.execution import execution_name

WORKER, PACKER, CLOSER = "ExportTileRangeFunction", "PackTilePackageFunction", "CloseJobFunction"


def objects(subject: Subject, job_id: str) -> list[str]:
    """Return the keys below the folder of a job's packages, the largest first."""
    found = subject.stack.client("s3").list_objects_v2(
        Bucket=subject.stack.outputs["PackageBucketName"], Prefix=f"packages/{job_id}/"
    )
    return [each["Key"] for each in sorted(found.get("Contents", []), key=lambda each: -each["Size"])]


def execution(subject: Subject, job_id: str) -> str:
    """Return the ARN of the first execution of a job."""
    machine = subject.stack.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{execution_name(job_id, 1)}"


def states(subject: Subject, job_id: str) -> list[tuple[str, float]]:
    """Return the states that an execution entered, with the time."""
    pages = subject.stack.client("stepfunctions").get_paginator("get_execution_history")
    return [
        (event["stateEnteredEventDetails"]["name"], event["timestamp"].timestamp())
        for page in pages.paginate(executionArn=execution(subject, job_id))
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    ]


def state_seconds(subject: Subject, job_id: str, state: str) -> float:
    """Return the seconds from the first entry of a state, which may be a loop, to CloseJob."""
    entered = states(subject, job_id)
    first = next(place for place, (name, _) in enumerate(entered) if name == state)
    after = next(time for name, time in entered[first:] if name == "CloseJob")
    return max(after - entered[first][1], 0.001)


@contextmanager
def workers_at_a_time(subject: Subject, count: int) -> Iterator[None]:
    """Let no more workers run at a time."""
    functions, worker = subject.stack.client("lambda"), subject.stack.physical_id(WORKER)
    try:
        functions.put_function_concurrency(FunctionName=worker, ReservedConcurrentExecutions=count)
    except ClientError as error:
        if "UnreservedConcurrentExecution" not in str(error):
            raise
        raise UnprovedError(f"The account's quota leaves nothing to reserve: {error}") from error
    try:
        yield
    finally:
        functions.delete_function_concurrency(FunctionName=worker)


def configure(functions: Any, name: str, **settings: int) -> None:
    """Change the configuration of a function and wait until it holds."""
    functions.update_function_configuration(FunctionName=name, **settings)
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)


def log_lines(subject: Subject, function: str, text: str, began: float = 0, ended: float = 0) -> list[dict[str, Any]]:
    """Return the JSON lines of a function's log that contain a text and were written between two times."""
    name = subject.stack.physical_id(function)
    config = subject.stack.client("lambda").get_function_configuration(FunctionName=name)
    group = config.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
    times = {"startTime": round(began * 1000), "endTime": round((ended or time.time() + 60) * 1000)}
    pages = subject.stack.client("logs").get_paginator("filter_log_events")
    messages = [
        event["message"]
        for page in pages.paginate(logGroupName=group, filterPattern=f'"{text}"', **times)
        for event in page["events"]
    ]
    return [json.loads(message) for message in messages if message.startswith("{")]


def metrics_of(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metrics of a line that the platform wrote about an invocation."""
    found: Mapping[str, Any] = line.get("record", {}).get("metrics", {})
    return found


def wait(look: Callable[[], Any], seconds: float) -> Any:
    """Call a function until it returns something, or the time is over; return its last result."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def fetch(url: str, **headers: str) -> tuple[int, str]:
    """GET an address without following redirects; return the status and the location."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")
    finally:
        connection.close()
