"""Hostile request files and events: bounded reads, answers only below the inbox's prefixes, no leaked secrets."""

import copy
import json
import logging

import pytest

from exporttiles.domain.api_key import token_of
from functions.request_export import app as request_export
from tests.builders_rest import a_rest_runtime
from tests.functions.test_workflow_functions import Context, event

REQUEST = {"service": "World_Imagery", "levels": "0-2", "tilePackage": True}
TOKEN = token_of(b"0123456789abcdef0123456789abcdef")


@pytest.fixture
def runtime():
    return a_rest_runtime()


def drop(runtime, body, key="requests/a.json"):
    """Store a file under a key, deliver its event, and return the files in the inbox."""
    file_dropped = copy.deepcopy(event("request_export.file_dropped"))
    (record,) = file_dropped["Records"]
    message = json.loads(record["body"])
    stored = message["detail"]["object"]
    stored["key"] = key
    record["body"] = json.dumps(message)
    runtime.inbox.files = {(key, stored["version-id"]): body if isinstance(body, bytes) else json.dumps(body).encode()}
    request_export.handler(file_dropped, Context(), runtime=runtime)
    return {name: text for (name, _), text in runtime.inbox.files.items() if name != key}


@pytest.mark.parametrize(
    "name",
    [
        "../accepted/x.json",
        "../../tokens/x.json",
        "./x.json",
        "/x.json",
        "a b+c%20.json",
        "Wörld.json",
        "日本.json",
        "\u202egpj.json",
        "a\tb\r\nc.json",
        "requests/requests/x.json",
        "d/" * 300 + "x.json",
        "k" * 1000,
    ],
)
def test_the_reply_to_a_file_has_its_name_whatever_that_is(runtime, name):
    assert list(drop(runtime, REQUEST, f"requests/{name}")) == [f"accepted/{name}"]


@pytest.mark.parametrize("key", ["accepted/x.json", "rejected/x.json", "requests/", "requests/folder/", "x.json"])
def test_a_file_outside_the_requests_folder_starts_nothing(runtime, key):
    assert drop(runtime, REQUEST, key) == {}
    assert runtime.submit_export.workflow.started == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"service":"World_Imagery","levels":NaN}', "NaN is not a number"),
        (b'{"service":"World_Imagery","levels":1e999}', "levels"),
        (b'{"service":"World_Imagery","levels":' + b"9" * 100_000 + b"}", "levels"),
        (b'{"service":"\\ud800"}', "half of a surrogate pair"),
        (b'{"service":"a\\u0000"}', "There is no image service"),
        (b'{"service":{"service":"World_Imagery"}}', "must be the name"),
        (b'{"service":"World_Imagery","name":"' + b"{date}" * 100_000 + b'"}', "It must have 1 to 100"),
        (b'{"service":"World_Imagery","callbackData":' + b"[" * 900 + b"]" * 900 + b"}", ""),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"{" + b",".join(b'"m%d":1' % number for number in range(90_000)) + b"}", "There is no such member"),
        (b'\xef\xbb\xbf{"service":"Nowhere"}', "There is no image service"),
        (json.dumps(REQUEST).encode("utf-16"), "not UTF-8"),
        (b"", "It is not JSON"),
    ],
    ids=range(13),
)
def test_a_hostile_document_is_rejected_in_few_words(runtime, body, reason):
    ((key, answer),) = drop(runtime, body).items()

    (told,) = json.loads(answer)["reasons"]
    assert key == "rejected/a.json"
    assert reason in told
    assert len(told) < 1500
    assert runtime.submit_export.workflow.started == []


def test_the_last_value_of_a_repeated_member_counts(runtime):
    drop(runtime, b'{"service":"Nowhere","service":"World_Imagery","levels":"0","tilePackage":true}')

    assert len(runtime.submit_export.workflow.started) == 1


def test_a_key_in_place_of_its_name_is_not_leaked(runtime, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    answers = drop(runtime, REQUEST | {"key": f" {TOKEN}"})

    captured = capsys.readouterr()
    spread = str(answers) + caplog.text + captured.out + captured.err + str(runtime.announcer.events)
    assert "Send the name, and revoke this key" in spread
    assert TOKEN not in spread
