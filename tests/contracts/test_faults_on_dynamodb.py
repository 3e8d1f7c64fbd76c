"""Exports with faults on jobs in DynamoDB (moto): its conditions agree with the job table in memory."""

import pytest

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from tests.chaos.runs import run
from tests.fakes import FakeClock

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning")


@pytest.mark.parametrize("seed", range(0, 74, 6))
def test_an_export_with_faults_ends_in_dynamodb_as_it_does_in_memory(table, seed):
    outcome = run(seed, DynamoDbJobs(table, FakeClock()))

    assert outcome.problems == [], f"{outcome.scenario} {outcome.planned}"
    assert outcome.status == run(seed).status
