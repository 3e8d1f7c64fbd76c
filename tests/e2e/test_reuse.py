"""A stack that answers equal requests with finished packages, with the rights of its roles alone."""

import json

from deployment.client import Client
from local.cloud import LocalCloud
from local.services import publish, upload_folder
from tests.builders import a_tile
from tests.e2e.test_roles import read_when_there, template  # noqa: F401  (a fixture)


def test_an_equal_request_is_answered_until_the_cache_is_published_anew(template, tmp_path):  # noqa: F811
    for level, row, column in [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)]:
        path = tmp_path / f"{level}/{column}/{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(a_tile(level, row, column))
    with LocalCloud(template=template, enforce_roles=True, parameters={"ReuseHours": "12"}) as cloud:
        upload_folder(cloud, tmp_path, "caches/Small")
        publish(cloud, "Small")
        client = Client(cloud)

        first, second = client.export("Small", levels="0-1"), client.export("Small", levels="0-1")
        request = json.dumps({"service": "Small", "levels": "0-1", "tilePackage": True})
        s3, inbox = cloud.client("s3"), cloud.outputs["InboxBucketName"]
        s3.put_object(Bucket=inbox, Key="requests/again.json", Body=request)
        third = client.wait("Small", read_when_there(s3, inbox, "accepted/again.json")["jobId"])
        publish(cloud, "Small")
        anew = client.export("Small", levels="0-1")

        is_reused = ["equal export" in json.dumps(job["messages"]) for job in (first, second, third, anew)]
        assert is_reused == [False, True, True, False]
        assert client.package("Small", first) == client.package("Small", second)
