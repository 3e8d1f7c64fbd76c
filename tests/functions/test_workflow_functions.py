"""The functions of the workflow, called with recorded events."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from exporttiles.domain.job import JobStatus
from exporttiles.messages.execution import execution_name
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.workflow import Execution, ExecutionStatus
from functions.close_job import app as close_job
from functions.export_at_once import app as export_at_once
from functions.export_tile_range import app as export_tile_range
from functions.pack_tile_package import app as pack_tile_package
from functions.plan_export import app as plan_export
from functions.watch_jobs import app as watch_jobs
from tests.builders import a_request, a_service, put_files
from tests.fakes import a_runtime, memory

EVENTS = Path(__file__).parents[2] / "events"


@dataclass
class Context:
    """The context of a Lambda function."""

    function_name: str = "function"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "52fdfc07-2182-154f-163f-5f0f9a621d72"
    remaining_seconds: int = 900

    def get_remaining_time_in_millis(self):
        return 1000 * self.remaining_seconds


def event(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


@pytest.fixture
def runtime():
    """A runtime with a submitted job of levels 0-2, under the id of the events."""
    tiles = memory()
    put_files(tiles, 2)
    runtime, service = a_runtime(tiles), a_service(tiles)
    submit = runtime.submit_export
    job_id = event("plan_export")["job_id"]
    object.__setattr__(submit, "new_job_id", lambda: job_id)
    submit(service, a_request(service, range(3)), {})
    return runtime


def run(function, name, runtime):
    return function.handler(event(name), Context(), runtime=runtime)


def test_plan_export_returns_the_key_of_the_work_items_and_their_concurrency(runtime):
    answer = run(plan_export, "plan_export", runtime)

    items = json.loads(runtime.objects.read(answer["work_items_key"]))
    assert answer["max_concurrency"] == 1
    assert [WorkItem.from_json(item).to_json() for item in items] == [event("export_tile_range")]


def test_export_tile_range_writes_a_fragment_and_a_report(runtime):
    run(plan_export, "plan_export", runtime)

    assert run(export_tile_range, "export_tile_range", runtime) is None

    keys = JobKeys(event("export_tile_range")["job_id"])
    (fragment,) = runtime.objects.list(keys.fragments)
    assert runtime.objects.read(fragment.key).startswith(b"PK\3\4")
    assert json.loads(runtime.objects.read(keys.report(0)))["selected_count"] == 21


def test_pack_tile_package_returns_its_package(runtime):
    run(plan_export, "plan_export", runtime)
    run(export_tile_range, "export_tile_range", runtime)

    answer = run(pack_tile_package, "pack_tile_package", runtime)

    expected = event("close_job.succeeded")["result"]["package"]
    assert answer.keys() == expected.keys()
    assert (answer["key"], answer["tile_count"]) == (expected["key"], expected["tile_count"])


def test_export_at_once_returns_its_package_like_pack_tile_package(runtime):
    answer = run(export_at_once, "export_at_once", runtime)

    assert answer.keys() == event("close_job.succeeded")["result"]["package"].keys()
    assert answer["tile_count"] == 21
    assert runtime.objects.read(answer["key"]).startswith(b"PK\3\4")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("close_job.succeeded", JobStatus.SUCCEEDED, "Succeeded at"),
        ("close_job.failed", JobStatus.FAILED, "The export failed: The store did not answer for 'World/2/1/3.jpg'"),
        ("close_job.execution_timed_out", JobStatus.TIMED_OUT, "took longer than allowed"),
    ],
)
def test_close_job_ends_the_job_with_a_message(runtime, name, status, words):
    run(plan_export, "plan_export", runtime)

    run(close_job, name, runtime)

    job = runtime.jobs.get(event("plan_export")["job_id"])
    assert job.status is status
    assert words in job.messages[-1].text


def counted(said):
    """Return the metrics in what a function printed."""
    return re.findall(r'"(Exports\w+)":\[1.0\]', said)


def execution_ended(status):
    """Return the event of the execution of the job."""
    ended = event("close_job.execution_timed_out")
    return ended | {"detail": ended["detail"] | {"status": status}}


def test_a_job_that_failed_counts_once_whoever_hears_of_it(runtime, capsys):
    run(plan_export, "plan_export", runtime)

    run(close_job, "close_job.failed", runtime)  # a work item
    run(close_job, "close_job.failed", runtime)  # the map
    close_job.handler(execution_ended("FAILED"), Context(), runtime=runtime)

    assert counted(capsys.readouterr().out) == ["ExportsFailed"]


def test_a_cancelled_job_does_not_count_as_failed(runtime, capsys):
    run(plan_export, "plan_export", runtime)
    runtime.cancel_export(event("plan_export")["job_id"])

    run(close_job, "close_job.failed", runtime)
    close_job.handler(execution_ended("FAILED"), Context(), runtime=runtime)

    assert counted(capsys.readouterr().out) == ["ExportsCancelled"]


def test_a_job_that_succeeded_counts_once(runtime, capsys):
    run(plan_export, "plan_export", runtime)

    run(close_job, "close_job.succeeded", runtime)
    run(close_job, "close_job.succeeded", runtime)  # tried again

    assert counted(capsys.readouterr().out) == ["ExportsSucceeded"]


@pytest.mark.parametrize("name", ["just-looking", "j", "january", f"{'j':0<33}-two"])
def test_an_execution_of_another_name_is_no_job(runtime, capsys, name):
    ended = execution_ended("FAILED")
    ended["detail"]["name"] = name

    close_job.handler(ended, Context(), runtime=runtime)

    assert counted(capsys.readouterr().out) == []


def test_the_event_of_an_execution_that_failed_changes_nothing_after_close_job(runtime):
    run(plan_export, "plan_export", runtime)
    run(close_job, "close_job.failed", runtime)
    before = runtime.jobs.get(event("close_job.failed")["job_id"])

    run(close_job, "close_job.execution_timed_out", runtime)

    assert runtime.jobs.get(before.job_id) == before


def test_watch_jobs_closes_orphaned_jobs_and_counts_the_open_ones(runtime, capsys, caplog):
    job_id = event("plan_export")["job_id"]
    run(plan_export, "plan_export", runtime)
    runtime.watch_jobs.workflow.stop(job_id)
    runtime.clock.time += timedelta(minutes=6)

    run(watch_jobs, "watch_jobs", runtime)

    assert runtime.jobs.get(job_id).status is JobStatus.CANCELLED
    said = capsys.readouterr().out
    assert '"OpenJobs":[1.0]' in said
    assert '"JobsClosedByWatchman":[1.0]' in said
    assert [record.job_id for record in caplog.records if record.message == "Closed"] == [job_id]


def test_a_job_that_the_watchman_closed_counts_once(runtime, capsys):
    run(plan_export, "plan_export", runtime)
    job_id = event("plan_export")["job_id"]
    runtime.watch_jobs.workflow.executions[execution_name(job_id, 1)] = Execution(ExecutionStatus.TIMED_OUT)
    runtime.clock.time += timedelta(minutes=6)

    run(watch_jobs, "watch_jobs", runtime)
    run(close_job, "close_job.execution_timed_out", runtime)  # the event, late

    assert counted(capsys.readouterr().out) == ["ExportsTimedOut"]


def test_watch_jobs_fails_if_it_could_not_check_a_job(runtime, monkeypatch):
    monkeypatch.setattr(runtime.watch_jobs.workflow, "find", lambda _: 1 / 0)
    runtime.clock.time += timedelta(minutes=6)

    with pytest.raises(ExceptionGroup, match="could not be looked at"):
        run(watch_jobs, "watch_jobs", runtime)


def test_the_logs_show_the_steps_of_a_job_with_their_counts(runtime, caplog):
    caplog.set_level("INFO")

    run(plan_export, "plan_export", runtime)
    run(export_tile_range, "export_tile_range", runtime)
    packed = run(pack_tile_package, "pack_tile_package", runtime)
    close_job.handler(
        {"job_id": event("plan_export")["job_id"], "attempt": 1, "result": {"package": packed}},
        Context(),
        runtime=runtime,
    )

    planned, exported, told, closed = caplog.records
    assert [record.message for record in caplog.records] == ["Planned", "Exported", "Packed", "Closed"]
    assert planned.max_concurrency == 1
    assert (exported.work_item, exported.tile_count) == (0, 21)
    assert told.package["tile_count"] == 21
    assert (closed.status, closed.said[-1][:9]) == (JobStatus.SUCCEEDED, "Succeeded")
