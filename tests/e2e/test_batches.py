"""Batches through the real wiring: one request, many packages."""

import io
import json
from time import monotonic, sleep

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.checks.package_check import check_package
from local.services import exporttiles, publish, upload_folder
from tests.e2e.jobs import states_of, texts

DISTRICTS = {"North-West": (-179, 1), "Süd/Ost": (1, -80), "Nord-Ost": (1, 1)}
DAMAGED = bundle_path(BundleIndex(7, 0, 0))


def batch(size=60, **parameters):
    """Return the parameters of an export of a package for each district."""
    features = []
    for name, (x, y) in DISTRICTS.items():
        ring = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"NAME": name}, "geometry": geometry})
    area = json.dumps({"type": "FeatureCollection", "features": features})
    return {"areaOfInterest": area, "packageBy": "NAME", **parameters}


def assert_sound(client, url):
    with client.open(url) as response:
        assert check_package(io.BytesIO(response.read())).findings == ()


def test_a_batch_makes_a_package_for_each_value(cloud, client, small):
    job = client.export(small, **batch(levels="0-4"))

    assert job["jobStatus"] == "esriJobSucceeded"
    url = client.get(f"{small}/ImageServer/exportTiles/jobs/{job['jobId']}/results/out_service_url")["value"]
    files = client.get(url)["files"]
    assert [file["name"] for file in files] == ["North-West.tpkx", "Süd_Ost.tpkx", "Nord-Ost.tpkx"]
    for file in files:
        assert_sound(client, file["url"])
    assert [name for name in states_of(cloud, job["jobId"]) if "?" not in name] == [
        "ExportPackages",
        "CloseJob",
        "ExportSucceeded",
    ]


def packages(client, service, job_id):
    return client.get(f"{service}/ImageServer/jobs/{job_id}/packages")["packages"]


def test_a_package_that_fails_is_told_and_the_others_are_delivered(cloud, client, world, tiles):
    for path in (world / "4").rglob("*.jpg"):
        _, column, row = path.relative_to(world).with_suffix("").parts
        if int(column) >= 8 or int(row) >= 8:  # nothing is in the north-west
            tiles.write(f"caches/Holes/{path.relative_to(world).as_posix()}", path.read_bytes())
    publish(cloud, "Holes")

    job = client.export("Holes", **batch(levels="4"))

    assert job["jobStatus"] == "esriJobSucceeded"
    (warning,) = texts(job, "Warning")
    assert warning.startswith("Package North-West: The export failed: levels: None of the ")
    found = packages(client, "Holes", job["jobId"])
    assert [package["jobStatus"] for package in found] == ["esriJobFailed", "esriJobSucceeded", "esriJobSucceeded"]
    assert warning.endswith(found[0]["reason"])
    for package in found[1:]:
        assert_sound(client, package["url"])


def test_packages_that_failed_are_made_when_the_batch_is_resumed(cloud, client, bundles, tiles):
    upload_folder(cloud, bundles, "caches/Districts")
    publish(cloud, "Districts")
    key = f"caches/Districts/_alllayers/{DAMAGED}"
    whole = tiles.read(key)
    tiles.write(key, bytes(64) + whole[64:])
    job = client.export("Districts", **batch(levels="7"))
    assert job["jobStatus"] == "esriJobFailed"
    assert texts(job, "Error") == ["None of 3 packages could be made."]
    tiles.write(key, whole)

    exporttiles(cloud, "resume", job["jobId"])

    assert client.wait("Districts", job["jobId"])["jobStatus"] == "esriJobSucceeded"
    found = packages(client, "Districts", job["jobId"])
    assert [package["jobStatus"] for package in found] == ["esriJobSucceeded"] * 3
    for package in found:
        assert_sound(client, package["url"])


def test_a_cancelled_batch_ends_with_its_packages(client, world):
    job_id = client.submit("World_Imagery", **batch(levels="0-7"))
    deadline = monotonic() + 60
    while not any(package["jobUrl"] for package in packages(client, "World_Imagery", job_id)):
        assert monotonic() < deadline, "no package begins"
        sleep(0.1)

    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")

    assert client.wait("World_Imagery", job_id)["jobStatus"] == "esriJobCancelled"
    while (states := {each["jobStatus"] for each in packages(client, "World_Imagery", job_id)}) & {
        "esriJobSubmitted",
        "esriJobExecuting",
        "esriJobCancelling",
    }:
        assert monotonic() < deadline, states
        sleep(0.1)
    assert "esriJobCancelled" in states
