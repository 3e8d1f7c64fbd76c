"""CloudFormation is asked before the buckets of a stack are emptied, and only its answer counts as deleted."""

from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from deployment import removal
from deployment.stack import DeploymentError

ARN = "arn:aws:cloudformation:eu-central-1:123456789012:stack/gis/1"


@pytest.fixture
def cloudformation(monkeypatch):
    """CloudFormation with scripted answers. Any request to another service fails."""
    client = boto3.client(
        "cloudformation", region_name="eu-central-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    monkeypatch.setattr(removal, "client", {"cloudformation": client}.__getitem__)
    monkeypatch.setattr(removal, "_POLL_SECONDS", 0)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def stack():
    return SimpleNamespace(name="gis", arn=ARN, outputs={"StateMachineArn": "machine"})


def described(status, **members):
    return {"Stacks": [{"StackName": "gis", "StackId": ARN, "CreationTime": 0, "StackStatus": status, **members}]}


def test_nothing_of_a_stack_with_termination_protection_is_deleted(cloudformation, stack):
    cloudformation.add_response("describe_stacks", described("CREATE_COMPLETE", EnableTerminationProtection=True))

    with pytest.raises(DeploymentError, match=r"STACK: 'gis' has termination protection\. .* Nothing was deleted\."):
        removal.delete_stack(stack)


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "CREATE_IN_PROGRESS"])
def test_nothing_of_a_stack_that_is_being_updated_is_deleted(cloudformation, stack, status):
    cloudformation.add_response("describe_stacks", described(status))

    with pytest.raises(DeploymentError, match=rf"STACK: 'gis' is {status}\. .* Nothing was deleted\."):
        removal.delete_stack(stack)


def test_a_proof_that_is_interrupted_waits_for_its_update(cloudformation):
    for status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"):
        cloudformation.add_response("describe_stacks", described(status))

    removal.wait_until_idle("gis")


def test_a_stack_that_cannot_be_looked_at_is_not_deleted(cloudformation, stack):
    cloudformation.add_client_error("describe_stacks", "ExpiredToken")

    with pytest.raises(ClientError, match="ExpiredToken"):
        removal._wait_until_deleted(stack)


def test_a_stack_that_does_not_exist_is_deleted(cloudformation, stack):
    cloudformation.add_client_error("describe_stacks", "ValidationError", "Stack with id gis does not exist")

    assert removal._wait_until_deleted(stack) == ""
