"""503 SlowDown of S3: retried for a short time, an error after a long one."""

import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from exporttiles.bootstrap.aws import AwsRuntime
from exporttiles.domain.errors import SourceError
from tests.serving import serving

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class BusyS3(ThreadingHTTPServer):
    """Answers each object only when it was asked for often enough."""

    refusals = 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = Counter()


class Handler(BaseHTTPRequestHandler):
    """GET of an object, which holds its own key."""

    def do_GET(self):
        key = self.path.partition("?")[0].rpartition("/")[2]
        self.server.asked[key] += 1
        is_refused = self.server.asked[key] <= self.server.refusals
        body = SLOW_DOWN if is_refused else key.encode()
        self.send_response(503 if is_refused else 200)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"1"')
        self.send_header("last-modified", "Mon, 23 Nov 2026 18:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def s3():
    with serving(BusyS3()) as server:
        yield server


@pytest.fixture
def runtime(s3, monkeypatch):
    """The ports as functions have them."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TILE_BUCKET": "tiles",
        "PACKAGE_BUCKET": f"packages-{uuid4()}",  # stores are kept by their address
        "INBOX_BUCKET": "inbox",
        "JOB_TABLE": "jobs",
    }.items():
        monkeypatch.setenv(name, value)
    return AwsRuntime()


def test_reads_of_tiles_wait_until_s3_has_made_room(s3, runtime):
    s3.refusals = 3
    keys = [f"{number}.jpg" for number in range(50)]

    assert list(runtime.objects.read_many(keys)) == [key.encode() for key in keys]
    assert set(s3.asked.values()) == {4}


def test_control_calls_wait_as_well(s3, runtime):
    s3.refusals = 2

    assert runtime.inbox.read_start("requests/a.json", "", 100)[0] == b"a.json"
    assert s3.asked["a.json"] == 3


def test_an_s3_that_never_answers_is_an_error_within_the_time_of_an_http_request(s3, runtime):
    s3.refusals = 10**6
    began = time.monotonic()

    with pytest.raises(SourceError, match="a\\.jpg"):
        runtime.objects.read("a.jpg")

    assert time.monotonic() - began < 25
    assert s3.asked["a.jpg"] > 5
