"""Tokens on the API: authentication, authorization, and no leaks."""

import json
import logging
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, urlencode

import pytest

from exporttiles.domain.api_key import ApiKey, key_id_of, token_of
from exporttiles.domain.job import JobStatus
from tests.builders_rest import a_job, a_rest_runtime
from tests.fakes import run_workflow
from tests.functions.api_client import SERVICE, Client

ROOT = "/arcgis/rest"
WORLD, SURVEY, OTHER, EXPIRED, UNKNOWN = (token_of(bytes([number]) * 32) for number in range(5))
EXPORT = {"tilePackage": "true", "levels": "0-2"}


@pytest.fixture
def runtime():
    runtime = a_rest_runtime()
    runtime = replace(runtime, settings=replace(runtime.settings, token_security=True))
    soon = runtime.clock.now() + timedelta(days=1)
    keys = runtime.api_keys
    keys.put(ApiKey(key_id_of(WORLD), "world", ("World_Imagery",), 50, soon))
    keys.put(ApiKey(key_id_of(OTHER), "other", ("World_Imagery",), 50, soon))
    keys.put(ApiKey(key_id_of(SURVEY), "survey", ("Survey/*",), 50, soon))
    keys.put(ApiKey(key_id_of(EXPIRED), "expired", ("*",), 50, soon - timedelta(days=1)))
    return runtime


def send(runtime, path, query=None, *, form=None, **more):
    method, body = ("GET", None) if form is None else ("POST", urlencode(form))
    return Client(runtime).send(method, path, urlencode({"f": "json"} | (query or {})), body, **more)


def answer(runtime, path, token=None, **query):
    headers = {"x-esri-authorization": f"Bearer {token}"} if token else {}
    response = send(runtime, path, query, headers=headers)
    assert response["statusCode"] == 200
    return json.loads(response["body"])


def code(document):
    return document.get("error", {}).get("code")


@pytest.mark.parametrize(
    "carrier",
    [
        {"headers": {"X-Esri-Authorization": f"Bearer {WORLD}"}},
        {"headers": {"Authorization": f"bearer  {WORLD}"}},
        {"headers": {"Authorization": "Basic dTpw"}, "query": {"token": WORLD}},
        {"query": {"token": WORLD}},
        {"form": {"token": WORLD}},
        {"cookies": ["a=b", f"agstoken={WORLD}"]},
        {"headers": {"X-Esri-Authorization": f"Bearer {WORLD}"}, "query": {"token": UNKNOWN}},
    ],
)
def test_a_token_may_be_a_header_a_parameter_or_a_cookie_and_headers_win(runtime, carrier):
    assert json.loads(send(runtime, SERVICE, **carrier)["body"])["name"] == "World_Imagery"


@pytest.mark.parametrize("path", [SERVICE, f"{ROOT}/services", f"{SERVICE}/exportTiles", f"{SERVICE}/jobs/j0"])
def test_without_a_token_nothing_is_shown(runtime, path):
    assert answer(runtime, path)["error"] == {
        "code": 499,
        "message": "Token Required",
        "details": ["Send an API key as a token."],
    }


@pytest.mark.parametrize("token", [UNKNOWN, EXPIRED, "abc", "../services/World_Imagery"])
def test_every_invalid_token_gets_the_same_reply(runtime, token):
    assert answer(runtime, SERVICE, token)["error"] == {
        "code": 498,
        "message": "Invalid Token",
        "details": ["The key is unknown, or was revoked or has expired."],
    }


def test_a_revoked_key_is_refused_from_the_next_request_on(runtime):
    assert code(answer(runtime, SERVICE, WORLD)) is None

    runtime.api_keys.delete(key_id_of(WORLD))

    assert code(answer(runtime, SERVICE, WORLD)) == 498


@pytest.mark.parametrize("service_type", ["ImageServer", "MapServer"])
@pytest.mark.parametrize("name", ["World_Imagery", "Closed", "Nothing"])
def test_a_service_not_open_to_a_key_is_denied_whether_it_exists_or_not(runtime, name, service_type):
    error = answer(runtime, f"{ROOT}/services/{name}/{service_type}/exportTiles", SURVEY)["error"]

    assert (error["code"], error["message"]) == (403, "Token is valid but access is denied.")


def test_a_person_may_sign_in_with_another_key_where_theirs_is_denied(runtime):
    response = send(runtime, SERVICE, {"f": "html"}, cookies=[f"agstoken={SURVEY}"])

    assert response["statusCode"] == 403
    assert "The key does not open this service." in response["body"]
    assert f'name="back" value="{SERVICE}"' in response["body"]


def test_the_catalog_lists_the_services_open_to_the_key(runtime):
    world, survey = (answer(runtime, f"{ROOT}/services", token) for token in (WORLD, SURVEY))

    assert (world["folders"], [service["name"] for service in world["services"]]) == (
        [],
        ["World_Imagery", "World_Imagery"],  # as image and as map service
    )
    assert (survey["folders"], survey["services"]) == (["Survey"], [])
    assert answer(runtime, f"{ROOT}/services/Survey", SURVEY)["services"]
    assert code(answer(runtime, f"{ROOT}/services/Survey", WORLD)) == 404


def test_the_lower_limit_of_tiles_applies(runtime):
    assert answer(runtime, SERVICE, WORLD)["maxExportTilesCount"] == 50

    submitted = answer(runtime, f"{SERVICE}/exportTiles", WORLD, **EXPORT | {"levels": "0-3"})
    job = answer(runtime, f"{SERVICE}/exportTiles/jobs/{submitted['jobId']}", WORLD)

    assert job["jobStatus"] == "esriJobFailed"
    assert "ERROR 001564: Requested tile count(85) exceeds the maximum allowed number of tiles(50)" in str(job)


@pytest.mark.parametrize("tail", ["", "/results/out_service_url", "/inputs/levels", "/cancel", "/resume"])
def test_a_job_is_visible_to_its_owner_only(runtime, tail):
    job_id = answer(runtime, f"{SERVICE}/exportTiles", WORLD, **EXPORT)["jobId"]
    run_workflow(runtime, job_id)
    path = f"{SERVICE}/exportTiles/jobs/{job_id}{tail}"

    error = answer(runtime, path, OTHER)["error"]

    assert (error["code"], error["message"]) == (400, "No job has this id, or it has expired.")
    assert "access" not in str(answer(runtime, path, WORLD))


def test_a_package_is_visible_to_its_owner_only(runtime):
    job_id = answer(runtime, f"{SERVICE}/exportTiles", WORLD, **EXPORT)["jobId"]
    run_workflow(runtime, job_id)
    folder = f"{ROOT}/directories/arcgisoutput/World_Imagery_ImageServer/{job_id}"
    file = f"{folder}/World_Imagery.tpkx"

    assert answer(runtime, folder, WORLD)["files"]
    assert code(answer(runtime, folder, OTHER)) == 400
    assert send(runtime, file, {"token": WORLD})["statusCode"] == 302
    assert send(runtime, file, {"token": OTHER})["statusCode"] == 404
    assert send(runtime, file)["statusCode"] == 499


def test_jobs_with_and_without_an_owner_stay_apart(runtime):
    """GIVEN jobs with and without an owner, WHEN tokens are on or off, THEN only their own callers see them."""
    off = replace(runtime, settings=replace(runtime.settings, token_security=False))
    nobodys, ours = a_job(JobStatus.SUCCEEDED), a_job(job_id="j" + "1" * 32, owner=key_id_of(WORLD))
    runtime.jobs.jobs |= {job.job_id: job for job in (nobodys, ours)}

    paths = [f"{SERVICE}/jobs/{job.job_id}" for job in (nobodys, ours)]

    assert [code(answer(runtime, path, WORLD)) for path in paths] == [400, None]
    assert [code(answer(off, path)) for path in paths] == [None, 400]


def test_server_info_needs_no_token(runtime):
    url = "https://tiles.example.org/arcgis/rest/generateToken"

    assert answer(runtime, f"{ROOT}/info")["authInfo"] == {"isTokenBasedSecurity": True, "tokenServicesUrl": url}


def test_a_name_and_a_key_are_exchanged_for_a_valid_token(runtime):
    form = {"username": "world", "password": WORLD, "client": "referer", "expiration": "60"}

    token = json.loads(send(runtime, f"{ROOT}/generateToken", form=form)["body"])

    assert token == {"token": WORLD, "expires": int(token["expires"]), "ssl": True}
    assert code(answer(runtime, SERVICE, token["token"])) is None


@pytest.mark.parametrize("form", [{}, {"username": "survey", "password": WORLD}, {"username": "x", "password": "y"}])
def test_a_wrong_name_or_key_gets_no_token(runtime, form):
    error = json.loads(send(runtime, f"{ROOT}/generateToken", form=form)["body"])["error"]

    assert (error["code"], error["message"]) == (400, "Unable to generate token.")


def test_a_key_in_the_url_is_refused(runtime):
    assert code(answer(runtime, f"{ROOT}/generateToken", username="world", password=WORLD)) == 400


def test_a_person_signs_in_and_browses(runtime):
    refused = send(runtime, SERVICE, {"f": "html"})
    form = {"username": "world", "password": WORLD, "f": "html"}
    signed_in = send(runtime, f"{ROOT}/generateToken", {"f": "html"}, form=form)
    cookie = signed_in["headers"]["set-cookie"]
    page = send(runtime, SERVICE, {"f": "html"}, cookies=[cookie.partition(";")[0]])

    assert f'action="{ROOT}/generateToken"' in refused["body"]
    assert signed_in["statusCode"] == 303
    assert {"HttpOnly", "Secure", "SameSite=Strict"} <= set(cookie.split("; "))
    assert page["statusCode"] == 200
    assert WORLD not in page["body"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (SERVICE, SERVICE),
        (f"{SERVICE}/jobs/j0", f"{SERVICE}/jobs/j0"),
        (f"{SERVICE}/exportTiles", f"{SERVICE}/exportTiles"),
        (f"{SERVICE}/jobs/j0/cancel", f"{SERVICE}/jobs/j0"),
    ],
)
def test_a_person_returns_to_the_page_that_asked_to_sign_in(runtime, path, expected):
    """Not to what the query says: it may hold a token, or start an export."""
    page = send(runtime, path, {"f": "html", "levels": "3", "token": UNKNOWN})["body"]
    (back,) = re.findall(r'name="back" value="([^"]*)"', page)
    form = {"username": "world", "password": WORLD, "back": unescape(back)}

    assert send(runtime, f"{ROOT}/generateToken", {"f": "html"}, form=form)["headers"]["location"] == expected


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        f"{ROOT}@evil.example",
        f"{SERVICE}/exportTiles?levels=1",
    ],
)
def test_signing_in_leads_to_no_other_host_and_starts_nothing(runtime, back):
    form = {"username": "world", "password": WORLD, "back": back}

    response = send(runtime, f"{ROOT}/generateToken", {"f": "html"}, form=form)

    assert response["headers"]["location"] == f"{ROOT}/services"


def test_the_page_to_return_to_is_no_second_header(runtime):
    form = {"username": "world", "password": WORLD, "back": f"{ROOT}/\r\nA: b"}

    response = send(runtime, f"{ROOT}/generateToken", {"f": "html"}, form=form)

    assert response["headers"]["location"] == f"{ROOT}/%0D%0AA%3A%20b"


def test_a_wrong_key_can_be_corrected_on_the_same_page(runtime):
    form = {"username": "world", "password": "no", "f": "html", "back": SERVICE}

    page = send(runtime, f"{ROOT}/generateToken", {"f": "html"}, form=form)["body"]

    assert f'name="back" value="{SERVICE}"' in page
    assert 'type="password"' in page


@pytest.mark.parametrize("path", [f"{ROOT}/services", SERVICE, f"{SERVICE}/exportTiles"])
def test_a_link_with_a_token_signs_in_and_leads_to_the_page_without_it(runtime, path):
    opened = send(runtime, path, {"f": "html", "token": WORLD})

    assert re.findall(r'http-equiv="refresh" content="(.*)"', opened["body"]) == [f"0;url={path}?f=html"]
    assert WORLD not in opened["body"]
    assert opened["headers"]["set-cookie"] == f"agstoken={WORLD}; Path=/arcgis/rest; HttpOnly; Secure; SameSite=Strict"
    assert opened["headers"]["referrer-policy"] == "no-referrer"
    assert opened["headers"]["cache-control"] == "private, no-cache"


def test_nobody_who_is_signed_in_becomes_somebody_else_by_a_link(runtime):
    opened = send(runtime, SERVICE, {"f": "html", "token": OTHER}, cookies=[f"agstoken={WORLD}"])
    renewed = send(runtime, SERVICE, {"f": "html", "token": OTHER}, cookies=[f"agstoken={EXPIRED}"])

    assert "http-equiv" in opened["body"]
    assert "set-cookie" not in opened["headers"]
    assert renewed["headers"]["set-cookie"].startswith(f"agstoken={OTHER};")


def test_a_link_with_a_token_never_makes_a_browser_change_something_by_its_cookie(runtime):
    """GIVEN an attacker's token in the address, THEN what it starts is the attacker's."""
    export = {"f": "html", "token": OTHER} | EXPORT
    started = send(runtime, f"{SERVICE}/exportTiles", export, cookies=[f"agstoken={WORLD}"])

    assert started["statusCode"] == 303
    assert "set-cookie" not in started["headers"]
    (job_id,) = runtime.workflow.started
    assert runtime.jobs.get(job_id).owner == key_id_of(OTHER)


def test_only_a_valid_token_becomes_a_cookie(runtime):
    header = {"x-esri-authorization": f"Bearer {WORLD}"}
    opened = send(runtime, SERVICE, {"f": "html", "token": "a\r\nset-cookie: b=c"}, headers=header)

    assert opened["statusCode"] == 498
    assert "set-cookie" not in opened["headers"]


@pytest.mark.parametrize("more", [{"f": "json"}, {"f": "pjson"}])
def test_clients_that_send_a_token_get_their_document(runtime, more):
    assert json.loads(send(runtime, SERVICE, {"token": WORLD} | more)["body"])["name"] == "World_Imagery"


FROM_ELSEWHERE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}


def test_a_link_on_another_site_opens_the_page_once_more_with_the_cookie(runtime):
    """GIVEN a strict cookie, which browsers leave out after a link on another site."""
    opened = send(runtime, SERVICE, {"f": "html"}, headers=FROM_ELSEWHERE)
    asked = send(runtime, SERVICE, {"f": "html"}, headers=FROM_ELSEWHERE | {"sec-fetch-site": "same-origin"})

    assert (opened["statusCode"], asked["statusCode"]) == (200, 499)
    assert f'content="0;url={SERVICE}"' in opened["body"]
    assert "Sign in" in asked["body"]


def test_a_link_on_another_site_does_not_make_somebody_else_of_those_who_are_signed_in(runtime):
    """GIVEN that the cookie does not come with such a link, THEN the page asks for itself once more, and it does."""
    opened = send(runtime, SERVICE, {"f": "html", "token": OTHER}, headers=FROM_ELSEWHERE)
    (again,) = re.findall(r'content="0;url=(.*)"', opened["body"])
    path, _, query = unescape(again).partition("?")
    own = FROM_ELSEWHERE | {"sec-fetch-site": "same-origin"}
    as_before = send(runtime, path, dict(parse_qsl(query)), headers=own, cookies=[f"agstoken={WORLD}"])
    first = send(runtime, path, dict(parse_qsl(query)), headers=own)

    assert "set-cookie" not in opened["headers"]
    assert "set-cookie" not in as_before["headers"]
    assert first["headers"]["set-cookie"].startswith(f"agstoken={OTHER};")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_on_another_site_neither_signs_in_nor_out(runtime, site):
    """An attacker would see what people export who are signed in with the attacker's key."""
    form = {"username": "other", "password": OTHER, "f": "html"}
    headers = FROM_ELSEWHERE | {"sec-fetch-site": site}
    signed_in = send(runtime, f"{ROOT}/generateToken", {"f": "html"}, form=form, headers=headers)
    signed_out = send(runtime, f"{ROOT}/logout", {"f": "html"}, form={}, headers=headers)

    assert "set-cookie" not in signed_in["headers"]
    assert 'type="password"' in signed_in["body"]
    assert "set-cookie" not in signed_out["headers"]
    assert "Sign out" in signed_out["body"]


@pytest.mark.parametrize("tail", ["exportTiles", "jobs/j0/cancel", "jobs/j0/resume"])
def test_a_link_on_another_site_changes_nothing_by_the_cookie(runtime, tail):
    opened = send(runtime, f"{SERVICE}/{tail}", {"f": "html"} | EXPORT, headers=FROM_ELSEWHERE)

    assert opened["statusCode"] == 499
    assert "http-equiv" not in opened["body"]


def test_a_person_who_signs_out_has_no_token_any_more(runtime):
    cookie = f"agstoken={WORLD}"
    page = send(runtime, f"{ROOT}/services", {"f": "html"}, cookies=[cookie])["body"]
    assert f'action="{ROOT}/logout"' in page

    response = send(runtime, f"{ROOT}/logout", form={}, cookies=[cookie])

    assert response["statusCode"] == 303
    assert response["headers"]["set-cookie"].startswith("agstoken=; Max-Age=0; Path=/arcgis/rest;")


def test_shared_caches_do_not_keep_tiles_that_need_a_key(runtime):
    response = send(runtime, f"{SERVICE}/tile/0/0/0", {"token": WORLD})

    assert response["headers"]["cache-control"] == "private, max-age=86400"


def test_no_token_is_logged(runtime, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    send(runtime, f"{SERVICE}/exportTiles", EXPORT | {"token": WORLD})
    send(runtime, f"{SERVICE}/exportTiles", {"levels": "99"}, headers={"authorization": f"Bearer {WORLD}"})
    send(runtime, SERVICE, {"token": UNKNOWN})
    send(runtime, f"{ROOT}/generateToken", form={"username": "x", "password": UNKNOWN})
    send(replace(runtime, services=None), SERVICE, {"token": WORLD})  # a mistake of ours, with its trace

    captured = capsys.readouterr()
    logged = caplog.text + captured.out + captured.err + str([record.__dict__ for record in caplog.records])
    stored = b"".join(runtime.objects.read(found.key) for found in runtime.objects.list(""))
    assert "Failed" in logged
    assert not [token for token in (WORLD, UNKNOWN) if token in logged or token.encode() in stored]
