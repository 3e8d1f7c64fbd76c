"""Job states and the legal transitions between them."""

from dataclasses import replace
from datetime import UTC, datetime

from exporttiles.domain.job import SUCCESSORS, Job, JobStatus, Progress

ENDS = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT, JobStatus.DELETED}


def a_job(done_tile_count):
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return Job("j1", "World", JobStatus.EXECUTING, now, now, 3, progress=Progress(3, 0, done_tile_count))


def test_every_state_is_an_end_or_leads_to_one():
    for status in JobStatus:
        assert status.is_final == (status in ENDS)
        assert status.is_final or SUCCESSORS[status] & ENDS


def test_a_job_that_is_being_cancelled_never_succeeds():
    assert JobStatus.SUCCEEDED not in SUCCESSORS[JobStatus.CANCELLING]


def test_nothing_becomes_submitted_again_by_itself():
    assert all(JobStatus.SUBMITTED not in after for after in SUCCESSORS.values())


def test_progress_is_100_only_when_all_is_done():
    percents = [a_job(done).percent for done in (0, 1, 2, 3, 4)]

    assert percents == [0, 33, 66, 100, 100]
    assert replace(a_job(0), tile_count=0).percent == 0
