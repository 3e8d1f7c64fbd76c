"""Jobs in DynamoDB: one item for each job, changed by conditional writes."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from exporttiles.adapters.dynamodb_items import (
    OPEN,
    delivery_item,
    job_item,
    job_of_item,
    message_item,
    package_item,
    progress_item,
)
from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import RESUMABLE, SUCCESSORS, Job, JobStatus, Message, Progress
from exporttiles.ports.jobs import JobChange
from exporttiles.ports.process import Clock

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_dynamodb.service_resource import Table


OPEN_JOBS_INDEX = "open-jobs"
"""Sparse index of the unfinished jobs: only their items have a ``phase``.

It contains only keys, so that updates of the progress do not write to it.
"""

SERIES_INDEX = "series"
"""Index of the jobs that belong to a series; it contains only keys."""

_PAGE = 100


class DynamoDbJobs:
    """The jobs of one table.

    Args:
        table: has the partition key ``job_id``, the index `OPEN_JOBS_INDEX` by
            ``phase`` and ``waiting_since``, the index `SERIES_INDEX` by
            ``series`` and ``submitted_at``, and expires items by ``expires_at``.
        clock: to hide expired jobs; DynamoDB deletes them up to two days late.
    """

    def __init__(self, table: "Table", clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def create(self, job: Job) -> bool:
        """Insert a job. Return False if the id already exists."""
        try:
            self._table.put_item(Item=job_item(job), ConditionExpression=Attr("job_id").not_exists())
        except ClientError as error:
            if _is_refused(error):
                return False
            raise
        return True

    def get(self, job_id: str) -> Job:
        """Return a job."""
        # Consistent: a client may read the job right after its creation.
        item: dict[str, Any] | None = self._table.get_item(Key={"job_id": job_id}, ConsistentRead=True).get("Item")
        if item is None or int(item["expires_at"]) <= self._clock.now().timestamp():
            raise JobNotFoundError(f"There is no job {job_id}, or it has expired.")
        return job_of_item(item)

    def open_jobs(self) -> Iterator[Job]:
        """Yield unfinished jobs, oldest first."""
        found = self._query(IndexName=OPEN_JOBS_INDEX, KeyConditionExpression=Key("phase").eq(OPEN))
        return (job for job in found if not job.status.is_final)  # the index is eventually consistent

    def series(self, key: str) -> Iterator[Job]:
        """Yield the jobs of a series, newest first."""
        return self._query(IndexName=SERIES_INDEX, KeyConditionExpression=Key("series").eq(key), ScanIndexForward=False)

    def _query(self, **query: Any) -> Iterator[Job]:
        """Yield the current items of the jobs that a query of an index finds."""
        start: dict[str, Any] = {}
        while True:
            page = self._table.query(Limit=_PAGE, **query, **start)
            for found in page["Items"]:
                with suppress(JobNotFoundError):
                    yield self.get(str(found["job_id"]))
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def advance(self, job_id: str, change: JobChange) -> bool:
        """Move a job to a state if that is legal."""
        before = [state for state in JobStatus if change.status in SUCCESSORS[state]]
        if not before:
            return False
        fields = {
            "work_items": change.work_items,
            **(progress_item(change.progress) if change.progress else {}),
            "package": change.package and package_item(change.package),
            "delivery": change.delivery and delivery_item(change.delivery),
            "finished_at": change.finished_at and change.finished_at.isoformat(),
            "resumable_until": change.resumable_until and change.resumable_until.isoformat(),
        }
        changed = {name: value for name, value in fields.items() if value is not None}
        values: dict[str, Any] = {
            ":status": str(change.status),
            ":messages": [message_item(message) for message in change.messages],
            **{f":{name}": value for name, value in changed.items()},
            **{f":before{number}": str(state) for number, state in enumerate(before)},
        }
        condition = f"#status IN ({', '.join(f':before{number}' for number in range(len(before)))})"
        if change.attempt is not None:
            values[":attempt"] = change.attempt
            condition += " AND attempt = :attempt"
        update = "".join(
            [
                "SET #status = :status, messages = list_append(messages, :messages)",
                *(f", {name} = :{name}" for name in changed),
                " REMOVE phase" if change.status.is_final else "",
            ]
        )
        return self._update_if(condition, job_id, update, values)

    def resume(self, job_id: str, attempt: int, now: datetime, expires_at: datetime, message: Message) -> bool:
        """Move a failed job back to the first state, once for each attempt."""
        values = {
            ":status": str(JobStatus.SUBMITTED),
            ":before": attempt - 1,
            ":attempt": attempt,
            ":phase": OPEN,
            ":now": now.isoformat(),
            ":expires_at": int(expires_at.timestamp()),
            ":messages": [message_item(message)],
        } | {f":{status.name}": str(status) for status in RESUMABLE}
        condition = (
            f"#status IN ({', '.join(f':{status.name}' for status in RESUMABLE)}) "
            "AND attempt = :before AND resumable_until > :now"
        )
        update = (
            "SET #status = :status, attempt = :attempt, phase = :phase, resumed_at = :now, waiting_since = :now, "
            "expires_at = :expires_at, messages = list_append(messages, :messages) "
            "REMOVE finished_at, resumable_until"
        )
        return self._update_if(condition, job_id, update, values)

    def recount(self, job_id: str, progress: Progress) -> None:
        """Replace the progress by a recount."""
        counts = progress_item(progress)
        self._table.update_item(
            Key={"job_id": job_id},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in counts),
            ExpressionAttributeValues={f":{name}": count for name, count in counts.items()},
        )

    def _update_if(self, condition: str, job_id: str, update: str, values: dict[str, Any]) -> bool:
        """Update a job. Return False if the condition does not hold."""
        try:
            self._table.update_item(
                Key={"job_id": job_id},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if _is_refused(error):
                return False
            raise
        return True

    def delete(self, job_id: str, message: Message, expires_at: datetime) -> bool:
        """Mark the package of a succeeded job as deleted, and remove the job from its series."""
        values = {
            ":deleted": str(JobStatus.DELETED),
            ":succeeded": str(JobStatus.SUCCEEDED),
            ":messages": [message_item(message)],
            ":expires_at": int(expires_at.timestamp()),
        }
        update = (
            "SET #status = :deleted, messages = list_append(messages, :messages), expires_at = :expires_at "
            "REMOVE package, series"
        )
        return self._update_if("#status = :succeeded", job_id, update, values)

    def count_work_item(self, job_id: str, tile_count: int, size_bytes: int) -> None:
        """Add a finished work item to the progress, if the job is executing."""
        values = {
            ":one": 1,
            ":tiles": tile_count,
            ":bytes": size_bytes,
            ":executing": str(JobStatus.EXECUTING),
        }
        update = "ADD done_work_items :one, done_tile_count :tiles, done_bytes :bytes"
        self._update_if("#status = :executing", job_id, update, values)


def _is_refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
