"""The process: its clock, and what it uses of AWS."""

from datetime import datetime
from typing import Protocol

from exporttiles.domain.cost import Usage


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...


class UsageMeter(Protocol):
    """Counts the requests and the memory of this process."""

    def snapshot(self) -> Usage:
        """Return the usage since the process began; the difference of two snapshots is the usage between them."""
        ...
