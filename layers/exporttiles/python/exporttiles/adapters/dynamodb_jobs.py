"""Jobs in DynamoDB: one item for each job, changed by conditional writes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from exporttiles.adapters.dynamodb_counts import ATTEMPTS, CallerCounts, delay_seconds, is_refused
from exporttiles.adapters.dynamodb_items import (
    OPEN,
    delivery_item,
    job_item,
    job_of_item,
    message_item,
    package_item,
    progress_item,
)
from exporttiles.domain.errors import JobNotFoundError, SourceError
from exporttiles.domain.job import RESUMABLE, SUCCESSORS, Job, JobStatus, Message, Progress
from exporttiles.domain.quota import UNLIMITED, Quota
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

_PAGE = 100  # items of one request; the limit of BatchGetItem


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
        self._counts = CallerCounts(table, self._has_ended)

    def create(self, job: Job, quota: Quota = UNLIMITED) -> bool:
        """Insert a job if the quota of its caller has room for it. Return False if the id already exists."""
        if quota.is_unlimited:
            try:
                self._table.put_item(Item=job_item(job), ConditionExpression=Attr("job_id").not_exists())
            except ClientError as error:
                if is_refused(error):
                    return False
                raise
            return True
        return self._create_counted(job, quota)

    def _create_counted(self, job: Job, quota: Quota) -> bool:
        """Insert a job and count it, in one transaction."""

        def require_room() -> None:
            self._counts.require_tiles(job, quota)
            self._counts.require_place(quota)

        self._counts.require_tiles(job, quota)
        insert = {"Item": job_item(job), "ConditionExpression": "attribute_not_exists(job_id)"}
        writes: list[Any] = [{"Put": {"TableName": self._table.name, **insert}}]
        if quota.max_open_jobs:
            writes.append(self._counts.count_open(job.job_id, job.expires_at, quota))
        if quota.max_tiles_per_day:
            writes.append(self._counts.count_tiles(job, job.tile_count, quota))
        return self._counts.transact(writes, quota, require_room)

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self.get(job_id).status.is_final
        except JobNotFoundError:
            return True

    def _item(self, key: dict[str, str]) -> dict[str, Any]:
        return self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})

    def get(self, job_id: str) -> Job:
        """Return a job."""
        # Consistent: a client may read the job right after its creation.
        item = self._item({"job_id": job_id})
        if not item or int(item["expires_at"]) <= self._clock.now().timestamp():
            raise JobNotFoundError(f"There is no job {job_id}, or it has expired.")
        return job_of_item(item)

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of some jobs that exist and have not expired, by id."""
        now = self._clock.now().timestamp()
        items = self._items(job_ids)
        return {item["job_id"]: job_of_item(item) for item in items if int(item["expires_at"]) > now}

    def _items(self, job_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the items of some keys, those that exist."""
        for start in range(0, len(job_ids), _PAGE):
            wanted: list[Any] = [{"job_id": job_id} for job_id in job_ids[start : start + _PAGE]]
            for attempt in range(1, ATTEMPTS + 1):
                request: Any = {self._table.name: {"Keys": wanted, "ConsistentRead": True}}
                found = self._table.meta.client.batch_get_item(RequestItems=request)
                yield from found["Responses"].get(self._table.name, [])
                if self._table.name not in found["UnprocessedKeys"]:
                    break
                wanted = list(found["UnprocessedKeys"][self._table.name]["Keys"])
                time.sleep(delay_seconds(attempt))
            else:
                raise SourceError("The job table is busy. Try again later.")

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
        if change.refund.max_tiles_per_day:
            try:
                job = self.get(job_id)
            except JobNotFoundError:
                return False
            refund = self._counts.count_tiles(job, -job.tile_count, change.refund)
            return self._update_if(condition, job_id, update, values, count=refund, quota=change.refund)
        return self._update_if(condition, job_id, update, values)

    def resume(
        self,
        job_id: str,
        attempt: int,
        now: datetime,
        expires_at: datetime,
        message: Message,
        *,
        quota: Quota = UNLIMITED,
    ) -> bool:
        """Move a failed job back to the first state, once for each attempt, if the quota of its caller has room."""
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
        count = self._counts.count_open(job_id, expires_at, quota, is_resumed=True) if quota.max_open_jobs else None
        return self._update_if(condition, job_id, update, values, count=count, quota=quota)

    def recount(self, job_id: str, progress: Progress) -> None:
        """Replace the progress by a recount."""
        counts = progress_item(progress)
        self._table.update_item(
            Key={"job_id": job_id},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in counts),
            ExpressionAttributeValues={f":{name}": count for name, count in counts.items()},
        )

    def _update_if(
        self,
        condition: str,
        job_id: str,
        update: str,
        values: dict[str, Any],
        *,
        count: Any = None,
        quota: Quota = UNLIMITED,
    ) -> bool:
        """Update a job, and a count in the same transaction. Return False if the condition does not hold."""
        write: dict[str, Any] = {
            "Key": {"job_id": job_id},
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": values,
        }
        if count:
            writes = [{"Update": {"TableName": self._table.name, **write}}, count]
            return self._counts.transact(writes, quota, lambda: self._counts.require_place(quota))
        try:
            self._table.update_item(**write)
        except ClientError as error:
            if is_refused(error):
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
            ":now": self._clock.now().isoformat(),
        }
        update = "SET progressed_at = :now ADD done_work_items :one, done_tile_count :tiles, done_bytes :bytes"
        self._update_if("#status = :executing", job_id, update, values)
