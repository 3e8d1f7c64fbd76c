"""Counts in messages."""

import re
from pathlib import Path

import pytest

from exporttiles.domain.wording import counted, duration_text, level_names

PRODUCT = Path(__file__).parents[3] / "layers/exporttiles/python/exporttiles"
NOUNS = "tile|byte|bundle|level|member|file|object|request|finding|field|minute|vertice|ring|read|write|call|transition"
BARE = re.compile(rf"\{{[^{{}}]*(?:count|size|len\(|number|total|_bytes|gets|puts)[^{{}}]*\}} (?:{NOUNS})s\b")
MANY = {"MAX_", "LIMIT", "HEADER_BYTES", "RECORDS_OFFSET", "BUNDLX_BYTES"}  # constants, all of them more than one


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 tiles"), (1, "1 tile"), (2, "2 tiles"), (1_024, "1,024 tiles"), (-1, "-1 tiles")]
)
def test_one_is_singular_and_every_other_number_plural(count, words):
    assert counted(count, "tile") == words


def test_a_plural_may_be_irregular_and_bring_its_verb():
    assert [counted(count, "vertex is", "vertices are") for count in (1, 2)] == ["1 vertex is", "2 vertices are"]


def test_no_message_puts_a_plural_after_a_number_that_may_be_one():
    lines = (
        f"{path.name}: {line.strip()}"
        for path in sorted(PRODUCT.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )

    assert [line for line in lines if BARE.search(line) and not any(name in line for name in MANY)] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "a few seconds"),
        (38, "about 40 seconds"),
        (55, "about 1 minute"),
        (290, "about 5 minutes"),
        (1_300, "about 20 minutes"),
        (8_000, "about 2 hours"),
    ],
)
def test_a_rough_time_has_no_false_precision(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ((3,), "level 3"),
        ((0, 1), "levels 0-1"),
        ((0, 1, 2, 3, 7), "levels 0-3, 7"),
        ((1, 3, 5, 6, 7), "levels 1, 3, 5-7"),
    ],
)
def test_levels_are_written_as_runs(levels, text):
    assert level_names(levels) == text
