"""Contract of workflows: in memory, in Step Functions (moto)."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import boto3
import pytest

from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow
from exporttiles.domain.job import Job, JobStatus
from exporttiles.ports.workflow import Execution, ExecutionStatus
from tests.contracts.conftest import client_options
from tests.fakes import FakeWorkflow

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
JOB = Job("j1", "World_Imagery", JobStatus.SUBMITTED, NOW, NOW, tile_count=5, expected_bytes=75_000)


@pytest.fixture(params=["memory", "step functions"])
def workflow(request):
    if request.param == "memory":
        yield FakeWorkflow()
        return
    client = boto3.client("stepfunctions", **client_options(request.getfixturevalue("s3_endpoint")))
    machine = client.create_state_machine(
        name=f"machine-{uuid4()}",
        definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}),
        roleArn="arn:aws:iam::123456789012:role/machine",
    )
    yield StepFunctionsWorkflow(client, machine["stateMachineArn"])
    client.close()


def test_steps_that_were_never_started_are_not_found(workflow):
    assert workflow.find("j1") is None


def test_steps_are_found_once_they_were_started(workflow):
    workflow.start(JOB)

    assert workflow.find("j1") == Execution(ExecutionStatus.RUNNING)


def test_a_second_start_does_nothing(workflow):
    workflow.start(JOB)
    workflow.stop("j1")
    workflow.start(JOB)

    assert workflow.find("j1").status is ExecutionStatus.ABORTED


def test_steps_that_were_stopped_have_ended(workflow):
    workflow.start(JOB)

    workflow.stop("j1")

    assert workflow.find("j1").status is ExecutionStatus.ABORTED


def test_stopping_what_was_never_started_does_nothing(workflow):
    workflow.stop("j1")

    assert workflow.find("j1") is None


def test_an_execution_knows_how_large_its_export_will_be(s3_endpoint):
    client = boto3.client("stepfunctions", **client_options(s3_endpoint))
    machine = client.create_state_machine(
        name=f"machine-{uuid4()}",
        definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}),
        roleArn="arn:aws:iam::123456789012:role/machine",
    )["stateMachineArn"]

    StepFunctionsWorkflow(client, machine).start(JOB)

    (execution,) = client.list_executions(stateMachineArn=machine)["executions"]
    given = json.loads(client.describe_execution(executionArn=execution["executionArn"])["input"])
    assert (given["job_id"], given["expected_bytes"]) == ("j1", 75_000)
    client.close()


def test_each_attempt_has_steps_of_its_own(workflow):
    workflow.start(JOB)
    workflow.stop("j1")

    workflow.start(replace(JOB, attempt=2))

    assert workflow.find("j1", 1).status is ExecutionStatus.ABORTED
    assert workflow.find("j1", 2).status is ExecutionStatus.RUNNING
