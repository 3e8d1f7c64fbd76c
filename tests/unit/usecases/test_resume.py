"""Resuming a failed export."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from exporttiles.domain.errors import JobStateError, SourceError
from exporttiles.domain.job import JobStatus, Progress
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.checks.package_check import check_package
from exporttiles.messages.execution import Failure
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, put_bundles, put_files
from tests.fakes import a_runtime, memory, run_workflow

LEVELS = range(4)
TORN = f"World/{bundle_path(BundleIndex(3, 0, 0))}"


@pytest.fixture
def tiles():
    tiles = memory()
    put_bundles(tiles, 3)
    return tiles


@pytest.fixture
def runtime(tiles, monkeypatch):
    """A runtime whose planner makes a work item of each bundle."""
    monkeypatch.setattr("exporttiles.domain.plan.FRAGMENT_TARGET_BYTES", 1)
    return a_runtime(tiles)


def submit(runtime, tiles, levels=LEVELS, **changes):
    service = a_service(tiles)
    request = replace(a_request(service, levels), **changes)
    return runtime.submit_export(service, request, {}).job_id


def tear(tiles):
    """Damage the last bundle; return how it was."""
    whole = tiles.read(TORN)
    tiles.write(TORN, whole[:1000])
    return whole


def contents(objects, prefix):
    return {stored.key: objects.read(stored.key) for stored in objects.list(prefix)}


def package_of(runtime, job):
    return runtime.objects.read(job.package.key)


@pytest.fixture
def failed(runtime, tiles):
    """A job that failed at its last bundle, which has been mended since."""
    job_id = submit(runtime, tiles)
    whole = tear(tiles)
    assert run_workflow(runtime, job_id).status is JobStatus.FAILED
    tiles.write(TORN, whole)
    return job_id


def test_a_job_that_failed_says_until_when_it_can_be_resumed(runtime, failed):
    job = runtime.jobs.get(failed)

    assert job.resumable_until == job.finished_at + timedelta(days=1)
    assert job.messages[-1].text.endswith(f"It can be resumed until {job.resumable_until:%Y-%m-%d %H:%M} UTC.")


def test_a_resumed_job_makes_the_package_of_an_undisturbed_run(runtime, tiles, failed):
    runtime.resume_export(failed)
    job = run_workflow(runtime, failed)

    assert job.status is JobStatus.SUCCEEDED
    calm = a_runtime(tiles)
    calm_id = submit(calm, tiles)
    calm.jobs.jobs[failed] = replace(calm.jobs.jobs.pop(calm_id), job_id=failed)  # iteminfo.json tells the id
    calm.objects.write(JobKeys(failed).export, calm.objects.read(JobKeys(calm_id).export))
    assert package_of(runtime, job) == package_of(calm, run_workflow(calm, failed))


def test_only_missing_work_items_are_repeated(runtime, failed):
    reports = contents(runtime.objects, f"{JobKeys(failed).prefix}reports/")

    runtime.resume_export(failed)
    rest = runtime.objects.read(runtime.plan_export(failed).work_items_key)

    assert len(reports) == 3
    assert rest == b'[{"job_id": "%b", "attempt": 2, "number": 3, "bundles": [[3, 0, 0]]}]' % failed.encode()
    assert runtime.jobs.get(failed).progress == Progress(4, 3, 21, sum(len(f) for f in fragments(runtime, failed)))


def fragments(runtime, job_id):
    return contents(runtime.objects, JobKeys(job_id).fragments).values()


def test_a_planner_that_runs_twice_undoes_nothing(runtime, failed):
    runtime.resume_export(failed)
    plan = runtime.plan_export(failed)
    for item in json.loads(runtime.objects.read(plan.work_items_key)):
        runtime.export_tile_range(WorkItem.from_json(item))
    before = contents(runtime.objects, JobKeys(failed).prefix), runtime.jobs.get(failed).progress

    again = runtime.plan_export(failed)

    assert again == plan
    assert (contents(runtime.objects, JobKeys(failed).prefix), runtime.jobs.get(failed).progress) == before
    assert runtime.pack_tile_package(failed).tile_count


def test_work_whose_fragment_is_lost_is_missing(runtime, failed):
    lost, *_ = runtime.objects.list(JobKeys(failed).fragments)
    runtime.objects.delete([lost.key])

    runtime.resume_export(failed)
    job = run_workflow(runtime, failed)

    assert job.status is JobStatus.SUCCEEDED
    assert check_package(io.BytesIO(package_of(runtime, job))).findings == ()


def test_a_job_that_failed_after_its_last_work_item_is_packed(runtime, tiles):
    job_id = submit(runtime, tiles)
    for item in map(WorkItem.from_json, plan(runtime, job_id)):
        runtime.export_tile_range(item)
    runtime.close_job.fail(job_id, Failure("PackageError", "S3 did not accept the package"))

    runtime.resume_export(job_id)
    job = run_workflow(runtime, job_id)

    assert job.status is JobStatus.SUCCEEDED
    assert job.progress.done_tile_count == 85


def plan(runtime, job_id):
    return json.loads(runtime.objects.read(runtime.plan_export(job_id).work_items_key))


def test_a_job_that_failed_before_it_was_planned_is_planned(runtime, tiles):
    job_id = submit(runtime, tiles)
    runtime.close_job.stop(job_id, timed_out=True)

    runtime.resume_export(job_id)

    assert run_workflow(runtime, job_id).status is JobStatus.SUCCEEDED


def test_a_dataset_goes_on_with_the_bundles_that_are_in_place(runtime, tiles):
    job_id = submit(runtime, tiles, tile_package=False)
    whole = tear(tiles)
    run_workflow(runtime, job_id)
    tiles.write(TORN, whole)
    kept = contents(runtime.objects, JobKeys(job_id).packages)

    runtime.resume_export(job_id)
    job = run_workflow(runtime, job_id)

    assert job.status is JobStatus.SUCCEEDED
    assert len(kept) == 3
    assert kept.items() <= contents(runtime.objects, JobKeys(job_id).packages).items()


def test_a_dataset_that_failed_after_it_was_packed_keeps_its_bundles_and_not_its_archive(runtime, tiles):
    job_id = submit(runtime, tiles, tile_package=False)
    runtime.plan_export(job_id)
    for item in json.loads(runtime.objects.read(JobKeys(job_id).work_items)):
        runtime.export_tile_range(WorkItem.from_json(item))
    bundles = contents(runtime.objects, JobKeys(job_id).packages)
    key = runtime.pack_tile_package(job_id).key

    runtime.close_job.fail(job_id, Failure("SourceError", "Why."))
    kept = contents(runtime.objects, JobKeys(job_id).packages)

    assert key not in kept
    assert bundles.items() <= kept.items()


def test_no_package_of_a_job_that_failed_stays_though_no_document_of_it_can_be_read(runtime, tiles, monkeypatch):
    job_id = submit(runtime, tiles)
    runtime.plan_export(job_id)
    runtime.objects.write(JobKeys(job_id).delivered("World.tpkx"), b"x")

    def refuse(*_):
        raise SourceError("The store did not answer.")

    with monkeypatch.context() as patch:
        for read in ("read", "read_many", "read_start", "read_ranges", "sizes_bytes"):
            patch.setattr(type(runtime.objects), read, refuse)
        job = runtime.close_job.fail(job_id, Failure("SourceError", "The store did not answer."))

    assert job.is_resumable(runtime.clock.now())
    assert contents(runtime.objects, JobKeys(job_id).packages) == {}


def test_a_bundle_of_a_dataset_that_is_not_in_place_is_missing(runtime, tiles):
    job_id = submit(runtime, tiles, tile_package=False)
    whole = tear(tiles)
    run_workflow(runtime, job_id)
    tiles.write(TORN, whole)
    kept = contents(runtime.objects, JobKeys(job_id).packages)
    runtime.objects.delete(kept)

    runtime.resume_export(job_id)
    run_workflow(runtime, job_id)

    assert kept.items() <= contents(runtime.objects, JobKeys(job_id).packages).items()


def test_a_late_end_of_the_first_attempt_does_not_end_the_second(runtime, failed):
    runtime.resume_export(failed)
    runtime.plan_export(failed)
    before = runtime.jobs.get(failed)

    runtime.close_job.fail(failed, Failure("SourceError", "late"), attempt=1)
    runtime.close_job.stop(failed, attempt=1, timed_out=True)

    assert runtime.jobs.get(failed) == before


def test_a_resumed_job_may_fail_and_be_resumed_again(runtime, tiles, failed):
    tear(tiles)
    runtime.resume_export(failed)

    assert run_workflow(runtime, failed).status is JobStatus.FAILED
    assert runtime.resume_export(failed).attempt == 3
    assert runtime.resume_export.workflow.started == [failed, f"{failed}-2", f"{failed}-3"]


def test_a_resumed_job_lives_as_long_as_a_new_one(runtime, failed):
    runtime.clock.time += timedelta(hours=20)

    job = runtime.resume_export(failed)

    assert job.expires_at == job.resumed_at + timedelta(days=3)


def test_a_job_is_resumed_once_at_a_time(runtime, failed):
    runtime.resume_export(failed)

    with pytest.raises(JobStateError, match="it is Submitted"):
        runtime.resume_export(failed)


def test_a_job_is_not_resumed_after_its_finished_work_expired(runtime, failed):
    runtime.clock.time += timedelta(days=1)

    with pytest.raises(JobStateError, match="was kept until"):
        runtime.resume_export(failed)


@pytest.mark.parametrize("levels", [(5,), range(14)], ids=["no tile exists", "over the limit"])
def test_a_failure_that_would_recur_is_not_resumable(runtime, tiles, levels):
    job_id = submit(runtime, tiles, levels)
    if not runtime.jobs.get(job_id).status.is_final:
        run_workflow(runtime, job_id)

    with pytest.raises(JobStateError, match="left no finished work"):
        runtime.resume_export(job_id)
    assert list(fragments(runtime, job_id)) == []


def test_a_job_that_was_cancelled_is_not_resumed(runtime, tiles):
    job_id = submit(runtime, tiles)
    runtime.cancel_export(job_id)
    run_workflow(runtime, job_id)

    with pytest.raises(JobStateError, match="it is Cancelled"):
        runtime.resume_export(job_id)


def test_without_a_resume_window_no_job_is_resumable(runtime, tiles):
    runtime = replace(runtime, settings=replace(runtime.settings, resume_window=timedelta()))
    job_id = submit(runtime, tiles)
    tear(tiles)

    job = run_workflow(runtime, job_id)

    assert job.resumable_until is None
    assert list(fragments(runtime, job_id)) == []


def test_a_failed_start_of_a_resumed_job_is_retried_by_the_watchman(runtime, failed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runtime.resume_export.workflow, "start", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runtime.resume_export(failed)
    runtime.clock.time += timedelta(minutes=6)

    runtime.watch_jobs()

    assert f"{failed}-2" in runtime.resume_export.workflow.started


def resumed_plan(runtime, service):
    """Return the plan of a resumed job that lost all of its work."""
    job_id = runtime.submit_export(service, a_request(service, LEVELS), {}).job_id
    runtime.plan_export(job_id)
    runtime.close_job.fail(job_id, Failure("SourceError", "gone"))
    runtime.resume_export(job_id)
    return runtime.plan_export(job_id)


def test_a_resumed_job_has_the_workers_that_its_remaining_work_deserves(runtime, tiles):
    assert resumed_plan(runtime, a_service(tiles)).max_concurrency == 1


@pytest.mark.parametrize(("reads_per_second", "workers"), [(2_000, 2), (5_500, 4)])
def test_a_resumed_job_reads_files_no_faster_than_another(monkeypatch, reads_per_second, workers):
    for name, value in {"FRAGMENT_TARGET_BYTES": 1, "_WORKER_SECONDS": 1e-9}.items():  # a worker for each bundle
        monkeypatch.setattr(f"exporttiles.domain.plan.{name}", value)
    put_files(files := memory(), 3)
    runtime = a_runtime(files)
    runtime = replace(runtime, settings=replace(runtime.settings, file_reads_per_second=reads_per_second))

    assert resumed_plan(runtime, a_service(files)).max_concurrency == workers
