"""Every function can do its work with the rights of its role, and no others."""

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from obstore.store import S3Store

from deployment.client import Client
from exporttiles.adapters.json_folders import ApiKeys, ServiceCatalog
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.api_key import ApiKey, key_id_of, token_of
from exporttiles.domain.job import job_id_of
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path, write_bundle
from local.cloud import ROOT, LocalCloud
from local.services import exporttiles, publish, store_of, upload_folder
from tests.builders import a_tile
from tests.e2e.jobs import AT_ONCE, STEPS, states_of
from tests.e2e.test_watchman import Watchman

# The emulator speaks no TLS, which these demand.
TLS_POLICY = re.compile(r"  \w+BucketPolicy:\n(?:    .*\n|\n)+?(?=  [A-Z#])")


@pytest.fixture(scope="module")
def template():
    """The templates without the policies that refuse plain HTTP; they lie beside the code that they name."""
    events = ROOT / "templates" / "events.roles.yaml"
    text, count = TLS_POLICY.subn("", (ROOT / "templates" / "events.yaml").read_text())
    assert count == 1
    events.write_text(text)
    text, count = TLS_POLICY.subn("", (ROOT / "template.yaml").read_text())
    assert count == 2
    path = ROOT / "template.roles.yaml"
    path.write_text(text.replace("templates/events.yaml", "templates/events.roles.yaml"))
    yield path
    path.unlink()
    events.unlink()


def read_when_there(s3, bucket, key):
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])


@pytest.fixture(scope="module")
def cloud(template, tmp_path_factory):
    """Roles enforced, tokens on, and a small service."""
    folder = tmp_path_factory.mktemp("tiles")
    for level, row, column in [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)]:
        path = folder / f"{level}/{column}/{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(a_tile(level, row, column))
    small = 3 * len(a_tile(0, 0, 0))  # an export of one tile is, one of five is not
    parameters = {
        "TokenSecurity": "on",
        "NewImageryEvents": "on",
        "SmallExportBytes": str(small),
        "CacheBuckets": "more-tiles,elsewhere",
    }
    with LocalCloud(template=template, enforce_roles=True, parameters=parameters) as cloud:
        upload_folder(cloud, folder, "caches/Small")
        publish(cloud, "Small")
        yield cloud


@pytest.fixture(scope="module")
def client(cloud):
    """The holder of a key for a few services, and nothing else."""
    token = token_of(b"0123456789abcdef0123456789abcdef")
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    services = ("Small", "Mended", "Elsewhere", "Strange")
    ApiKeys(ObstoreObjects(store_of(cloud))).put(ApiKey(key_id_of(token), "survey", services, 100, in_a_day))
    return Client(cloud, token)


@pytest.mark.parametrize(("levels", "way"), [("0", AT_ONCE), ("0-1", STEPS)], ids=["at once", "in steps"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"tilePackage": "true", "optimizeTilesForSize": "true", "compressionQuality": "50"},
        {"tilePackage": "true", "storageFormatType": "Compact"},
        {"tilePackage": "false"},
        {"tilePackage": "false", "storageFormatType": "Compact"},
    ],
    ids=["tpkx", "tpk", "dataset", "dataset of the older format"],
)
def test_every_output_is_made_with_the_rights_of_the_roles_alone(cloud, client, parameters, levels, way):
    job = client.export("Small", levels=levels, **parameters)

    assert job["jobStatus"] == "esriJobSucceeded", job
    assert states_of(cloud, job["jobId"])[:2] == way[:2]  # the last ones follow when the job has ended already
    assert client.package("Small", job)
    assert client.get(f"Small/ImageServer/jobs/{job['jobId']}/results/verification")["value"]


@pytest.mark.parametrize("levels", ["0", "0-1"])
def test_what_has_changed_is_exported(client, levels):
    job = client.export("Small", levels=levels, since="2020-01-01T00:00:00Z")

    assert job["jobStatus"] == "esriJobSucceeded", job


def copied(cloud, bucket):
    """Copy the tiles of Small into a bucket of their own, and return the address of the copy."""
    cloud.client("s3").create_bucket(Bucket=bucket)
    tiles, copy = ObstoreObjects(store_of(cloud)), ObstoreObjects(S3Store(bucket, **cloud.store_options))
    for stored in tiles.list("caches/Small/"):
        copy.write(stored.key, tiles.read(stored.key))
    return f"s3://{bucket}/caches/Small"


def test_a_cache_in_a_bucket_of_cache_buckets_is_exported_where_it_is(cloud, client):
    exporttiles(cloud, "publish", "Elsewhere", copied(cloud, "elsewhere"))

    for levels, way in (("0", AT_ONCE), ("0-1", STEPS)):
        job = client.export("Elsewhere", levels=levels)
        assert job["jobStatus"] == "esriJobSucceeded", job
        assert states_of(cloud, job["jobId"])[:2] == way[:2]
        assert client.package("Elsewhere", job)
    assert client.get("Elsewhere/ImageServer/tilemap/1/0/0/2/2")["data"] == [1, 1, 1, 0]


def test_a_cache_in_any_other_bucket_is_neither_published_nor_read(cloud, client):
    address = copied(cloud, "strange")
    with pytest.raises(SystemExit):
        exporttiles(cloud, "publish", "Strange", address)
    catalog = ServiceCatalog(ObstoreObjects(store_of(cloud)))
    small = catalog.get("Small")
    catalog.put(replace(small, name="Strange", cache=replace(small.cache, url=address)))  # as an operator may by hand

    job = client.export("Strange", levels="0")

    assert job["jobStatus"] == "esriJobFailed"
    assert f"CacheBuckets: The tiles lie at '{address}', in none of" in job["messages"][-1]["description"]
    assert client.get("Strange/ImageServer/tilemap/1/0/0/2/2")["error"]["code"] == 500


def test_a_service_is_looked_at_and_estimated(client):
    assert client.get("Small/ImageServer/tilemap/1/0/0/2/2")["data"] == [1, 1, 1, 0]
    job_id = client.post("Small/ImageServer/estimateExportTilesSize", levels="0-1")["jobId"]
    job = f"Small/ImageServer/estimateExportTilesSize/jobs/{job_id}"

    assert client.get(f"{job}/results/out_service_url")["value"]["totalTilesToExport"] == 5
    assert client.get(f"{job}/inputs/levels")["value"] == "0-1"


def test_an_export_is_cancelled(client):
    job_id = client.post("Small/ImageServer/exportTiles", tilePackage="true", levels="0-1")["jobId"]

    client.post(f"Small/ImageServer/jobs/{job_id}/cancel")

    assert client.wait("Small", job_id)["jobStatus"] in {"esriJobCancelled", "esriJobSucceeded"}


def test_an_export_that_failed_is_resumed(cloud, client):
    tiles = ObstoreObjects(store_of(cloud))
    bundles = {level: f"caches/Mended/{bundle_path(BundleIndex(level, 0, 0))}" for level in range(2)}
    for level, key in bundles.items():
        tiles.write(key, b"".join(write_bundle({(0, 0): a_tile(level, 0, 0)})))
    publish(cloud, "Mended")
    whole = tiles.read(bundles[1])
    tiles.write(bundles[1], bytes(64) + whole[64:])
    job = client.export("Mended")
    assert job["jobStatus"] == "esriJobFailed"
    tiles.write(bundles[1], whole)

    assert "jobId" in client.post(f"Mended/ImageServer/jobs/{job['jobId']}/resume")

    assert client.wait("Mended", job["jobId"])["jobStatus"] == "esriJobSucceeded"


def test_the_watchman_looks_around(cloud, client):
    job_id = client.export("Small", levels="0")["jobId"]

    Watchman(cloud).look(job_id)

    assert client.get(f"Small/ImageServer/jobs/{job_id}")["jobStatus"] == "esriJobSucceeded"


def test_requests_in_the_inbox_and_on_the_bus_are_answered(cloud, client):
    s3, inbox = cloud.client("s3"), cloud.outputs["InboxBucketName"]
    request = {"service": "Small", "levels": "0-1", "tilePackage": True, "key": "survey"}
    for name, changes in (("good", {}), ("bad", {"levels": "99"}), ("nobodys", {"key": "other"})):
        s3.put_object(Bucket=inbox, Key=f"requests/{name}.json", Body=json.dumps(request | changes))
    entry = {"EventBusName": cloud.outputs["EventBusName"], "Source": "a", "DetailType": "ExportTilesRequested"}
    event = cloud.client("events").put_events(Entries=[entry | {"Detail": json.dumps(request)}])["Entries"][0]

    accepted = read_when_there(s3, inbox, "accepted/good.json")
    assert client.wait("Small", accepted["jobId"])["jobStatus"] == "esriJobSucceeded"
    assert "levels" in read_when_there(s3, inbox, "rejected/bad.json")["reasons"][0]
    assert "key" in read_when_there(s3, inbox, "rejected/nobodys.json")["reasons"][0]
    assert client.wait("Small", job_id_of("a", event["EventId"]))["jobStatus"] == "esriJobSucceeded"


def test_of_a_series_the_older_package_goes_and_the_last_is_known(cloud, client):
    s3, inbox = cloud.client("s3"), cloud.outputs["InboxBucketName"]
    request = {"service": "Small", "levels": "0-1", "tilePackage": True, "key": "survey", "name": "a", "keep": 1}
    states = []
    for name, changes in (("first", {}), ("second", {}), ("delta", {"since": "last"})):
        s3.put_object(Bucket=inbox, Key=f"requests/{name}.json", Body=json.dumps(request | changes))
        accepted = read_when_there(s3, inbox, f"accepted/{name}.json")
        states.append(client.wait("Small", accepted["jobId"]))
        if name == "first":
            first = accepted["jobId"]

    assert [state["jobStatus"] for state in states] == ["esriJobSucceeded", "esriJobSucceeded", "esriJobFailed"]
    assert "Nothing to deliver" in states[2]["messages"][-1]["description"]
    deadline = time.monotonic() + 60
    while client.get(f"Small/ImageServer/jobs/{first}")["jobStatus"] != "esriJobDeleted":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_new_imagery_sets_the_timer_of_an_export(cloud, client):
    exporttiles(cloud, "schedule", "add", "fresh", "--on-new-imagery", "--service", "Small", "--levels", "1")
    tiles = ObstoreObjects(store_of(cloud))
    tiles.write("caches/Small/1/0/0.jpg", tiles.read("caches/Small/1/0/0.jpg"))

    scheduler, deadline = cloud.client("scheduler"), time.monotonic() + 60
    while not (found := scheduler.list_schedules(GroupName="exporttiles-timers")["Schedules"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    assert [schedule["Name"] for schedule in found] == ["fresh"]


def test_without_a_key_nothing_is_shown(cloud):
    assert Client(cloud).get("Small/ImageServer")["error"]["code"] == 499
