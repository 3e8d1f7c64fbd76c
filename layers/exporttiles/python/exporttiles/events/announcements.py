"""Events that announce changes of a job.

Their schema, which clients rely on, is `events/schemas/job_status_change.json`.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from exporttiles.domain.job import Job, JobStatus, MessageKind, Operation
from exporttiles.messages.keys import CHANGES_NAME
from exporttiles.ports.events import Event
from exporttiles.rest.addresses import JobUrls, rest_url
from exporttiles.rest.job_documents import esri_status

STATUS_CHANGE = "ExportTiles Job Status Change"
"""Detail type of the events of a job."""

PROGRESS_MARKS = (25, 50, 75)
"""Percentages at which progress is announced."""

_FINAL_EVENTS = {
    JobStatus.SUCCEEDED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.TIMED_OUT: "failed",
    JobStatus.CANCELLED: "cancelled",
}


def announcements(before: Job | None, now: Job, base_url: str) -> Iterator[Event]:
    """Yield the events that announce a change of a job.

    Args:
        before: None if the job is new.
        now: the job after the change.
        base_url: scheme and host that clients use.
    """
    if now.operation is not Operation.EXPORT_TILES:
        return
    if before is None or (before.status.is_final and not now.status.is_final):
        yield _event("submitted", now, base_url)
    if now.status in _FINAL_EVENTS and (before is None or before.status not in _FINAL_EVENTS):
        yield _event("unchanged" if now.is_up_to_date else _FINAL_EVENTS[now.status], now, base_url)
    elif now.status is JobStatus.DELETED and before is not None and before.status is not JobStatus.DELETED:
        yield _event("removed", now, base_url)
    elif now.status is JobStatus.EXECUTING and before is not None and _passes_mark(before, now):
        yield _event("progress", now, base_url)


def _passes_mark(before: Job, now: Job) -> bool:
    """Return True if the progress passed a mark. Several marks in one step make one event."""
    return any(before.percent < mark <= now.percent for mark in PROGRESS_MARKS)


def _event(status: str, job: Job, base_url: str) -> Event:
    urls = JobUrls(rest_url(base_url), job)
    detail: dict[str, Any] = {
        "version": 1,
        "jobId": job.job_id,
        "status": status,
        "jobStatus": esri_status(job.status),
        "service": job.service_name,
        "jobUrl": urls.status,
        "submittedAt": _time(job.submitted_at),
        "percent": 100 if job.status is JobStatus.SUCCEEDED else job.percent,
        "tiles": {"selected": job.tile_count, "done": job.progress.done_tile_count},
        "bytes": job.package.size_bytes if job.package else job.progress.done_bytes,
    }
    if job.name:
        detail["name"] = job.name
    detail |= _batch(job, urls)
    if job.callback_data:
        detail["callbackData"] = json.loads(job.callback_data)
    if job.finished_at:
        detail["finishedAt"] = _time(job.finished_at)
    if job.delivery:
        detail["tiles"] |= {"packed": job.delivery.tile_count, "missing": job.delivery.missing_count}
        if job.delivery.up_to_date_count is not None:
            detail["tiles"]["upToDate"] = job.delivery.up_to_date_count
        detail["estimatedCost"] = {"currency": "USD", "amount": round(job.delivery.cost_dollars, 6)}
    if job.package:
        detail["result"] = {
            "url": urls.package,
            "fileName": job.package.name,
            "verificationUrl": urls.verification,
            "expiresAt": _time(job.expires_at),
        }
        if job.delivery and job.delivery.up_to_date_count is not None:
            detail["result"]["changesUrl"] = f"{urls.files}/{CHANGES_NAME}"
    errors = [message.text for message in job.messages if message.kind is MessageKind.ERROR]
    if errors and status != "submitted":
        detail["reason"] = errors[-1]
    return Event(STATUS_CHANGE, detail)


def _batch(job: Job, urls: JobUrls) -> dict[str, Any]:
    """Return the members of a batch, or of one of its packages."""
    if job.package_count:
        return {"packages": {"count": job.package_count, "url": f"{urls.status}/packages"}}
    return {"batchId": job.batch_id} if job.batch_id else {}


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
