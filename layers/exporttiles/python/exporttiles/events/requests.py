"""Export requests that arrive as events: a file in the inbox bucket, or an event on the bus.

Parameters, checks and limits are those of HTTPS: both call `submit_export`. An
event may be delivered more than once: the job id is derived from its source, so
that it starts one job.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import InvalidParameterError, RequestError
from exporttiles.domain.export import LAST
from exporttiles.domain.job import Job, JobStatus, MessageKind, Series, SubmitOptions, job_id_of
from exporttiles.domain.quota import EVENTS
from exporttiles.domain.service import ImageService
from exporttiles.events.request_document import MAX_REQUEST_BYTES, RequestDocument, read_request_document
from exporttiles.ports.events import Event
from exporttiles.rest.access import Caller
from exporttiles.rest.addresses import JobUrls, rest_url
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.parameter_names import PACKAGE_BY, area_parameter
from exporttiles.rest.parameters import read_export_request

if TYPE_CHECKING:
    from exporttiles.messages.batch import PackageRequest

REQUESTED = "ExportTilesRequested"
"""Detail type of an event that asks for an export."""

REJECTED = "ExportTiles Request Rejected"
"""Detail type of an event that reports why no export was started."""

REQUESTS, ACCEPTED, REJECTIONS = "requests/", "accepted/", "rejected/"
"""Folders of the inbox."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request.

    Attributes:
        origin: key of the request file, or id of the event.
        job: None if no job was made.
        reasons: for the rejection, in words; empty if the request was accepted.
    """

    origin: str
    job: Job | None
    reasons: tuple[str, ...] = ()


def receive(event: Mapping[str, Any], runtime: Runtime) -> Outcome | None:
    """Start the export that an event requests, or reject it.

    Args:
        event: from EventBridge.
        runtime: provides the use cases and ports.

    Returns:
        None if the event requests no export.

    Raises:
        KeyError: the event has another form.
    """
    if event["detail-type"] == REQUESTED:
        body = json.dumps(event["detail"]).encode()
        return _submit(event["id"], job_id_of(event["source"], event["id"]), body, runtime)
    stored, bucket = event["detail"]["object"], event["detail"]["bucket"]["name"]
    key, version = stored["key"], stored.get("version-id", "")
    if not key.startswith(REQUESTS) or key.endswith("/"):
        return None
    try:
        # One byte over the limit, so that a larger file is noticed.
        body, _ = runtime.inbox.read_start(key, version, MAX_REQUEST_BYTES + 1)
    except KeyError:
        return None  # removed before it was read
    job_id = job_id_of(bucket, key, version or stored["etag"])
    outcome = _submit(key, job_id, body, runtime)
    folder = REJECTIONS if outcome.reasons else ACCEPTED
    answer = json.dumps(outcome_document(outcome, runtime), indent=2).encode()
    runtime.inbox.write(folder + key.removeprefix(REQUESTS), answer)
    return outcome


def outcome_document(outcome: Outcome, runtime: Runtime) -> dict[str, Any]:
    """Return the outcome of a request as JSON."""
    document: dict[str, Any] = {"request": outcome.origin}
    if outcome.job:
        document |= {
            "jobId": outcome.job.job_id,
            "jobUrl": JobUrls(rest_url(runtime.settings.public_base_url), outcome.job).status,
            "service": outcome.job.service_name,
            "tiles": outcome.job.tile_count,
        }
    return document | ({"reasons": list(outcome.reasons)} if outcome.reasons else {})


def _submit(origin: str, job_id: str, body: bytes, runtime: Runtime) -> Outcome:
    document = None
    try:
        document = read_request_document(body, runtime.clock.now())
        caller = _caller(document, runtime)
        caller.require(document.service_name)
        service = caller.limited(runtime.services.get(document.service_name))
        request = read_export_request(document.parameters, service)
        if document.is_since_last:
            request = replace(request, since_job=LAST)
        packages = _read_packages(document, service, runtime.settings.max_packages)
        with naming_parameter(area_parameter(document.parameters)):  # the area may turn out too complex
            job = runtime.submit_export(
                service,
                replace(request, package_name=document.package_name),
                document.parameters,
                SubmitOptions(
                    owner=caller.owner,
                    job_id=job_id,
                    callback_data=document.callback_data,
                    caller=EVENTS,
                    series=_series(document, caller),
                ),
                packages,
            )
    except RequestError as error:
        outcome = Outcome(origin, None, (str(error),))
        _announce_rejection(outcome, document, runtime)
        return outcome
    if job.status is JobStatus.FAILED:  # its events report the failure
        errors = tuple(message.text for message in job.messages if message.kind is MessageKind.ERROR)
        return Outcome(origin, job, errors)
    return Outcome(origin, job)


def _read_packages(document: RequestDocument, service: ImageService, max_packages: int) -> "Sequence[PackageRequest]":
    """Return the packages of a batch; none if the document does not ask for one."""
    if not document.parameters.get(PACKAGE_BY):
        return ()
    from exporttiles.rest.package_by import read_packages  # imports arrays

    return read_packages(document.parameters, service, max_packages)


def _series(document: RequestDocument, caller: Caller) -> Series | None:
    """Return the series of an export: the exports of one owner, service and name."""
    if not document.keep:
        return None
    identity = json.dumps([caller.owner, document.service_name, document.name_pattern])
    return Series(sha256(identity.encode()).hexdigest(), document.keep)


def _caller(document: RequestDocument, runtime: Runtime) -> Caller:
    """Return the caller that will own an export.

    IAM has decided who may send requests. With tokens on, the API key that the
    document names decides which services are open and who may download the package.
    """
    if not runtime.settings.token_security:
        return Caller()
    keys = {key.name: key for key in runtime.api_keys.list() if key.expires_at > runtime.clock.now()}
    if document.key_name not in keys:
        raise InvalidParameterError("key", document.key_name, "It must be the name of an API key that has not expired.")
    return Caller(keys[document.key_name])


def _announce_rejection(outcome: Outcome, document: RequestDocument | None, runtime: Runtime) -> None:
    detail = outcome_document(outcome, runtime)
    if document:
        detail["service"] = document.service_name[:200]
    if document and document.callback_data:
        detail["callbackData"] = json.loads(document.callback_data)
    runtime.announcer.announce([Event(REJECTED, detail)])
