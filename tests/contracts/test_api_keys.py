"""Contract of the API key store: in memory, in S3 (moto)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from obstore.store import MemoryStore, S3Store

from exporttiles.adapters.json_folders import ApiKeys
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.api_key import ApiKey, key_id_of

TOKEN = "exporttiles_" + "x" * 43
KEY = ApiKey(key_id_of(TOKEN), "field-office", ("World", "Survey/*"), 500, datetime(2027, 5, 1, tzinfo=UTC))


@pytest.fixture(params=["memory", "s3"])
def objects(request):
    if request.param == "memory":
        return ObstoreObjects(MemoryStore())
    endpoint, bucket = request.getfixturevalue("s3_endpoint"), request.getfixturevalue("bucket")
    credentials = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}
    return ObstoreObjects(S3Store(bucket, endpoint=endpoint, client_options={"allow_http": True}, **credentials))


@pytest.fixture
def keys(objects):
    return ApiKeys(objects)


def test_a_key_comes_back_as_it_was_kept(keys):
    keys.put(KEY)

    assert keys.get(KEY.key_id) == KEY


@pytest.mark.parametrize("key_id", ["0" * 64, "", "A" * 64, "../services/World"])
def test_a_key_that_is_not_there_is_a_key_error(keys, key_id):
    with pytest.raises(KeyError):
        keys.get(key_id)


def test_keys_are_listed_by_name(keys, objects):
    keys.put(KEY)
    keys.put(replace(KEY, key_id="0" * 64, name="zoo"))
    keys.put(replace(KEY, key_id="1" * 64, name="attic"))
    objects.write("tokens/README.txt", b"not a key")

    assert [key.name for key in keys.list()] == ["attic", "field-office", "zoo"]


def test_a_deleted_key_is_unknown_at_once(keys):
    keys.put(KEY)

    keys.delete(KEY.key_id)

    assert keys.list() == []
    with pytest.raises(KeyError):
        keys.get(KEY.key_id)


def test_the_token_itself_is_nowhere(keys, objects):
    keys.put(KEY)

    for stored in objects.list(""):
        assert TOKEN not in stored.key
        assert TOKEN.encode() not in objects.read(stored.key)
