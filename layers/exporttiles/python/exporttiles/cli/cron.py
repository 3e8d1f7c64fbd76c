"""Cron expressions and time zones of EventBridge Scheduler, checked before they are sent.

Source: EventBridge Scheduler User Guide, "Schedule types", cron-based schedules.
"""

import re
from dataclasses import dataclass
from zoneinfo import available_timezones

from exporttiles.domain.errors import RequestError
from exporttiles.domain.wording import counted

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a cron expression.

    Attributes:
        name: in words.
        low, high: the numbers that it may hold, both included.
        names: words for the numbers from `low` on.
        special: a pattern of further entries.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    special: str = ""

    def holds(self, text: str) -> bool:
        """Return True if a text is legal in this field."""
        return all(map(self._is_entry, text.split(",")))

    def _is_entry(self, entry: str) -> bool:
        if self.special and re.fullmatch(self.special, entry):
            return True
        values, slash, step = entry.partition("/")
        if slash and not (re.fullmatch(r"[0-9]{1,4}", step) and 1 <= int(step) <= self.high):
            return False
        if values == "*":
            return True
        first, dash, last = values.partition("-")
        return self._is_value(first) and (not dash or self._is_value(last))

    def _is_value(self, text: str) -> bool:
        if re.fullmatch(r"[0-9]{1,4}", text):
            return self.low <= int(text) <= self.high
        return text.upper() in self.names


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, special=r"\?|L|L-(?:[1-9]|[12]\d|30)|(?:[1-9]|[12]\d|3[01]|L)W"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _DAYS, rf"(?i:\?|L|(?:[1-7]|{'|'.join(_DAYS)})(?:L|#[1-5]))"),
    _Field("year", 1970, 2199),
)
_LEGAL = "Legal are six fields, minute hour day-of-month month day-of-week year, as in '0 5 ? * MON *'."


def check_cron(text: str) -> None:
    """Check a cron expression.

    Raises:
        RequestError: EventBridge Scheduler would refuse it; says which field.
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise RequestError(f"'{text[:80]}' has {counted(len(parts), 'field')}. {_LEGAL}", "--cron")
    for field, part in zip(_FIELDS, parts, strict=True):
        if not field.holds(part):
            raise RequestError(f"'{part[:80]}' is no {field.name} ({field.low} to {field.high}). {_LEGAL}", "--cron")
    if (parts[2] == "?") == (parts[4] == "?"):
        raise RequestError(f"One of day of month and day of week must be ?, and only one. {_LEGAL}", "--cron")


def check_timezone(name: str) -> None:
    """Check a time zone; where the machine has no database of them, none is refused.

    Raises:
        RequestError: the IANA database does not have it.
    """
    known = available_timezones()
    if known and name not in known:
        raise RequestError(f"'{name[:80]}' is not known. Legal are names such as Europe/Berlin and UTC.", "--timezone")
