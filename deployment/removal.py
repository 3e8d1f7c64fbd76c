"""Delete a stack and the contents of its buckets, and list the resources that remain."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from deployment.stack import DeploymentError, Stack, client
from exporttiles.domain.wording import counted

_COUNTED_OBJECTS = 100_000
"""A bucket of more objects is not counted to its end: a request lists 1,000."""

_DELETED_AT_A_TIME = 1_000
_ATTEMPTS = 3
_POLL_SECONDS = 2.0
_TIMEOUT_SECONDS = 3_600
_BUSY = {
    "CREATE_IN_PROGRESS",
    "ROLLBACK_IN_PROGRESS",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
}
_KINDS = {"AWS::S3::Bucket": "bucket", "AWS::DynamoDB::Table": "table", "AWS::Logs::LogGroup": "log group"}


@dataclass(frozen=True, slots=True)
class Holding:
    """A resource that holds data.

    Attributes:
        kind: `bucket`, `table` or `log group`.
        is_retained: it stays when the stack is deleted.
        count: of objects with all their versions, or of items.
        size_bytes: of all of them.
        is_complete: nothing is left uncounted.
    """

    kind: str
    name: str
    logical_id: str
    is_retained: bool
    count: int = 0
    size_bytes: int = 0
    is_complete: bool = True

    def __str__(self) -> str:
        """Return the holding as a line of a list."""
        unit = {"bucket": "object", "table": "item"}.get(self.kind)
        more = "" if self.is_complete else "more than "
        held = f"{more}{counted(self.count, unit)}, " if unit else ""
        return f"{self.kind} {self.name} ({self.logical_id}): {held}{more}{self.size_bytes / 1e6:,.1f} MB"


def holdings(stack: Stack) -> list[Holding]:
    """Return the buckets, tables and log groups of a stack, with their sizes."""
    return remaining(
        Holding(_KINDS[resource.kind], resource.physical_id, resource.logical_id, resource.is_retained)
        for resource in stack.resources
        if resource.kind in _KINDS
    )


def remaining(before: Iterable[Holding]) -> list[Holding]:
    """Return the holdings that exist, with their sizes as they are now."""
    return [_counted(holding) for holding in before if _exists(holding)]


def _counted(holding: Holding) -> Holding:
    count = {"bucket": _in_bucket, "table": _in_table, "log group": _in_log_group}[holding.kind]
    objects, size_bytes, is_complete = count(holding.name)
    return replace(holding, count=objects, size_bytes=size_bytes, is_complete=is_complete)


def _in_bucket(name: str) -> tuple[int, int, bool]:
    versions = [found.get("Size", 0) for found in islice(_versions(name), _COUNTED_OBJECTS + 1)]
    return min(len(versions), _COUNTED_OBJECTS), sum(versions[:_COUNTED_OBJECTS]), len(versions) <= _COUNTED_OBJECTS


def _in_table(name: str) -> tuple[int, int, bool]:
    table = client("dynamodb").describe_table(TableName=name)["Table"]
    return table["ItemCount"], table["TableSizeBytes"], True


def _in_log_group(name: str) -> tuple[int, int, bool]:
    (group,) = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][:1]
    return 0, group.get("storedBytes", 0), True


def _versions(bucket: str) -> Iterator[dict[str, Any]]:
    """Yield all versions of all objects, and the delete markers."""
    for page in client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket):
        yield from page.get("Versions", [])
        yield from page.get("DeleteMarkers", [])


def empty_bucket(bucket: str) -> None:
    """Delete all versions of all objects of a bucket, and abort its uploads.

    Raises:
        DeploymentError: an object cannot be deleted.
    """
    s3 = client("s3")
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            with suppress(s3.exceptions.NoSuchUpload):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for versions in _batches(_versions(bucket)):
        named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
        failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True}).get("Errors", [])
        if failed:
            raise DeploymentError(f"{bucket}/{failed[0]['Key']}: cannot be deleted: {failed[0].get('Message')}")


def _batches(versions: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(versions)
    while batch := list(islice(iterator, _DELETED_AT_A_TIME)):
        yield batch


def running_executions(stack: Stack) -> list[str]:
    """Return the executions of exports that have not ended."""
    pages = (
        client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=stack.outputs["StateMachineArn"], statusFilter="RUNNING")
    )
    return [execution["executionArn"] for page in pages for execution in page["executions"]]


def delete_stack(stack: Stack, say: Callable[[str], None] = lambda _: None) -> None:
    """Stop the exports of a stack, empty the buckets that go with it, and delete it.

    Raises:
        DeploymentError: it cannot be deleted; names the resource and the reason.
    """
    _require_deletable(stack)
    if "StateMachineArn" in stack.outputs:
        for execution in running_executions(stack):
            client("stepfunctions").stop_execution(executionArn=execution, cause="The stack is being deleted.")
    buckets = [each.physical_id for each in stack.of_kind("AWS::S3::Bucket") if not each.is_retained]
    reasons = ""
    for _ in range(_ATTEMPTS):  # a function that was still running may have written after a bucket was emptied
        for bucket in buckets:
            with suppress(client("s3").exceptions.NoSuchBucket):
                say(f"emptying {bucket}")
                empty_bucket(bucket)
        say(f"deleting the stack {stack.name}")
        try:
            client("cloudformation").delete_stack(StackName=stack.name)
        except ClientError as error:
            raise DeploymentError(f"STACK: '{stack.name}' cannot be deleted: {error}") from error
        reasons = _wait_until_deleted(stack)
        if not reasons:
            return
    raise DeploymentError(f"STACK: '{stack.name}' cannot be deleted: {reasons}")


def _require_deletable(stack: Stack) -> None:
    """Check that CloudFormation will delete a stack, before its exports are stopped and its buckets emptied.

    Raises:
        DeploymentError: it is protected, or is being updated.
    """
    (found,) = client("cloudformation").describe_stacks(StackName=stack.arn)["Stacks"]
    reason = ""
    if found.get("EnableTerminationProtection"):
        command = "aws cloudformation update-termination-protection --no-enable-termination-protection"
        reason = f"has termination protection. Turn it off: {command} --stack-name {stack.name}."
    elif found["StackStatus"] in _BUSY:
        reason = f"is {found['StackStatus']}. Wait until that has ended, and try again."
    if reason:
        raise DeploymentError(f"STACK: '{stack.name}' {reason} Nothing was deleted.")


def wait_until_idle(name: str) -> None:
    """Wait while a stack is being created or updated; CloudFormation refuses to delete it meanwhile."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    with suppress(ClientError):  # there is no stack
        while time.monotonic() < deadline:
            (found,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
            if found["StackStatus"] not in _BUSY:
                return
            time.sleep(_POLL_SECONDS)


def _wait_until_deleted(stack: Stack) -> str:
    """Return '' when the stack is gone, or why it is not."""
    cloudformation, deadline = client("cloudformation"), time.monotonic() + _TIMEOUT_SECONDS
    status = "DELETE_IN_PROGRESS"
    while time.monotonic() < deadline:
        try:
            status = cloudformation.describe_stacks(StackName=stack.arn)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":  # such as expired credentials
                raise
            return ""  # there is no stack
        if status == "DELETE_COMPLETE":
            return ""
        if status == "DELETE_FAILED":
            break
        time.sleep(_POLL_SECONDS)
    events = cloudformation.describe_stack_events(StackName=stack.arn)["StackEvents"]
    failed = [each for each in events if each["ResourceStatus"] == "DELETE_FAILED"]
    reasons = [f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', 'no reason')}" for each in failed]
    return "; ".join(reasons) or f"it is {status} after {_TIMEOUT_SECONDS} seconds"


def delete_bucket(bucket: str) -> None:
    """Empty a bucket and delete it."""
    empty_bucket(bucket)
    client("s3").delete_bucket(Bucket=bucket)


def _exists(holding: Holding) -> bool:
    try:
        match holding.kind:
            case "bucket":
                client("s3").head_bucket(Bucket=holding.name)
            case "table":
                status = client("dynamodb").describe_table(TableName=holding.name)["Table"]["TableStatus"]
                return bool(status != "DELETING")
            case _:
                groups = client("logs").describe_log_groups(logGroupNamePrefix=holding.name)["logGroups"]
                return any(group["logGroupName"] == holding.name for group in groups)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchBucket", "ResourceNotFoundException"}:
            return False
        raise
    return True
