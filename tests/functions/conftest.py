"""API clients on a runtime of fakes."""

import pytest

from exporttiles.domain.job import JobStatus
from tests.builders_rest import a_job, a_rest_runtime
from tests.functions.api_client import Client


@pytest.fixture
def client():
    return Client(a_rest_runtime())


@pytest.fixture
def done(client):
    client.put(a_job(JobStatus.SUCCEEDED))
    return client
