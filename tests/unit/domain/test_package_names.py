"""File names of packages: safe and unique on every disk, and close to the value."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.package_names import MAX_NAME_CHARACTERS, package_names

FORBIDDEN = set('<>:"/\\|?* \0') | {chr(code) for code in range(32)}
SUFFIX = ".tpkx"

texts = st.text(max_size=150) | st.sampled_from(
    ["a", "A", "\uff41", "a_2", "é", "e\u0301", "ß", "SS", "\u0131", "I", "CON", "?"]
)


def normalised(text):
    return unicodedata.normalize("NFC", text)


@given(st.lists(texts, max_size=20, unique_by=normalised))
def test_no_two_names_are_one_file_on_a_disk_that_ignores_case_or_normalisation(values):
    names = package_names(values)

    assert len(names) == len(values)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        for fold in (str.upper, str.lower, str.casefold):
            assert len({fold(unicodedata.normalize(form, name)) for name in names}) == len(names)


@given(st.lists(texts, max_size=20))
def test_every_name_is_a_legal_file_name_on_windows_macos_and_linux(values):
    for name in package_names(values):
        assert 0 < len(name) <= MAX_NAME_CHARACTERS + 1
        assert len(f"{name}{SUFFIX}".encode()) <= 255
        assert name.isprintable()
        assert not FORBIDDEN & set(name)
        assert name[0] not in ".-"
        assert name.partition(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}


@given(st.lists(st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=30), max_size=20))
def test_a_name_of_letters_and_digits_is_its_value_or_begins_with_it(values):
    for value, name in zip(values, package_names(values), strict=True):
        assert name.startswith(unicodedata.normalize("NFC", value))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Mitte", "Mitte"),
        ("St. Gallen / Ost", "St._Gallen_Ost"),
        ("地図", "地図"),
        ("कोलकाता", "कोलकाता"),
        ("القاهرة", "القاهرة"),
        ("Zu\u0308rich", "Zürich"),
        ("../../etc/passwd", "etc_passwd"),
        ("-rf", "rf"),
        ("v1.2", "v1.2"),
        ("nul", "nul_"),
        ("COM1.North", "COM1.North_"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("???", "package"),
        ("", "package"),
        ("x" * 300, "x" * 100),
        ("地" * 100, "地" * 60),
    ],
)
def test_a_name_keeps_letters_and_digits_of_any_script(value, name):
    assert package_names([value]) == [name]


def test_names_that_would_be_the_same_file_get_a_digest_of_their_values():
    assert package_names(["North", "NORTH", "South", "North!"]) == [
        "North_43f853",
        "NORTH_34a489",
        "South",
        "North_471848",
    ]


@given(st.lists(texts, max_size=20, unique_by=normalised), st.randoms())
def test_a_name_does_not_depend_on_the_order_of_the_values(values, random):
    mixed = random.sample(values, len(values))

    assert dict(zip(mixed, package_names(mixed), strict=True)) == dict(zip(values, package_names(values), strict=True))
