"""Small exports in one go: the package, the words and the ends are those of the long way."""

import io
import zipfile
from time import monotonic, sleep

import pytest

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundle import bundle_path
from exporttiles.formats.tile_package import item_guid
from local.cloud import LocalCloud
from local.services import publish, upload_folder
from tests.e2e.conftest import Client
from tests.e2e.test_endings import errors, left_behind, submit

SERVICE = "Bundles/World_Imagery"
AT_ONCE = ["Small?", "ExportAtOnce", "CloseJob", "Failed?", "ExportSucceeded"]
STEPS = ["Small?", "PlanExport", "ExportTileRanges", "PackTilePackage", "CloseJob", "Failed?", "ExportSucceeded"]


@pytest.fixture(scope="module")
def stepwise(bundles):
    """A cloud in which no export is small, with the same bundles."""
    with LocalCloud(parameters={"SmallExportBytes": "0"}) as cloud:
        upload_folder(cloud, bundles, "caches/Bundles/World_Imagery")
        publish(cloud, SERVICE)
        yield cloud


def states_of(cloud, job_id):
    """Return the states that the execution of a job entered, once it has ended: a little later than its job."""
    machine = cloud.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    execution, workflow = f"{machine}:{job_id}", cloud.client("stepfunctions")
    deadline = monotonic() + 60
    while workflow.describe_execution(executionArn=execution)["status"] == "RUNNING":
        assert monotonic() < deadline, "the execution does not end"
        sleep(0.1)
    history = workflow.get_execution_history(executionArn=execution)
    return [event["stateEnteredEventDetails"]["name"] for event in history["events"] if "Entered" in event["type"]]


def members_of(client, job):
    """Return names and contents of a package in their order, without the item's id, which is the job's."""
    guid = item_guid(job["jobId"]).encode()
    with zipfile.ZipFile(io.BytesIO(client.package(SERVICE, job))) as archive:
        return [(name, archive.read(name).replace(guid, b"")) for name in archive.namelist()]


@pytest.mark.parametrize(
    "parameters",
    [
        {"levels": "0-4"},
        {"levels": "3-5", "optimizeTilesForSize": "true", "compressionQuality": "50"},
        {"levels": "0-5", "storageFormatType": "esriMapCacheStorageModeCompact"},
    ],
    ids=["tpkx", "recompressed", "tpk"],
)
def test_both_ways_give_the_same_package(cloud, client, stepwise, parameters):
    other = Client(stepwise)

    small, large = client.export(SERVICE, **parameters), other.export(SERVICE, **parameters)

    assert (states_of(cloud, small["jobId"]), states_of(stepwise, large["jobId"])) == (AT_ONCE, STEPS)
    assert members_of(client, small) == members_of(other, large)


def test_a_small_dataset_lies_in_its_folder(client, bundles):
    job = client.export(SERVICE, levels="0-3", tilePackage="false")

    assert job["jobStatus"] == "esriJobSucceeded"
    assert job["results"]


def test_a_damaged_cache_fails_a_small_export_with_its_name(cloud, client, bundles, tiles):
    key = f"caches/Cracked/_alllayers/{bundle_path(BundleIndex(4, 0, 0))}"
    for name in ("conf.xml", "conf.cdi"):
        tiles.write(f"caches/Cracked/{name}", (bundles / name).read_bytes())
    whole = (bundles / "_alllayers" / bundle_path(BundleIndex(4, 0, 0))).read_bytes()
    tiles.write(key, whole)
    publish(cloud, "Cracked")
    tiles.write(key, bytes(64) + whole[64:])

    job = client.wait("Cracked", submit(client, "Cracked", "4"))

    assert job["jobStatus"] == "esriJobFailed"
    assert bundle_path(BundleIndex(4, 0, 0)) in errors(job)[0]
    assert "ExportAtOnce" in states_of(cloud, job["jobId"])
    assert left_behind(cloud, job["jobId"]) == []


def test_a_small_export_that_is_cancelled_ends_cancelled(cloud, client, bundles):
    job_id = submit(client, SERVICE, "0-6")

    client.post(f"{SERVICE}/ImageServer/jobs/{job_id}/cancel")

    assert client.wait(SERVICE, job_id)["jobStatus"] == "esriJobCancelled"
    assert left_behind(cloud, job_id) == []
