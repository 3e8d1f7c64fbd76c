"""The functions that receive requests and announce jobs, called with recorded events."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.job import Delivery, JobStatus, Message, MessageKind, Operation
from exporttiles.events.announcements import announcements
from exporttiles.events.request_document import MAX_REQUEST_BYTES, OWN_NAMES
from exporttiles.ports.jobs import JobChange
from exporttiles.rest.parameter_names import KNOWN_NAMES
from functions.announce_job import app as announce_job
from functions.request_export import app as request_export
from tests.builders_rest import a_job, a_rest_runtime
from tests.fakes import run_workflow
from tests.functions.test_workflow_functions import Context, event

BASE = "https://maps.example.org"
KEY, VERSION = "requests/nightly/district.json", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
REQUEST = {"service": "World_Imagery", "levels": "0-2", "tilePackage": True}


def schema(name):
    path = Path(__file__).parents[2] / "events" / "schemas" / f"{name}.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


@pytest.fixture
def runtime():
    runtime = a_rest_runtime()
    return replace(runtime, settings=replace(runtime.settings, public_base_url=BASE))


def drop(runtime, body, version=VERSION):
    """Store a request file, deliver its event, and return the reply."""
    runtime.inbox.files = {(KEY, version): body if isinstance(body, bytes) else json.dumps(body).encode()}
    dropped = json.loads(json.dumps(event("request_export.file_dropped")).replace(VERSION, version))
    request_export.handler(dropped, Context(), runtime=runtime)
    ((folder, answer),) = [
        (key.partition("/")[0], json.loads(text)) for (key, _), text in runtime.inbox.files.items() if key != KEY
    ]
    return folder, answer


def started(runtime):
    return runtime.submit_export.workflow.started


def test_a_request_file_starts_an_export_and_gets_a_reply(runtime):
    folder, answer = drop(runtime, REQUEST)

    (job_id,) = started(runtime)
    assert folder == "accepted"
    assert answer["jobId"] == job_id
    assert answer["jobUrl"] == f"{BASE}/arcgis/rest/services/World_Imagery/ImageServer/jobs/{job_id}"
    assert answer["tiles"] == 21


def test_a_request_file_may_ask_for_a_corridor(runtime):
    line = {"type": "LineString", "coordinates": [[1, 10], [44, 10]]}
    asked = {**REQUEST, "levels": "3", "areaOfInterest": line, "bufferDistance": 500, "bufferUnit": "esriKilometers"}
    schema("export_tiles_requested").validate(asked)

    _, answer = drop(runtime, asked)

    assert answer["tiles"] == 3


def a_batch():
    boxes = {"A": 1, "B": 50}
    features = [
        {
            "type": "Feature",
            "properties": {"NAME": name},
            "geometry": {"type": "Polygon", "coordinates": [[[x, 1], [x + 9, 1], [x + 9, 9], [x, 9], [x, 1]]]},
        }
        for name, x in boxes.items()
    ]
    return {**REQUEST, "levels": "2", "packageBy": "NAME", "areaOfInterest": {"features": features}}


def test_a_request_file_may_ask_for_a_batch(runtime):
    schema("export_tiles_requested").validate(a_batch())

    _, answer = drop(runtime, a_batch())

    job = runtime.jobs.get(answer["jobId"])
    assert (job.package_count, job.tile_count, job.name) == (2, 2, REQUEST.get("name", ""))
    assert [package.item.name for package in runtime.list_packages(job.job_id)] == ["A", "B"]


def test_a_batch_is_delivered_twice_and_starts_once(runtime):
    assert drop(runtime, a_batch()) == drop(runtime, a_batch())
    assert len(started(runtime)) == 1


def test_a_file_that_is_delivered_twice_starts_one_job(runtime):
    first = drop(runtime, REQUEST)
    run_workflow(runtime, first[1]["jobId"])

    assert drop(runtime, REQUEST) == first
    assert started(runtime) == [first[1]["jobId"]]


def test_a_job_that_was_not_started_is_started_by_the_next_delivery(runtime, monkeypatch):
    def fail(*_):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(runtime.submit_export.workflow, "start", fail)
        with pytest.raises(ConnectionError):
            drop(runtime, REQUEST)

    assert drop(runtime, REQUEST)[1]["jobId"] == started(runtime)[0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"levels=0-2", "It is not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "must be a JSON object"),
        (b" " * (MAX_REQUEST_BYTES + 1), "too large"),
        (b'{"service":' + b"[" * 200_000, "nested too deeply"),
        (b'{"service": "World_Imagery", "areaOfInterest": ' + b"[" * 900 + b"]" * 900 + b"}", ""),
        ({"levels": "0-2"}, "must be the name of an image service"),
        ({"service": "Nowhere"}, "There is no image service 'Nowhere'."),
        ({"service": "../tokens/x"}, "There is no image service"),
        ({"service": "Closed"}, "does not allow"),
        (REQUEST | {"levels": "99"}, "levels"),
        (REQUEST | {"level": "1"}, "There is no such member"),
        (REQUEST | {"name": "../x"}, "It must have 1 to 100"),
        (REQUEST | {"name": 7}, "It must have 1 to 100"),
        (REQUEST | {"callbackData": "x" * 3000}, "2,048"),
        (REQUEST | {"levels": "15"}, "ERROR 001564"),
    ],
    ids=range(16),
)
def test_an_invalid_request_is_rejected_with_its_reason(runtime, body, reason):
    folder, answer = drop(runtime, body)

    assert folder == "rejected"
    assert reason in answer["reasons"][0]
    assert started(runtime) == []


def a_key(**changes):
    return replace(
        ApiKey("0f" * 32, "survey", ("World_Imagery",), 10, datetime(2027, 1, 1, tzinfo=UTC)),
        **changes,
    )


def test_with_tokens_on_an_export_belongs_to_the_named_key(runtime):
    runtime = replace(runtime, settings=replace(runtime.settings, token_security=True))
    runtime.api_keys.put(a_key())

    assert drop(runtime, REQUEST | {"key": "survey", "levels": "1"})[0] == "accepted"
    assert runtime.jobs.get(started(runtime)[0]).owner == "0f" * 32


@pytest.mark.parametrize(
    ("changes", "request_changes", "reason"),
    [
        ({}, {}, "key: "),
        ({}, {"key": "other"}, "key: "),
        ({}, {"key": ["survey"]}, "key: "),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, {"key": "survey"}, "key: "),
        ({"services": ("Survey/*",)}, {"key": "survey"}, "does not open this service"),
        ({}, {"key": "survey"}, "ERROR 001564"),
    ],
)
def test_with_tokens_on_a_request_beyond_the_key_is_rejected(runtime, changes, request_changes, reason):
    runtime = replace(runtime, settings=replace(runtime.settings, token_security=True))
    runtime.api_keys.put(a_key(**changes))

    folder, answer = drop(runtime, REQUEST | request_changes)

    assert (folder, started(runtime)) == ("rejected", [])
    assert reason in answer["reasons"][0]


def test_a_rejection_is_announced_on_the_bus(runtime):
    drop(runtime, REQUEST | {"service": "Nowhere", "callbackData": {"order": 1}})

    (told,) = runtime.announcer.events
    schema("request_rejected").validate(told.detail)
    assert told.detail_type == "ExportTiles Request Rejected"
    assert told.detail["callbackData"] == {"order": 1}


def test_removed_files_and_folders_are_ignored(runtime):
    request_export.handler(event("request_export.file_dropped"), Context(), runtime=runtime)

    assert runtime.inbox.files == {}


def test_an_event_starts_one_export_however_often_it_is_delivered(runtime):
    for _ in range(2):
        request_export.handler(event("request_export.event"), Context(), runtime=runtime)

    (job_id,) = started(runtime)
    job = runtime.jobs.get(job_id)
    assert job.name.startswith("district-2026-11-")
    assert run_workflow(runtime, job_id).package.name == f"{job.name}.tpkx"


def test_a_schedule_keeps_its_newest_packages_and_exports_changed_tiles_only(runtime):
    asked = event("request_export.schedule")
    schema("export_tiles_requested").validate(json.loads(asked["Records"][0]["body"])["detail"])

    request_export.handler(asked, Context(), runtime=runtime)

    job = runtime.jobs.get(started(runtime)[0])
    assert job.series.keep == 2
    assert "There is no earlier export of this series" in str(job.messages)


def test_a_series_has_one_owner_one_service_and_one_name(runtime):
    runtime = replace(runtime, settings=replace(runtime.settings, token_security=True))
    runtime.api_keys.put(a_key(services=("*",), max_tile_count=100))
    runtime.api_keys.put(a_key(key_id="0e" * 32, name="other", services=("*",), max_tile_count=100))
    same = REQUEST | {"key": "survey", "name": "a-{date}", "keep": 1}
    keys = []
    for change in ({}, {"keep": 5}, {"key": "other"}, {"name": "b-{date}"}, {"service": "Survey/Ortho"}):
        _, answer = drop(runtime, same | change | {"callbackData": len(keys)}, version=f"v{len(keys)}")
        keys.append(runtime.jobs.get(answer["jobId"]).series.key)

    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_a_package_removed_from_its_series_is_announced_as_removed():
    before = a_job(JobStatus.SUCCEEDED)
    messages = (*before.messages, Message(MessageKind.ERROR, "The package was removed."))

    (event,) = announcements(before, replace(before, status=JobStatus.DELETED, package=None, messages=messages), BASE)

    schema("job_status_change").validate(event.detail)
    assert (event.detail["status"], event.detail["reason"]) == ("removed", "The package was removed.")


def test_an_unreadable_message_stays_in_the_queue(runtime):
    with pytest.raises(KeyError):
        request_export.handler({"Records": [{"body": "{}"}]}, Context(), runtime=runtime)


def test_the_documented_members_are_the_legal_ones():
    requested = schema("export_tiles_requested")
    requested.validate(REQUEST)

    assert requested.schema["properties"].keys() == {*KNOWN_NAMES, *OWN_NAMES}


def test_the_changes_of_a_job_are_announced_in_order(runtime):
    announce_job.handler(event("announce_job"), Context(), runtime=runtime)

    details = [told.detail for told in runtime.announcer.events]
    for detail in details:
        schema("job_status_change").validate(detail)
    assert [(d["status"], d["percent"]) for d in details] == [("submitted", 0), ("progress", 29), ("finished", 100)]
    finished = details[-1]
    assert finished["tiles"] == {"selected": 341, "done": 341, "packed": 340, "missing": 1}
    assert finished["estimatedCost"] == {"currency": "USD", "amount": 0.0021}
    assert finished["callbackData"] == {"order": 4711}
    assert finished["result"]["url"].startswith(
        f"{BASE}/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/"
    )
    assert "X-Amz" not in json.dumps(details)


@pytest.mark.parametrize(
    ("status", "told"),
    [(JobStatus.FAILED, "failed"), (JobStatus.TIMED_OUT, "failed"), (JobStatus.CANCELLED, "cancelled")],
)
def test_an_unhappy_end_is_announced_with_its_reason(runtime, status, told):
    drop(runtime, REQUEST)
    before = runtime.jobs.get(started(runtime)[0])
    why, now = Message(MessageKind.ERROR, "Why."), runtime.clock.now()
    runtime.jobs.advance(before.job_id, JobChange(status, messages=[why], finished_at=now))

    (event,) = announcements(before, runtime.jobs.get(before.job_id), BASE)

    schema("job_status_change").validate(event.detail)
    assert (event.detail["status"], event.detail["reason"]) == (told, "Why.")


def test_a_delta_without_changes_is_announced_as_unchanged_and_not_as_failed():
    before, delivery = a_job(JobStatus.EXECUTING), Delivery(0, 1, 0.001, 340)
    messages = (Message(MessageKind.ERROR, "Nothing to deliver."),)

    (event,) = announcements(before, a_job(JobStatus.FAILED, delivery=delivery, messages=messages), BASE)

    schema("job_status_change").validate(event.detail)
    assert (event.detail["status"], event.detail["reason"]) == ("unchanged", "Nothing to deliver.")
    assert event.detail["tiles"] == {"selected": 341, "done": 0, "packed": 0, "missing": 1, "upToDate": 340}


def test_a_delta_is_announced_with_the_url_of_its_list_of_tiles():
    finished = a_job(JobStatus.SUCCEEDED, delivery=Delivery(2, 1, 0.001, 338))

    (event,) = announcements(a_job(JobStatus.EXECUTING), finished, BASE)

    schema("job_status_change").validate(event.detail)
    url = f"{BASE}/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{finished.job_id}/changes.json"
    assert event.detail["result"]["changesUrl"] == url


def test_an_end_is_announced_once_and_an_estimate_never():
    ended = a_job(JobStatus.SUCCEEDED)

    assert list(announcements(ended, ended, BASE)) == []
    assert list(announcements(None, replace(ended, operation=Operation.ESTIMATE_EXPORT_TILES_SIZE), BASE)) == []
