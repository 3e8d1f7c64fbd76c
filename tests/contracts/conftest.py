"""S3 and DynamoDB of moto, over HTTP on loopback: stricter than the emulator."""

from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tests.workflow.stack import RESOURCES

TABLE = RESOURCES["JobTable"]["Properties"]


@pytest.fixture(scope="session")
def s3_endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client_options(endpoint):
    return {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


@pytest.fixture
def s3(s3_endpoint):
    client = boto3.client("s3", config=Config(signature_version="s3v4"), **client_options(s3_endpoint))
    yield client
    client.close()


@pytest.fixture
def bucket(s3):
    name = f"bucket-{uuid4()}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def table(s3_endpoint):
    dynamodb = boto3.resource("dynamodb", **client_options(s3_endpoint))
    yield dynamodb.create_table(
        TableName=f"jobs-{uuid4()}",
        BillingMode="PAY_PER_REQUEST",
        **{name: TABLE[name] for name in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")},
    )
    dynamodb.meta.client.close()
