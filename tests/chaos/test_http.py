"""The real S3 clients through a proxy that injects faults: they return the right bytes or raise an error.

Behind the proxy is moto. A fault strikes one request; the clients may retry it, or raise an error.
"""

import http.client
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

import boto3
import pytest
from botocore.config import Config
from obstore.store import S3Store

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.s3_packages import S3Packages
from exporttiles.domain.errors import PackageError, SourceError
from exporttiles.domain.parts import MIN_PART_BYTES, CopiedPart, WrittenPart
from tests.contracts.conftest import bucket, client_options, s3, s3_endpoint
from tests.fakes import join
from tests.serving import serving

__all__ = ["bucket", "s3", "s3_endpoint"]  # fixtures

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>"
INTERNAL_ERROR = SLOW_DOWN.replace(b"SlowDown", b"InternalError")
FAULTS = ("slow down", "internal error", "reset before", "answer lost", "torn body", "delay", "error under 200")
OBJECTS = {f"tiles/{number}": bytes([number]) * 20_000 for number in range(8)}
FRAGMENTS = {f"fragments/{number}": random.Random(number).randbytes(MIN_PART_BYTES) for number in range(2)}  # noqa: S311


class FaultProxy(ThreadingHTTPServer):
    """Forwards requests and injects faults into some of them.

    Attributes:
        plan: number of a request -> fault.
    """

    daemon_threads = True

    def __init__(self, endpoint):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = endpoint.removeprefix("http://")
        self.plan, self.hits, self.number = {}, Counter(), 0
        self.lock = threading.Lock()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self):
        with self.lock:
            self.number += 1
            return self.plan.get(self.number)

    def handle_error(self, *_):
        """Ignore clients that closed the connection."""


class Handler(BaseHTTPRequestHandler):
    """One request through the proxy."""

    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.server.next_fault()
        if fault == "error under 200" and "x-amz-copy-source" not in self.headers:
            fault = "internal error"  # only copies begin to answer before they are done
        if fault:
            self.server.hits[fault] += 1
        if fault in {"slow down", "internal error", "error under 200"}:
            status = {"slow down": 503, "internal error": 500, "error under 200": 200}[fault]
            return self.answer(status, {}, SLOW_DOWN if fault == "slow down" else INTERNAL_ERROR)
        if fault == "reset before":
            return self.hang_up()
        connection = http.client.HTTPConnection(self.server.target)
        connection.request(self.command, self.path, body, dict(self.headers))
        found = connection.getresponse()
        content, headers = found.read(), dict(found.getheaders())
        connection.close()
        if fault == "answer lost":
            return self.hang_up()
        if fault == "delay":
            threading.Event().wait(0.3)
        return self.answer(found.status, headers, content, is_torn=fault == "torn body")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815  (the server looks for these)

    def answer(self, status, headers, content, *, is_torn=False):
        self.send_response_only(status)
        kept = {
            name: value for name, value in headers.items() if name.lower() not in {"transfer-encoding", "connection"}
        }
        if "content-length" not in {name.lower() for name in kept}:
            kept["content-length"] = str(len(content))
        for name, value in kept.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if is_torn else content)
        if is_torn:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(s3_endpoint):
    with serving(FaultProxy(s3_endpoint)) as server:
        yield server


@pytest.fixture
def objects(proxy, bucket):
    return ObstoreObjects(
        S3Store(
            bucket,
            endpoint=proxy.endpoint,
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
            client_options={"allow_http": True},
        )
    )


@pytest.fixture
def packages(proxy, bucket):
    retries = {"mode": "standard", "total_max_attempts": 3}
    config = Config(signature_version="s3v4", request_checksum_calculation="when_required", retries=retries)
    client = boto3.client("s3", config=config, **client_options(proxy.endpoint))
    yield S3Packages(client, bucket, 60)
    client.close()


@pytest.mark.parametrize("seed", range(21))
def test_reads_with_faults_return_the_right_bytes_or_raise(seed, proxy, objects):
    source = random.Random(seed)  # noqa: S311
    for key, body in OBJECTS.items():
        objects.write(key, body)
    proxy.plan = {proxy.number + number: FAULTS[seed % len(FAULTS)] for number in source.sample(range(1, 14), 2)}

    def attempt(act, wanted):
        try:
            assert act() == wanted
        except SourceError as error:
            assert "did not answer" in str(error)  # noqa: PT017

    attempt(
        lambda: list(objects.read_many(["tiles/3", "nothing", "tiles/5"])),
        [OBJECTS["tiles/3"], None, OBJECTS["tiles/5"]],
    )
    attempt(
        lambda: list(objects.read_ranges("tiles/2", [(0, 9_000), (10_000, 20_000)])), [b"\2" * 9_000, b"\2" * 10_000]
    )
    attempt(lambda: objects.read_start("tiles/4", 15_000), (b"\4" * 15_000, 20_000))
    attempt(lambda: objects.read("tiles/7"), OBJECTS["tiles/7"])
    attempt(lambda: objects.write("tiles/0", b"new"), None)
    attempt(lambda: list(objects.sizes_bytes(["tiles/1", "nothing"])), [20_000, None])
    proxy.plan = {}
    assert objects.read("tiles/0") in {b"new", OBJECTS["tiles/0"]}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_object_created_with_faults_is_created_once_and_whole(fault, proxy, objects):
    proxy.plan = {proxy.number + 1: fault}

    try:
        is_first = objects.create("report", b"mine")
    except SourceError:
        is_first = None
    proxy.plan = {}

    # After a lost answer it may be ours although it is not said to be: progress is put right by the end of the job.
    if is_first is not True:
        objects.create("report", b"another")
    assert objects.read("report") in ({b"mine"} if is_first else {b"mine", b"another"})
    assert not objects.create("report", b"a third")


@pytest.mark.parametrize(("fault", "number"), [(fault, number) for fault in FAULTS for number in range(1, 7)])
def test_a_package_joined_with_faults_is_whole_or_the_join_raises(fault, number, proxy, objects, packages):
    for key, body in FRAGMENTS.items():
        objects.write(key, body)
    whole = b"".join(FRAGMENTS.values()) + b"tail"
    parts = [*(CopiedPart(key, len(body)) for key, body in FRAGMENTS.items()), WrittenPart.of(b"tail")]
    proxy.plan = {proxy.number + number: fault}

    try:
        join(packages, "packages/a", parts, crc32(whole))
    except (PackageError, SourceError) as error:
        assert "packages/a" in str(error)  # noqa: PT017
    else:
        assert objects.read("packages/a") == whole
    assert proxy.hits
    proxy.plan = {}
    packages.abort_uploads("packages/")
    assert "Uploads" not in packages._client.list_multipart_uploads(Bucket=packages._bucket)
