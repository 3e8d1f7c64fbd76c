"""The watchman closes orphaned jobs, through the real wiring."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from local.cloud import ROOT
from tests.e2e.jobs import execution_of, left_behind, texts


class Watchman:
    """The function that a schedule calls, called by hand; and the table and the bucket that it looks after."""

    def __init__(self, cloud):
        self.functions = cloud.client("lambda")
        (self.name,) = [
            function["FunctionName"]
            for page in self.functions.get_paginator("list_functions").paginate()
            for function in page["Functions"]
            if "WatchJobs" in function["FunctionName"]
        ]
        self.s3, self.bucket = cloud.client("s3"), cloud.outputs["PackageBucketName"]
        options = {"endpoint_url": cloud.url, "region_name": "us-east-1"}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.table = boto3.resource("dynamodb", **options, **keys).Table(cloud.outputs["JobTableName"])

    def look(self, job_id):
        """Let it look around when the folder of a job has its turn."""
        time = datetime.fromtimestamp(int(job_id[1:3], 16) * 300, UTC)
        event = json.loads((ROOT / "events" / "watch_jobs.json").read_text()) | {"time": time.isoformat()}
        answer = self.functions.invoke(FunctionName=self.name, Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()

    def make_older(self, job_id):
        """Let a job have been submitted six minutes ago."""
        then = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
        self.table.update_item(
            Key={"job_id": job_id},
            UpdateExpression="SET submitted_at = :then, waiting_since = :then",
            ExpressionAttributeValues={":then": then},
        )


@pytest.fixture(scope="module")
def watchman(cloud):
    return Watchman(cloud)


@pytest.fixture
def deaf(cloud):
    """A stack whose CloseJob does not hear of executions that end."""
    events = cloud.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ExecutionEnded" in rule["Name"]]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


@pytest.mark.usefixtures("deaf")
def test_an_execution_that_ended_unheard_is_closed(cloud, client, world, watchman):
    job_id = client.submit("World_Imagery", levels="0-7")
    cloud.client("stepfunctions").stop_execution(executionArn=execution_of(cloud, job_id))
    assert client.get(f"World_Imagery/ImageServer/jobs/{job_id}")["jobStatus"] != "esriJobCancelled"
    watchman.make_older(job_id)

    watchman.look(job_id)

    job = client.get(f"World_Imagery/ImageServer/jobs/{job_id}")
    assert job["jobStatus"] == "esriJobCancelled"
    assert "stopped by an operator" in texts(job, "Error")[0]
    assert left_behind(cloud, job_id) == []


def test_a_job_whose_execution_was_never_started_is_started(cloud, client, small, watchman):
    like = client.export(small, levels="0-1")["jobId"]
    job_id = f"j{'c0ffee' * 5}00"
    for name in ("request.json", "export.json"):
        source = {"Bucket": watchman.bucket, "Key": f"jobs/{like}/{name}"}
        watchman.s3.copy_object(Bucket=watchman.bucket, Key=f"jobs/{job_id}/{name}", CopySource=source)
    item = watchman.table.get_item(Key={"job_id": like})["Item"]
    fresh = {"job_id": job_id, "status": "Submitted", "phase": "open", "work_items": 0, "done_work_items": 0}
    kept = {key: item[key] for key in item.keys() - {"package", "delivery", "finished_at"}}
    watchman.table.put_item(Item=kept | fresh)
    watchman.make_older(job_id)

    watchman.look(job_id)

    assert client.package(small, client.wait(small, job_id))


def test_what_a_forgotten_job_left_is_removed(cloud, watchman):
    job_id = f"j{'0badf00d' * 4}"
    for key in (f"jobs/{job_id}/fragments/00000-00000000", f"packages/{job_id}/World/Layers/conf.xml"):
        watchman.s3.put_object(Bucket=watchman.bucket, Key=key, Body=b"x")
    watchman.s3.create_multipart_upload(Bucket=watchman.bucket, Key=f"packages/{job_id}/World.tpkx")
    assert len(left_behind(cloud, job_id)) == 3

    watchman.look(job_id)

    assert left_behind(cloud, job_id) == []
