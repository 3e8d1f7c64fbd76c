"""Requests that come as events: a file in the inbox, or an event on the bus.

Both go the way of HTTPS: the same parameters, checks and limits, and the same
`submit_export`. An event may come more than once; the job's id is made of what
the event is about, so that it starts one job.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import InvalidParameterError, RequestError
from exporttiles.domain.export import LAST
from exporttiles.domain.job import Job, JobStatus, MessageKind, Series, job_id_of
from exporttiles.events.request_document import MAX_REQUEST_BYTES, RequestDocument, read_request_document
from exporttiles.ports.events import Event
from exporttiles.rest import addresses
from exporttiles.rest.access import Caller
from exporttiles.rest.errors import naming
from exporttiles.rest.parameters import area_parameter, read_export_request

REQUESTED = "ExportTilesRequested"
"""Detail type of an event that asks for an export."""

REJECTED = "ExportTiles Request Rejected"
"""Detail type of an event that tells why no export was started."""

REQUESTS, ACCEPTED, REJECTIONS = "requests/", "accepted/", "rejected/"
"""Folders of the inbox."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        origin: where it came from: the key of a file, or the id of an event.
        job: None where there is none.
        reasons: why it was rejected, in words; none if it was accepted.
    """

    origin: str
    job: Job | None
    reasons: tuple[str, ...] = ()


def receive(event: Mapping[str, Any], runtime: Runtime) -> Outcome | None:
    """Start the export that an event asks for, or tell why not; None for an event that asks for none.

    Args:
        event: an event of EventBridge.
        runtime: what it is started with.

    Raises:
        KeyError: it is no such event.
    """
    if event["detail-type"] == REQUESTED:
        body = json.dumps(event["detail"]).encode()
        return _submit(event["id"], job_id_of(event["source"], event["id"]), body, runtime)
    stored, bucket = event["detail"]["object"], event["detail"]["bucket"]["name"]
    key, version = stored["key"], stored.get("version-id", "")
    if not key.startswith(REQUESTS) or key.endswith("/"):
        return None
    try:
        # One byte more than is legal, so that what is too large shows.
        body, _ = runtime.inbox.read_start(key, version, MAX_REQUEST_BYTES + 1)
    except KeyError:
        return None  # taken back before it was read
    job_id = job_id_of(bucket, key, version or stored["etag"])
    outcome = _submit(key, job_id, body, runtime)
    folder = REJECTIONS if outcome.reasons else ACCEPTED
    answer = json.dumps(outcome_document(outcome, runtime), indent=2).encode()
    runtime.inbox.write(folder + key.removeprefix(REQUESTS), answer)
    return outcome


def outcome_document(outcome: Outcome, runtime: Runtime) -> dict[str, Any]:
    """Return what is told of a request."""
    told: dict[str, Any] = {"request": outcome.origin}
    if outcome.job:
        rest_url = f"{runtime.settings.public_base_url}{addresses.ROOT}"
        told |= {
            "jobId": outcome.job.job_id,
            "jobUrl": addresses.job_url(rest_url, outcome.job),
            "service": outcome.job.service_name,
            "tiles": outcome.job.tile_count,
        }
    return told | ({"reasons": list(outcome.reasons)} if outcome.reasons else {})


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
        with naming(area_parameter(document.parameters)):  # an area may be too complex to count
            job = runtime.submit_export(
                service,
                replace(request, package_name=document.package_name),
                document.parameters,
                caller.owner,
                job_id=job_id,
                callback_data=document.callback_data,
                series=_series(document, caller),
            )
    except RequestError as error:
        outcome = Outcome(origin, None, (str(error),))
        _announce_rejection(outcome, document, runtime)
        return outcome
    if job.status is JobStatus.FAILED:  # its own events tell of it
        errors = tuple(message.text for message in job.messages if message.kind is MessageKind.ERROR)
        return Outcome(origin, job, errors)
    return Outcome(origin, job)


def _series(document: RequestDocument, caller: Caller) -> Series | None:
    """Return the series of an export: what one caller calls by one name, of one service."""
    if not document.keep:
        return None
    identity = json.dumps([caller.owner, document.service_name, document.name_pattern])
    return Series(sha256(identity.encode()).hexdigest(), document.keep)


def _caller(document: RequestDocument, runtime: Runtime) -> Caller:
    """Return in whose name an export is made.

    Who may ask at all was decided before the request came here; with tokens on
    the name of a key says what may be exported, and who may have the package.
    """
    if not runtime.settings.token_security:
        return Caller()
    keys = {key.name: key for key in runtime.api_keys.list() if key.expires_at > runtime.clock.now()}
    if document.key_name not in keys:
        raise InvalidParameterError("key", document.key_name, "It must be the name of an API key that works.")
    return Caller(keys[document.key_name])


def _announce_rejection(outcome: Outcome, document: RequestDocument | None, runtime: Runtime) -> None:
    detail = outcome_document(outcome, runtime)
    if document:
        detail["service"] = document.service_name[:200]
    if document and document.callback_data:
        detail["callbackData"] = json.loads(document.callback_data)
    runtime.announcer.announce([Event(REJECTED, detail)])
