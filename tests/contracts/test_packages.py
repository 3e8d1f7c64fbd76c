"""Contract of package stores: in memory, in S3 (moto, which enforces part sizes)."""

import urllib.request
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from zlib import crc32

import pytest
from obstore.store import S3Store

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.s3_packages import S3Packages
from exporttiles.bootstrap.aws import AwsRuntime
from exporttiles.domain.errors import DamagedPackageError, PackageError
from exporttiles.domain.job import Package
from exporttiles.domain.parts import MIN_PART_BYTES, CopiedPart, WrittenPart
from exporttiles.ports.packages import UploadEndedError
from tests.fakes import FakePackages, join, memory

FRAGMENT = b"f" * MIN_PART_BYTES


@pytest.fixture(params=["memory", "s3"])
def stores(request):
    """Return a package store and the object store that its fragments lie in."""
    if request.param == "memory":
        objects = memory()
        return FakePackages(objects), objects
    bucket = request.getfixturevalue("bucket")
    objects = ObstoreObjects(
        S3Store(
            bucket,
            endpoint=request.getfixturevalue("s3_endpoint"),
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
            client_options={"allow_http": True},
        )
    )
    return S3Packages(request.getfixturevalue("s3"), bucket, link_seconds=60), objects


def test_parts_become_one_object_in_their_order(stores):
    packages, objects = stores
    objects.write("fragments/0", FRAGMENT)
    objects.write("fragments/1", FRAGMENT[::-1] + b"1")

    parts = [
        CopiedPart("fragments/0", len(FRAGMENT)),
        WrittenPart.of(b"w" * MIN_PART_BYTES),
        CopiedPart("fragments/1", len(FRAGMENT) + 1),
        WrittenPart.of(b"tail"),
    ]
    whole = FRAGMENT + b"w" * MIN_PART_BYTES + FRAGMENT[::-1] + b"1" + b"tail"

    join(packages, "packages/a", parts, crc32(whole))

    assert objects.read("packages/a") == whole


def test_a_part_may_be_the_rest_of_an_object(stores):
    packages, objects = stores
    body = FRAGMENT + FRAGMENT[::-1]
    objects.write("fragments/0", body)
    parts = [WrittenPart.of(b"head" + body[: MIN_PART_BYTES - 4]), CopiedPart("fragments/0", len(body) - 7, 7)]
    whole = parts[0].read() + body[7:]

    join(packages, "packages/a", parts, crc32(whole))

    assert objects.read("packages/a") == whole


def test_a_call_without_time_uploads_one_part_and_the_next_call_goes_on(stores):
    packages, objects = stores
    objects.write("fragments/0", FRAGMENT)
    parts = [CopiedPart("fragments/0", len(FRAGMENT)), WrittenPart.of(b"w" * MIN_PART_BYTES), WrittenPart.of(b"tail")]
    whole = FRAGMENT + b"w" * MIN_PART_BYTES + b"tail"
    upload_id = packages.begin("packages/a")

    calls = [packages.join("packages/a", upload_id, parts, crc32(whole), lambda: False) for _ in range(4)]

    assert calls == [False, False, False, True]  # the last one completes the object
    assert objects.read("packages/a") == whole


def test_parts_that_are_there_are_neither_copied_nor_read_again(stores):
    packages, objects = stores
    objects.write("fragments/0", FRAGMENT)
    upload_id = packages.begin("packages/a")
    copied, tail = CopiedPart("fragments/0", len(FRAGMENT)), WrittenPart.of(b"tail")
    assert not packages.join("packages/a", upload_id, [copied, tail], crc32(FRAGMENT + b"tail"), lambda: False)

    objects.delete(["fragments/0"])

    assert packages.join("packages/a", upload_id, [copied, tail], crc32(FRAGMENT + b"tail"))
    assert objects.read("packages/a") == FRAGMENT + b"tail"


def test_an_upload_that_was_completed_is_complete_for_a_retry_too(stores):
    packages, _ = stores
    parts, upload_id = [WrittenPart.of(b"all of it")], packages.begin("packages/a")

    assert [packages.join("packages/a", upload_id, parts, crc32(b"all of it")) for _ in range(2)] == [True, True]


def test_an_aborted_upload_has_ended(stores):
    packages, _ = stores
    upload_id = packages.begin("packages/a")
    packages.abort("packages/a", upload_id)
    packages.abort("packages/a", upload_id)  # as often as one likes

    with pytest.raises(UploadEndedError):
        packages.join("packages/a", upload_id, [WrittenPart.of(b"x")], crc32(b"x"))


def test_a_single_small_part_is_enough(stores):
    packages, objects = stores

    join(packages, "packages/small", [WrittenPart.of(b"all of it")], crc32(b"all of it"))

    assert objects.read("packages/small") == b"all of it"


def test_a_small_part_in_the_middle_is_refused_and_leaves_nothing(stores):
    packages, objects = stores

    with pytest.raises(PackageError, match=r"Part 1 .* 5 bytes"):
        join(packages, "packages/bad", [WrittenPart.of(b"small"), WrittenPart.of(b"tail")], crc32(b"smalltail"))

    assert list(objects.list("packages/")) == []


def test_a_missing_fragment_is_an_error_and_leaves_nothing(stores):
    packages, objects = stores

    with pytest.raises((PackageError, KeyError)):
        join(packages, "packages/bad", [CopiedPart("nothing", MIN_PART_BYTES), WrittenPart.of(b"x")], 0)

    assert list(objects.list("packages/")) == []


def test_the_owners_of_objects_are_found_by_the_beginning_of_their_ids(stores):
    packages, objects = stores
    for key in ("jobs/j1a/request.json", "jobs/j1a/fragments/0", "packages/j1b/a", "packages/j2a/a"):
        objects.write(key, b"x")

    assert set(packages.owners("j1")) == {"j1a", "j1b"}


def test_only_uploads_that_are_unwanted_are_ended(s3, bucket):
    packages = S3Packages(s3, bucket, link_seconds=60)
    for key in ("packages/j1/a", "packages/j2/a"):
        s3.create_multipart_upload(Bucket=bucket, Key=key)

    assert packages.abort_uploads("", lambda key: "j1" in key) == 1

    assert [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["packages/j2/a"]


def test_a_package_with_another_checksum_is_refused(stores):
    packages, objects = stores
    objects.write("fragments/0", b"?" + FRAGMENT[1:])  # not what its writer had in memory

    with pytest.raises(DamagedPackageError, match="checksum"):
        join(packages, "packages/bad", [CopiedPart("fragments/0", len(FRAGMENT))], crc32(FRAGMENT))


def test_a_failed_join_leaves_no_upload_behind(s3, bucket):
    packages = S3Packages(s3, bucket, link_seconds=60)

    with pytest.raises(PackageError):
        join(packages, "packages/bad", [WrittenPart.of(b"small"), WrittenPart.of(b"tail")], crc32(b"smalltail"))

    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_the_link_is_signed_as_sigv4_and_names_the_file(s3, bucket):
    packages = S3Packages(s3, bucket, link_seconds=60)
    join(packages, "packages/j1/World.tpkx", [WrittenPart.of(b"package")], crc32(b"package"))

    url = packages.download_url(Package("packages/j1/World.tpkx", "World.tpkx", 7))

    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Expires=60" in url
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"package"
        assert "World.tpkx" in response.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "a-bucket.s3.us-east-1.amazonaws.com"),
        ("eu-central-1", "a-bucket.s3.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "a-bucket.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "a-bucket.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_link_leads_to_the_bucket_in_its_own_region(monkeypatch, region, host):
    """A link for s3.amazonaws.com is redirected for hours after a bucket was made, and then its signature is wrong."""
    url = urlsplit(link_in(monkeypatch, region))

    assert (url.scheme, url.netloc, url.path) == ("https", host, "/packages/j1/World.tpkx")
    assert dict(parse_qsl(url.query))["X-Amz-Credential"].split("/")[2] == region


def test_a_link_to_an_emulator_has_the_bucket_in_its_path(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    url = urlsplit(link_in(monkeypatch, "eu-central-1"))

    assert (url.netloc, url.path) == ("127.0.0.1:4566", "/a-bucket/packages/j1/World.tpkx")


def link_in(monkeypatch, region):
    """Return the link to a package, as a function in a region makes it."""
    for name, value in {
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TILE_BUCKET": "tiles",
        "PACKAGE_BUCKET": "a-bucket",
        "JOB_TABLE": "jobs",
    }.items():
        monkeypatch.setenv(name, value)
    return AwsRuntime().packages.download_url(Package("packages/j1/World.tpkx", "World.tpkx", 7))


@pytest.mark.parametrize(
    "name", ['a"; filename=b', "a\r\nSet-Cookie: b=c", "../../a", "日本.tpkx", "a&X-Amz-Expires=999999"]
)
def test_a_download_link_is_for_one_object_whatever_that_is_called(s3, bucket, name):
    packages = S3Packages(s3, bucket, link_seconds=60)

    url = urlsplit(packages.download_url(Package(f"packages/j1/{name}", name, 7)))

    fields = parse_qsl(url.query, strict_parsing=True)
    assert unquote(url.path).endswith(f"packages/j1/{name}")
    assert [value for field, value in fields if field == "X-Amz-Expires"] == ["60"]
    disposition = dict(fields)["response-content-disposition"]
    assert disposition == f"attachment; filename*=UTF-8''{quote(name)}"
