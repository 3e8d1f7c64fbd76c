"""The function behind the HTTPS API, called with the events that API Gateway sends."""

import base64
import copy
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY
from urllib.parse import quote

import pytest

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.job import RESUMABLE, JobStatus, Package
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from functions.api.app import handler
from tests.builders import a_tile
from tests.builders_rest import a_job, a_rest_runtime
from tests.fakes import run_workflow

EVENT = json.loads(Path("events/api.json").read_text(encoding="utf-8"))
CONTEXT = SimpleNamespace(
    function_name="api", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:api", aws_request_id="1"
)
HOST = "https://tiles.example.org"
SERVICE = "/arcgis/rest/services/World_Imagery/ImageServer"
JOB = a_job().job_id
FILES = f"/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{JOB}"
EXAMPLE_THREE_AREA = (
    '{"features":[{"geometry":{"rings":[[[-100,35],[-100,45],[-90,45],[-90,35],[-100,35]]]}}]},'
    '"spatialReference":{"wkid":4326}}}]}'
)
BASES = [SERVICE, f"{SERVICE}/exportTiles", f"{SERVICE}/estimateExportTilesSize"]


@dataclass
class Client:
    """Sends events to the handler."""

    runtime: Runtime

    def send(self, method, path, query="", body=None, headers=None):
        event = copy.deepcopy(EVENT)
        event["rawPath"], event["rawQueryString"] = path, query
        event["requestContext"]["http"] |= {"method": method, "path": path}
        event["headers"] |= headers or {}
        if body is not None:
            event["headers"] |= {"content-type": "application/x-www-form-urlencoded"} | (headers or {})
            event |= {"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
        return handler(event, CONTEXT, runtime=self.runtime)

    def put(self, job):
        self.runtime.jobs.jobs[job.job_id] = job
        sent = json.dumps({"levels": "0-4", "exportExtent": ""})
        self.runtime.objects.write(JobKeys(job.job_id).parameters, sent.encode())

    @property
    def started(self):
        return self.runtime.submit_export.workflow.started

    def get(self, path, query="f=json", **more):
        return self.send("GET", path, query, **more)

    def json(self, path, query="f=json", **more):
        return json.loads(self.get(path, query, **more)["body"])

    def error(self, path, query="f=json", **more):
        response = self.get(path, query, **more)
        assert response["statusCode"] == 200
        return json.loads(response["body"])["error"]


@pytest.fixture
def client():
    return Client(a_rest_runtime())


@pytest.fixture
def done(client):
    client.put(a_job(JobStatus.SUCCEEDED))
    return client


TOKEN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
WITH_TOKEN = f"levels=0-2&clientToken={TOKEN}&f=json"


def test_a_request_that_is_sent_again_with_its_token_finds_its_job(client):
    path = f"{SERVICE}/exportTiles"
    first = client.json(path, WITH_TOKEN)

    assert client.json(path, WITH_TOKEN) == first
    assert client.json(path, "levels=0-2&f=json", headers={"idempotency-key": f'"{TOKEN}"'}) == first
    assert client.started == [first["jobId"]]


def test_a_start_that_failed_is_tried_again_with_the_token(client, monkeypatch):
    workflow = client.runtime.submit_export.workflow
    with monkeypatch.context() as patch:
        patch.setattr(workflow, "start", lambda _: 1 / 0)
        assert client.error(f"{SERVICE}/exportTiles", WITH_TOKEN)["code"] == 500

    assert client.json(f"{SERVICE}/exportTiles", WITH_TOKEN)["jobId"] in client.started


def test_a_token_belongs_to_one_request(client):
    client.json(f"{SERVICE}/exportTiles", WITH_TOKEN)

    error = client.error(f"{SERVICE}/exportTiles", WITH_TOKEN.replace("0-2", "0-3"))

    assert "Parameter 'clientToken'" in error["message"]
    assert "with other parameters" in error["message"]
    assert len(client.started) == 1


def test_a_token_means_another_job_at_another_service(client):
    jobs = {client.json(path, WITH_TOKEN)["jobId"] for path in (f"{SERVICE}/exportTiles", OTHER)}

    assert len(jobs) == 2


OTHER = "/arcgis/rest/services/Survey/Ortho/ImageServer/exportTiles"


@pytest.mark.parametrize("token", ["short", "x" * 129, "sixteen or more ä"])
def test_a_token_that_could_be_guessed_or_not_be_written_is_refused(client, token):
    error = client.error(f"{SERVICE}/exportTiles", f"clientToken={quote(token)}&f=json")

    assert "16 to 128 visible ASCII characters" in error["message"]


def test_two_tokens_are_one_too_many(client):
    error = client.error(f"{SERVICE}/exportTiles", WITH_TOKEN, headers={"idempotency-key": "another" * 4})

    assert "Idempotency-Key has another value" in error["message"]


def test_the_recorded_event_starts_an_export(client):
    response = handler(EVENT, CONTEXT, runtime=client.runtime)

    assert response["statusCode"] == 200
    assert response["headers"]["content-type"] == "application/json; charset=utf-8"
    assert response["isBase64Encoded"] is False
    (job_id,) = client.started
    assert json.loads(response["body"]) == {"jobId": job_id, "jobStatus": "esriJobSubmitted"}
    request = Export.from_json(client.runtime.objects.read(JobKeys(job_id).export)).request
    assert (request.levels, request.compression_quality) == ((0, 1, 2, 3, 4, 5, 6, 7), 90)
    assert client.runtime.read_parameters(job_id)["levels"] == "0-7"


DOCUMENTS = [
    "/arcgis/rest/info",
    "/arcgis/rest/services",
    "/arcgis/rest/services/Survey",
    SERVICE,
    "/arcgis/rest/services/Survey/Ortho/ImageServer",
    f"{SERVICE}/exportTiles",
    f"{SERVICE}/exportTiles/submitJob",
    f"{SERVICE}/estimateExportTilesSize",
    f"{SERVICE}/estimateExportTilesSize/submitJob",
    f"{SERVICE}/tilemap/3/0/0/8/8",
    *[f"{base}/jobs/{JOB}{tail}" for base in BASES for tail in ("", "/results/out_service_url", "/inputs/levels")],
    FILES,
]


@pytest.mark.parametrize("path", [path + slash for path in DOCUMENTS for slash in ("", "/")])
def test_every_document_answers_get_post_and_head_as_json_and_as_a_page(done, path):
    submit = "tilePackage=true&levels=0-4" if "xportTiles" in path and "/jobs/" not in path else ""
    got = done.get(path, f"{submit}&f=json")
    posted = done.send("POST", path, body=f"{submit}&f=json")
    head = done.send("HEAD", path, "f=json")
    page = done.get(path, "f=html")
    pretty = done.get(path, f"{submit}&f=pjson")

    for response in (got, posted, head, page, pretty):
        assert response["statusCode"] == 200
        assert response["headers"]["access-control-allow-origin"] == "*"
    assert "error" not in json.loads(got["body"])
    assert json.loads(got["body"]).keys() == json.loads(posted["body"]).keys()
    assert json.loads(pretty["body"]).keys() == json.loads(got["body"]).keys()
    assert "\n  " in pretty["body"]
    assert head["body"] == ""
    assert page["body"].startswith("<!DOCTYPE html>")
    assert "<script" not in page["body"]


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path != FILES])
def test_html_is_the_default(done, path):
    assert done.get(path, "")["headers"]["content-type"] == "text/html; charset=utf-8"


def test_the_folder_of_a_job_is_json_unless_a_browser_asks(done):
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    assert done.json(FILES, "") == done.json(f"{FILES}/", "f=pjson")
    assert done.get(FILES, "", headers=browser)["body"].startswith("<!DOCTYPE html>")
    assert done.get(FILES, "f=html")["body"].startswith("<!DOCTYPE html>")


def test_the_way_of_esris_python_client_from_the_service_to_the_file(client):
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
    assert url in client.get(job, "f=html")["body"]
    assert client.get(url.removeprefix(HOST), "")["headers"]["location"].split("?")[0].endswith("/verification.json")


def test_too_many_tiles_are_accepted_and_fail_with_the_number_that_clients_look_for(client):
    query = "f=json&tilePackage=true&levels=13-19&areaOfInterest=" + quote(EXAMPLE_THREE_AREA)
    submitted = client.json(f"{SERVICE}/exportTiles", query)
    job = client.json(f"{SERVICE}/exportTiles/jobs/{submitted['jobId']}")

    assert submitted["jobStatus"] == "esriJobSubmitted"
    assert job["jobStatus"] == "esriJobFailed"
    told = {message["type"]: message["description"] for message in job["messages"]}
    assert told["esriJobMessageTypeError"].startswith("ERROR 001564: Requested tile count(")
    assert "brackets do not match" in told["esriJobMessageTypeWarning"]
    assert client.started == []


def test_over_https_too_an_export_may_ask_for_what_has_changed_since(client):
    first = client.json(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&levels=0-1")["jobId"]
    earlier = run_workflow(client.runtime, first)

    for since, expected in ((first, earlier.submitted_at), ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC))):
        job_id = client.json(f"{SERVICE}/exportTiles", f"f=json&tilePackage=true&levels=0-1&since={since}")["jobId"]
        export = Export.from_json(client.runtime.objects.read(JobKeys(job_id).export))
        assert export.request.since == expected


@pytest.mark.parametrize("since", ["yesterday", "last", "j" + "0" * 32, "2999-01-01"])
def test_since_is_a_time_that_has_been_or_a_job_that_is_known(client, since):
    error = client.error(f"{SERVICE}/exportTiles", f"f=json&levels=0-1&since={since}")

    assert error["code"] == 400
    assert "Parameter 'since'" in error["message"]


def test_an_estimate_tells_bytes_and_tiles_and_needs_no_package(client):
    body = "f=json&tilePackage=false&exportBy=LevelID&levels=0-2"
    submitted = json.loads(client.send("POST", f"{SERVICE}/estimateExportTilesSize", body=body)["body"])
    job = f"{SERVICE}/estimateExportTilesSize/jobs/{submitted['jobId']}"

    assert submitted["jobStatus"] == "esriJobSubmitted"
    assert client.json(job)["jobStatus"] == "esriJobSucceeded"
    assert client.json(f"{job}/results/out_service_url") == {
        "paramName": "out_service_url",
        "dataType": "GPString",
        "value": {"totalSize": ANY, "totalTilesToExport": 21},
    }
    assert client.error(f"{job}/results/verification")["message"] == "Invalid URL"


@pytest.mark.parametrize("query", ["", "f=json", "token=abc&f=json"])
def test_a_file_is_sent_for_with_nothing_of_the_clients_query(done, query):
    response = done.get(f"{FILES}/World_Imagery.tpkx", query)

    link = f"https://packages.example/packages/{JOB}/World_Imagery.tpkx?signed"
    assert (response["statusCode"], response["headers"]["location"]) == (302, link)
    assert response["headers"]["cache-control"] == "no-store"


def test_head_of_a_file_tells_its_length_itself(done):
    response = done.send("HEAD", f"{FILES}/World_Imagery.tpkx")

    assert response["statusCode"] == 200
    assert response["headers"]["content-length"] == "4200000"
    assert response["headers"]["content-type"] == "application/octet-stream"
    assert response["body"] == ""


@pytest.mark.parametrize("path", [f"{FILES}/other.tpkx", f"{FILES[:-1]}1/World_Imagery.tpkx"])
def test_a_file_that_is_not_there_is_a_real_404(done, path):
    assert done.get(path)["statusCode"] == 404


def test_a_tile_is_sent_as_it_is(done):
    response = done.get(f"{SERVICE}/tile/3/1/2", "")

    assert response["statusCode"] == 200
    assert base64.b64decode(response["body"]) == a_tile(3, 1, 2)
    assert response["isBase64Encoded"] is True
    assert response["headers"]["content-type"] == "image/jpeg"
    assert response["headers"]["cache-control"] == "public, max-age=86400"
    etag = response["headers"]["etag"]
    assert done.get(f"{SERVICE}/tile/3/1/2", headers={"if-none-match": etag})["statusCode"] == 304


@pytest.mark.parametrize(
    ("body", "media_type"), [(b"\x89PNG\r\n", "image/png"), (b"Lerc2 ", "application/octet-stream")]
)
def test_a_tile_says_what_it_is(client, body, media_type):
    client.runtime.read_tile.sources.objects.write("World/3/2/1.jpg", body)

    assert client.get(f"{SERVICE}/tile/3/1/2", "")["headers"]["content-type"] == media_type


@pytest.mark.parametrize("tail", ["3/8/3", "9/0/0", "99/0/0", "3/999999999/0"])
def test_a_missing_tile_is_a_real_404(done, tail):
    assert done.get(f"{SERVICE}/tile/{tail}")["statusCode"] == 404
    assert done.get("/arcgis/rest/services/None/ImageServer/tile/0/0/0")["statusCode"] == 404


def test_a_tilemap_tells_which_tiles_exist(done):
    assert done.json(f"{SERVICE}/tilemap/3/6/6/4/2") == {
        "valid": True,
        "adjusted": False,
        "location": {"left": 6, "top": 6, "width": 4, "height": 2},
        "data": [1, 1, 0, 0, 1, 1, 0, 0],
    }


def test_a_tilemap_ends_where_its_first_bundle_ends(done):
    tilemap = done.json(f"{SERVICE}/tilemap/9/120/250/64/999999999")

    assert tilemap["adjusted"] is True
    assert tilemap["location"] == {"left": 250, "top": 120, "width": 6, "height": 8}
    assert len(tilemap["data"]) == 48


@pytest.mark.parametrize("tail", ["3/0/0/0/5", "99/0/0/1/1"])
def test_a_tilemap_of_nothing_is_refused(done, tail):
    assert done.error(f"{SERVICE}/tilemap/{tail}")["code"] == 400


def test_services_are_listed_by_folder(client):
    root = client.json("/arcgis/rest/services")

    assert root["folders"] == ["Survey"]
    assert {"name": "World_Imagery", "type": "ImageServer"} in root["services"]
    survey = client.json("/arcgis/rest/services/Survey")
    assert (survey["folders"], survey["services"]) == ([], [{"name": "Survey/Ortho", "type": "ImageServer"}])
    assert client.error("/arcgis/rest/services/Nothing")["code"] == 404


def test_jobs_of_a_service_in_a_folder_have_their_own_addresses(client):
    client.put(a_job(JobStatus.SUCCEEDED, service_name="Survey/Ortho"))
    service = "/arcgis/rest/services/Survey/Ortho/ImageServer"

    value = client.json(f"{service}/exportTiles/jobs/{JOB}/results/out_service_url")["value"]

    assert value == f"{HOST}/arcgis/rest/directories/arcgisoutput/Survey/Ortho_ImageServer/{JOB}"
    assert client.json(value.removeprefix(HOST))["files"]


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.TIMED_OUT])
def test_below_an_operation_every_unhappy_end_is_a_failure_with_its_reason(client, status):
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


def test_asking_for_a_job_reads_the_job_and_nothing_else(done, monkeypatch):
    monkeypatch.setattr(done.runtime.services, "get", lambda _: 1 // 0)

    for path in (f"{SERVICE}/exportTiles/jobs/{JOB}", FILES, f"{FILES}/World_Imagery.tpkx"):
        assert done.get(path)["statusCode"] in (200, 302)


def test_a_job_belongs_to_its_service(done):
    assert done.error(f"/arcgis/rest/services/Survey/Ortho/ImageServer/jobs/{JOB}")["code"] == 400
    assert done.error(FILES.replace("World_Imagery", "Closed"))["code"] == 400


def test_a_job_without_a_result_says_so(client):
    client.put(a_job(JobStatus.EXECUTING))

    for path in (f"{SERVICE}/jobs/{JOB}/results/out_service_url", FILES):
        assert client.error(path)["details"] == ["The job has no result: it is Executing."]


@pytest.mark.parametrize("status", sorted(set(JobStatus) - {JobStatus.SUCCEEDED}))
@pytest.mark.parametrize("name", ["World_Imagery.tpkx", "verification.json", "World/Layers/conf.xml", "World"])
def test_of_a_job_that_has_not_succeeded_nothing_is_downloaded_though_it_lies_there(client, status, name):
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
    for path in (FILES, f"{SERVICE}/jobs/{JOB}/results/out_service_url", f"{SERVICE}/jobs/{JOB}/results/verification"):
        assert client.error(path)["details"] == [f"The job has no result: it is {status}."]


@pytest.mark.parametrize("tail", ["results/other", "inputs/other"])
def test_a_job_has_no_other_results_and_inputs(done, tail):
    assert done.error(f"{SERVICE}/jobs/{JOB}/{tail}")["message"] == "Invalid URL"


def test_an_unknown_service_is_refused(client):
    error = client.error("/arcgis/rest/services/Nothing/ImageServer/exportTiles")

    assert (error["code"], error["message"]) == (404, "There is no image service 'Nothing'.")


def test_a_service_that_may_not_be_exported_says_so(client):
    closed = "/arcgis/rest/services/Closed/ImageServer"

    assert client.json(closed)["exportTilesAllowed"] is False
    error = client.error(f"{closed}/exportTiles", "f=json&tilePackage=true&levels=0")
    assert error["message"] == "The service Closed does not allow its tiles to be exported."


@pytest.mark.parametrize("path", ["/", "/arcgis/info", "/arcgis/sharing/rest/info", f"{SERVICE}/query", "/arcgis/rest"])
def test_an_unknown_address_is_an_error_in_the_body(client, path):
    error = client.error(path)

    assert (error["code"], error["message"]) == (400, "Invalid URL")


@pytest.mark.parametrize("query", ["f=xml", "f=json&callback=alert"])
def test_other_formats_and_jsonp_are_refused(client, query):
    assert client.error(SERVICE, query)["code"] == 400


def test_other_methods_are_refused_and_preflights_answered(client):
    assert "error" in json.loads(client.send("DELETE", SERVICE, "f=json")["body"])
    preflight = client.send("OPTIONS", f"{SERVICE}/exportTiles")
    assert preflight["statusCode"] == 204
    assert "x-esri-authorization" in preflight["headers"]["access-control-allow-headers"]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_is_no_form_is_refused(client, content_type):
    response = client.send("POST", f"{SERVICE}/exportTiles", body="{}", headers={"content-type": content_type})

    assert "application/x-www-form-urlencoded" in json.loads(response["body"])["error"]["message"]


def test_a_hostile_body_is_refused(client):
    for body in ("&".join(f"a{n}=1" for n in range(1000)), "levels=" + "9" * 7_000_000, "levels=%ff%00\x00&f=json"):
        response = client.send("POST", f"{SERVICE}/exportTiles", body=body)
        assert response["statusCode"] == 200
        assert "error" in json.loads(response["body"])
    assert client.started == []


def test_a_mistake_of_ours_is_told_in_general_words(client, monkeypatch, caplog):
    monkeypatch.setattr(client.runtime.services, "names", lambda: 1 // 0)

    error = client.error("/arcgis/rest/services")

    assert error == {"code": 500, "message": "Export failed.", "details": []}
    assert caplog.records[-1].exc_info[0] is ZeroDivisionError


def test_links_carry_the_configured_address(done):
    settings = replace(done.runtime.settings, public_base_url="http://127.0.0.1:4566/_aws/execute-api/a1/$default")
    done.runtime = replace(done.runtime, settings=settings)

    value = done.json(f"{SERVICE}/jobs/{JOB}/results/out_service_url")["value"]

    assert value == f"http://127.0.0.1:4566/_aws/execute-api/a1/$default{FILES}"


def test_links_never_carry_a_host_that_is_none(done):
    assert done.error(FILES, headers={"host": 'evil"><script>'})["message"] == "The request names no host."


def test_a_page_submits_and_leads_to_its_job(client):
    form = client.get(f"{SERVICE}/exportTiles", "")["body"]
    assert 'name="areaOfInterest"' in form

    response = client.send("POST", f"{SERVICE}/exportTiles", body="tilePackage=true&levels=0-3&areaOfInterest=&f=html")

    (job_id,) = client.started
    assert response["statusCode"] == 303
    assert response["headers"]["location"] == f"{HOST}{SERVICE}/jobs/{job_id}?f=html"
    page = client.get(f"{SERVICE}/jobs/{job_id}", "f=html")["body"]
    assert '<meta http-equiv="refresh" content="3">' in page
    assert "/cancel" in page


def test_the_page_of_a_finished_job_offers_the_file_and_rests(done):
    page = done.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]

    assert "http-equiv" not in page
    assert f'<a href="{HOST}{FILES}/World_Imagery.tpkx">Download World_Imagery.tpkx (4,200,000 bytes)</a>' in page


def test_an_error_is_a_readable_page_with_a_real_status(client):
    response = client.get(f"{SERVICE}/exportTiles", "levels=%3Cscript%3E&tilePackage=true")

    assert response["statusCode"] == 400
    assert "<script>" not in response["body"]
    assert "&lt;script&gt;" in response["body"]


def test_what_was_sent_is_kept_and_secrets_are_not(client):
    client.get(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&storageFormat=CompactV2&token=secret&polygon=")

    (job_id,) = client.runtime.jobs.jobs
    kept = client.runtime.read_parameters(job_id)
    assert kept == {"tilePackage": "true", "storageFormat": "CompactV2", "polygon": ""}


def test_what_a_request_changed_is_told_in_the_log_with_its_job_and_nothing_else(client, caplog):
    client.put(a_job(JobStatus.EXECUTING))
    caplog.set_level("INFO")

    client.json(f"{SERVICE}/jobs/{JOB}")
    client.json(f"{SERVICE}/jobs/{JOB}/cancel")
    submitted = client.json(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&levels=0")["jobId"]

    assert [(record.message, record.job_id) for record in caplog.records] == [("Done", JOB), ("Done", submitted)]
