"""API keys: the form of tokens, and the services that a key allows."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.api_key import SECRET_BYTES, ApiKey, is_token, key_id_of, token_of


def a_key(*services, name="ci", max_tile_count=10):
    return ApiKey("0" * 64, name, services, max_tile_count, datetime(2027, 1, 1, tzinfo=UTC))


@given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES))
def test_a_token_is_known_as_one_and_its_id_does_not_tell_it(secret):
    token = token_of(secret)

    assert is_token(token)
    assert token.startswith("exporttiles_")
    assert len(key_id_of(token)) == 64
    assert token not in repr(a_key("*"))


@given(st.text() | st.from_regex(r"exporttiles_[\w-]*"))
def test_other_texts_are_no_tokens(text):
    assert not is_token(text) or len(text) == len("exporttiles_") + 43


def test_an_id_is_the_sha256_of_its_token():
    assert key_id_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("services", "opens", "shuts"),
    [
        (["*"], ["A", "F/A"], []),
        (["A"], ["A"], ["B", "F/A", "a", "AA"]),
        (["F/*"], ["F/A", "F/B"], ["A", "F", "FF/A", "*", "G/A"]),
        (["F/A", "B"], ["F/A", "B"], ["A", "F/B"]),
    ],
)
def test_a_key_opens_its_services_and_no_other(services, opens, shuts):
    key = a_key(*services)

    assert all(map(key.allows, opens))
    assert not any(map(key.allows, shuts))


@pytest.mark.parametrize(
    "changes", [{"name": "a b"}, {"name": ""}, {"name": "a\n"}, {"name": "../x"}, {"max_tile_count": 0}]
)
def test_a_key_without_a_proper_name_or_limit_is_none(changes):
    with pytest.raises(ValueError, match=r"(?s)^(name|max_tiles): .* cannot be used. It must"):
        a_key("*", **changes)


@pytest.mark.parametrize("services", [[], [""], ["*/A"], ["A/B/C"], ["A*"], ["A/"], ["../A"]])
def test_a_key_without_proper_services_is_none(services):
    with pytest.raises(ValueError, match=r"^services: .* cannot be used. It must"):
        a_key(*services)
