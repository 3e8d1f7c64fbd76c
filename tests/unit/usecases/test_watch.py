"""The watchman: closing orphaned jobs and removing orphaned objects."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporttiles.domain.job import JobStatus
from exporttiles.messages.keys import VERIFICATION_NAME, JobKeys
from exporttiles.ports.jobs import JobChange
from exporttiles.ports.workflow import Execution, ExecutionStatus
from exporttiles.usecases.delete_orphans import slice_at
from tests.builders import a_request, a_service, put_files
from tests.fakes import a_runtime, memory, run_workflow

MINUTE = timedelta(minutes=1)


@pytest.fixture
def runtime():
    tiles = memory()
    put_files(tiles, 1)
    return a_runtime(tiles)


@pytest.fixture
def job_id(runtime):
    """A job whose steps were started."""
    service = a_service(runtime.services.objects)
    return runtime.submit_export(service, a_request(service, range(2)), {}).job_id


def executions(runtime):
    return runtime.watch_jobs.workflow.executions


def end(runtime, job_id, status, error="", cause=""):
    executions(runtime)[job_id] = Execution(status, error, cause)


def wait(runtime, time):
    runtime.clock.time += time


def test_a_young_job_is_left_alone(runtime, job_id):
    end(runtime, job_id, ExecutionStatus.FAILED)

    watch = runtime.watch_jobs()

    assert (watch.open_count, watch.started, watch.closed) == (1, (), ())
    assert runtime.jobs.get(job_id).status is JobStatus.SUBMITTED


def test_a_running_job_is_left_alone_until_it_times_out(runtime, job_id):
    runtime.plan_export(job_id)
    wait(runtime, 60 * MINUTE)

    watch = runtime.watch_jobs()

    assert watch.closed == ()
    assert 60 * MINUTE < watch.oldest < 61 * MINUTE


@pytest.mark.parametrize(
    ("ended", "status", "words"),
    [
        (Execution(ExecutionStatus.FAILED, "SourceError", "no answer"), JobStatus.FAILED, "no answer"),
        (Execution(ExecutionStatus.TIMED_OUT), JobStatus.TIMED_OUT, "longer than allowed"),
        (Execution(ExecutionStatus.ABORTED), JobStatus.CANCELLED, "stopped by an operator"),
        (Execution(ExecutionStatus.SUCCEEDED), JobStatus.FAILED, "ended without a result"),
    ],
)
def test_a_job_is_closed_with_the_result_of_its_execution(runtime, job_id, ended, status, words):
    runtime.plan_export(job_id)
    executions(runtime)[job_id] = ended
    wait(runtime, 6 * MINUTE)

    (closed,) = runtime.watch_jobs().closed

    assert (closed.job_id, closed.status) == (job_id, status)
    assert words in closed.messages[-1].text
    assert runtime.watch_jobs().open_count == 0


def test_a_job_that_was_never_started_is_started_again(runtime, job_id):
    executions(runtime).clear()
    wait(runtime, 6 * MINUTE)

    assert [job.job_id for job in runtime.watch_jobs().started] == [job_id]
    assert run_workflow(runtime, job_id).status is JobStatus.SUCCEEDED


def test_a_job_that_cannot_be_started_fails_and_says_so(runtime, job_id):
    executions(runtime).clear()
    wait(runtime, 16 * MINUTE)

    (closed,) = runtime.watch_jobs().closed

    assert (closed.job_id, closed.status) == (job_id, JobStatus.FAILED)
    assert "could not be started" in closed.messages[-1].text


def test_a_job_that_was_cancelled_before_it_was_started_is_cancelled(runtime, job_id):
    executions(runtime).clear()
    runtime.cancel_export(job_id)
    wait(runtime, 6 * MINUTE)

    (closed,) = runtime.watch_jobs().closed

    assert closed.status is JobStatus.CANCELLED


def test_steps_that_hang_are_stopped_and_the_job_has_timed_out(runtime, job_id):
    runtime.plan_export(job_id)
    wait(runtime, timedelta(days=1, minutes=6))

    (closed,) = runtime.watch_jobs().closed

    assert closed.status is JobStatus.TIMED_OUT
    assert executions(runtime)[job_id].status is ExecutionStatus.ABORTED


def test_a_job_that_ends_during_the_check_keeps_its_status(runtime, job_id):
    run_workflow(runtime, job_id)
    before = runtime.jobs.get(job_id)
    end(runtime, job_id, ExecutionStatus.SUCCEEDED)
    stale = replace(before, status=JobStatus.EXECUTING)
    wait(runtime, 6 * MINUTE)

    watch = replace(runtime.watch_jobs, jobs=Stale(runtime.jobs, stale))()

    assert watch.closed == ()
    assert runtime.jobs.get(job_id) == before


class Stale:
    """A table whose index is a moment behind."""

    def __init__(self, jobs, listed):
        self.get, self.listed = jobs.get, listed

    def open_jobs(self):
        return iter([self.listed])


def test_one_failing_job_does_not_block_the_others(runtime, job_id, monkeypatch):
    service = a_service(runtime.services.objects)
    other = runtime.submit_export(service, a_request(service, (0,)), {}).job_id
    end(runtime, other, ExecutionStatus.TIMED_OUT)
    wait(runtime, 6 * MINUTE)
    find = runtime.watch_jobs.workflow.find

    def refuse(asked, attempt):
        if asked == job_id:
            raise ConnectionError
        return find(asked, attempt)

    monkeypatch.setattr(runtime.watch_jobs.workflow, "find", refuse)
    watch = runtime.watch_jobs()

    assert [job.job_id for job in watch.closed] == [other]
    assert [type(failure) for failure in watch.failures] == [ConnectionError]


def leave(runtime, job_id):
    """Leave behind what a crash between two steps does."""
    keys = JobKeys(job_id)
    for key in (keys.fragment(0, 0), keys.delivered("World.tpkx"), keys.report(0)):
        runtime.objects.write(key, b"x")
    runtime.packages.begin(keys.delivered("World.tpkx"))
    return keys


def left(runtime, job_id):
    keys = JobKeys(job_id)
    found = [stored.key for prefix in (keys.fragments, keys.packages) for stored in runtime.objects.list(prefix)]
    return [*found, *runtime.packages.uploads.values()]


def test_objects_of_a_running_job_are_kept(runtime, job_id):
    runtime.plan_export(job_id)
    leave(runtime, job_id)

    runtime.delete_orphans(job_id[:3])

    assert len(left(runtime, job_id)) == 3


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT])
def test_a_failed_job_keeps_no_large_objects(runtime, job_id, status):
    runtime.jobs.advance(job_id, JobChange(status))
    leave(runtime, job_id)

    sweep = runtime.delete_orphans(job_id[:3])

    assert (sweep.object_count, sweep.upload_count) == (2, 1)
    assert left(runtime, job_id) == []


def test_finished_work_is_kept_while_a_job_is_resumable(runtime, job_id):
    runtime.close_job.stop(job_id, timed_out=True)
    runtime.objects.write(leave(runtime, job_id).delivered("World/L00/R0000C0000.bundle"), b"x")

    runtime.delete_orphans(job_id[:3])
    kept = left(runtime, job_id)
    wait(runtime, runtime.settings.resume_window)
    runtime.delete_orphans(job_id[:3])

    keys = JobKeys(job_id)
    assert kept == [keys.fragment(0, 0), keys.delivered("World/L00/R0000C0000.bundle")]
    assert left(runtime, job_id) == []


def test_a_job_resumed_during_the_check_is_left_alone(runtime, job_id, monkeypatch):
    runtime.close_job.stop(job_id, timed_out=True)
    keys = leave(runtime, job_id)
    listed = type(runtime.objects).list

    def resume_first(objects, prefix):
        if prefix == keys.packages:
            runtime.resume_export(job_id)
        return listed(objects, prefix)

    with monkeypatch.context() as patch:
        patch.setattr(type(runtime.objects), "list", resume_first)
        runtime.remove_leftovers(job_id)

    assert keys.delivered("World.tpkx") in left(runtime, job_id)


def test_a_succeeded_job_keeps_its_package(runtime, job_id):
    package = run_workflow(runtime, job_id).package
    runtime.objects.write(JobKeys(job_id).fragment(7, 0), b"x")

    assert runtime.delete_orphans(job_id[:3]).object_count == 1
    assert left(runtime, job_id) == [package.key, JobKeys(job_id).delivered(VERIFICATION_NAME)]


def test_an_expired_job_keeps_no_large_objects(runtime):
    job_id = f"j{7:032x}"
    leave(runtime, job_id)

    runtime.delete_orphans(job_id[:3])

    assert left(runtime, job_id) == []


def test_the_jobs_of_another_slice_wait_for_their_turn(runtime):
    leave(runtime, f"j00{7:030x}")

    assert runtime.delete_orphans("j01").object_count == 0


def test_every_job_is_swept_within_a_day():
    start = datetime(2026, 11, 23, tzinfo=UTC)

    turns = {slice_at(start + number * 5 * MINUTE) for number in range(24 * 12)}

    assert turns == {f"j{number:02x}" for number in range(256)}
