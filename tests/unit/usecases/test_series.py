"""Series: only the newest packages are kept."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.export import LAST
from exporttiles.domain.job import JobStatus, MessageKind, Series, SubmitOptions
from exporttiles.messages.keys import JobKeys
from exporttiles.usecases.close_job import CloseJob
from tests.builders import a_request, a_service, put_files
from tests.fakes import a_runtime, memory, run_workflow

TWO = Series("0a" * 32, 2)


@pytest.fixture
def runtime():
    tiles = memory()
    put_files(tiles, 1)
    runtime = a_runtime(tiles)
    runtime.services.put(a_service(tiles))
    return runtime


def submit(runtime, series=TWO, **changes):
    service = runtime.services.get("World_Imagery")
    request = replace(a_request(service, range(2)), **changes)
    return runtime.submit_export(service, request, {"levels": "0-1"}, SubmitOptions(series=series))


def export(runtime, series=TWO, **changes):
    return run_workflow(runtime, submit(runtime, series, **changes).job_id)


def files_of(runtime, job):
    return [stored.key for stored in runtime.objects.list(JobKeys(job.job_id).packages)]


def states(runtime, jobs):
    return [runtime.jobs.get(job.job_id).status for job in jobs]


def test_older_packages_make_room_for_newer_ones(runtime):
    jobs = [export(runtime) for _ in range(4)]

    assert states(runtime, jobs) == [JobStatus.DELETED] * 2 + [JobStatus.SUCCEEDED] * 2
    assert [bool(files_of(runtime, job)) for job in jobs] == [False, False, True, True]


def test_a_removed_package_has_a_message_and_no_link(runtime):
    first, *_ = [export(runtime) for _ in range(3)]

    job = runtime.jobs.get(first.job_id)

    assert job.package is None
    assert job.messages[-1].kind is MessageKind.ERROR
    assert job.messages[-1].text == ("The package was removed to make room for newer ones: 2 of this series are kept.")
    assert runtime.browse_job.files(job, first.package.name) is None


def test_a_job_with_a_removed_package_lives_as_long_as_other_jobs(runtime):
    first, *_ = [export(runtime) for _ in range(3)]
    runtime.clock.time += timedelta(days=2, hours=23)
    assert runtime.jobs.get(first.job_id).status is JobStatus.DELETED

    runtime.clock.time += timedelta(hours=2)
    with pytest.raises(JobNotFoundError):
        runtime.jobs.get(first.job_id)


def test_a_package_of_a_series_lives_longer_than_others_but_expires(runtime):
    kept, other = export(runtime), export(runtime, series=None)

    assert kept.expires_at - kept.submitted_at == timedelta(days=35)
    assert other.expires_at - other.submitted_at == timedelta(days=3)


def test_other_series_and_exports_without_one_are_left_alone(runtime):
    others = [export(runtime, Series("0b" * 32, 9)), export(runtime, None)]
    for _ in range(3):
        export(runtime)

    assert states(runtime, others) == [JobStatus.SUCCEEDED] * 2


def test_jobs_that_run_or_failed_are_left_alone_and_count_for_nothing(runtime):
    kept = export(runtime)
    running, cancelled = submit(runtime), submit(runtime)
    runtime.cancel_export(cancelled.job_id)
    run_workflow(runtime, cancelled.job_id)
    export(runtime)

    assert states(runtime, [kept, running, cancelled]) == [
        JobStatus.SUCCEEDED,
        JobStatus.SUBMITTED,
        JobStatus.CANCELLED,
    ]


def test_the_newest_are_those_that_were_asked_for_last(runtime):
    early = submit(runtime, Series(TWO.key, 1))
    late = export(runtime, Series(TWO.key, 1))

    run_workflow(runtime, early.job_id)

    assert states(runtime, [early, late]) == [JobStatus.DELETED, JobStatus.SUCCEEDED]


def test_a_retried_step_removes_older_packages_of_the_series(runtime, monkeypatch):
    first, _ = export(runtime), export(runtime)
    packed = []
    succeed = CloseJob.succeed

    def fail_once(close_job, job_id, package, attempt):
        packed.append(package)
        with monkeypatch.context() as patch:
            patch.setattr(runtime.jobs, "series", Mock(side_effect=ConnectionError))
            with pytest.raises(ConnectionError):
                succeed(close_job, job_id, package, attempt)
        return succeed(close_job, job_id, package, attempt)

    monkeypatch.setattr(CloseJob, "succeed", fail_once)
    export(runtime)

    assert len(packed) == 1
    assert runtime.jobs.get(first.job_id).status is JobStatus.DELETED


def test_since_the_last_of_the_series_is_everything_for_the_first(runtime):
    first = export(runtime, since_job=LAST)
    assert first.delivery.tile_count == 5
    assert "There is no earlier export of this series" in first.messages[1].text

    runtime.clock.time += timedelta(days=365)  # every tile has been there for long
    export(runtime)
    runtime.clock.time += timedelta(days=1)
    assert export(runtime, since_job=LAST).is_up_to_date
