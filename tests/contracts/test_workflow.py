"""What every workflow does: in memory, in Step Functions (moto)."""

import json
from uuid import uuid4

import boto3
import pytest

from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow
from exporttiles.ports import Execution, ExecutionStatus
from tests.contracts.conftest import client_options
from tests.fakes import FakeWorkflow


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
    workflow.start("j1")

    assert workflow.find("j1") == Execution(ExecutionStatus.RUNNING)


def test_a_second_start_does_nothing(workflow):
    workflow.start("j1")
    workflow.stop("j1")
    workflow.start("j1")

    assert workflow.find("j1").status is ExecutionStatus.ABORTED


def test_steps_that_were_stopped_have_ended(workflow):
    workflow.start("j1")

    workflow.stop("j1")

    assert workflow.find("j1").status is ExecutionStatus.ABORTED


def test_stopping_what_was_never_started_does_nothing(workflow):
    workflow.stop("j1")

    assert workflow.find("j1") is None
