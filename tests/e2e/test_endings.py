"""Jobs that do not succeed, through the real wiring: every one ends, and leaves nothing behind."""

import io
import time

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundle import bundle_path
from exporttiles.formats.package_check import check_package
from local.services import exporttiles, publish, upload_folder


def left_behind(cloud, job_id):
    """Return the fragments, packages and open uploads of a job."""
    s3, bucket = cloud.client("s3"), cloud.outputs["PackageBucketName"]
    keys = []
    for prefix in (f"jobs/{job_id}/fragments/", f"packages/{job_id}/"):
        keys += [found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return keys + s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def errors(job):
    return [m["description"] for m in job["messages"] if m["type"] == "esriJobMessageTypeError"]


def submit(client, service, levels):
    return client.post(f"{service}/ImageServer/exportTiles", tilePackage="true", levels=levels)["jobId"]


def test_a_cancelled_export_ends_cancelled(cloud, client, world):
    job_id = submit(client, "World_Imagery", "0-7")

    answer = client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")

    assert answer == {"jobId": job_id, "jobStatus": "esriJobCancelling"}
    assert client.wait("World_Imagery", job_id)["jobStatus"] == "esriJobCancelled"
    assert left_behind(cloud, job_id) == []


def test_the_python_client_is_told_that_a_cancelled_export_failed(client, world):
    job_id = submit(client, "World_Imagery", "0-7")
    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")
    client.wait("World_Imagery", job_id)

    job = client.get(f"World_Imagery/ImageServer/exportTiles/jobs/{job_id}")

    assert job["jobStatus"] == "esriJobFailed"
    assert "cancelled" in errors(job)[0]


def test_an_export_that_an_operator_stops_is_closed_by_the_event(cloud, client, world):
    job_id = submit(client, "World_Imagery", "0-7")
    states, machine = cloud.client("stepfunctions"), cloud.outputs["StateMachineArn"]
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{job_id}"

    states.stop_execution(executionArn=execution)

    job = client.wait("World_Imagery", job_id)
    assert job["jobStatus"] == "esriJobCancelled"
    assert "stopped by an operator" in errors(job)[0]


def test_a_bundle_without_its_header_fails_the_export_with_its_name(cloud, client, bundles, tiles):
    key = f"caches/Torn/_alllayers/{bundle_path(BundleIndex(5, 0, 0))}"
    for name in ("conf.xml", "conf.cdi"):
        tiles.write(f"caches/Torn/{name}", (bundles / name).read_bytes())
    whole = (bundles / "_alllayers" / bundle_path(BundleIndex(5, 0, 0))).read_bytes()
    tiles.write(key, whole)
    publish(cloud, "Torn")
    tiles.write(key, bytes(64) + whole[64:])

    job = client.wait("Torn", submit(client, "Torn", "5"))

    assert job["jobStatus"] == "esriJobFailed"
    assert bundle_path(BundleIndex(5, 0, 0)) in errors(job)[0]
    assert left_behind(cloud, job["jobId"]) == []


def test_an_export_that_failed_goes_on_once_its_cache_is_mended(cloud, client, bundles, tiles):
    key = f"caches/Mended/_alllayers/{bundle_path(BundleIndex(7, 0, 0))}"
    upload_folder(cloud, bundles, "caches/Mended")
    publish(cloud, "Mended")
    whole = tiles.read(key)
    tiles.write(key, bytes(64) + whole[64:])
    job = client.wait("Mended", submit(client, "Mended", "0-7"))
    job_id, kept = job["jobId"], left_behind(cloud, job["jobId"])
    assert job["jobStatus"] == "esriJobFailed"
    assert "It can be resumed until" in errors(job)[0]
    tiles.write(key, whole)

    exporttiles(cloud, "resume", job_id)

    package = client.package("Mended", client.wait("Mended", job_id))
    assert check_package(io.BytesIO(package)).findings == ()
    assert all("/fragments/" in key for key in kept)  # no package, no upload
    execution = f"{cloud.outputs['StateMachineArn'].replace(':stateMachine:', ':execution:')}:{job_id}-2"
    assert cloud.client("stepfunctions").describe_execution(executionArn=execution)
    assert client.get(f"Mended/ImageServer/jobs/{job_id}/resume")["error"]["code"] == 400


def test_an_expired_or_unknown_job_is_a_clear_400(client, small):
    answer = client.get(f"{small}/ImageServer/jobs/j{'0' * 32}")

    assert answer["error"]["code"] == 400
    assert "expired" in str(answer["error"])


def test_a_finished_execution_matches_the_job(cloud, client, small):
    job = client.export(small, levels="0-1")
    states, machine = cloud.client("stepfunctions"), cloud.outputs["StateMachineArn"]
    deadline = time.monotonic() + 20
    while (
        status := states.describe_execution(
            executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{job['jobId']}"
        )["status"]
    ) == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert status == "SUCCEEDED"
