"""Reuse: an equal request is answered with a finished package, if the operator enables it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporttiles.domain.job import JobStatus, MessageKind, Series, SubmitOptions
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from tests.builders import a_request, a_service, put_files
from tests.fakes import a_runtime, memory, run_workflow

HOUR = timedelta(hours=1)


@pytest.fixture
def tiles():
    tiles = memory()
    put_files(tiles, 2)
    tiles.delete(["World/2/3/3.jpg"])
    return tiles


@pytest.fixture
def runtime(tiles):
    """A stack whose packages answer equal requests for twelve hours."""
    runtime = a_runtime(tiles)
    return replace(runtime, settings=replace(runtime.settings, reuse_window=12 * HOUR))


def submit(runtime, tiles, levels=range(4), service=None, owner="", **more):
    service = service or replace(a_service(tiles), published_at="2026-11-23T18:00:00+00:00")
    request = replace(a_request(service, levels), **more.pop("request", {}))
    return runtime.submit_export(service, request, {"levels": "0-3"}, SubmitOptions(owner=owner, **more))


def export(runtime, tiles, **more):
    return run_workflow(runtime, submit(runtime, tiles, **more).job_id)


def test_an_equal_request_is_answered_at_once(runtime, tiles):
    first = export(runtime, tiles)

    second = submit(runtime, tiles, owner="someone else")

    assert (second.status, second.package) == (JobStatus.SUCCEEDED, first.package)
    assert second.job_id != first.job_id
    assert second.owner == "someone else"
    assert second.job_id not in runtime.submit_export.workflow.started
    assert runtime.jobs.get(second.job_id) == second


def test_a_reused_package_says_so_with_the_warnings_of_the_first_and_costs_nothing(runtime, tiles):
    first = export(runtime, tiles)

    second = submit(runtime, tiles)

    assert "equal export" in second.messages[-1].text
    warnings = [message for message in first.messages if message.kind is MessageKind.WARNING]
    assert warnings
    assert set(warnings) < set(second.messages)
    assert second.delivery == replace(first.delivery, cost_dollars=0.0)
    assert second.percent == 100


def test_a_reused_package_lives_as_long_as_both_jobs(runtime, tiles):
    first = export(runtime, tiles)
    runtime.clock.time += 10 * HOUR

    second = submit(runtime, tiles)

    assert second.expires_at == first.expires_at >= second.submitted_at + 24 * HOUR


def test_the_files_of_a_reused_dataset_are_found(runtime, tiles):
    first = export(runtime, tiles, request={"tile_package": False})
    second = submit(runtime, tiles, request={"tile_package": False})

    assert runtime.browse_job.files(second) == runtime.browse_job.files(first)
    assert runtime.browse_job.files(second, "World_Imagery/Layers/conf.xml")


@pytest.mark.parametrize(
    "more",
    [
        {"levels": range(3)},
        {"request": {"compression_quality": 50}},
        {"request": {"package_name": "district"}},
        {"request": {"tile_package": False}},
        {"series": Series("0f" * 32, 3)},
    ],
    ids=["levels", "quality", "name", "dataset", "series"],
)
def test_another_request_is_another_export(runtime, tiles, more):
    export(runtime, tiles)

    assert submit(runtime, tiles, **more).status is JobStatus.SUBMITTED


def test_a_cache_that_was_published_anew_is_exported_anew(runtime, tiles):
    export(runtime, tiles)

    later = replace(a_service(tiles), published_at="2026-11-23T19:00:00+00:00")

    assert submit(runtime, tiles, service=later).status is JobStatus.SUBMITTED


def test_a_package_of_a_series_is_not_reused(runtime, tiles):
    export(runtime, tiles, series=Series("0f" * 32, 3))

    assert submit(runtime, tiles).status is JobStatus.SUBMITTED


@pytest.mark.parametrize("later", [12 * HOUR, 50 * HOUR])
def test_a_package_that_is_too_old_is_not_reused(runtime, tiles, later):
    runtime = replace(
        runtime, settings=replace(runtime.settings, reuse_window=12 * HOUR if later < 50 * HOUR else 99 * HOUR)
    )
    export(runtime, tiles)
    runtime.clock.time += later

    assert submit(runtime, tiles).status is JobStatus.SUBMITTED


def test_a_deleted_package_is_not_reused(runtime, tiles):
    runtime.objects.delete([export(runtime, tiles).package.key])

    assert submit(runtime, tiles).status is JobStatus.SUBMITTED


def test_nothing_is_reused_unless_the_operator_says_so(tiles):
    runtime = a_runtime(tiles)
    export(runtime, tiles)

    assert submit(runtime, tiles).status is JobStatus.SUBMITTED
    assert list(runtime.objects.list("reuse/")) == []


def test_a_reused_package_stands_for_the_time_when_its_tiles_were_asked_for(runtime, tiles):
    first = export(runtime, tiles)
    second = submit(runtime, tiles)

    delta = submit(runtime, tiles, request={"since_job": second.job_id})

    asked = Export.from_json(runtime.objects.read(JobKeys(delta.job_id).export))
    assert asked.request.since == first.submitted_at < second.submitted_at
