"""Timers, by way of Amazon EventBridge Scheduler."""

import json
from datetime import datetime
from typing import Any

from exporttiles.ports.events import Event

SOURCE = "exporttiles.timer"


class SchedulerTimers:
    """One-time schedules that put an event on the bus and are gone; exact to the minute.

    Args:
        client: of EventBridge Scheduler.
        group: in which the schedules are.
        bus_arn: where the events go.
        role_arn: with which they are sent.
    """

    def __init__(self, client: Any, group: str, bus_arn: str, role_arn: str) -> None:
        self._client = client
        self._group = group
        self._bus_arn = bus_arn
        self._role_arn = role_arn

    def set(self, name: str, at: datetime, event: Event) -> None:
        """Send an event at a time; a timer of this name that has not rung yet is put off until then."""
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
        except self._client.exceptions.ResourceNotFoundException:  # none yet, or it rang just now
            try:
                self._client.create_schedule(**schedule)
            except self._client.exceptions.ConflictException:  # another run was quicker
                self._client.update_schedule(**schedule)
