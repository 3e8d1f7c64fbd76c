"""Contract of job tables: in memory, in DynamoDB (moto)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from threading import Lock
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.domain.errors import JobNotFoundError, QuotaExceededError
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
from exporttiles.domain.quota import EVENTS, Quota
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
        estimate=Estimate(5, 12345, 40),
        package=Package("packages/j1/a.tpkx", "a.tpkx", 7),
        finished_at=CLOCK.time,
        owner="0f" * 32,
        caller=EVENTS,
        delivery=Delivery(5, 1, 0.0021, 3),
        name="district-2026-11-23",
        callback_data='{"order": 4711}',
        series=Series("0a" * 32, 4),
        attempt=2,
        resumed_at=CLOCK.time,
        resumable_until=CLOCK.time,
        package_count=3,
        batch_id="j" + "0a" * 16,
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


def test_many_jobs_are_found_together_without_those_that_are_unknown_or_expired(jobs):
    known = [a_job(f"j{uuid4().hex}", tile_count=number) for number in range(250)]  # more than one request may ask for
    for job in known:
        jobs.create(job)
    jobs.create(a_job("j-expired", expires_at=CLOCK.time - timedelta(seconds=1)))

    found = jobs.find([*(job.job_id for job in known), "j-expired", "j-unknown"])

    assert found == {job.job_id: job for job in known}
    assert jobs.find([]) == {}


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
    began = CLOCK.time
    jobs.count_work_item("j1", 1, 50)

    job = jobs.get("j1")
    assert job.progress == Progress(work_items=3, done_work_items=2, done_tile_count=3, done_bytes=150)
    assert job.percent == 60
    assert began < job.progressed_at <= CLOCK.time


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


TWO_OPEN, TEN_TILES = Quota("0f" * 32, max_open_jobs=2), Quota("0f" * 32, max_tiles_per_day=10)


def test_a_caller_has_as_many_open_jobs_as_the_quota_allows(jobs):
    assert jobs.create(a_job("j1"), TWO_OPEN)
    assert jobs.create(a_job("j2"), TWO_OPEN)

    with pytest.raises(
        QuotaExceededError, match=r"^MaxOpenJobs: 2 exports of this API key are unfinished, and the limit"
    ):
        jobs.create(a_job("j3"), TWO_OPEN)

    with pytest.raises(JobNotFoundError):
        jobs.get("j3")


@pytest.mark.parametrize("end", sorted(status for status in JobStatus if status in SUCCESSORS[JobStatus.EXECUTING]))
def test_a_job_that_has_ended_makes_room_for_another(jobs, end):
    for job_id in ("j1", "j2"):
        jobs.create(a_job(job_id), TWO_OPEN)
    jobs.advance("j1", JobChange(JobStatus.EXECUTING, work_items=1))
    jobs.advance("j1", JobChange(end))

    if end.is_final:
        assert jobs.create(a_job("j3"), TWO_OPEN)
    with pytest.raises(QuotaExceededError):
        jobs.create(a_job("j4"), TWO_OPEN)


def test_callers_do_not_count_for_each_other(jobs):
    for number, caller in enumerate(["0e" * 32, "0f" * 32, EVENTS]):
        assert jobs.create(a_job(f"j{number}"), Quota(caller, max_open_jobs=1, max_tiles_per_day=5))


def test_a_caller_selects_as_many_tiles_a_day_as_the_quota_allows(jobs):
    assert jobs.create(a_job("j1", tile_count=7), TEN_TILES)
    assert jobs.create(a_job("j2", tile_count=3, status=JobStatus.EXECUTING), TEN_TILES)

    with pytest.raises(QuotaExceededError) as refused:
        jobs.create(a_job("j3", tile_count=1), TEN_TILES)
    assert str(refused.value) == (
        "MaxTilesPerDay: 1 tile is selected, and exports of this API key have used 10 of 10 tiles today. "
        "Send the request again after 2026-11-24 00:00 UTC."
    )


def test_a_refused_job_leaves_its_tiles_to_others(jobs):
    jobs.create(a_job("j1", tile_count=7), TEN_TILES)

    with pytest.raises(QuotaExceededError, match="Select at most 3, or send the request again after"):
        jobs.create(a_job("j2", tile_count=4), TEN_TILES)

    assert jobs.create(a_job("j3", tile_count=3), TEN_TILES)


def test_a_job_that_no_day_has_room_for_is_not_told_to_come_tomorrow(jobs):
    with pytest.raises(QuotaExceededError, match=r"used 0 of 10 tiles today\. Select at most 10 tiles\.$"):
        jobs.create(a_job(tile_count=11), TEN_TILES)


def test_tiles_of_yesterday_do_not_count(jobs):
    jobs.create(a_job("j1", tile_count=10), TEN_TILES)

    assert jobs.create(a_job("j2", tile_count=10, submitted_at=CLOCK.time + timedelta(days=1)), TEN_TILES)


def test_a_job_that_exists_is_not_counted_again(jobs):
    quota = replace(TWO_OPEN, max_tiles_per_day=10)
    for expected in (True, False, False, False):
        assert jobs.create(a_job("j1", tile_count=4), quota) == expected

    assert jobs.create(a_job("j2", tile_count=6), quota)


def test_the_count_of_tiles_is_left_alone_if_there_is_no_place(jobs):
    quota = replace(TWO_OPEN, max_open_jobs=1, max_tiles_per_day=10)
    jobs.create(a_job("j1", tile_count=4), quota)
    with pytest.raises(QuotaExceededError, match="MaxOpenJobs"):
        jobs.create(a_job("j2", tile_count=6), quota)
    jobs.advance("j1", JobChange(JobStatus.FAILED))

    assert jobs.create(a_job("j3", tile_count=6), quota)


def fail(jobs, job_id):
    assert jobs.advance(job_id, JobChange(JobStatus.FAILED, resumable_until=CLOCK.time + HOUR))


def resume_counted(jobs, job_id="j1", quota=TWO_OPEN):
    return jobs.resume(job_id, 2, CLOCK.time, LATER, Message(MessageKind.INFORMATIVE, "resumed"), quota=quota)


@pytest.mark.parametrize("others", [["j2"], ["j2", "j3"]], ids=["its place is not taken", "its place was taken"])
def test_a_resumed_job_counts_as_open_again(jobs, others):
    jobs.create(a_job("j1"), TWO_OPEN)
    fail(jobs, "j1")
    for job_id in others:
        jobs.create(a_job(job_id), TWO_OPEN)
    for job_id in others[1:]:
        fail(jobs, job_id)

    assert resume_counted(jobs)

    with pytest.raises(QuotaExceededError, match=r"^MaxOpenJobs: 2 exports"):
        jobs.create(a_job("j4"), TWO_OPEN)


def test_a_job_is_resumed_when_the_quota_has_room_for_it(jobs):
    jobs.create(a_job("j1"), TWO_OPEN)
    fail(jobs, "j1")
    for job_id in ("j2", "j3"):
        jobs.create(a_job(job_id), TWO_OPEN)

    with pytest.raises(QuotaExceededError, match=r"^MaxOpenJobs: 2 exports of this API key are unfinished"):
        resume_counted(jobs)
    assert (jobs.get("j1").status, jobs.get("j1").attempt) == (JobStatus.FAILED, 1)

    fail(jobs, "j3")
    assert resume_counted(jobs)


def test_a_full_quota_does_not_hide_that_a_job_cannot_be_resumed(jobs):
    jobs.create(a_job("j1"))
    jobs.create(a_job("j2"), replace(TWO_OPEN, max_open_jobs=1))

    assert not resume_counted(jobs, quota=replace(TWO_OPEN, max_open_jobs=1))


def test_a_job_that_was_not_counted_counts_when_it_is_resumed(jobs):
    jobs.create(a_failed_job())

    assert resume_counted(jobs, quota=replace(TWO_OPEN, max_open_jobs=1))

    with pytest.raises(QuotaExceededError):
        jobs.create(a_job("j2"), replace(TWO_OPEN, max_open_jobs=1))


def test_tiles_of_a_resumed_job_are_not_counted_again(jobs):
    quota = replace(TWO_OPEN, max_tiles_per_day=10)
    jobs.create(a_job("j1", tile_count=7), quota)
    fail(jobs, "j1")

    assert resume_counted(jobs, quota=quota)

    assert jobs.create(a_job("j2", tile_count=3), quota)


def test_a_job_on_which_no_work_was_done_gives_its_tiles_back_once(jobs):
    jobs.create(a_job("j1", tile_count=7), TEN_TILES)
    jobs.create(a_job("j2", tile_count=2), TEN_TILES)

    assert jobs.advance("j1", JobChange(JobStatus.FAILED, refund=TEN_TILES))
    assert not jobs.advance("j1", JobChange(JobStatus.FAILED, refund=TEN_TILES))
    assert not jobs.advance("j404", JobChange(JobStatus.FAILED, refund=TEN_TILES))

    assert jobs.get("j1").status is JobStatus.FAILED
    with pytest.raises(QuotaExceededError, match="have used 2 of 10 tiles today"):
        jobs.create(a_job("j3", tile_count=9), TEN_TILES)


def test_a_job_that_is_resumed_while_ended_jobs_are_removed_stays_counted(table):
    """The job is read as ended, resumed, and must not be removed from the open jobs then."""
    jobs, resumed = DynamoDbJobs(table, CLOCK), []
    for job_id in ("j1", "j2"):
        jobs.create(a_job(job_id), TWO_OPEN)
    fail(jobs, "j1")

    def resume_before(**_):
        if not resumed:
            resumed.append(resume_counted(jobs))

    table.meta.client.meta.events.register("before-call.dynamodb.UpdateItem", resume_before)

    with pytest.raises(QuotaExceededError):
        jobs.create(a_job("j3"), TWO_OPEN)
    assert resumed == [True]


def test_counts_are_no_jobs(jobs):
    jobs.create(a_job(), replace(TWO_OPEN, max_tiles_per_day=10))

    assert [job.job_id for job in jobs.open_jobs()] == ["j1"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(tile_counts=st.lists(st.integers(1, 6), min_size=4, max_size=12), max_open_jobs=st.integers(0, 4))
def test_concurrent_jobs_never_exceed_a_quota(table, tile_counts, max_open_jobs):
    """Requests of threads mix in any order, and each of them is atomic, as in DynamoDB."""
    turn = Lock()
    events = table.meta.client.meta.events
    events.register("before-send.dynamodb", lambda **_: turn.acquire() and None, unique_id="begin")
    events.register("after-call.dynamodb", lambda **_: turn.release(), unique_id="end")
    jobs, caller = DynamoDbJobs(table, CLOCK), uuid4().hex  # a new one for each example
    quota = Quota(caller, max_open_jobs, max_tiles_per_day=20)
    submitted = [
        a_job(f"j{caller}{index}", tile_count=tile_count, expires_at=LATER)
        for index, tile_count in enumerate(tile_counts)
    ]

    def create(job):
        with suppress(QuotaExceededError):
            return jobs.create(job, quota)
        return False

    with ThreadPoolExecutor(4) as threads:
        created = [job for job, is_created in zip(submitted, threads.map(create, submitted), strict=True) if is_created]

    used_count = sum(job.tile_count for job in created)
    assert used_count <= 20
    assert len(created) <= (max_open_jobs or len(submitted))
    refused = [job for job in submitted if job not in created]
    is_full = max_open_jobs and len(created) == max_open_jobs
    assert is_full or all(used_count + job.tile_count > 20 for job in refused)


def test_a_transaction_in_the_way_of_another_is_tried_again(table):
    """DynamoDB cancels a transaction on an item that another one writes to; moto never does."""
    client, tries = table.meta.client, []

    def conflict(**_):
        tries.append(1)
        if len(tries) < 4:
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(error, "TransactWriteItems")

    client.meta.events.register("before-call.dynamodb.TransactWriteItems", conflict)

    assert DynamoDbJobs(table, CLOCK).create(a_job(), TWO_OPEN)
    assert len(tries) == 4
