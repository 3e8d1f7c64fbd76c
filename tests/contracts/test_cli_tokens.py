"""The command `exporttiles token`, on S3 (moto)."""

from datetime import UTC, datetime

import pytest

from exporttiles.adapters.json_folders import ApiKeys
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from exporttiles.domain.api_key import ApiKey, is_token, key_id_of


@pytest.fixture(autouse=True)
def environment(s3_endpoint, monkeypatch):
    for name, value in {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
def token(bucket):
    """Run one command on a bucket of its own."""

    def run(*arguments):
        return main(["token", *arguments, "--bucket", bucket])

    return run


@pytest.fixture
def keys(bucket):
    return ApiKeys(open_store(f"s3://{bucket}"))


def test_a_key_is_made_and_its_token_printed_alone(token, keys, capsys):
    assert token("create", "field-office", "--services", "World, Survey/*", "--max-tiles", "500", "--days", "30") == 0

    printed = capsys.readouterr()
    assert is_token(printed.out.strip())
    assert printed.out.strip() not in printed.err
    key = keys.get(key_id_of(printed.out.strip()))
    assert (key.name, key.services, key.max_tile_count) == ("field-office", ("World", "Survey/*"), 500)


def test_keys_are_listed_and_revoked_by_name(token, keys, capsys):
    token("create", "one", "--services", "*")
    two = ApiKey(key_id_of("two"), "two", ("A",), 1, datetime(2026, 1, 1, tzinfo=UTC))
    keys.put(two)
    capsys.readouterr()

    token("list")
    one, two = capsys.readouterr().out.splitlines()
    assert (one.split()[:2], two.split()[:2]) == (["one", "until"], ["two", "expired"])
    assert token("revoke", "one") == 0
    assert [key.name for key in keys.list()] == ["two"]


def test_a_name_is_used_once(token, keys, capsys):
    token("create", "one", "--services", "*")

    assert token("create", "one", "--services", "A") == 2
    assert "NAME: There is a key 'one' already" in capsys.readouterr().err
    assert len(keys.list()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["a b", "--services", "*"], "NAME: 'a b' cannot be used. It must have 1 to 80 letters"),
        (["a", "--services", "A/B/C"], "--services: 'A/B/C' cannot be used. It must be Name, Folder/Name"),
        (["a", "--services", ","], "--services: '' cannot be used. It must be Name, Folder/Name"),
        (["a", "--services", "*", "--max-tiles", "0"], "--max-tiles: 0 is not in the range"),
        (["a", "--services", "*", "--days", "0"], "--days: 0 is not in the range"),
        (["a", "--services", "*", "--days", "36501"], "--days: 36501 is not in the range"),
    ],
)
def test_invalid_properties_of_a_key_are_refused(token, keys, capsys, options, words):
    assert token("create", *options) == 2
    assert words in capsys.readouterr().err
    assert keys.list() == []


def test_a_key_that_is_not_there_is_not_revoked(token, capsys):
    assert token("revoke", "nobody") == 2
    assert "NAME: There is no key 'nobody'" in capsys.readouterr().err
