"""The counts of a caller in DynamoDB: its open jobs, and the tiles that it has selected today.

They are items of the table of jobs, changed in one transaction with the job that is counted.
"""

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from exporttiles.domain.job import Job
from exporttiles.domain.quota import Quota

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_dynamodb.service_resource import Table

COUNTS = "caller#"
"""Prefix of the keys of items that are no jobs, but count those of a caller."""

ATTEMPTS = 10
"""How often a transaction is tried while others write to the counts of the same caller: some 4 seconds at most."""

_REFUSED, _CONFLICT = "ConditionalCheckFailed", "TransactionConflict"
_PASSING = {_CONFLICT, "ProvisionedThroughputExceeded", "ThrottlingError"}
"""Reasons of a cancelled transaction that pass with time; boto3 does not try it again."""


class CallerCounts:
    """The counts of callers in one table.

    Args:
        table: of the jobs.
        has_ended: returns True for the id of a job that has ended or does not exist.
    """

    def __init__(self, table: "Table", has_ended: Callable[[str], bool]) -> None:
        self._table = table
        self._has_ended = has_ended

    def transact(self, writes: list[Any], quota: Quota, require_room: Callable[[], None]) -> bool:
        """Change a job and the counts of its caller, in one transaction. Other jobs of the caller may be in its way.

        Args:
            writes: the change of the job, and those of the counts.
            quota: of the caller.
            require_room: called when the condition of a count does not hold: makes room, or raises.

        Returns:
            False, with nothing changed, when the condition of the first write does not hold.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._table.meta.client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                changed, *counts = _cancellation_reasons(error) or [""]
                if changed == _REFUSED:
                    return False
                if _REFUSED in counts:
                    require_room()
                elif attempt == ATTEMPTS or _PASSING.isdisjoint([changed, *counts]):
                    raise
                else:
                    time.sleep(delay_seconds(attempt))
            else:
                return True
        raise quota.open_jobs_exceeded(quota.max_open_jobs)  # others took each place that was made

    def count_open(self, job_id: str, expires_at: datetime, quota: Quota, *, is_resumed: bool = False) -> Any:
        """Return the write that puts a job into the open jobs of its caller, if it is there or a place is free."""
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": _open_jobs_key(quota),
                "UpdateExpression": "SET expires_at = :expires_at ADD open_jobs :jobs, resumes :resumes",
                "ConditionExpression": (
                    "attribute_not_exists(open_jobs) OR contains(open_jobs, :job) OR size(open_jobs) < :limit"
                ),
                "ExpressionAttributeValues": {
                    ":expires_at": int(expires_at.timestamp()),
                    ":job": job_id,
                    ":jobs": {job_id},
                    ":limit": quota.max_open_jobs,
                    ":resumes": int(is_resumed),
                },
            }
        }

    def count_tiles(self, job: Job, tile_count: int, quota: Quota) -> Any:
        """Return the write that adds to the tiles of the day of a job, if enough are left, or takes from them."""
        values = {":expires_at": int(job.expires_at.timestamp()), ":tiles": tile_count}
        write: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": _tiles_key(quota, job),
            "UpdateExpression": "SET expires_at = :expires_at ADD tile_count :tiles",
            "ExpressionAttributeValues": values,
        }
        if tile_count > 0:
            write["ConditionExpression"] = "attribute_not_exists(tile_count) OR tile_count <= :room"
            values[":room"] = quota.max_tiles_per_day - tile_count
        return {"Update": write}

    def require_tiles(self, job: Job, quota: Quota) -> None:
        """Check that enough tiles are left for a job today.

        Raises:
            QuotaExceededError: there are too few.
        """
        if quota.max_tiles_per_day:
            used_count = int(self._item(_tiles_key(quota, job)).get("tile_count", 0))
            if used_count + job.tile_count > quota.max_tiles_per_day:
                raise quota.tiles_exceeded(job.tile_count, used_count, job.submitted_at)

    def require_place(self, quota: Quota) -> None:
        """Remove ended jobs from the open jobs of a caller; nothing else removes them.

        Raises:
            QuotaExceededError: all places are taken by jobs that have not ended.
        """
        item = self._item(_open_jobs_key(quota))
        counted: set[str] = item.get("open_jobs", set())
        ended = {job_id for job_id in counted if self._has_ended(job_id)}
        if ended:
            try:
                self._table.update_item(
                    Key=_open_jobs_key(quota),
                    UpdateExpression="DELETE open_jobs :ended",
                    ConditionExpression="attribute_not_exists(resumes) OR resumes = :resumes",
                    ExpressionAttributeValues={":ended": ended, ":resumes": item.get("resumes", 0)},
                )
            except ClientError as error:
                # The next attempt removes them: another write was in the way, or one of them was resumed meanwhile.
                if error.response["Error"]["Code"] != f"{_CONFLICT}Exception" and not is_refused(error):
                    raise
        elif quota.max_open_jobs and len(counted) >= quota.max_open_jobs:
            raise quota.open_jobs_exceeded(len(counted))

    def _item(self, key: dict[str, str]) -> dict[str, Any]:
        return self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})


def _open_jobs_key(quota: Quota) -> dict[str, str]:
    """Return the key of the item that holds the ids of the open jobs of a caller; some of them may have ended."""
    return {"job_id": f"{COUNTS}{quota.caller}"}


def _tiles_key(quota: Quota, job: Job) -> dict[str, str]:
    """Return the key of the item that counts the tiles that a caller selected on the day of a job."""
    return {"job_id": f"{COUNTS}{quota.caller}#{job.submitted_at:%Y-%m-%d}"}


def is_refused(error: ClientError) -> bool:
    """Return True if the condition of a write did not hold."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _cancellation_reasons(error: ClientError) -> list[str]:
    """Return the reason of each write of a cancelled transaction; none if the error is another."""
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return [reason.get("Code", "") for reason in reasons]


def delay_seconds(attempt: int) -> float:
    """Return how long to wait after a failed attempt; attempts are counted from 1."""
    return random.uniform(0, min(1, 0.02 * 2**attempt))  # noqa: S311  (no secret)
