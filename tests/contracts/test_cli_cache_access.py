"""Caches in other buckets than the tile bucket: what `exporttiles publish` refuses, and the rights that it names."""

import json
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import boto3
import pytest

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from tests.builders import put_bundles
from tests.contracts.conftest import client_options
from tests.serving import serving

ROLES = ["arn:aws-cn:iam::210987654321:role/api", "arn:aws-cn:iam::210987654321:role/plan"]
NO_RIGHT = "User: arn:aws-cn:iam::1:user/me is not authorized to perform: s3:ListBucket because no policy allows it"
NO_KEY = (
    "User: arn:aws-cn:iam::1:user/me is not authorized to perform: kms:Decrypt on resource: arn:aws-cn:kms:x:1:key/2"
)


class S3(ThreadingHTTPServer):
    """Denies requests: all of them for a reason, or those that expect the bucket to have an owner.

    Attributes:
        reason: '' to pass all other requests on.
        status: of a denial; 301 from a bucket in another region.
        endpoint: where to.
    """

    reason = ""
    status = 403
    endpoint = ""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Answers as S3 does, over HTTP."""

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.reason or "x-amz-expected-bucket-owner" in self.headers:
            error = f"<Error><Code>AccessDenied</Code><Message>{self.server.reason}</Message></Error>"
            self._send(self.server.status, {}, f'<?xml version="1.0"?>\n{error}'.encode())
            return
        connection = HTTPConnection(self.server.endpoint.removeprefix("http://"))
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        self._send(response.status, response.headers, response.read())
        connection.close()

    do_GET = do_HEAD = do_PUT = _answer  # noqa: N815  the names that the base class looks for

    def _send(self, status, headers, body):
        self.send_response(status)
        for name in ("ETag", "Last-Modified", "Content-Range", "Content-Type"):
            if name in headers:
                self.send_header(name, headers[name])
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("content-length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def environment(s3_endpoint, monkeypatch):
    for name, value in {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def other(s3):
    """A bucket that is named in CacheBuckets; a cache lies in it."""
    name = f"other-{uuid4()}"
    s3.create_bucket(Bucket=name)
    put_bundles(open_store(f"s3://{name}/World"), 3)
    return name


@pytest.fixture
def stack(s3_endpoint, bucket, other):
    name = f"stack-{uuid4()}"
    outputs = {
        "TileBucketName": bucket,
        "ServicesUrl": "https://maps.example.org/arcgis/rest/services",
        "CacheReaderRoleArns": ",".join(ROLES),
    }
    template = {
        "Parameters": {"CacheBuckets": {"Type": "CommaDelimitedList", "Default": f"a-bucket,{other}"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    client = boto3.client("cloudformation", **client_options(s3_endpoint))
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    yield name
    client.close()


def statement_in(text):
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def test_a_cache_in_a_bucket_of_cache_buckets_is_published_where_it_is(stack, bucket, other, capsys):
    assert main(["publish", "World", f"s3://{other}/World", "--stack", stack]) == 0

    assert ServiceCatalog(open_store(f"s3://{bucket}")).get("World").cache.url == f"s3://{other}/World"
    assert capsys.readouterr().out.splitlines()[-1].endswith("/World/ImageServer")


def test_a_cache_in_another_bucket_is_refused_with_the_parameter_that_is_missing(stack, bucket, other, capsys):
    assert main(["publish", "World", "s3://strange/World", "--stack", stack]) == 2

    assert capsys.readouterr().err == (
        f"exporttiles publish: SOURCE: 's3://strange/World' is in a bucket that the stack {stack} may not read. Deploy "
        f"the stack again with --parameter-overrides CacheBuckets=a-bucket,{other},strange, or copy the cache into the "
        "tile bucket.\n"
    )
    assert ServiceCatalog(open_store(f"s3://{bucket}")).names() == []


@pytest.mark.parametrize("address", ["https://tiles.s3.us-east-1.amazonaws.com/World", "s3a://tiles/World", "s3:///a"])
def test_an_address_that_names_no_bucket_is_refused(stack, address, capsys):
    assert main(["publish", "World", address, "--stack", stack]) == 2

    assert capsys.readouterr().err.startswith(f"exporttiles publish: SOURCE: '{address}' is not the address of a tile")


def test_a_user_who_may_not_describe_the_stack_is_told_what_it_needs(bucket, other, capsys):
    assert main(["publish", "World", f"s3://{other}/World", "--bucket", bucket]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == f"Warning: The stack must name {other} in CacheBuckets."


@pytest.fixture
def s3_between(stack, s3_endpoint, monkeypatch):  # noqa: ARG001  the stack and its buckets are there before
    """An S3 between the command and that of moto."""
    with serving(S3()) as server:
        server.endpoint = s3_endpoint
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for service in ("CLOUDFORMATION", "STS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", s3_endpoint)
        yield server


def test_a_denied_read_names_the_statement_for_the_policy_of_the_bucket(s3_between, stack, other, capsys):
    s3_between.reason = NO_RIGHT

    assert main(["publish", "World", f"s3://{other}/World", "--stack", stack]) == 1

    said = capsys.readouterr().err
    assert said.startswith(f"exporttiles: s3://{other}/World: Access to '")
    assert f"is denied: {NO_RIGHT}. Your AWS user or role needs s3:GetObject and s3:ListBucket. If the bucket" in said
    me, *roles = statement_in(said)["Principal"]["AWS"]
    assert me.startswith("arn:aws:sts::")
    assert roles == ROLES
    assert set(statement_in(said)["Action"]) == {"s3:GetObject", "s3:ListBucket"}
    assert statement_in(said)["Resource"] == [f"arn:aws:s3:::{other}", f"arn:aws:s3:::{other}/*"]


def test_a_denied_key_is_told_from_a_denied_bucket(s3_between, stack, other, capsys):
    s3_between.reason = NO_KEY

    assert main(["publish", "World", f"s3://{other}/World", "--stack", stack]) == 1

    said = capsys.readouterr().err
    assert (
        "needs kms:Decrypt. The stack needs the ARN of the key in its parameter CacheKeyArns. If the key is in" in said
    )
    assert statement_in(said)["Action"] == "kms:Decrypt"


def test_a_bucket_in_another_region_is_named_as_such(s3_between, stack, other, capsys):
    s3_between.reason, s3_between.status = "The bucket must be addressed using another endpoint.", 301

    assert main(["publish", "World", f"s3://{other}/World", "--stack", stack]) == 1

    assert capsys.readouterr().err.endswith("' is in a bucket of another region than AWS_REGION.\n")


@pytest.mark.usefixtures("s3_between")
def test_a_bucket_of_another_account_is_noticed_with_its_statement(stack, other, capsys):
    """S3 denies HeadBucket if the bucket has another owner than expected; moto does not look."""
    assert main(["publish", "World", f"s3://{other}/World", "--stack", stack]) == 0

    note = capsys.readouterr().out.splitlines()[-1]
    assert note.startswith(f"Warning: The bucket {other} is not in account 210987654321. ")
    assert statement_in(note) == {
        "Effect": "Allow",
        "Principal": {"AWS": ROLES},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws-cn:s3:::{other}", f"arn:aws-cn:s3:::{other}/*"],
    }
