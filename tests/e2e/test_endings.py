"""Jobs that do not succeed, through the real wiring: every one ends, and leaves nothing behind."""

import io
from urllib.error import HTTPError

import pytest

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.checks.package_check import check_package
from local.services import exporttiles, publish, upload_folder
from tests.e2e.jobs import end_of, execution_of, left_behind, texts


def test_a_cancelled_export_ends_cancelled(cloud, client, world):
    job_id = client.submit("World_Imagery", levels="0-7")

    answer = client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")

    assert answer == {"jobId": job_id, "jobStatus": "esriJobCancelling"}
    assert client.wait("World_Imagery", job_id)["jobStatus"] == "esriJobCancelled"
    assert left_behind(cloud, job_id) == []
    folder = (
        f"{cloud.services_url.removesuffix('/services')}/directories/arcgisoutput/World_Imagery_ImageServer/{job_id}"
    )
    with pytest.raises(HTTPError) as refused:
        client.get(f"{folder}/World_Imagery.tpkx")
    assert refused.value.code == 404
    assert "There is no such file: the job is Cancelled." in refused.value.read().decode()


def test_the_python_client_is_told_that_a_cancelled_export_failed(client, world):
    job_id = client.submit("World_Imagery", levels="0-7")
    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")
    client.wait("World_Imagery", job_id)

    job = client.get(f"World_Imagery/ImageServer/exportTiles/jobs/{job_id}")

    assert job["jobStatus"] == "esriJobFailed"
    assert "cancelled" in texts(job, "Error")[0]


def test_an_export_that_an_operator_stops_is_closed_by_the_event(cloud, client, world):
    job_id = client.submit("World_Imagery", levels="0-7")

    cloud.client("stepfunctions").stop_execution(executionArn=execution_of(cloud, job_id))

    job = client.wait("World_Imagery", job_id)
    assert job["jobStatus"] == "esriJobCancelled"
    assert "stopped by an operator" in texts(job, "Error")[0]


def test_an_export_that_failed_goes_on_once_its_cache_is_mended(cloud, client, bundles, tiles):
    key = f"caches/Mended/_alllayers/{bundle_path(BundleIndex(7, 0, 0))}"
    upload_folder(cloud, bundles, "caches/Mended")
    publish(cloud, "Mended")
    whole = tiles.read(key)
    tiles.write(key, bytes(64) + whole[64:])
    job = client.export("Mended", levels="0-7")
    job_id, kept = job["jobId"], left_behind(cloud, job["jobId"])
    assert job["jobStatus"] == "esriJobFailed"
    assert bundle_path(BundleIndex(7, 0, 0)) in texts(job, "Error")[0]
    assert "It can be resumed until" in texts(job, "Error")[0]
    tiles.write(key, whole)

    exporttiles(cloud, "resume", job_id)

    package = client.package("Mended", client.wait("Mended", job_id))
    assert check_package(io.BytesIO(package)).findings == ()
    assert all("/fragments/" in key for key in kept)  # no package, no upload
    assert cloud.client("stepfunctions").describe_execution(executionArn=execution_of(cloud, job_id, attempt=2))
    assert client.get(f"Mended/ImageServer/jobs/{job_id}/resume")["error"]["code"] == 400


def test_an_expired_or_unknown_job_is_a_clear_400(client, small):
    answer = client.get(f"{small}/ImageServer/jobs/j{'0' * 32}")

    assert answer["error"]["code"] == 400
    assert "expired" in str(answer["error"])


def test_a_finished_execution_matches_the_job(cloud, client, small):
    job = client.export(small, levels="0-1")

    assert end_of(cloud, job["jobId"]) == "SUCCEEDED"
