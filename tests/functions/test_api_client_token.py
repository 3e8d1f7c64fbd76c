"""Repeated requests with the same client token start one job."""

from urllib.parse import quote

import pytest

from tests.functions.api_client import SERVICE

OTHER = "/arcgis/rest/services/Survey/Ortho/ImageServer/exportTiles"
TOKEN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
WITH_TOKEN = f"levels=0-2&clientToken={TOKEN}&f=json"


def test_a_request_repeated_with_its_token_finds_its_job(client):
    path = f"{SERVICE}/exportTiles"
    first = client.json(path, WITH_TOKEN)

    assert client.json(path, WITH_TOKEN) == first
    assert client.json(path, "levels=0-2&f=json", headers={"idempotency-key": f'"{TOKEN}"'}) == first
    assert client.started == [first["jobId"]]


def test_a_failed_start_is_retried_with_the_token(client, monkeypatch):
    workflow = client.runtime.submit_export.workflow
    with monkeypatch.context() as patch:
        patch.setattr(workflow, "start", lambda _: 1 / 0)
        assert client.error(f"{SERVICE}/exportTiles", WITH_TOKEN)["code"] == 500

    assert client.json(f"{SERVICE}/exportTiles", WITH_TOKEN)["jobId"] in client.started


def test_a_token_belongs_to_one_request(client):
    client.json(f"{SERVICE}/exportTiles", WITH_TOKEN)

    error = client.error(f"{SERVICE}/exportTiles", WITH_TOKEN.replace("0-2", "0-3"))

    assert "clientToken: " in error["message"]
    assert "with other parameters" in error["message"]
    assert len(client.started) == 1


def test_a_token_starts_another_job_at_another_service(client):
    jobs = {client.json(path, WITH_TOKEN)["jobId"] for path in (f"{SERVICE}/exportTiles", OTHER)}

    assert len(jobs) == 2


@pytest.mark.parametrize("token", ["short", "x" * 129, "sixteen or more ä"])
def test_a_token_that_is_short_long_or_not_printable_is_refused(client, token):
    error = client.error(f"{SERVICE}/exportTiles", f"clientToken={quote(token)}&f=json")

    assert "16 to 128 visible ASCII characters" in error["message"]


def test_two_different_tokens_are_refused(client):
    error = client.error(f"{SERVICE}/exportTiles", WITH_TOKEN, headers={"idempotency-key": "another" * 4})

    assert "Idempotency-Key has another value" in error["message"]
