"""Callbacks of options that check cron expressions and time zones of EventBridge Scheduler.

Source: EventBridge Scheduler User Guide, "Schedule types", cron-based schedules.
"""

import re
from zoneinfo import available_timezones

import click

from exporttiles.domain.wording import counted

_LEGAL = "Use six fields: minute hour day-of-month month day-of-week year, such as '0 5 ? * MON *'."


def _field(value: str, special: str = "") -> re.Pattern[str]:
    """Return the pattern of a field: a list of values, ranges, `*`, all with or without a step, and special entries."""
    entry = rf"(?:\*|{value}(?:-{value})?)(?:/[1-9]\d{{0,3}})?" + (f"|{special}" if special else "")
    return re.compile(rf"(?:{entry})(?:,(?:{entry}))*", re.ASCII | re.IGNORECASE)


_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_WEEKDAY = r"(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)"
_FIELDS = {
    "minute (0 to 59)": _field(r"[0-5]?\d"),
    "hour (0 to 23)": _field(r"(?:[01]?\d|2[0-3])"),
    "day of month (1 to 31)": _field(_DAY, rf"\?|L(?:-(?:[1-9]|[12]\d|30))?|(?:{_DAY}|L)W"),
    "month (1 to 12)": _field(_MONTH),
    "day of week (1 to 7)": _field(_WEEKDAY, rf"\?|L|{_WEEKDAY}(?:L|#[1-5])"),
    "year (1970 to 2199)": _field(r"(?:19[7-9]\d|2[01]\d\d)"),
}


def cron_expression(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Return a legal cron expression, or None for None.

    Raises:
        BadParameter: EventBridge Scheduler would refuse it; says which field.
    """
    if text is None:
        return None
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise click.BadParameter(f"'{text[:80]}' has {counted(len(parts), 'field')}. {_LEGAL}")
    for part, (name, pattern) in zip(parts, _FIELDS.items(), strict=True):
        if not pattern.fullmatch(part):
            raise click.BadParameter(f"'{part[:80]}' is not a valid {name}. {_LEGAL}")
    if (parts[2] == "?") == (parts[4] == "?"):
        raise click.BadParameter(f"Either day of month or day of week must be ?, not both. {_LEGAL}")
    return text


def time_zone(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return a time zone of the IANA database; any name where the machine does not have the database.

    Raises:
        BadParameter: there is no such time zone.
    """
    known = available_timezones()
    if known and name not in known:
        raise click.BadParameter(f"'{name[:80]}' is not a known time zone. Use a name such as Europe/Berlin or UTC.")
    return name
