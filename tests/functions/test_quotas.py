"""Quotas of open exports and daily tiles for each caller, through the functions."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from exporttiles.domain.api_key import ApiKey, key_id_of, token_of
from exporttiles.domain.job import JobStatus
from exporttiles.ports.jobs import JobChange
from functions.request_export import app as request_export
from tests.builders_rest import a_rest_runtime
from tests.fakes import run_workflow
from tests.functions.api_client import SERVICE, Client
from tests.functions.test_event_functions import REQUEST, drop
from tests.functions.test_workflow_functions import Context, event

LEVELS = "levels=0-2&f=json"  # 21 tiles
ONE, OTHER = (token_of(bytes([number]) * 32) for number in range(2))


def limited(runtime=None, **limits):
    runtime = runtime or a_rest_runtime()
    return replace(runtime, settings=replace(runtime.settings, **limits))


def with_keys(**limits):
    runtime = limited(token_security=True, **limits)
    for name, token in (("one", ONE), ("other", OTHER)):
        in_a_day = runtime.clock.now() + timedelta(days=1)
        runtime.api_keys.put(ApiKey(key_id_of(token), name, ("*",), 1_000, in_a_day))
    return runtime


def export(runtime, query=LEVELS, token=None):
    headers = {"x-esri-authorization": f"Bearer {token}"} if token else {}
    response = Client(runtime).send("GET", f"{SERVICE}/exportTiles", query, headers=headers)
    assert response["statusCode"] == 200
    return json.loads(response["body"])


def is_refused(document):
    return document.get("error", {}).get("code") == 429


def test_a_caller_with_too_many_open_exports_gets_an_error_that_says_so():
    runtime = limited(max_open_jobs=2)
    export(runtime)
    export(runtime)

    assert export(runtime)["error"] == {
        "code": 429,
        "message": "MaxOpenJobs: 2 exports without an API key are unfinished, and the limit is 2. "
        "Send the request again when an export has ended.",
        "details": [],
    }
    assert len(runtime.workflow.started) == 2


def test_an_export_that_has_ended_makes_room():
    runtime = limited(max_open_jobs=1)
    first = export(runtime)["jobId"]
    assert is_refused(export(runtime))

    run_workflow(runtime, first)

    assert "jobId" in export(runtime)


def test_the_tiles_of_a_day_are_limited():
    runtime = limited(max_tiles_per_day=30)
    export(runtime)

    error = export(runtime)["error"]

    assert error["code"] == 429
    assert error["message"].startswith(
        "MaxTilesPerDay: 21 tiles are selected, and exports without an API key have used 21 of 30 tiles today. "
        "Select at most 9, or send the request again after "
    )
    assert "jobId" in export(runtime, "levels=1&f=json")


def test_each_key_has_limits_of_its_own():
    runtime = with_keys(max_open_jobs=1)
    export(runtime, token=ONE)

    assert is_refused(export(runtime, token=ONE))
    assert "jobId" in export(runtime, token=OTHER)


def test_a_request_that_is_sent_again_is_not_counted_again():
    runtime = limited(max_open_jobs=1, max_tiles_per_day=21)
    query = f"{LEVELS}&clientToken=7c9e6679-7425-40de-944b-e07fc1f90ae7"

    assert len({export(runtime, query)["jobId"] for _ in range(3)}) == 1


def test_a_refused_request_may_be_sent_again_with_its_token():
    runtime = limited(max_open_jobs=1)
    query = f"{LEVELS}&clientToken=7c9e6679-7425-40de-944b-e07fc1f90ae7"
    first = export(runtime)["jobId"]
    assert is_refused(export(runtime, query))

    run_workflow(runtime, first)

    assert "jobId" in export(runtime, query)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_what_ends_at_once_is_not_counted(status):
    runtime = limited(max_open_jobs=1, max_tiles_per_day=21, reuse_window=timedelta(hours=12))
    first = export(runtime)["jobId"]
    run_workflow(runtime, first)

    equal_or_too_large = LEVELS if status is JobStatus.SUCCEEDED else "levels=0-10&f=json"
    for _ in range(3):
        assert runtime.jobs.get(export(runtime, equal_or_too_large)["jobId"]).status is status


def fail(runtime, job_id):
    until = runtime.clock.now() + timedelta(hours=1)
    runtime.jobs.advance(job_id, JobChange(JobStatus.FAILED, finished_at=until, resumable_until=until))


def resume(runtime, job_id):
    return json.loads(Client(runtime).send("POST", f"{SERVICE}/jobs/{job_id}/resume", "f=json")["body"])


def test_a_resumed_export_is_open_like_a_new_one():
    runtime = limited(max_open_jobs=1)
    first = export(runtime)["jobId"]
    fail(runtime, first)
    second = export(runtime)["jobId"]

    assert resume(runtime, first)["error"]["message"].startswith("MaxOpenJobs: 1 export without an API key is")

    run_workflow(runtime, second)
    assert resume(runtime, first)["jobId"] == first
    assert is_refused(export(runtime))


def test_a_resumed_export_of_a_request_file_counts_for_request_files():
    runtime = limited(max_open_jobs=1, public_base_url="https://maps.example.org")
    first = drop(runtime, REQUEST, "v1")[1]["jobId"]
    fail(runtime, first)
    export(runtime)

    assert resume(runtime, first)["jobId"] == first
    assert drop(runtime, REQUEST, "v2")[0] == "rejected"


def test_an_export_that_cannot_be_started_uses_no_tiles_of_the_day(monkeypatch):
    runtime = limited(max_open_jobs=1, max_tiles_per_day=21)

    def fail_to_start(*_):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(runtime.workflow, "start", fail_to_start)
        for _ in range(2):
            assert export(runtime)["error"]["code"] == 500

    assert "jobId" in export(runtime)


def test_estimates_are_not_limited():
    runtime = limited(max_open_jobs=1, max_tiles_per_day=1)
    for _ in range(3):
        response = Client(runtime).send("GET", f"{SERVICE}/estimateExportTilesSize", LEVELS)
        assert "jobId" in json.loads(response["body"])


def test_a_refused_request_file_is_answered_and_announced():
    runtime = limited(max_open_jobs=1, public_base_url="https://maps.example.org")
    drop(runtime, REQUEST, "v1")

    folder, answer = drop(runtime, REQUEST, "v2")

    assert folder == "rejected"
    assert answer["reasons"][0].startswith(
        "MaxOpenJobs: 1 export of events, schedules and request files is unfinished, and the limit is 1. "
    )
    assert runtime.announcer.events[-1].detail["reasons"] == answer["reasons"]


def test_without_tokens_clients_take_no_room_from_events():
    runtime = limited(max_open_jobs=1, public_base_url="https://maps.example.org")
    export(runtime)

    assert drop(runtime, REQUEST)[0] == "accepted"


def test_with_tokens_a_request_file_counts_for_the_key_that_it_names():
    runtime = with_keys(max_open_jobs=1, public_base_url="https://maps.example.org")
    export(runtime, token=ONE)

    assert drop(runtime, REQUEST | {"key": "one"}, "v1")[0] == "rejected"
    assert drop(runtime, REQUEST | {"key": "other"}, "v2")[0] == "accepted"


def test_an_event_that_is_delivered_again_is_not_counted_again():
    runtime = limited(max_open_jobs=1, public_base_url="https://maps.example.org")
    for _ in range(2):
        request_export.handler(event("request_export.event"), Context(), runtime=runtime)

    assert len(runtime.workflow.started) == 1
    assert runtime.announcer.events == []
