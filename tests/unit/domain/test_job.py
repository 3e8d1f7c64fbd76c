"""The states of a job and which may follow which."""

from exporttiles.domain.job import SUCCESSORS, JobStatus, Progress

ENDS = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT}


def test_every_state_is_an_end_or_leads_to_one():
    for status in JobStatus:
        assert status.is_final == (status in ENDS)
        assert status.is_final or SUCCESSORS[status] & ENDS


def test_a_job_that_is_being_cancelled_never_succeeds():
    assert JobStatus.SUCCEEDED not in SUCCESSORS[JobStatus.CANCELLING]


def test_nothing_becomes_submitted_again():
    assert all(JobStatus.SUBMITTED not in after for after in SUCCESSORS.values())


def test_progress_is_100_only_when_all_is_done():
    assert [Progress(3, done).percent for done in (0, 1, 2, 3, 4)] == [0, 33, 66, 100, 100]
    assert Progress().percent == 0
