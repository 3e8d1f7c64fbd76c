"""`make destroy` lists the contents of a stack, asks, deletes it and nothing else, and lists what remains."""

import os
import subprocess
import sys

import pytest

from local.cloud import ROOT, LocalCloud

TEMPLATE = """
Parameters:
  PublicBaseUrl: { Type: String }
  MaxConcurrency: { Type: Number }
Resources:
  TileBucket: { Type: AWS::S3::Bucket, DeletionPolicy: Retain }
  PackageBucket: { Type: AWS::S3::Bucket }
  Inbox: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: inbox.yaml } }
  JobTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
  LogGroup: { Type: AWS::Logs::LogGroup }
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: arn:aws:iam::000000000000:role/none
      DefinitionString: '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": true}}}'
Outputs:
  ServicesUrl: { Value: !Sub "${PublicBaseUrl}/arcgis/rest/services" }
  TileBucketName: { Value: !Ref TileBucket }
  PackageBucketName: { Value: !Ref PackageBucket }
  InboxBucketName: { Value: !GetAtt Inbox.Outputs.Bucket }
  StateMachineArn: { Value: !Ref Machine }
"""
INBOX = """
Resources:
  InboxBucket: { Type: AWS::S3::Bucket, Properties: { VersioningConfiguration: { Status: Enabled } } }
Outputs:
  Bucket: { Value: !Ref InboxBucket }
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("templates")
    (folder / "inbox.yaml").write_text(INBOX)
    path = folder / "template.yaml"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture
def cloud(template):
    """A stack that holds a tile, a package, an upload, two versions of a request and a running export."""
    with LocalCloud(template=template) as cloud:
        s3 = cloud.client("s3")
        s3.put_object(Bucket=cloud.outputs["TileBucketName"], Key="caches/World/0/0/0.jpg", Body=b"tile")
        s3.put_object(Bucket=cloud.outputs["PackageBucketName"], Key="packages/j0/World.tpkx", Body=bytes(2_000_000))
        s3.create_multipart_upload(Bucket=cloud.outputs["PackageBucketName"], Key="packages/j1/World.tpkx")
        for body in (b"first", b"second"):
            s3.put_object(Bucket=cloud.outputs["InboxBucketName"], Key="requests/a.json", Body=body)
        s3.delete_object(Bucket=cloud.outputs["InboxBucketName"], Key="requests/a.json")
        cloud.client("stepfunctions").start_execution(stateMachineArn=cloud.outputs["StateMachineArn"])
        yield cloud


def destroy(cloud, *arguments, typed=""):
    return subprocess.run(
        [sys.executable, "-m", "deployment.destroy", *arguments],
        cwd=ROOT,
        env=os.environ | cloud.environment,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def buckets(cloud):
    return {bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]}


def test_what_will_be_deleted_is_said_with_its_size_and_nothing_goes_unless_the_name_is_typed(cloud):
    wrong = destroy(cloud, typed="exporttile\n")
    nobody = destroy(cloud)

    outputs = cloud.outputs
    said, kept = wrong.stdout.split("It will leave", 1)
    assert f"bucket {outputs['PackageBucketName']} (PackageBucket): 1 object, 2.0 MB" in said
    assert f"bucket {outputs['InboxBucketName']} (InboxBucket): 3 objects" in said
    assert "(JobTable)" in said
    assert "It will stop 1 running export" in said
    assert f"bucket {outputs['TileBucketName']} (TileBucket): 1 object" in kept
    assert "CONFIRM: 'exporttile' is not the name of the stack, 'exporttiles'. Nothing was deleted." in wrong.stderr
    assert "Set CONFIRM=exporttiles" in nobody.stderr
    assert wrong.returncode == nobody.returncode == 1
    assert {outputs["PackageBucketName"], outputs["InboxBucketName"], outputs["TileBucketName"]} <= buckets(cloud)


def test_the_stack_goes_and_the_tiles_stay(cloud):
    done = destroy(cloud, typed="exporttiles\n")

    assert done.returncode == 0, done.stderr
    remains = done.stdout.partition("These remain")[2]
    assert f"bucket {cloud.outputs['TileBucketName']} (TileBucket): 1 object" in remains
    assert "PackageBucket" not in remains
    assert "JobTable" not in remains
    assert buckets(cloud) & set(cloud.outputs.values()) == {cloud.outputs["TileBucketName"]}
    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    assert {stack["StackStatus"] for stack in stacks} == {"DELETE_COMPLETE"}


def test_the_tile_bucket_goes_where_it_is_named(cloud):
    other = destroy(cloud, "--confirm", "exporttiles", "--tile-bucket", cloud.outputs["PackageBucketName"])
    done = destroy(cloud, "--confirm", "exporttiles", "--tile-bucket", cloud.outputs["TileBucketName"])

    assert "is not the tile bucket of exporttiles" in other.stderr
    assert done.returncode == 0, done.stderr
    assert "remain" not in done.stdout
    assert not buckets(cloud) & set(cloud.outputs.values())


def test_another_stack_is_refused(cloud):
    cloud.client("cloudformation").create_stack(
        StackName="other", TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    )

    other, none = destroy(cloud, "--stack", "other"), destroy(cloud, "--stack", "none")

    assert other.stderr == "STACK: 'other' is not a stack of exporttiles: it has no output ServicesUrl.\n"
    assert none.stderr.startswith("STACK: 'none' cannot be used")


def test_without_a_region_the_setting_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "deployment.destroy"],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PATH": os.defpath, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr.startswith("AWS_REGION: ")
    assert done.returncode == 1
