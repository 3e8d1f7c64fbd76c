"""Timers in EventBridge Scheduler (moto)."""

import json
from datetime import UTC, datetime

import boto3
import pytest

from exporttiles.adapters.scheduler_timers import SOURCE, SchedulerTimers
from exporttiles.ports.events import Event
from tests.contracts.conftest import client_options

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/exporttiles"
ROLE = "arn:aws:iam::123456789012:role/timers"


@pytest.fixture
def scheduler(s3_endpoint):
    client = boto3.client("scheduler", **client_options(s3_endpoint))
    client.create_schedule_group(Name="timers")
    yield client
    client.delete_schedule_group(Name="timers")
    client.close()


def test_a_timer_sends_its_event_once_and_is_gone(scheduler):
    SchedulerTimers(scheduler, "timers", BUS, ROLE).set("a", NOON, Event("Asked", {"levels": "0-7"}))

    schedule = scheduler.get_schedule(Name="a", GroupName="timers")
    assert schedule["ScheduleExpression"] == "at(2026-11-23T12:00:30)"
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert (schedule["Target"]["Arn"], schedule["Target"]["RoleArn"]) == (BUS, ROLE)
    assert schedule["Target"]["EventBridgeParameters"] == {"DetailType": "Asked", "Source": SOURCE}
    assert json.loads(schedule["Target"]["Input"]) == {"levels": "0-7"}


def test_a_timer_that_is_set_again_is_rescheduled(scheduler):
    timers = SchedulerTimers(scheduler, "timers", BUS, ROLE)
    for minute in (1, 2, 3):
        timers.set("a", NOON.replace(minute=minute), Event("Asked", {}))

    (listed,) = scheduler.list_schedules(GroupName="timers")["Schedules"]
    found = scheduler.get_schedule(Name=listed["Name"], GroupName="timers")
    assert found["ScheduleExpression"] == "at(2026-11-23T12:03:30)"


def test_a_timer_that_another_run_has_just_set_is_rescheduled(scheduler, monkeypatch):
    timers = SchedulerTimers(scheduler, "timers", BUS, ROLE)
    create = scheduler.create_schedule

    def create_late(**schedule):
        create(**schedule | {"ScheduleExpression": "at(2026-11-23T11:00:00)"})
        return create(**schedule)

    monkeypatch.setattr(scheduler, "create_schedule", create_late)
    timers.set("a", NOON, Event("Asked", {}))

    found = scheduler.get_schedule(Name="a", GroupName="timers")
    assert found["ScheduleExpression"] == "at(2026-11-23T12:00:30)"
