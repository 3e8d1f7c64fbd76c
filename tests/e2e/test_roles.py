"""Every function can do its work with the rights of its role, and no others."""

import json
import re

import pytest

from local.cloud import ROOT, LocalCloud
from local.services import publish, upload_folder
from tests.builders import a_tile
from tests.e2e.conftest import Client

# The emulator speaks no TLS, which these three demand.
TLS_POLICY = re.compile(r"  \w+BucketPolicy:\n(?:    .*\n|\n)+?(?=  [A-Z#])")


@pytest.fixture(scope="module")
def template():
    """The template without the policies that refuse plain HTTP; it lies beside the code that it names."""
    text, count = TLS_POLICY.subn("", (ROOT / "template.yaml").read_text())
    assert count == 3
    path = ROOT / "template.roles.yaml"
    path.write_text(text)
    yield path
    path.unlink()


def read_when_there(s3, bucket, key):
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])


def test_an_export_succeeds_with_the_rights_of_the_roles_alone(template, tmp_path):
    for level, row, column in [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)]:
        path = tmp_path / f"{level}/{column}/{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(a_tile(level, row, column))

    with LocalCloud(template=template, enforce_roles=True) as cloud:
        upload_folder(cloud, tmp_path, "caches/Small")
        publish(cloud, "Small")
        client = Client(cloud)
        job = client.export("Small", levels="0-1", optimizeTilesForSize="true", compressionQuality="50")

        assert job["jobStatus"] == "esriJobSucceeded", job
        assert client.package("Small", job)
        assert client.get("Small/ImageServer/tilemap/1/0/0/2/2")["data"] == [1, 1, 1, 0]
        s3, inbox = cloud.client("s3"), cloud.outputs["InboxBucketName"]
        for name, levels in (("good", "0-1"), ("bad", "99")):
            request = json.dumps({"service": "Small", "levels": levels, "tilePackage": True})
            s3.put_object(Bucket=inbox, Key=f"requests/{name}.json", Body=request)
        accepted = read_when_there(s3, inbox, "accepted/good.json")
        assert client.wait("Small", accepted["jobId"])["jobStatus"] == "esriJobSucceeded"
        assert read_when_there(s3, inbox, "rejected/bad.json")["reasons"]
        cancelled = client.post("Small/ImageServer/exportTiles", tilePackage="true", levels="0-1")["jobId"]
        client.post(f"Small/ImageServer/jobs/{cancelled}/cancel")
        assert client.wait("Small", cancelled)["jobStatus"] in {"esriJobCancelled", "esriJobSucceeded"}
