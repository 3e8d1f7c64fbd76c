"""Exports and jobs over the API: from the request to the download."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from unittest.mock import ANY
from urllib.parse import quote, urlencode

import pytest

from exporttiles.domain.job import RESUMABLE, JobStatus, Package
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from functions.api.app import handler
from tests.builders import a_request, a_service, put_files
from tests.builders_rest import a_job
from tests.fakes import FakeSources, a_runtime, memory, run_workflow
from tests.functions.api_client import (
    BASES,
    CONTEXT,
    EVENT,
    EXAMPLE_THREE_AREA,
    FILES,
    HOST,
    JOB,
    MAP_SERVICE,
    SERVICE,
    Client,
)


def test_the_recorded_event_starts_an_export(client):
    response = handler(EVENT, CONTEXT, runtime=client.runtime)

    assert response["statusCode"] == 200
    assert response["headers"]["content-type"] == "application/json; charset=utf-8"
    assert response["isBase64Encoded"] is False
    (job_id,) = client.started
    assert json.loads(response["body"]) == {"jobId": job_id, "jobStatus": "esriJobSubmitted"}
    request = Export.from_json(client.runtime.objects.read(JobKeys(job_id).export)).request
    assert (request.levels, request.compression_quality) == ((0, 1, 2, 3, 4, 5, 6, 7), 90)
    assert client.runtime.browse_job.parameters(job_id)["levels"] == "0-7"


def test_the_folder_of_a_job_is_json_except_for_browsers(done):
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    assert done.json(FILES, "") == done.json(f"{FILES}/", "f=pjson")
    assert done.get(FILES, "", headers=browser)["body"].startswith("<!DOCTYPE html>")
    assert done.get(FILES, "f=html")["body"].startswith("<!DOCTYPE html>")


def test_esris_python_client_gets_from_the_service_to_the_file(client):
    service = json.loads(client.send("POST", SERVICE, body="f=json")["body"])
    assert service["exportTilesAllowed"] is True
    assert "tileInfo" in service

    body = "f=json&tilePackage=true&optimizeTilesForSize=true&compressionQuality=75&exportBy=LevelID&levels=0-2"
    submitted = json.loads(client.send("POST", f"{SERVICE}/exportTiles", body=body)["body"])
    job = f"{SERVICE}/exportTiles/jobs/{submitted['jobId']}"
    assert client.json(job)["jobStatus"] == submitted["jobStatus"] == "esriJobSubmitted"

    run_workflow(client.runtime, submitted["jobId"])
    told = client.json(job)
    assert told["jobStatus"] == "esriJobSucceeded"
    value = client.json(f"{job}/{told['results']['out_service_url']['paramUrl']}")["value"]
    assert value == f"{HOST}/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{submitted['jobId']}"
    (file,) = client.json(value.removeprefix(HOST))["files"]
    assert file["name"] == "World_Imagery.tpkx"
    assert told["output"] == {"outputUrl": [file["url"]], "itemId": None}
    found = client.get(file["url"].removeprefix(HOST), "")
    assert found["statusCode"] == 302
    assert found["headers"]["location"].startswith("https://packages.example/")


def test_the_report_on_a_package_is_a_result_that_can_be_downloaded(client):
    submitted = client.json(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&levels=0-2")
    run_workflow(client.runtime, submitted["jobId"])

    job = f"{SERVICE}/exportTiles/jobs/{submitted['jobId']}"
    told = client.json(f"{job}/{client.json(job)['results']['verification']['paramUrl']}")

    assert (told["paramName"], told["dataType"]) == ("verification", "GPDataFile")
    url = told["value"]["url"]
    assert f"{SERVICE}/jobs/{submitted['jobId']}/results/verification?f=html" in client.get(job, "f=html")["body"]
    page = client.get(f"{job}/results/verification", "f=html")["body"]
    assert url in page
    assert "<th>verifiedAt</th>" in page
    assert client.get(url.removeprefix(HOST), "")["headers"]["location"].split("?")[0].endswith("/verification.json")


@pytest.mark.parametrize("service", [SERVICE, MAP_SERVICE])
def test_too_many_tiles_are_accepted_and_fail_with_the_error_code_that_clients_expect(client, service):
    query = "f=json&tilePackage=true&levels=13-19&areaOfInterest=" + quote(EXAMPLE_THREE_AREA)
    submitted = client.json(f"{service}/exportTiles", query)
    job = client.json(f"{service}/exportTiles/jobs/{submitted['jobId']}")

    assert submitted["jobStatus"] == "esriJobSubmitted"
    assert job["jobStatus"] == "esriJobFailed"
    told = {message["type"]: message["description"] for message in job["messages"]}
    assert told["esriJobMessageTypeError"].startswith("ERROR 001564: Requested tile count(")
    assert told["esriJobMessageTypeError"].endswith(f"World_Imagery:{service.rpartition('/')[2]}.")
    assert "brackets do not match" in told["esriJobMessageTypeWarning"]
    assert client.started == []


def test_an_export_over_https_can_request_changed_tiles_only(client):
    first = client.json(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&levels=0-1")["jobId"]
    earlier = run_workflow(client.runtime, first)

    for since, expected in ((first, earlier.submitted_at), ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC))):
        job_id = client.json(f"{SERVICE}/exportTiles", f"f=json&tilePackage=true&levels=0-1&since={since}")["jobId"]
        export = Export.from_json(client.runtime.objects.read(JobKeys(job_id).export))
        assert export.request.since == expected


@pytest.mark.parametrize("since", ["yesterday", "last", "j" + "0" * 32, "2999-01-01"])
def test_since_is_a_past_time_or_a_known_job(client, since):
    error = client.error(f"{SERVICE}/exportTiles", f"f=json&levels=0-1&since={since}")

    assert error["code"] == 400
    assert "since: " in error["message"]


def test_an_estimate_returns_bytes_and_tiles_without_a_package(client):
    body = "f=json&tilePackage=false&exportBy=LevelID&levels=0-2"
    submitted = json.loads(client.send("POST", f"{SERVICE}/estimateExportTilesSize", body=body)["body"])
    job = f"{SERVICE}/estimateExportTilesSize/jobs/{submitted['jobId']}"

    assert submitted["jobStatus"] == "esriJobSubmitted"
    assert client.json(job)["jobStatus"] == "esriJobSucceeded"
    assert client.json(f"{job}/results/out_service_url") == {
        "paramName": "out_service_url",
        "dataType": "GPString",
        "value": {"totalSize": ANY, "totalTilesToExport": 21, "totalSeconds": 5},
    }
    assert client.error(f"{job}/results/verification")["message"] == "Invalid URL"


@pytest.mark.parametrize("query", ["", "f=json", "token=abc&f=json"])
def test_a_file_redirects_to_a_link_without_the_clients_query(done, query):
    response = done.get(f"{FILES}/World_Imagery.tpkx", query)

    link = f"https://packages.example/packages/{JOB}/World_Imagery.tpkx?signed"
    assert (response["statusCode"], response["headers"]["location"]) == (302, link)
    assert response["headers"]["cache-control"] == "no-store"


def test_head_of_a_file_returns_its_length_without_a_redirect(done):
    response = done.send("HEAD", f"{FILES}/World_Imagery.tpkx")

    assert response["statusCode"] == 200
    assert response["headers"]["content-length"] == "4200000"
    assert response["headers"]["content-type"] == "application/octet-stream"
    assert response["body"] == ""


@pytest.mark.parametrize("path", [f"{FILES}/other.tpkx", f"{FILES[:-1]}1/World_Imagery.tpkx"])
def test_a_file_that_is_not_there_is_a_real_404(done, path):
    assert done.get(path)["statusCode"] == 404


def test_jobs_of_a_service_in_a_folder_have_their_own_urls(client):
    client.put(a_job(JobStatus.SUCCEEDED, service_name="Survey/Ortho"))
    service = "/arcgis/rest/services/Survey/Ortho/ImageServer"

    value = client.json(f"{service}/exportTiles/jobs/{JOB}/results/out_service_url")["value"]

    assert value == f"{HOST}/arcgis/rest/directories/arcgisoutput/Survey/Ortho_ImageServer/{JOB}"
    assert client.json(value.removeprefix(HOST))["files"]


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.TIMED_OUT])
def test_below_an_operation_every_unhappy_end_is_reported_as_failed_with_its_reason(client, status):
    client.put(a_job(status))

    for base in BASES[1:]:
        job = client.json(f"{base}/jobs/{JOB}")
        assert job["jobStatus"] == "esriJobFailed"
        assert job["messages"][-1]["type"] == "esriJobMessageTypeError"
    assert client.json(f"{SERVICE}/jobs/{JOB}")["jobStatus"] == f"esriJob{status}"


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_job_is_cancelled_once(client, base, method):
    client.put(a_job(JobStatus.EXECUTING))

    response = client.send(method, f"{base}/jobs/{JOB}/cancel", "f=json")

    assert json.loads(response["body"]) == {"jobId": JOB, "jobStatus": "esriJobCancelling"}


def test_cancelling_on_a_page_leads_back_to_the_job(client):
    client.put(a_job(JobStatus.EXECUTING))

    response = client.send("POST", f"{SERVICE}/jobs/{JOB}/cancel", body="f=html")

    assert (response["statusCode"], response["headers"]["location"]) == (303, f"{HOST}{SERVICE}/jobs/{JOB}?f=html")


def test_a_job_that_has_ended_is_not_cancelled(done):
    error = done.error(f"{SERVICE}/exportTiles/jobs/{JOB}/cancel")

    assert (error["code"], error["message"]) == (400, "Invalid or missing input parameters")
    assert error["details"] == [f"Job {JOB} cannot be cancelled: it is Succeeded."]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("status", sorted(RESUMABLE))
def test_a_job_that_failed_is_resumed_once(client, base, status):
    client.put(a_job(status, resumable_until=datetime(2027, 1, 1, tzinfo=UTC)))

    assert client.json(f"{base}/jobs/{JOB}/resume") == {"jobId": JOB, "jobStatus": "esriJobSubmitted"}
    assert client.started == [f"{JOB}-2"]
    assert client.error(f"{base}/jobs/{JOB}/resume")["details"] == [f"Job {JOB} cannot be resumed: it is Submitted."]


def test_the_page_of_a_job_that_can_be_resumed_offers_it(client):
    client.put(a_job(JobStatus.FAILED, resumable_until=datetime(2027, 1, 1, tzinfo=UTC)))
    assert f'action="{HOST}{SERVICE}/jobs/{JOB}/resume"' in client.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]

    response = client.send("POST", f"{SERVICE}/jobs/{JOB}/resume", body="f=html")

    assert (response["statusCode"], response["headers"]["location"]) == (303, f"{HOST}{SERVICE}/jobs/{JOB}?f=html")


def test_the_page_of_a_job_that_cannot_be_resumed_does_not(client):
    client.put(a_job(JobStatus.FAILED))

    assert "/resume" not in client.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]


@pytest.mark.parametrize(
    "path", [f"{SERVICE}/exportTiles", f"{SERVICE}/jobs/{JOB}/cancel", f"{SERVICE}/jobs/{JOB}/resume"]
)
def test_head_changes_nothing(client, path):
    client.put(a_job())

    assert client.send("HEAD", path, "f=json&tilePackage=true")["statusCode"] == 200
    assert client.started == []
    assert client.runtime.jobs.get(JOB).status is JobStatus.SUBMITTED


def test_a_job_is_found_under_its_id_with_the_suffix_of_other_servers(done):
    assert done.json(f"{SERVICE}/exportTiles/jobs/{JOB}_et")["jobId"] == JOB


@pytest.mark.parametrize("job_id", [f"{JOB[:-1]}1", "j1", "J" + JOB[1:], f"{JOB}'--"])
def test_an_unknown_job_is_refused(done, job_id):
    error = done.error(f"{SERVICE}/exportTiles/jobs/{job_id}")

    assert (error["code"], error["message"]) == (400, ANY)


def test_polling_a_job_reads_only_the_job(done, monkeypatch):
    monkeypatch.setattr(done.runtime.services, "get", lambda _: 1 // 0)

    for path in (f"{SERVICE}/exportTiles/jobs/{JOB}", FILES, f"{FILES}/World_Imagery.tpkx"):
        assert done.get(path)["statusCode"] in (200, 302)


def test_a_job_belongs_to_its_service(done):
    assert done.error(f"/arcgis/rest/services/Survey/Ortho/ImageServer/jobs/{JOB}")["code"] == 400
    assert done.error(FILES.replace("World_Imagery", "Closed"))["code"] == 400


def test_a_job_without_a_result_says_so(client):
    client.put(a_job(JobStatus.EXECUTING))

    for path in (f"{SERVICE}/jobs/{JOB}/results/out_service_url", FILES):
        assert client.error(path)["details"] == ["The job has no result: it is Executing. Ask again later."]


@pytest.mark.parametrize("status", sorted(set(JobStatus) - {JobStatus.SUCCEEDED}))
@pytest.mark.parametrize("name", ["World_Imagery.tpkx", "verification.json", "World/Layers/conf.xml", "World"])
def test_no_file_of_an_unfinished_or_failed_job_is_downloaded_even_if_it_exists(client, status, name):
    client.put(a_job(status, package=Package(JobKeys(JOB).delivered("World_Imagery.tpkx"), "World_Imagery.tpkx", 4)))
    for file in ("World_Imagery.tpkx", "verification.json", "World/Layers/conf.xml"):
        client.runtime.objects.write(JobKeys(JOB).delivered(file), b"left")

    refused, head = client.get(f"{FILES}/{name}"), client.send("HEAD", f"{FILES}/{name}")

    assert (refused["statusCode"], head["statusCode"]) == (404, 404)
    assert json.loads(refused["body"])["error"] == {
        "code": 404,
        "message": f"There is no such file: the job is {status}.",
        "details": [],
    }
    assert "location" not in refused["headers"]
    advice = "" if status.is_final else " Ask again later."
    for path in (FILES, f"{SERVICE}/jobs/{JOB}/results/out_service_url", f"{SERVICE}/jobs/{JOB}/results/verification"):
        assert client.error(path)["details"] == [f"The job has no result: it is {status}.{advice}"]


@pytest.mark.parametrize("tail", ["results/other", "inputs/other"])
def test_a_job_has_no_other_results_and_inputs(done, tail):
    assert done.error(f"{SERVICE}/jobs/{JOB}/{tail}")["message"] == "Invalid URL"


def test_the_page_of_a_finished_job_offers_the_file_and_does_not_reload(done):
    page = done.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]

    assert "http-equiv" not in page
    assert "<th>itemId</th><td>none</td>" in page
    assert f'href="{HOST}{FILES}/World_Imagery.tpkx">Download World_Imagery.tpkx (4.2 MB)</a>' in page
    assert f"curl -LO {HOST}{FILES}/World_Imagery.tpkx" in page


def test_sent_parameters_are_stored_without_secrets(client):
    client.get(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&storageFormat=CompactV2&token=secret&polygon=")

    (job_id,) = client.runtime.jobs.jobs
    kept = client.runtime.browse_job.parameters(job_id)
    assert kept == {"tilePackage": "true", "storageFormat": "CompactV2", "polygon": ""}


def test_a_client_sees_progress_while_one_function_makes_a_small_export():
    tiles = memory()
    put_files(tiles, 3)
    service = a_service(tiles)
    service = replace(service, cache=replace(service.cache, average_tile_bytes=2_000_000))  # levels apart
    runtime, asked = a_runtime(tiles), []

    class Asking(FakeSources):
        """Lets a client ask whenever a work item begins to read tiles."""

        def open(self, cache):
            asked.append(Client(runtime).json(f"{SERVICE}/exportTiles/jobs/{job_id}"))
            return super().open(cache)

    at_once = replace(runtime, sources=Asking(tiles))
    job_id = at_once.submit_export(service, a_request(service, range(4)), {}).job_id

    packed = at_once.export_at_once(job_id)

    # Planned, then 5, 21 and 85 tiles of 85, then packing.
    assert [job["progress"].get("percent") for job in asked] == [None, 0, 5, 24, 100]
    assert packed.work_items == 3


SQUARE = '{"rings":[[[0,0],[0,9],[9,9],[0,0]]],"spatialReference":{"wkid":4326}}'


@pytest.mark.parametrize(
    ("operation", "levels", "summary"),
    [
        ("estimateExportTilesSize", "0-3", "Export this"),
        ("exportTiles", "0-19", "Change the request, and try again"),  # too many tiles
    ],
)
def test_the_page_of_an_estimate_and_of_a_refused_export_has_its_request_in_a_form(client, operation, levels, summary):
    """GIVEN an alias of a parameter, THEN the form has its value, too: else it would export everything."""
    asked = urlencode({"f": "json", "tilePackage": "true", "levels": levels, "polygon": SQUARE})
    job_id = client.json(f"{SERVICE}/{operation}", asked)["jobId"]

    page = client.get(f"{SERVICE}/jobs/{job_id}", "f=html")["body"]

    form = page.partition(f"<summary>{summary}</summary>")[2]
    assert f'action="{HOST}{SERVICE}/exportTiles"' in form
    assert escape(SQUARE) in form
    assert f'name="levels" value="{levels}"' in form


def test_the_page_of_a_finished_export_has_no_form(done):
    assert "<form" not in done.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]
