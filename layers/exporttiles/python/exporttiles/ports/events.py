"""What comes and goes without a client: request files, subscriptions, timers, announcements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from exporttiles.domain.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a bus carries it: what kind it is, and a JSON document."""

    detail_type: str
    detail: Mapping[str, Any]


class Inbox(Protocol):
    """Request files that others put down, and the answers beside them."""

    def read_start(self, key: str, version: str, size_bytes: int) -> tuple[bytes, int]:
        """Return the first bytes of a file, fewer if it is shorter, and its whole length.

        Args:
            key: of the file.
            version: which of its versions; '' for the present one.
            size_bytes: how much to read at most.

        Raises:
            KeyError: it is gone.
        """
        ...

    def write(self, key: str, body: bytes) -> None:
        """Store a JSON document, replacing what was there."""
        ...


class Subscriptions(Protocol):
    """The exports that are wanted whenever new imagery has come."""

    def names(self) -> Sequence[str]:
        """Return the names of all subscriptions, in order."""
        ...

    def get(self, name: str) -> Subscription:
        """Return a subscription.

        Raises:
            KeyError: there is none.
            InvalidParameterError: what is kept is none.
        """
        ...


class Timers(Protocol):
    """Events that are sent later."""

    def set(self, name: str, at: datetime, event: Event) -> None:
        """Send an event at a time; a timer of this name that has not rung yet is put off until then."""
        ...


class Announcer(Protocol):
    """Tells the world."""

    def announce(self, events: Sequence[Event]) -> None:
        """Send events in their order; when it returns, all of them are on their way.

        Raises:
            AnnouncementError: some were not accepted; trying again may send others twice.
        """
        ...
