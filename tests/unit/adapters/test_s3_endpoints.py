"""S3 is found in every region of the public partitions of AWS, as botocore knows them."""

import boto3
import pytest

from exporttiles.adapters.object_stores import open_store, s3_endpoint

SESSION = boto3.Session("key", "secret")
PARTITIONS = ["aws", "aws-cn", "aws-us-gov", "aws-eusc"]
REGIONS = [region for partition in PARTITIONS for region in SESSION.get_available_regions("s3", partition)]


@pytest.mark.parametrize("region", [region for region in REGIONS if region != "us-east-1"])
def test_a_store_is_sought_in_the_domain_of_its_partition(region):
    expected = SESSION.client("s3", region_name=region).meta.endpoint_url

    assert (s3_endpoint(region) or f"https://s3.{region}.amazonaws.com") == expected


@pytest.fixture
def endpoint_in(monkeypatch):
    """Open a bucket in a region, and return the endpoint that was set."""

    def endpoint(region, url=""):
        monkeypatch.setenv("AWS_REGION", region)
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        if url:
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        return open_store.__wrapped__("s3://bucket")._store.config.get("endpoint")

    return endpoint


def test_a_store_in_china_is_opened_there(endpoint_in):
    assert endpoint_in("cn-north-1") == "https://s3.cn-north-1.amazonaws.com.cn"


def test_an_address_in_the_environment_is_left_to_object_store(endpoint_in):
    assert endpoint_in("cn-north-1", "http://127.0.0.1:4566") is None
