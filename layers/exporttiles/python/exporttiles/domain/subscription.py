"""Subscriptions: exports that repeat when a cache has new imagery."""

import re
from dataclasses import dataclass
from datetime import timedelta

from exporttiles.domain.errors import InvalidParameterError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
MIN_QUIET, MAX_QUIET = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An export that is submitted when a cache has changed and then been quiet for a while.

    Attributes:
        name: 1 to 64 letters, digits and ``_ . -``.
        quiet: time without new imagery before the export, from a minute to a day.
        request: the request, a JSON document.

    Raises:
        InvalidParameterError: the name or the time cannot be used.
    """

    name: str
    quiet: timedelta
    request: str

    def __post_init__(self) -> None:
        """Validate name and quiet time."""
        if not NAME.fullmatch(self.name):
            raise InvalidParameterError("name", self.name, "It must have 1 to 64 letters, digits and _ . -.")
        if not MIN_QUIET <= self.quiet <= MAX_QUIET:
            minutes = f"{self.quiet.total_seconds() / 60:g}"
            raise InvalidParameterError("quietMinutes", minutes, "It must be from 1 to 1,440.")
