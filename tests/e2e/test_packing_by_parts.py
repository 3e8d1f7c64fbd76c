"""A package that takes the packer several invocations, in the real loop of the state machine."""

import io

import pytest

from exporttiles.formats.checks.package_check import check_package
from local.cloud import LocalCloud
from local.services import publish, upload_folder
from tests.e2e.conftest import Client
from tests.e2e.jobs import left_behind, states_of
from tests.e2e.test_small_exports import SERVICE, members_of

NO_TIME_SECONDS = 300
"""Time that the packer keeps for its end: with no more than this each invocation uploads one part."""


@pytest.fixture(scope="module")
def hurried(bundles):
    """A cloud in which no export is small, and the packer is short of time."""
    with LocalCloud(parameters={"SmallExportBytes": "0"}) as cloud:
        functions = cloud.client("lambda")
        for function in functions.list_functions()["Functions"]:
            if "PackTilePackage" in function["FunctionName"]:
                functions.update_function_configuration(FunctionName=function["FunctionName"], Timeout=NO_TIME_SECONDS)
        upload_folder(cloud, bundles, "caches/Bundles/World_Imagery")
        publish(cloud, SERVICE)
        yield cloud


def test_a_package_of_several_invocations_is_sound_and_equals_that_of_one(hurried, client):
    by_parts = Client(hurried)

    job = by_parts.export(SERVICE, levels="0-7")
    states = states_of(hurried, job["jobId"])
    other = client.export(SERVICE, levels="0-7")

    package = by_parts.package(SERVICE, job)
    assert states.count("PackTilePackage") == states.count("Packed?") >= 3
    report = check_package(io.BytesIO(package))
    assert report.findings == ()
    assert report.tile_counts == {level: 4**level for level in range(8)}
    assert members_of(by_parts, job) == members_of(client, other)
    delivered = f"packages/{job['jobId']}/"
    assert [key for key in left_behind(hurried, job["jobId"]) if delivered not in key] == []
