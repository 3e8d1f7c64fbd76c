"""Job states and the legal transitions between them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

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


NOW = datetime(2026, 11, 23, tzinfo=UTC)


def a_running_job(done_tile_count, progressed_after, **changes):
    """Return a job of 1,000 tiles, and when it finished its last work item."""
    at = NOW + timedelta(seconds=progressed_after)
    job = replace(a_job(done_tile_count), tile_count=1000, progressed_at=at)
    return replace(job, **changes), at


def test_the_remaining_time_follows_from_the_tiles_done_so_far_and_runs_down():
    job, at = a_running_job(250, 60)

    left = [job.remaining_seconds(at + timedelta(seconds=later)) for later in (0, 60, 179)]

    assert left == pytest.approx([180, 120, 1])


@pytest.mark.parametrize(
    ("done", "later", "changes"),
    [
        (250, 181, {}),  # the estimate has passed
        (49, 0, {}),
        (1000, 0, {}),
        (250, 0, {"attempt": 2}),
        (250, 0, {"progressed_at": None}),
        (250, 0, {"status": JobStatus.CANCELLING}),
    ],
)
def test_a_remaining_time_that_is_not_known_is_none(done, later, changes):
    job, at = a_running_job(done, 60, **changes)

    assert job.remaining_seconds(at + timedelta(seconds=later)) is None
