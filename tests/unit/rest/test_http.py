"""HTTP requests from API Gateway events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import InvalidParameterError, RequestError
from exporttiles.rest.api_gateway import read_event, write_response
from exporttiles.rest.http import Request, Response


def test_the_first_value_of_a_parameter_counts_and_the_query_comes_before_the_form():
    request = Request("POST", "/", "levels=1&levels=2&exportBy=", body="levels=3&tilePackage=true")

    assert request.parameters == {"levels": "1", "exportBy": "", "tilePackage": "true"}


@pytest.mark.parametrize(("query", "meant"), [("", "html"), ("f=", "html"), ("f=JSON", "json"), ("f=pjson", "pjson")])
def test_the_format_is_html_unless_another_is_requested(query, meant):
    assert Request("GET", "/", query).format() == meant


@pytest.mark.parametrize("query", ["f=xml", "f=json&callback=x"])
def test_other_formats_and_jsonp_are_refused(query):
    with pytest.raises(InvalidParameterError):
        Request("GET", "/", query).format()


def test_an_empty_callback_is_ignored():
    assert Request("GET", "/", "f=json&callback=").format() == "json"


@pytest.mark.parametrize(
    ("headers", "configured", "address"),
    [
        ({"host": "a.org"}, "", "https://a.org"),
        ({"host": "127.0.0.1:8080", "x-forwarded-proto": "http"}, "", "http://127.0.0.1:8080"),
        ({"host": "[::1]:80", "x-forwarded-proto": "HTTPS"}, "", "https://[::1]:80"),
        ({"host": "a.org"}, "https://b.org/", "https://b.org"),
        ({}, "https://b.org", "https://b.org"),
    ],
)
def test_the_base_url_is_the_configured_one_or_that_of_the_request(headers, configured, address):
    assert Request("GET", "/", headers=headers).base_url(configured) == address


@pytest.mark.parametrize("host", ["", "a b", "a.org/x", "a\r\nb", "u@a.org", '">', "a" * 300])
def test_an_invalid_host_is_refused(host):
    with pytest.raises(RequestError):
        Request("GET", "/", headers={"host": host}).base_url("")


def event(**changes):
    return {"rawPath": "/", "requestContext": {"http": {"method": "get"}, "stage": "$default"}, **changes}


def test_an_event_without_optional_members_is_a_request():
    assert read_event(event()) == Request("GET", "/")


def test_the_stage_is_not_part_of_the_path():
    context = {"http": {"method": "GET"}, "stage": "prod"}

    assert read_event(event(rawPath="/prod/arcgis", requestContext=context)).path == "/arcgis"


@pytest.mark.parametrize("body", ["!", "YQ", "/w=="])
def test_a_body_that_is_not_text_does_not_fail(body):
    assert len(read_event(event(body=body, isBase64Encoded=True)).body) <= 1


@given(st.text(), st.text())
def test_any_query_and_form_are_parsed_or_refused(query, body):
    request = Request("POST", "/", query, body=body)
    try:
        assert all(isinstance(value, str) for value in request.parameters.values())
    except RequestError:
        return


def test_bytes_are_sent_in_base64_and_text_is_sent_unchanged():
    assert write_response(Response(200, {"content-type": "image/png"}, b"\x89"))["body"] == "iQ=="
    assert write_response(Response(200, {"content-type": "application/json; charset=utf-8"}, b"{}"))["body"] == "{}"
