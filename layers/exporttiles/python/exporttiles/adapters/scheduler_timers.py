"""Timers in Amazon EventBridge Scheduler."""

import json
from datetime import datetime
from typing import Any

from exporttiles.ports.events import Event

SOURCE = "exporttiles.timer"


class SchedulerTimers:
    """One-time schedules that send an event to a bus and delete themselves; exact to the minute.

    Args:
        client: of EventBridge Scheduler.
        group: of the schedules.
        bus_arn: target of the events.
        role_arn: role that sends them.
    """

    def __init__(self, client: Any, group: str, bus_arn: str, role_arn: str) -> None:
        self._client = client
        self._group = group
        self._bus_arn = bus_arn
        self._role_arn = role_arn

    def set(self, name: str, at: datetime, event: Event) -> None:
        """Send an event at a time; a pending timer of this name is rescheduled."""
        schedule = {
            "Name": name,
            "GroupName": self._group,
            "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": self._bus_arn,
                "RoleArn": self._role_arn,
                "EventBridgeParameters": {"DetailType": event.detail_type, "Source": SOURCE},
                "Input": json.dumps(event.detail),
            },
        }
        try:
            self._client.update_schedule(**schedule)
        except self._client.exceptions.ResourceNotFoundException:  # none yet, or it has just fired
            try:
                self._client.create_schedule(**schedule)
            except self._client.exceptions.ConflictException:  # created concurrently
                self._client.update_schedule(**schedule)
