"""JSON from clients, including unbalanced brackets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.rest.json_text import MAX_REPAIRS, balance_brackets, read_object

objects = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
        lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part, max_size=4),
    ),
    max_size=4,
)


def read(text):
    return read_object("areaOfInterest", text, "Legal is a polygon.")


@given(objects)
def test_a_json_object_survives_a_round_trip(document):
    assert read(json.dumps(document)) == document


@given(objects)
def test_a_balanced_text_is_not_changed(document):
    assert balance_brackets(json.dumps(document)) is None


@given(objects, st.integers(1, MAX_REPAIRS - 2))
def test_surplus_braces_at_the_end_are_dropped(document, count):
    assert json.loads(balance_brackets(json.dumps(document) + "}" * count)) == document


@given(st.text(max_size=200))
def test_balancing_changes_nothing_but_brackets(text):
    balanced = balance_brackets(text) or text

    def without(marks):
        return "".join(mark for mark in marks if mark not in "{}[]")

    assert without(balanced) == without(text)


def test_brackets_inside_strings_are_text():
    assert balance_brackets('{"a":"}]}\\"]"}}') == '{"a":"}]}\\"]"}'


def test_missing_closing_brackets_are_appended():
    assert balance_brackets('{"features":[{"geometry":{"rings":[]}') == '{"features":[{"geometry":{"rings":[]}}]}'


@pytest.mark.parametrize("text", ['{"rings":[[[-100,35],[-100,4', '{"rings":[[[0,0],[0,1],[1,1]]'])
def test_a_text_that_may_be_cut_off_within_its_coordinates_is_not_completed(text):
    assert balance_brackets(text) is None


def test_more_than_a_typo_is_not_repaired():
    assert balance_brackets('{"a":1}' + "}" * (MAX_REPAIRS + 1)) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '{"rings":[[[0,0],[0 1]]]}',
            r"Expecting ',' delimiter at character 21, near '\{\"rings\":\[\[\[0,0\],\[0 1\]\]\]\}'",
        ),
        ("{'rings':[]}", "Expecting property name enclosed in double quotes at character 2"),
        ("features", "Expecting value at character 1, near 'features'"),
        ('{"a":NaN}', "NaN is not a number in JSON"),
        ('{"a":-Infinity}', "-Infinity is not a number in JSON"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("[1]", "Legal is a polygon."),
    ],
)
def test_a_value_that_is_not_an_object_is_refused_with_the_position_and_legal_values(text, told):
    with pytest.raises(InvalidParameterError, match=told) as refusal:
        read(text)

    assert str(refusal.value).endswith("Legal is a polygon.")
    assert len(str(refusal.value)) < 400


def test_an_unterminated_string_and_a_number_of_a_million_digits_cost_one_pass():
    assert balance_brackets('{"' + "\\a" * 500_000) is None
    assert read('{"a":' + "9" * 1_000_000 + "}") == {"a": float("inf")}
