"""Every function can do its work with the rights of its role, and no others."""

import re

import pytest

from local.cloud import ROOT, LocalCloud
from local.services import publish, upload_folder
from tests.builders import a_tile
from tests.e2e.conftest import Client

# The emulator speaks no TLS, which these two demand.
TLS_POLICY = re.compile(r"  \w+BucketPolicy:\n(?:    .*\n|\n)+?(?=  [A-Z#])")


@pytest.fixture(scope="module")
def template():
    """The template without the policies that refuse plain HTTP; it lies beside the code that it names."""
    text, count = TLS_POLICY.subn("", (ROOT / "template.yaml").read_text())
    assert count == 2
    path = ROOT / "template.roles.yaml"
    path.write_text(text)
    yield path
    path.unlink()


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
        cancelled = client.post("Small/ImageServer/exportTiles", tilePackage="true", levels="0-1")["jobId"]
        client.post(f"Small/ImageServer/jobs/{cancelled}/cancel")
        assert client.wait("Small", cancelled)["jobStatus"] in {"esriJobCancelled", "esriJobSucceeded"}
