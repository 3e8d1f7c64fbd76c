"""Standing orders: exports that are wanted whenever new imagery has come."""

import re
from dataclasses import dataclass
from datetime import timedelta

from exporttiles.domain.errors import InvalidParameterError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
MIN_QUIET, MAX_QUIET = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An export that is asked for when a cache has been quiet for a while after it changed.

    Attributes:
        name: 1 to 64 letters, digits and ``_ . -``.
        quiet: how long no new imagery must have come, from a minute to a day.
        request: the request, a JSON document.

    Raises:
        InvalidParameterError: the name or the time cannot be used.
    """

    name: str
    quiet: timedelta
    request: str

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        if not NAME.fullmatch(self.name):
            raise InvalidParameterError("name", self.name, "Legal are 1 to 64 letters, digits and _ . -.")
        if not MIN_QUIET <= self.quiet <= MAX_QUIET:
            minutes = f"{self.quiet.total_seconds() / 60:g}"
            raise InvalidParameterError("quietMinutes", minutes, "Legal are 1 to 1,440.")
