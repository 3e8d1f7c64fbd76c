"""Job events, sent to Amazon EventBridge."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exporttiles.domain.errors import AnnouncementError
from exporttiles.ports.events import Event

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_events import EventBridgeClient

SOURCE = "exporttiles"
_ENTRIES_AT_A_TIME = 10  # limit of one PutEvents request


class EventBridgeAnnouncer:
    """Sends events to one bus."""

    def __init__(self, client: "EventBridgeClient", bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def announce(self, events: Sequence[Event]) -> None:
        """Send events in order."""
        for start in range(0, len(events), _ENTRIES_AT_A_TIME):
            answer = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._bus_name,
                        "Source": SOURCE,
                        "DetailType": event.detail_type,
                        "Detail": json.dumps(event.detail),
                    }
                    for event in events[start : start + _ENTRIES_AT_A_TIME]
                ]
            )
            if answer["FailedEntryCount"]:
                refused = next(entry for entry in answer["Entries"] if "ErrorCode" in entry)
                raise AnnouncementError(
                    f"{answer['FailedEntryCount']} events were refused by the event bus: {refused['ErrorCode']}."
                )
