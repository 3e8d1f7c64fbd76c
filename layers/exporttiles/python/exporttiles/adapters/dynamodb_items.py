"""Conversion of jobs to items of the DynamoDB table, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from exporttiles.domain.job import (
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
from exporttiles.domain.quota import ANONYMOUS

OPEN = "open"
"""The ``phase`` of unfinished jobs; finished jobs have no ``phase``."""


_TIMES = ("finished_at", "resumed_at", "resumable_until", "progressed_at")
"""Attributes of a job that are times, and optional."""


def message_item(message: Message) -> dict[str, str]:
    """Return a message as a map attribute."""
    return {"kind": str(message.kind), "text": message.text}


def progress_item(progress: Progress) -> dict[str, int]:
    """Return the attributes of a job's progress."""
    return asdict(progress)


def package_item(package: Package) -> dict[str, Any]:
    """Return a package as a map attribute."""
    return asdict(package)


def delivery_item(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as a map attribute."""
    item = asdict(delivery) | {"cost_dollars": Decimal(f"{delivery.cost_dollars:.6f}")}
    return {name: value for name, value in item.items() if value is not None}


def job_item(job: Job) -> dict[str, Any]:
    """Return the item of a job."""
    item: dict[str, Any] = {
        "job_id": job.job_id,
        "operation": str(job.operation),
        "service_name": job.service_name,
        "owner": job.owner,
        "caller": job.caller,
        "status": str(job.status),
        "submitted_at": job.submitted_at.isoformat(),
        "expires_at": int(job.expires_at.timestamp()),
        "tile_count": job.tile_count,
        "attempt": job.attempt,
        "messages": [message_item(message) for message in job.messages],
        **progress_item(job.progress),
    }
    if not job.status.is_final:
        item |= {"phase": OPEN, "waiting_since": job.waiting_since.isoformat()}
    for name in _TIMES:
        if time := getattr(job, name):
            item[name] = time.isoformat()
    if job.package:
        item["package"] = package_item(job.package)
    if job.estimate:
        item["estimate"] = {name: value for name, value in asdict(job.estimate).items() if value is not None}
    if job.delivery:
        item["delivery"] = delivery_item(job.delivery)
    if job.series:
        item |= {"series": job.series.key, "keep": job.series.keep}
    for name in ("name", "callback_data", "expected_bytes", "package_count", "batch_id"):
        if value := getattr(job, name):
            item[name] = value
    return item


def jobs_of_change(change: Mapping[str, Any]) -> tuple[Job | None, Job]:
    """Return the old and the new job of a DynamoDB stream record; the old one is None for a new job."""
    read = TypeDeserializer().deserialize
    before, now = (
        {name: read(value) for name, value in change.get(image, {}).items()} for image in ("OldImage", "NewImage")
    )
    return (job_of_item(before) if before else None), job_of_item(now)


def job_of_item(item: Mapping[str, Any]) -> Job:
    """Return the job of an item."""
    package, estimate, delivery = item.get("package"), item.get("estimate"), item.get("delivery")
    times = {name: datetime.fromisoformat(item[name]) for name in _TIMES if name in item}
    return Job(
        job_id=item["job_id"],
        operation=Operation(item["operation"]),
        service_name=item["service_name"],
        status=JobStatus(item["status"]),
        submitted_at=datetime.fromisoformat(item["submitted_at"]),
        expires_at=datetime.fromtimestamp(int(item["expires_at"]), UTC),
        tile_count=int(item["tile_count"]),
        messages=tuple(Message(MessageKind(m["kind"]), m["text"]) for m in item["messages"]),
        progress=Progress(**{field.name: int(item[field.name]) for field in fields(Progress)}),
        package=Package(package["key"], package["name"], int(package["size_bytes"])) if package else None,
        estimate=Estimate(**{name: int(value) for name, value in estimate.items()}) if estimate else None,
        owner=item.get("owner", ""),
        caller=item.get("caller", ANONYMOUS),
        delivery=_delivery_of_item(delivery) if delivery else None,
        name=item.get("name", ""),
        callback_data=item.get("callback_data", ""),
        expected_bytes=int(item.get("expected_bytes", 0)),
        series=Series(item["series"], int(item["keep"])) if "series" in item else None,
        attempt=int(item.get("attempt", 1)),
        package_count=int(item.get("package_count", 0)),
        batch_id=item.get("batch_id", ""),
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
