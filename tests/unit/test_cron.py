"""Cron expressions of EventBridge Scheduler."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.cli.cron import cron_expression, time_zone


def check_cron(text):
    return cron_expression(None, None, text)


def check_timezone(name):
    return time_zone(None, None, name)


@pytest.mark.parametrize(
    "text",
    [
        "0 5 ? * MON *",
        "0 10 * * ? *",
        "15 12 * * ? *",
        "0 18 ? * MON-FRI *",
        "0 8 1 * ? *",
        "0/10 * ? * MON-FRI *",
        "*/5 8-17 ? * mon-fri *",
        "0 9 ? * 2#1 *",
        "0 9 ? * FRI#5 *",
        "0 9 L * ? *",
        "0 9 L-3 * ? *",
        "0 9 3W * ? 2026-2030",
        "0 9 ? JAN,JUL 6L 2199",
        "0,30 0-23/2 1,15 1-12 ? 2026/2",
    ],
)
def test_what_aws_documents_is_legal(text):
    assert check_cron(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' has 0 fields"),
        ("0 5 * * *", "has 5 fields"),
        ("0 5 ? * MON * *", "has 7 fields"),
        ("cron(0 5 ? * MON *)", "'cron(0' is not a valid minute (0 to 59)"),
        ("60 5 ? * MON *", "'60' is not a valid minute (0 to 59)"),
        ("0 24 ? * MON *", "'24' is not a valid hour (0 to 23)"),
        ("0 5 32 * ? *", "'32' is not a valid day of month (1 to 31)"),
        ("0 5 0 * ? *", "'0' is not a valid day of month (1 to 31)"),
        ("0 5 1 13 ? *", "'13' is not a valid month (1 to 12)"),
        ("0 5 1 Juli ? *", "'Juli' is not a valid month (1 to 12)"),
        ("0 5 ? * 0 *", "'0' is not a valid day of week (1 to 7)"),
        ("0 5 ? * MON#6 *", "'MON#6' is not a valid day of week (1 to 7)"),
        ("0 5 ? * MON 1969", "'1969' is not a valid year (1970 to 2199)"),
        ("0 5 * * * *", "Either day of month or day of week must be ?, not both"),
        ("0 5 ? * ? *", "Either day of month or day of week must be ?, not both"),
        ("0/0 5 ? * MON *", "'0/0' is not a valid minute"),
        ("1, 5 ? * MON *", "'1,' is not a valid minute"),
        ("- 5 ? * MON *", "'-' is not a valid minute"),
        ("\N{ARABIC-INDIC DIGIT THREE} 5 ? * MON *", "is not a valid minute"),
    ],
)
def test_what_aws_would_refuse_is_refused_by_its_field(text, words):
    with pytest.raises(click.BadParameter) as raised:
        check_cron(text)

    assert words in raised.value.message


@given(st.text(alphabet="0159*?LW#/,- MON", max_size=30))
def test_any_text_is_legal_or_refused(text):
    try:
        check_cron(text)
    except click.BadParameter:
        return
    assert len(text.split()) == 6


@pytest.mark.parametrize("name", ["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires"])
def test_time_zones_of_the_database_are_legal(name):
    assert check_timezone(name) == name


@pytest.mark.parametrize("name", ["", "Zurich", "europe/zurich", "UTC+2", "../etc/passwd", "CEST"])
def test_other_time_zones_are_refused(name):
    with pytest.raises(click.BadParameter, match="is not a known time zone"):
        check_timezone(name)
