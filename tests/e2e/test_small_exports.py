"""Small exports in one go: the package, the words and the ends are those of the long way."""

import io
import zipfile

import pytest

from deployment.client import Client
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.packages.tpkx import item_guid
from local.cloud import LocalCloud
from local.services import publish, store_of, upload_folder
from tests.e2e.jobs import AT_ONCE, STEPS, left_behind, states_of, texts

SERVICE = "Bundles/World_Imagery"


@pytest.fixture(scope="module")
def stepwise(bundles):
    """A cloud in which no export is small, with the same bundles."""
    with LocalCloud(parameters={"SmallExportBytes": "0"}) as cloud:
        upload_folder(cloud, bundles, "caches/Bundles/World_Imagery")
        publish(cloud, SERVICE)
        yield cloud


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


@pytest.mark.parametrize(("way", "state"), [("cloud", "ExportAtOnce"), ("stepwise", "ExportTileRanges")])
def test_either_way_a_damaged_bundle_fails_the_export_with_its_name(request, bundles, way, state):
    cloud = request.getfixturevalue(way)
    client, tiles = Client(cloud), ObstoreObjects(store_of(cloud))
    key = f"caches/Cracked/_alllayers/{bundle_path(BundleIndex(4, 0, 0))}"
    for name in ("conf.xml", "conf.cdi"):
        tiles.write(f"caches/Cracked/{name}", (bundles / name).read_bytes())
    whole = (bundles / "_alllayers" / bundle_path(BundleIndex(4, 0, 0))).read_bytes()
    tiles.write(key, whole)
    publish(cloud, "Cracked")
    tiles.write(key, bytes(64) + whole[64:])

    job = client.export("Cracked", levels="4")

    assert job["jobStatus"] == "esriJobFailed"
    assert bundle_path(BundleIndex(4, 0, 0)) in texts(job, "Error")[0]
    assert state in states_of(cloud, job["jobId"])
    assert left_behind(cloud, job["jobId"]) == []


def test_a_small_export_that_is_cancelled_ends_cancelled(cloud, client, bundles):
    job_id = client.submit(SERVICE, levels="0-6")

    client.post(f"{SERVICE}/ImageServer/jobs/{job_id}/cancel")

    assert client.wait(SERVICE, job_id)["jobStatus"] == "esriJobCancelled"
    assert left_behind(cloud, job_id) == []
