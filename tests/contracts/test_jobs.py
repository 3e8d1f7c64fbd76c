"""Contract of job tables: in memory, in DynamoDB (moto)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import (
    RESUMABLE,
    SUCCESSORS,
    Delivery,
    Estimate,
    Job,
    JobStatus,
    Message,
    MessageKind,
    Operation,
    Package,
    Progress,
    Series,
)
from exporttiles.ports.jobs import JobChange
from tests.fakes import FakeClock

CLOCK = FakeClock()
HOUR = timedelta(hours=1)
LATER = CLOCK.time.replace(microsecond=0) + 99 * HOUR


def a_job(job_id="j1", **changes):
    job = Job(
        job_id=job_id,
        service_name="World_Imagery",
        status=JobStatus.SUBMITTED,
        submitted_at=CLOCK.time,
        expires_at=CLOCK.time.replace(microsecond=0) + timedelta(days=3),
        tile_count=5,
        expected_bytes=75_000,
        messages=(Message(MessageKind.INFORMATIVE, "submitted"),),
    )
    return replace(job, **changes)


@pytest.fixture(params=["memory", "dynamodb"])
def jobs(request):
    if request.param == "memory":
        return MemoryJobs(CLOCK)
    return DynamoDbJobs(request.getfixturevalue("table"), CLOCK)


def test_a_job_comes_back_as_it_was_stored(jobs):
    job = a_job(
        operation=Operation.ESTIMATE_EXPORT_TILES_SIZE,
        estimate=Estimate(5, 12345),
        package=Package("packages/j1/a.tpkx", "a.tpkx", 7),
        finished_at=CLOCK.time,
        owner="0f" * 32,
        delivery=Delivery(5, 1, 0.0021, 3),
        name="district-2026-11-23",
        callback_data='{"order": 4711}',
        series=Series("0a" * 32, 4),
        attempt=2,
        resumed_at=CLOCK.time,
        resumable_until=CLOCK.time,
    )

    assert jobs.create(job)

    assert jobs.get("j1") == job


def test_a_job_id_can_be_created_once(jobs):
    assert jobs.create(a_job(tile_count=1))
    assert not jobs.create(a_job(tile_count=2))
    assert jobs.get("j1").tile_count == 1


def test_an_unknown_job_is_reported_as_unknown(jobs):
    with pytest.raises(JobNotFoundError, match="There is no job j404"):
        jobs.get("j404")


def test_an_expired_job_is_as_good_as_unknown(jobs):
    jobs.create(a_job(expires_at=CLOCK.time - timedelta(seconds=1)))

    with pytest.raises(JobNotFoundError, match="expired"):
        jobs.get("j1")


def test_advancing_appends_messages_and_keeps_what_is_not_named(jobs):
    jobs.create(a_job())
    finished_at = CLOCK.now()

    assert jobs.advance("j1", JobChange(JobStatus.EXECUTING, work_items=4))
    assert jobs.advance(
        "j1",
        JobChange(
            JobStatus.SUCCEEDED,
            messages=[Message(MessageKind.WARNING, "one is missing")],
            package=Package("k", "n", 1),
            finished_at=finished_at,
        ),
    )

    job = jobs.get("j1")
    assert [message.text for message in job.messages] == ["submitted", "one is missing"]
    assert job.progress.work_items == 4
    assert job.package == Package("k", "n", 1)
    assert job.finished_at == finished_at


def test_open_jobs_are_unfinished_and_oldest_first(jobs):
    jobs.create(a_job("j1", submitted_at=CLOCK.time))
    jobs.create(a_job("j2", submitted_at=CLOCK.time - timedelta(minutes=2)))
    jobs.create(a_job("j3", submitted_at=CLOCK.time - timedelta(minutes=1)))
    jobs.create(a_job("j4", status=JobStatus.FAILED))
    jobs.advance("j2", JobChange(JobStatus.EXECUTING, work_items=1))
    jobs.advance("j3", JobChange(JobStatus.CANCELLED))
    jobs.count_work_item("j2", 1, 1)

    assert [job.job_id for job in jobs.open_jobs()] == ["j2", "j1"]


def test_open_jobs_are_read_across_pages(jobs):
    for number in range(120):
        jobs.create(a_job(f"j{number}"))

    assert len(list(jobs.open_jobs())) == 120


def test_jobs_of_a_series_are_newest_first(jobs):
    series, other = Series("0a" * 32, 2), Series("0b" * 32, 2)
    for minutes in (1, 3, 2):
        jobs.create(a_job(f"j{minutes}", submitted_at=CLOCK.time + timedelta(minutes=minutes), series=series))
    jobs.create(a_job("j4", series=other))
    jobs.create(a_job("j5"))

    assert [job.job_id for job in jobs.series(series.key)] == ["j3", "j2", "j1"]
    assert list(jobs.series("0c" * 32)) == []


def test_a_deleted_job_has_no_package_says_why_and_leaves_its_series(jobs):
    series = Series("0a" * 32, 2)
    jobs.create(a_job(series=series))
    jobs.advance("j1", JobChange(JobStatus.SUCCEEDED, package=Package("k", "n", 1), finished_at=CLOCK.now()))
    expires_at, message = CLOCK.time.replace(microsecond=0) + timedelta(days=9), Message(MessageKind.ERROR, "why")

    assert jobs.delete("j1", message, expires_at)
    assert not jobs.delete("j1", message, expires_at)

    job = jobs.get("j1")
    assert (job.status, job.package, job.series, job.expires_at) == (JobStatus.DELETED, None, None, expires_at)
    assert job.messages[-1] == message
    assert list(jobs.series(series.key)) == []


@pytest.mark.parametrize("status", [status for status in JobStatus if status is not JobStatus.SUCCEEDED])
def test_only_a_job_that_succeeded_can_be_deleted(jobs, status):
    jobs.create(a_job(status=status))

    assert not jobs.delete("j1", Message(MessageKind.ERROR, "why"), CLOCK.time)
    assert not jobs.delete("j404", Message(MessageKind.ERROR, "why"), CLOCK.time)
    assert jobs.get("j1").status is status


def test_progress_counts_items_and_bytes(jobs):
    jobs.create(a_job())
    jobs.advance("j1", JobChange(JobStatus.EXECUTING, work_items=3))

    jobs.count_work_item("j1", 2, 100)
    jobs.count_work_item("j1", 1, 50)

    job = jobs.get("j1")
    assert job.progress == Progress(work_items=3, done_work_items=2, done_tile_count=3, done_bytes=150)
    assert job.percent == 60


def test_a_late_work_item_is_not_counted(jobs):
    jobs.create(a_job())
    jobs.advance("j1", JobChange(JobStatus.EXECUTING, work_items=1))
    jobs.advance("j1", JobChange(JobStatus.SUCCEEDED, progress=Progress(1, 1, 5, 100)))

    jobs.count_work_item("j1", 5, 100)
    jobs.count_work_item("j404", 5, 100)

    assert jobs.get("j1").progress == Progress(1, 1, 5, 100)
    with pytest.raises(JobNotFoundError):
        jobs.get("j404")


def test_the_final_progress_includes_uncounted_work_items(jobs):
    jobs.create(a_job())
    jobs.advance("j1", JobChange(JobStatus.EXECUTING, work_items=3))
    jobs.count_work_item("j1", 2, 100)

    jobs.advance("j1", JobChange(JobStatus.SUCCEEDED, progress=Progress(3, 3, 5, 200)))

    assert jobs.get("j1").progress == Progress(3, 3, 5, 200)


def a_failed_job():
    return a_job(status=JobStatus.FAILED, finished_at=CLOCK.time, resumable_until=CLOCK.time + HOUR)


def resume(jobs, attempt, now=None):
    message = Message(MessageKind.INFORMATIVE, "resumed")
    return jobs.resume("j1", attempt, now or CLOCK.time, LATER, message)


def test_a_job_that_failed_is_resumed_as_if_it_were_new(jobs):
    jobs.create(a_failed_job())
    now = CLOCK.time

    assert resume(jobs, 2)

    job = jobs.get("j1")
    assert (job.status, job.attempt, job.resumed_at) == (JobStatus.SUBMITTED, 2, now)
    assert (job.finished_at, job.resumable_until) == (None, None)
    assert job.expires_at == LATER
    assert job.messages[-1].text == "resumed"
    assert list(jobs.open_jobs()) == [job]


def test_each_attempt_begins_once(jobs):
    jobs.create(a_failed_job())

    assert not resume(jobs, 3)
    assert resume(jobs, 2)
    assert not resume(jobs, 2)


def test_a_job_is_not_resumed_when_its_time_is_over(jobs):
    jobs.create(a_failed_job())

    assert not resume(jobs, 2, CLOCK.time + 2 * HOUR)


@pytest.mark.parametrize("status", sorted(set(JobStatus) - RESUMABLE))
def test_a_job_that_has_not_failed_is_not_resumed(jobs, status):
    jobs.create(replace(a_failed_job(), status=status))

    assert not resume(jobs, 2)


def test_an_earlier_attempt_cannot_change_a_job(jobs):
    jobs.create(a_failed_job())
    resume(jobs, 2)

    assert not jobs.advance("j1", JobChange(JobStatus.FAILED, attempt=1))
    assert jobs.advance("j1", JobChange(JobStatus.FAILED, attempt=2))


def test_progress_can_be_recounted(jobs):
    jobs.create(a_job(progress=Progress(4, 4, 5, 6)))

    jobs.recount("j1", Progress(4, 3, 2, 1))

    assert jobs.get("j1").progress == Progress(4, 3, 2, 1)


def test_a_job_that_is_unknown_cannot_advance(jobs):
    assert not jobs.advance("j404", JobChange(JobStatus.EXECUTING))


WISHES = st.one_of(st.tuples(st.sampled_from(JobStatus), st.sampled_from([None, 1, 2, 3])), st.just("resume"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(wishes=st.lists(WISHES, max_size=8), number=st.uuids())
def test_only_legal_changes_of_the_current_attempt_happen(jobs, wishes, number):
    job_id = f"j{number.hex}"
    jobs.create(a_job(job_id, expires_at=LATER))
    for wish in wishes:
        before = jobs.get(job_id)
        if wish == "resume":
            is_legal, status = before.status in RESUMABLE, JobStatus.SUBMITTED
            message = Message(MessageKind.INFORMATIVE, "resumed")
            assert jobs.resume(job_id, before.attempt + 1, CLOCK.time, LATER, message) == is_legal
        else:
            status, attempt = wish
            is_legal = status in SUCCESSORS[before.status] and attempt in {None, before.attempt}
            assert (
                jobs.advance(job_id, JobChange(status, attempt=attempt, resumable_until=CLOCK.time + HOUR)) == is_legal
            )
        now = jobs.get(job_id)
        if is_legal:
            assert (now.status, now.attempt) == (status, before.attempt + (wish == "resume"))
        else:
            assert now == before
