"""The declared permissions on the job table equal those of the requests sent (moto)."""

from datetime import timedelta

import pytest

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.domain.job import JobStatus, Message, MessageKind, Progress, Series
from exporttiles.ports.jobs import JobChange
from tests.builders_rest import SUBMITTED_AT, a_job
from tests.chaos.rights import JOBS, TABLE
from tests.fakes import FakeClock

JOB = a_job(series=Series("series", 1))
SAID = Message(MessageKind.INFORMATIVE, "Said.")
CALLS = {
    "create": lambda jobs: jobs.create(JOB),
    "get": lambda jobs: jobs.get(JOB.job_id),
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
    jobs, sent = DynamoDbJobs(table, FakeClock()), set()
    if method != "create":
        jobs.create(JOB)

    def record(params, model, **_):
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        sent.add((f"dynamodb:{model.name}", TABLE + index))

    table.meta.client.meta.events.register("provide-client-params.dynamodb", record)
    CALLS[method](jobs)

    assert sent == JOBS[method]
