"""The declared permissions on the job table equal those of the requests sent (moto)."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.domain.job import JobStatus, Message, MessageKind, Progress, Series
from exporttiles.domain.quota import Quota
from exporttiles.ports.jobs import JobChange
from tests.builders_rest import SUBMITTED_AT, a_job
from tests.chaos.rights import COUNTED, JOBS, TABLE
from tests.fakes import FakeClock

JOB = a_job(series=Series("series", 1))
SAID = Message(MessageKind.INFORMATIVE, "Said.")
CALLS = {
    "create": lambda jobs: jobs.create(JOB),
    "get": lambda jobs: jobs.get(JOB.job_id),
    "find": lambda jobs: jobs.find([JOB.job_id]),
    "open_jobs": lambda jobs: list(jobs.open_jobs()),
    "series": lambda jobs: list(jobs.series("series")),
    "advance": lambda jobs: jobs.advance(JOB.job_id, JobChange(JobStatus.EXECUTING)),
    "resume": lambda jobs: jobs.resume(JOB.job_id, 2, SUBMITTED_AT, SUBMITTED_AT + timedelta(days=1), SAID),
    "recount": lambda jobs: jobs.recount(JOB.job_id, Progress()),
    "count_work_item": lambda jobs: jobs.count_work_item(JOB.job_id, 1, 1),
    "delete": lambda jobs: jobs.delete(JOB.job_id, SAID, SUBMITTED_AT + timedelta(days=1)),
}


def test_every_method_of_the_table_is_known():
    assert JOBS.keys() == CALLS.keys() == {name for name in vars(DynamoDbJobs) if not name.startswith("_")}


@pytest.mark.parametrize("method", CALLS)
def test_the_rights_of_a_method_are_those_of_its_requests(table, method):
    jobs = DynamoDbJobs(table, FakeClock())
    if method != "create":
        jobs.create(JOB)

    with sent_to(table) as sent:
        CALLS[method](jobs)

    assert sent == JOBS[method]


LIMITED = Quota("key", max_open_jobs=1, max_tiles_per_day=10**9)
COUNTED_CALLS = {
    "create": lambda jobs: jobs.create(JOB, LIMITED),
    "advance": lambda jobs: jobs.advance(JOB.job_id, JobChange(JobStatus.FAILED, refund=LIMITED)),
    "resume": lambda jobs: jobs.resume(
        JOB.job_id, 2, SUBMITTED_AT, SUBMITTED_AT + timedelta(days=1), SAID, quota=LIMITED
    ),
}


@pytest.mark.parametrize("method", COUNTED)
def test_the_rights_of_a_counted_job_are_those_of_the_writes_of_its_transaction(table, method):
    jobs = DynamoDbJobs(table, FakeClock())
    if method == "advance":
        jobs.create(JOB)
    if method == "resume":
        jobs.create(replace(JOB, status=JobStatus.FAILED, resumable_until=SUBMITTED_AT + timedelta(days=1)))
        jobs.create(replace(JOB, job_id="other"), LIMITED)
        jobs.advance("other", JobChange(JobStatus.FAILED))  # its place is made free

    with sent_to(table) as sent:
        COUNTED_CALLS[method](jobs)

    assert sent == COUNTED[method]


@contextmanager
def sent_to(table):
    """Collect the rights that requests need. AWS checks the rights for each write of a transaction."""
    sent = set()

    def record(params, model, **_):
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        writes = [f"{kind}Item" for write in params.get("TransactItems", []) for kind in write]
        sent.update((f"dynamodb:{name}", TABLE + index) for name in writes or [model.name])

    table.meta.client.meta.events.register("provide-client-params.dynamodb", record)
    yield sent
    table.meta.client.meta.events.unregister("provide-client-params.dynamodb", record)
