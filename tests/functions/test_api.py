"""Rules for all resources of the API, called with API Gateway events."""

import json
import re
from dataclasses import replace

import pytest

from exporttiles.domain.job import JobStatus
from tests.builders_rest import a_job
from tests.functions.api_client import BASES, FILES, HOST, JOB, SERVICE, foreign_scripts

DOCUMENTS = [
    "/arcgis/rest/info",
    "/arcgis/rest",
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
DOCUMENTS += [path.replace("ImageServer", "MapServer") for path in DOCUMENTS if "ImageServer" in path]


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
    assert not foreign_scripts(page["body"])


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if "/directories/" not in path])
def test_html_is_the_default(done, path):
    assert done.get(path, "")["headers"]["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/arcgis/info", "/arcgis/sharing/rest/info", f"{SERVICE}/query"])
def test_an_unknown_url_is_an_error_in_the_body(client, path):
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
def test_a_body_that_is_not_a_form_is_refused(client, content_type):
    response = client.send("POST", f"{SERVICE}/exportTiles", body="{}", headers={"content-type": content_type})

    assert "application/x-www-form-urlencoded" in json.loads(response["body"])["error"]["message"]


def test_a_hostile_body_is_refused(client):
    for body in ("&".join(f"a{n}=1" for n in range(1000)), "levels=" + "9" * 7_000_000, "levels=%ff%00\x00&f=json"):
        response = client.send("POST", f"{SERVICE}/exportTiles", body=body)
        assert response["statusCode"] == 200
        assert "error" in json.loads(response["body"])
    assert client.started == []


def test_an_unexpected_error_is_reported_in_general_words(client, monkeypatch, caplog):
    monkeypatch.setattr(client.runtime.services, "names", lambda: 1 // 0)

    error = client.error("/arcgis/rest/services")

    assert error == {"code": 500, "message": "The request failed; the log has the reason.", "details": []}
    assert caplog.records[-1].exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.startswith(f"{SERVICE}/") or path == FILES])
def test_a_map_service_replies_like_the_image_service_with_its_own_urls(done, path):
    submit = "tilePackage=true&levels=0-4&" if "xportTiles" in path and "/jobs/" not in path else ""
    as_image = done.get(path, f"{submit}f=json")["body"]

    as_map = done.get(path.replace("ImageServer", "MapServer"), f"{submit}f=json")["body"]

    if submit:
        assert json.loads(as_map).keys() == json.loads(as_image).keys() == {"jobId", "jobStatus"}
    else:
        assert as_map == as_image.replace("ImageServer", "MapServer")


@pytest.mark.parametrize("service", ["World_Imagery", "Survey/Ortho"])
def test_pages_of_a_map_service_link_to_its_own_urls(client, service):
    page = client.get(f"/arcgis/rest/services/{service}/MapServer", "f=html")["body"]

    assert f"/{service}/MapServer/exportTiles?f=html" in page
    assert "ImageServer" not in page


def test_only_map_and_image_services_exist(client):
    assert client.error(SERVICE.replace("ImageServer", "FeatureServer"))["message"] == "Invalid URL"


def test_links_contain_the_configured_base_url(done):
    settings = replace(done.runtime.settings, public_base_url="http://127.0.0.1:4566/_aws/execute-api/a1/$default")
    done.runtime = replace(done.runtime, settings=settings)

    value = done.json(f"{SERVICE}/jobs/{JOB}/results/out_service_url")["value"]

    assert value == f"http://127.0.0.1:4566/_aws/execute-api/a1/$default{FILES}"


def test_links_never_contain_an_invalid_host(done):
    assert done.error(FILES, headers={"host": 'evil"><script>'})["message"] == "The request names no host."


def test_the_list_of_services_leads_to_the_map_of_each_by_its_name(client):
    page = client.get("/arcgis/rest/services", "f=html")["body"]

    assert f'<a href="{HOST}{SERVICE}">World_Imagery</a>' in page
    assert page.count("/World_Imagery/MapServer?f=html") == 1


def test_an_empty_list_of_services_says_so(client):
    for name in client.runtime.services.names():
        client.runtime.services.delete(name)

    assert "No map is published here." in client.get("/arcgis/rest/services", "f=html")["body"]


def test_a_form_submits_and_redirects_to_its_job(client):
    form = client.get(f"{SERVICE}/exportTiles", "")["body"]
    assert 'name="areaOfInterest"' in form

    response = client.send("POST", f"{SERVICE}/exportTiles", body="tilePackage=true&levels=0-3&areaOfInterest=&f=html")

    (job_id,) = client.started
    assert response["statusCode"] == 303
    assert response["headers"]["location"] == f"{HOST}{SERVICE}/jobs/{job_id}?f=html"
    page = client.get(f"{SERVICE}/jobs/{job_id}", "f=html")["body"]
    assert '<meta http-equiv="refresh" content="3">' in page
    assert "/cancel" in page


def test_an_error_is_a_readable_page_with_a_real_status(client):
    response = client.get(f"{SERVICE}/exportTiles", "levels=%3Cscript%3E&tilePackage=true")

    assert response["statusCode"] == 400
    assert "<script>" not in response["body"]
    assert "&lt;script&gt;" in response["body"]


def test_a_form_that_is_refused_is_still_filled(client):
    sent = "levels=99&tilePackage=true&storageFormatType=MBTiles&areaOfInterest=%22%3E%3Cscript%3E&f=html"
    response = client.send("POST", f"{SERVICE}/exportTiles", body=sent)

    page = response["body"]
    assert 'name="levels" aria-invalid="true" aria-describedby="problem" value="99"' in page
    assert '<a href="#levels">Go to levels</a>' in page
    assert "<option selected>MBTiles</option>" in page
    assert 'rows="4">&quot;&gt;&lt;script&gt;</textarea>' in page
    assert f'action="{SERVICE}/exportTiles"' in page
    assert f'href="{SERVICE}?f=html"' in page


def test_a_request_that_changes_a_job_is_logged_with_the_job_id_only(client, caplog):
    client.put(a_job(JobStatus.EXECUTING))
    caplog.set_level("INFO")

    client.json(f"{SERVICE}/jobs/{JOB}")
    client.json(f"{SERVICE}/jobs/{JOB}/cancel")
    submitted = client.json(f"{SERVICE}/exportTiles", "f=json&tilePackage=true&levels=0")["jobId"]

    assert [(record.message, record.job_id) for record in caplog.records] == [("Done", JOB), ("Done", submitted)]


BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{SERVICE}/nothing", 400, "Nothing is at this address."),
        (f"{SERVICE}/tile/99/0/0", 404, "There is no such tile."),
        (f"{FILES}/nothing.tpkx", 404, "There is no such file."),
    ],
)
def test_a_person_with_a_wrong_address_gets_a_page_with_a_way_back(done, path, status, said):
    response = done.get(path, "", headers=BROWSER)

    assert (response["statusCode"], response["headers"]["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in response["body"]
    assert 'href="/arcgis/rest/services?f=html"' in response["body"]
    assert json.loads(done.get(path, "")["body"])["error"]["code"] == status


def test_breadcrumbs_lead_to_the_folder_the_service_and_the_job(client):
    service = "/arcgis/rest/services/Survey/Ortho/ImageServer"
    client.put(a_job(JobStatus.SUCCEEDED, service_name="Survey/Ortho"))

    job, result = (
        re.findall(
            r'<a href="([^"]*)">', client.get(f"{service}/jobs/{JOB}{tail}", "f=html")["body"].partition("</nav>")[0]
        )
        for tail in ("", "/results/out_service_url")
    )

    folders = [f"{HOST}/arcgis/rest/services?f=html", f"{HOST}/arcgis/rest/services/Survey?f=html"]
    assert job == [*folders, f"{HOST}{service}?f=html"]
    assert result == [*job, f"{HOST}{service}/jobs/{JOB}?f=html"]


def test_the_files_of_a_dataset_are_links(done):
    page = done.get(FILES, "f=html")["body"]

    assert f'<li><a href="{HOST}{FILES}/World_Imagery.tpkx">World_Imagery.tpkx</a></li>' in page
