"""Jobs in DynamoDB: one item a job, every change conditional on its state."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import (
    RESUMABLE,
    SUCCESSORS,
    Delivery,
    Estimate,
    Job,
    JobStatus,
    Message,
    MessageKind,
    Operation,
    Package,
    Progress,
    Series,
)
from exporttiles.ports import Clock

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_dynamodb.service_resource import Table


OPEN_JOBS_INDEX = "open-jobs"
"""Index of the jobs that have not ended: an item is in it as long as it has a ``phase``.

It stays as small as the work at hand, and holds keys alone, so that progress costs it nothing.
"""

SERIES_INDEX = "series"
"""Index of the jobs whose series keeps some of their packages; it holds keys alone, too."""

_OPEN = "open"
_PAGE = 100


class DynamoDbJobs:
    """The jobs of one table.

    Args:
        table: has the partition key ``job_id``, the index `OPEN_JOBS_INDEX` by
            ``phase`` and ``waiting_since``, the index `SERIES_INDEX` by
            ``series`` and ``submitted_at``, and expires items by ``expires_at``.
        clock: tells which jobs have expired; DynamoDB removes them up to two
            days late.
    """

    def __init__(self, table: "Table", clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def create(self, job: Job) -> bool:
        """Store a new job; tell whether its id was free."""
        try:
            self._table.put_item(Item=_item(job), ConditionExpression=Attr("job_id").not_exists())
        except ClientError as error:
            if _is_refused(error):
                return False
            raise
        return True

    def get(self, job_id: str) -> Job:
        """Return a job."""
        # Consistent: a client may ask right after it was told the id.
        item: dict[str, Any] | None = self._table.get_item(Key={"job_id": job_id}, ConsistentRead=True).get("Item")
        if item is None or int(item["expires_at"]) <= self._clock.now().timestamp():
            raise JobNotFoundError(f"There is no job {job_id}, or it has expired.")
        return job_of_item(item)

    def open_jobs(self) -> Iterator[Job]:
        """Yield the jobs that have not ended, those that wait longest first."""
        found = self._query(IndexName=OPEN_JOBS_INDEX, KeyConditionExpression=Key("phase").eq(_OPEN))
        return (job for job in found if not job.status.is_final)  # the index is a moment behind

    def series(self, key: str) -> Iterator[Job]:
        """Yield the jobs of a series, the last submitted first."""
        return self._query(IndexName=SERIES_INDEX, KeyConditionExpression=Key("series").eq(key), ScanIndexForward=False)

    def _query(self, **query: Any) -> Iterator[Job]:
        """Yield the jobs that an index names, as they are now."""
        start: dict[str, Any] = {}
        while True:
            page = self._table.query(Limit=_PAGE, **query, **start)
            for found in page["Items"]:
                with suppress(JobNotFoundError):
                    yield self.get(str(found["job_id"]))
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def advance(
        self,
        job_id: str,
        status: JobStatus,
        *,
        attempt: int | None = None,
        messages: Sequence[Message] = (),
        work_items: int | None = None,
        progress: Progress | None = None,
        package: Package | None = None,
        delivery: Delivery | None = None,
        finished_at: datetime | None = None,
        resumable_until: datetime | None = None,
    ) -> bool:
        """Move a job to a state and append messages, if the move is legal."""
        values: dict[str, Any] = {
            ":status": str(status),
            ":messages": [_message(message) for message in messages],
        }
        changes = ["#status = :status", "messages = list_append(messages, :messages)"]
        if work_items is not None:
            values[":work_items"] = work_items
            changes.append("work_items = :work_items")
        if progress is not None:
            values |= {f":{name}": value for name, value in _progress(progress).items()}
            changes += [f"{name} = :{name}" for name in _progress(progress)]
        if package is not None:
            values[":package"] = _package(package)
            changes.append("package = :package")
        if delivery is not None:
            values[":delivery"] = _delivery(delivery)
            changes.append("delivery = :delivery")
        if finished_at is not None:
            values[":finished_at"] = finished_at.isoformat()
            changes.append("finished_at = :finished_at")
        if resumable_until is not None:
            values[":resumable_until"] = resumable_until.isoformat()
            changes.append("resumable_until = :resumable_until")
        before = [state for state in JobStatus if status in SUCCESSORS[state]]
        if not before:
            return False
        values |= {f":before{number}": str(state) for number, state in enumerate(before)}
        condition = f"#status IN ({', '.join(f':before{number}' for number in range(len(before)))})"
        if attempt is not None:
            values[":attempt"] = attempt
            condition += " AND attempt = :attempt"
        update = f"SET {', '.join(changes)}{' REMOVE phase' if status.is_final else ''}"
        return self._update_if(condition, job_id, update, values)

    def resume(self, job_id: str, attempt: int, now: datetime, expires_at: datetime, message: Message) -> bool:
        """Move a job that failed back to the first state, once for each attempt; forget why it failed."""
        values = {
            ":status": str(JobStatus.SUBMITTED),
            ":before": attempt - 1,
            ":attempt": attempt,
            ":phase": _OPEN,
            ":now": now.isoformat(),
            ":expires_at": int(expires_at.timestamp()),
            ":messages": [_message(message)],
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
        """Replace the progress by what was counted anew."""
        names = ("work_items", "done_work_items", "done_tile_count", "done_bytes")
        self._table.update_item(
            Key={"job_id": job_id},
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in names),
            ExpressionAttributeValues={f":{name}": getattr(progress, name) for name in names},
        )

    def _update_if(self, condition: str, job_id: str, update: str, values: dict[str, Any]) -> bool:
        """Change a job if a condition holds; tell whether it did."""
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
        """Take the package from a job that succeeded; it leaves its series."""
        try:
            self._table.update_item(
                Key={"job_id": job_id},
                UpdateExpression=(
                    "SET #status = :deleted, messages = list_append(messages, :messages), expires_at = :expires_at "
                    "REMOVE package, series"
                ),
                ConditionExpression="#status = :succeeded",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":deleted": str(JobStatus.DELETED),
                    ":succeeded": str(JobStatus.SUCCEEDED),
                    ":messages": [_message(message)],
                    ":expires_at": int(expires_at.timestamp()),
                },
            )
        except ClientError as error:
            if _is_refused(error):
                return False
            raise
        return True

    def count_work_item(self, job_id: str, tile_count: int, size_bytes: int) -> None:
        """Add one finished work item, its tiles and its bytes to the progress."""
        with suppress(self._table.meta.client.exceptions.ConditionalCheckFailedException):
            self._table.update_item(
                Key={"job_id": job_id},
                UpdateExpression="ADD done_work_items :one, done_tile_count :tiles, done_bytes :bytes",
                ConditionExpression="#status = :executing",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":one": 1,
                    ":tiles": tile_count,
                    ":bytes": size_bytes,
                    ":executing": str(JobStatus.EXECUTING),
                },
            )


def _is_refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _message(message: Message) -> dict[str, str]:
    return {"kind": str(message.kind), "text": message.text}


def _progress(progress: Progress) -> dict[str, int]:
    return {
        "work_items": progress.work_items,
        "done_work_items": progress.done_work_items,
        "done_tile_count": progress.done_tile_count,
        "done_bytes": progress.done_bytes,
    }


def _package(package: Package) -> dict[str, Any]:
    return {"key": package.key, "name": package.name, "size_bytes": package.size_bytes}


def _delivery(delivery: Delivery) -> dict[str, Any]:
    item: dict[str, Any] = {
        "tile_count": delivery.tile_count,
        "missing_count": delivery.missing_count,
        "cost_dollars": Decimal(f"{delivery.cost_dollars:.6f}"),
    }
    if delivery.up_to_date_count is not None:
        item["up_to_date_count"] = delivery.up_to_date_count
    return item


def _item(job: Job) -> dict[str, Any]:
    item: dict[str, Any] = {
        "job_id": job.job_id,
        "operation": str(job.operation),
        "service_name": job.service_name,
        "owner": job.owner,
        "status": str(job.status),
        "submitted_at": job.submitted_at.isoformat(),
        "expires_at": int(job.expires_at.timestamp()),
        "tile_count": job.tile_count,
        "attempt": job.attempt,
        "messages": [_message(message) for message in job.messages],
        **_progress(job.progress),
    }
    if not job.status.is_final:
        item |= {"phase": _OPEN, "waiting_since": job.waiting_since.isoformat()}
    for name in ("finished_at", "resumed_at", "resumable_until"):
        if time := getattr(job, name):
            item[name] = time.isoformat()
    if job.package:
        item["package"] = _package(job.package)
    if job.estimate:
        item["estimate"] = {
            "tile_count": job.estimate.tile_count,
            "size_bytes": job.estimate.size_bytes,
        }
    if job.delivery:
        item["delivery"] = _delivery(job.delivery)
    if job.series:
        item |= {"series": job.series.key, "keep": job.series.keep}
    for name in ("name", "callback_data", "expected_bytes"):
        if value := getattr(job, name):
            item[name] = value
    return item


def jobs_of_change(change: Mapping[str, Any]) -> tuple[Job | None, Job]:
    """Return a job before and after a change, as a stream of the table tells it; None before it was there."""
    read = TypeDeserializer().deserialize
    before, now = (
        {name: read(value) for name, value in change.get(image, {}).items()} for image in ("OldImage", "NewImage")
    )
    return (job_of_item(before) if before else None), job_of_item(now)


def job_of_item(item: Mapping[str, Any]) -> Job:
    """Return the job that an item of the table holds."""
    package, estimate, delivery = item.get("package"), item.get("estimate"), item.get("delivery")
    times = {
        name: datetime.fromisoformat(item[name])
        for name in ("finished_at", "resumed_at", "resumable_until")
        if name in item
    }
    return Job(
        job_id=item["job_id"],
        operation=Operation(item["operation"]),
        service_name=item["service_name"],
        status=JobStatus(item["status"]),
        submitted_at=datetime.fromisoformat(item["submitted_at"]),
        expires_at=datetime.fromtimestamp(int(item["expires_at"]), UTC),
        tile_count=int(item["tile_count"]),
        messages=tuple(Message(MessageKind(m["kind"]), m["text"]) for m in item["messages"]),
        progress=Progress(
            work_items=int(item["work_items"]),
            done_work_items=int(item["done_work_items"]),
            done_tile_count=int(item["done_tile_count"]),
            done_bytes=int(item["done_bytes"]),
        ),
        package=Package(package["key"], package["name"], int(package["size_bytes"])) if package else None,
        estimate=Estimate(int(estimate["tile_count"]), int(estimate["size_bytes"])) if estimate else None,
        owner=item.get("owner", ""),
        delivery=_delivery_of_item(delivery) if delivery else None,
        name=item.get("name", ""),
        callback_data=item.get("callback_data", ""),
        expected_bytes=int(item.get("expected_bytes", 0)),
        series=Series(item["series"], int(item["keep"])) if "series" in item else None,
        attempt=int(item.get("attempt", 1)),
        **times,
    )


def _delivery_of_item(item: Mapping[str, Any]) -> Delivery:
    up_to_date_count = item.get("up_to_date_count")
    return Delivery(
        tile_count=int(item["tile_count"]),
        missing_count=int(item["missing_count"]),
        cost_dollars=float(item["cost_dollars"]),
        up_to_date_count=None if up_to_date_count is None else int(up_to_date_count),
    )
