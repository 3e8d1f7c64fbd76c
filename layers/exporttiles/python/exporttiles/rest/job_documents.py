"""Documents of jobs, results and inputs, as Esri writes them.

Source: ArcGIS REST API, "Image Service Job", "Image Service Result", "Image
Service Input"; geoprocessing service, "Jobs".
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exporttiles.domain.job import Job, JobStatus, Message, MessageKind, Operation, PackageFolder
from exporttiles.domain.wording import counted
from exporttiles.rest.addresses import JobUrls

if TYPE_CHECKING:  # which the pages of other jobs do not need
    from exporttiles.usecases.list_packages import BatchPackage

RESULT_NAME = "out_service_url"

VERIFICATION = "verification"
"""Name of a result that ArcGIS Server lacks: the verification report of the package."""

INPUT_NAMES: dict[str, str] = {
    "storage_format_type": "storageFormatType",
    "tile_package": "tilePackage",
    "export_extent": "exportExtent",
    "levels": "levels",
    "area_of_interest": "areaOfInterest",
}
"""Inputs of an export job on ArcGIS Server, and the request parameter of each."""

_UNHAPPY_ENDS = {
    JobStatus.FAILED: "The export failed.",
    JobStatus.CANCELLED: "The job was cancelled.",
    JobStatus.TIMED_OUT: "The job took longer than allowed and was stopped.",
    JobStatus.DELETED: "The package of the job was removed.",
}


def submit_document(job: Job) -> dict[str, Any]:
    """Return the reply to a submission.

    The status is always esriJobSubmitted: on any other, clients take this reply
    for the document of the job and look for results in it.
    """
    return status_document(job.job_id, JobStatus.SUBMITTED)


def status_document(job_id: str, status: JobStatus) -> dict[str, Any]:
    """Return the status of a job, without its messages and results."""
    return {"jobId": job_id, "jobStatus": esri_status(status)}


def job_document(job: Job, file_url: str | None, *, report_unhappy_ends_as_failed: bool) -> dict[str, Any]:
    """Return the status of a job, with its messages.

    A healthy job has no member `error`, not even an empty one: Esri's Python
    client would take it for a failure.

    Args:
        job: the job.
        file_url: URL of its package; None if it has none.
        report_unhappy_ends_as_failed: report cancelled, timed-out and deleted jobs
            as failed. Esri's Python client polls until success or failure, and
            for ever on any other end.
    """
    unhappy = job.status in _UNHAPPY_ENDS
    status = JobStatus.FAILED if unhappy and report_unhappy_ends_as_failed else job.status
    document = status_document(job.job_id, status)
    document["messages"] = [
        {"type": f"esriJobMessageType{message.kind}", "description": message.text}
        for message in completed_messages(job)
    ]
    if job.package_count:
        document["packages"] = {"paramUrl": "packages"}
    if job.status is JobStatus.EXECUTING:
        document["progress"] = _progress(job)
    if job.status is JobStatus.SUCCEEDED:
        names = (RESULT_NAME, VERIFICATION) if job.package else (RESULT_NAME,)
        document["results"] = {name: {"paramUrl": f"results/{name}"} for name in names}
        document["inputs"] = {name: {"paramUrl": f"inputs/{name}"} for name in INPUT_NAMES}
        if file_url is not None:  # clients of ArcGIS Online look for it here
            document["output"] = {"outputUrl": [file_url], "itemId": None}
    return document


def result_document(job: Job, listing_url: str) -> dict[str, Any]:
    """Return the result of a successful job: the URL of its files, or the estimate."""
    value: str | dict[str, int] = listing_url
    if job.operation is Operation.ESTIMATE_EXPORT_TILES_SIZE and job.estimate is not None:
        value = {"totalSize": job.estimate.size_bytes, "totalTilesToExport": job.estimate.tile_count}
        if job.estimate.seconds is not None:  # not a member of ArcGIS
            value["totalSeconds"] = job.estimate.seconds
    return {"paramName": RESULT_NAME, "dataType": "GPString", "value": value}


def verification_document(url: str) -> dict[str, Any]:
    """Return the result that links to the verification report of the package."""
    return {"paramName": VERIFICATION, "dataType": "GPDataFile", "value": {"url": url}}


def input_document(name: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return one input as the client sent it, or ''."""
    return {"paramName": name, "dataType": "GPString", "value": parameters.get(INPUT_NAMES[name], "")}


def listing_document(folder: PackageFolder | None, url: str) -> dict[str, Any]:
    """Return the listing of a folder of a finished job: name and URL of each entry.

    Args:
        folder: None for an estimate, which has no files.
        url: URL of the folder, without a final slash.
    """
    files, folders = (folder.files, folder.folders) if folder else ((), ())
    return {
        "files": [{"name": name, "url": f"{url}/{quote(name)}"} for name in files],
        "folders": [{"name": name, "url": f"{url}/{quote(name)}"} for name in folders],
    }


def packages_document(packages: "Iterable[BatchPackage]", urls: JobUrls) -> dict[str, Any]:
    """Return the packages of a batch, each with its job and, once it is finished, its URL.

    All have the same members, which are empty where there is nothing to say yet.

    Args:
        packages: those of the batch.
        urls: of the batch.
    """
    return {"packages": [_package_document(package, urls) for package in packages]}


def _package_document(package: "BatchPackage", urls: JobUrls) -> dict[str, Any]:
    item, job = package.item, package.job
    finished = job.package if job and package.is_finished else None
    return {
        "name": item.name,
        "value": item.value,
        "jobStatus": esri_status(job.status) if job else "esriJobWaiting",
        "tiles": item.tile_count,
        "size": finished.size_bytes if finished else 0,
        "url": f"{urls.files}/{quote(finished.name)}" if finished else "",
        "jobUrl": replace(urls, job=job).status if job else "",
        "reason": package.failure if job and job.status.is_final else "",
    }


def esri_status(status: JobStatus) -> str:
    """Return a job status as Esri writes it."""
    return f"esriJob{status}"


def _progress(job: Job) -> dict[str, Any]:
    progress = job.progress
    if not progress.work_items:
        return {"type": "default", "message": "Planning the export."}
    tiles = f"{progress.done_tile_count:,} of {counted(job.tile_count, 'tile is', 'tiles are')} done"
    message = f"{tiles}, {counted(progress.done_bytes, 'byte')}."
    if job.package_count:
        ended = f"{progress.done_work_items:,} of {counted(job.package_count, 'package has', 'packages have')} ended"
        message = f"{ended}: {message}"
    return {"type": "step", "message": message, "percent": job.percent}


def completed_messages(job: Job) -> list[Message]:
    """Return the messages of a job. Add an error to an unhappy end that has none: clients show the first."""
    has_error = any(message.kind is MessageKind.ERROR for message in job.messages)
    if has_error or job.status not in _UNHAPPY_ENDS:
        return list(job.messages)
    return [*job.messages, Message(MessageKind.ERROR, _UNHAPPY_ENDS[job.status])]
