"""Resources of exports: the asynchronous operations of a service, their jobs and their files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from exporttiles.domain.errors import JobNotFoundError, JobStateError, ServiceNotFoundError
from exporttiles.domain.job import Job, JobStatus, Operation, Package, PackageFolder, SubmitOptions
from exporttiles.messages.batch import package_job_id
from exporttiles.ports.packages import BINARY
from exporttiles.rest import pages
from exporttiles.rest.addresses import JobUrls
from exporttiles.rest.call import Call, Document
from exporttiles.rest.client_token import read_client_token
from exporttiles.rest.errors import InvalidUrlError, NotFoundError, naming_parameter
from exporttiles.rest.http import Response, redirect
from exporttiles.rest.job_documents import (
    INPUT_NAMES,
    RESULT_NAME,
    VERIFICATION,
    input_document,
    job_document,
    listing_document,
    packages_document,
    result_document,
    status_document,
    submit_document,
    verification_document,
)
from exporttiles.rest.job_page import job_sections, packages_section, verification_sections
from exporttiles.rest.parameter_names import KNOWN_NAMES, PACKAGE_BY, area_parameter
from exporttiles.rest.parameters import read_export_request

if TYPE_CHECKING:
    from exporttiles.domain.tiling import TilingScheme
    from exporttiles.messages.batch import PackageRequest

_MOST_FILLED_CHARACTERS = 500_000
"""Limit of a request that a page shows again: the reply of a function has a limit, too."""


def export_tiles(call: Call) -> Document | Response:
    """Start an export, or show the form for one."""
    return _submit(call, Operation.EXPORT_TILES)


def estimate_export_tiles_size(call: Call) -> Document | Response:
    """Estimate an export, or show the form for it."""
    return _submit(call, Operation.ESTIMATE_EXPORT_TILES_SIZE)


def job(call: Call) -> Document:
    """Return a job.

    Below an operation every unhappy end is reported as failed, as clients that
    poll there wait for success or failure only. ``<service>/jobs`` reports the true status.
    """
    is_below_operation = bool(call.arguments["operation"])
    content = job_document(call.job, call.job_urls.package, report_unhappy_ends_as_failed=is_below_operation)
    refresh_seconds = 0 if call.job.status.is_final else pages.REFRESH_SECONDS
    now, has_tokens = call.runtime.clock.now(), call.runtime.settings.token_security
    sections: tuple[str, ...] = ()
    if call.format == "html":
        sections = (*job_sections(call.job, call.job_urls, now, has_tokens=has_tokens), *_form_to_go_on(call))
    title = "Export of" if call.job.operation is Operation.EXPORT_TILES else "Size of an export of"
    return Document(content, f"{title} {call.job.service_name}", sections, refresh_seconds)


def _form_to_go_on(call: Call) -> tuple[str, ...]:
    """Return the form of an export, filled with the request of an estimate or of a job without a package."""
    is_estimate = call.job.operation is Operation.ESTIMATE_EXPORT_TILES_SIZE
    if not call.job.status.is_final or (call.job.status is JobStatus.SUCCEEDED and not is_estimate):
        return ()
    try:
        sent = call.runtime.browse_job.parameters(call.job.job_id)
    except JobNotFoundError:
        return ()
    if sum(map(len, sent.values())) > _MOST_FILLED_CHARACTERS:
        return ()
    form = pages.export_form(f"{call.service_url}/{Operation.EXPORT_TILES}", Operation.EXPORT_TILES, sent)
    return (pages.details("Export this" if is_estimate else "Change the request, and try again", form),)


def job_result(call: Call) -> Document:
    """Return the result of a job.

    Raises:
        JobStateError: the job has not succeeded.
    """
    name = call.arguments["name"]
    if name not in {RESULT_NAME, VERIFICATION}:
        raise InvalidUrlError(f"The results are {RESULT_NAME} and {VERIFICATION}.")
    _require_success(call.job)
    if name == VERIFICATION:
        if call.job.package is None:
            raise InvalidUrlError("The job has no package, and so no verification report.")
        content = verification_document(call.job_urls.verification)
        report = call.runtime.browse_job.verification(call.job) if call.format == "html" else None
        download = pages.links({"Download this report": call.job_urls.verification})
        sections = (*verification_sections(report), download) if report else ()
        return Document(content, "Verification", sections)
    return Document(result_document(call.job, call.job_urls.files), "Result")


def job_input(call: Call) -> Document:
    """Return one input of a job."""
    name = call.arguments["name"]
    if name not in INPUT_NAMES:
        raise InvalidUrlError(f"The inputs are {', '.join(INPUT_NAMES)}.")
    parameters = call.runtime.browse_job.parameters(call.job.job_id)
    return Document(input_document(name, parameters), f"Input {name}")


def packages(call: Call) -> Document:
    """Return the packages of a batch.

    Raises:
        InvalidUrlError: the job is not a batch.
    """
    if not call.job.package_count:
        raise InvalidUrlError("The job is not a batch: it has one package.")
    found = call.runtime.list_packages(call.job.job_id)
    sections = (packages_section(found, call.job_urls),)
    return Document(packages_document(found, call.job_urls), f"Packages of {call.job.service_name}", sections)


def job_map(call: Call) -> Document:
    """Return the area of a job, and the part of it that is finished, for a map.

    Raises:
        JobNotFoundError: the area is no longer stored.
    """
    from exporttiles.rest.job_map import area_section, map_document  # imports arrays

    found = call.runtime.map_job(call.job)
    title = f"Area of {call.job.service_name}"
    if call.format == "html":
        as_json = pages.links({"JSON": f"{call.job_urls.map}?f=json"})
        return Document({}, title, (area_section(found), as_json))
    has_tiles = _has_tiles_of(call, found.service.tiling_scheme)
    return Document(map_document(found, call.service_type, has_tiles=has_tiles), title)


def _has_tiles_of(call: Call, scheme: "TilingScheme") -> bool:
    """Return True if the service in the path still exists, with the tiling scheme of the job."""
    try:
        return call.service.tiling_scheme == scheme
    except ServiceNotFoundError:
        return False


def cancel(call: Call) -> Document | Response:
    """Cancel a job.

    Raises:
        JobStateError: the job has ended.
    """
    cancelled = call.runtime.cancel_export(call.job.job_id)
    return _changed(call, cancelled, status_document(cancelled.job_id, cancelled.status), "Cancel")


def resume(call: Call) -> Document | Response:
    """Resume a failed job: redo only the work that is missing.

    Raises:
        JobStateError: it has not failed, or would fail again.
        QuotaExceededError: its caller has too many open jobs.
    """
    resumed = call.runtime.resume_export(call.job.job_id)
    return _changed(call, resumed, submit_document(resumed), "Resume")


def listing(call: Call) -> Document:
    """Return the files of a job.

    Raises:
        JobStateError: the job has not succeeded.
    """
    _require_success(call.job)
    found: Package | PackageFolder | None
    if call.job.package_count:
        jobs = (package.job for package in call.runtime.list_packages(call.job.job_id) if package.is_finished)
        found = PackageFolder(tuple(job.package.name for job in jobs if job and job.package), ())
    else:
        found = call.runtime.browse_job.files(call.job)
    content = listing_document(found if isinstance(found, PackageFolder) else None, call.job_urls.files)
    return Document(content, "Files", (_file_links(content),))


def file(call: Call) -> Document | Response:
    """Redirect to a file, answer a HEAD with its length, or list a folder.

    A presigned link answers GET only, and breaks if a parameter of the client is
    added to it.

    Raises:
        NotFoundError: no such file was delivered.
    """
    path = call.arguments["file"]
    try:
        job = call.job
    except JobNotFoundError as error:
        raise NotFoundError(str(error)) from error
    if job.package_count:
        path = unquote(path)
        job = _job_of_package(call, path)
    if job.status is not JobStatus.SUCCEEDED:
        raise NotFoundError(f"There is no such file: the job is {job.status}.")
    found = call.runtime.browse_job.files(job, path)
    if found is None:
        raise NotFoundError("There is no such file.")
    if isinstance(found, PackageFolder):
        content = listing_document(found, f"{call.job_urls.files}/{path}")
        return Document(content, f"Files of {path}", (_file_links(content),))
    if call.request.method == "HEAD":
        headers = {"content-type": BINARY, "content-length": str(found.size_bytes)}
        return Response(200, headers)
    return redirect(call.runtime.packages.download_url(found), 302)


def _file_links(listing: Mapping[str, Any]) -> str:
    """Return the entries of a listing as links; folders end in a slash."""
    folders = {f"{each['name']}/": f"{each['url']}?f=html" for each in listing["folders"]}
    return pages.links(folders | {each["name"]: each["url"] for each in listing["files"]})


def _job_of_package(call: Call, file_name: str) -> Job:
    """Return the job that makes a package of a batch.

    Raises:
        NotFoundError: the batch has no such package, or not yet.
    """
    try:
        return call.runtime.jobs.get(package_job_id(call.job.job_id, file_name.rpartition(".")[0]))
    except JobNotFoundError as error:
        raise NotFoundError("There is no such file.") from error


def _submit(call: Call, operation: Operation) -> Document | Response:
    service, parameters = call.service, call.request.parameters
    sent = {name: value for name, value in parameters.items() if name in KNOWN_NAMES}
    if call.format == "html" and not sent:
        on_the_map = pages.paragraph_of(pages.link("Choose the area on the map instead", f"{call.service_url}?f=html"))
        return Document({}, operation, (on_the_map, pages.export_form(f"{call.service_url}/{operation}", operation)))
    request = read_export_request(sent, service)
    packages = _read_packages(call, sent)
    token = read_client_token(call.request) if operation is Operation.EXPORT_TILES else ""
    with naming_parameter(area_parameter(sent)):  # the area may turn out too complex
        if operation is Operation.EXPORT_TILES:
            options = SubmitOptions(owner=call.caller.owner, client_token=token, service_type=call.service_type)
            submitted = call.runtime.submit_export(service, request, sent, options, packages)
        else:
            submitted = call.runtime.estimate_export(service, request, sent, call.caller.owner, packages)
    return _changed(call, submitted, submit_document(submitted), operation)


def _read_packages(call: Call, sent: Mapping[str, str]) -> "Sequence[PackageRequest]":
    """Return the packages of a batch; none if the parameters do not ask for one."""
    if not sent.get(PACKAGE_BY, "").strip():
        return ()
    from exporttiles.rest.package_by import read_packages  # imports arrays

    return read_packages(sent, call.service, call.runtime.settings.max_packages)


def _changed(call: Call, job: Job, content: Mapping[str, Any], title: str) -> Document | Response:
    """Return the reply after starting or changing a job. Redirect browsers to its page."""
    if call.format == "html":
        page = redirect(f"{JobUrls(call.rest_url, job, call.service_type).status}?f=html", 303)
        return replace(page, job_id=job.job_id)
    return Document(content, title, job_id=job.job_id)


def _require_success(job: Job) -> None:
    if job.status is not JobStatus.SUCCEEDED:
        advice = "" if job.status.is_final else " Ask again later."
        raise JobStateError(f"The job has no result: it is {job.status}.{advice}")
