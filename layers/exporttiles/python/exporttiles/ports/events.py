"""Exports without an HTTP client: request files, timers and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """An event on an event bus: its type and a JSON document."""

    detail_type: str
    detail: Mapping[str, Any]


class Inbox(Protocol):
    """The bucket of request files, and of the answers beside them."""

    def read_start(self, key: str, version: str, size_bytes: int) -> tuple[bytes, int]:
        """Return the first bytes of a file, fewer if it is shorter, and its whole length.

        Args:
            key: of the file.
            version: of the object; '' for the current one.
            size_bytes: how much to read at most.

        Raises:
            KeyError: there is no such file.
        """
        ...

    def write(self, key: str, body: bytes) -> None:
        """Store a JSON document, replacing an existing one."""
        ...


class Timers(Protocol):
    """Delayed events."""

    def set(self, name: str, at: datetime, event: Event) -> None:
        """Send an event at a time; a pending timer of this name is rescheduled."""
        ...


class Announcer(Protocol):
    """The event bus that job events go to."""

    def announce(self, events: Sequence[Event]) -> None:
        """Send events in order; return once all are accepted.

        Raises:
            AnnouncementError: some were not accepted; a retry may send the others twice.
        """
        ...
