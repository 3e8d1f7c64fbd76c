"""The inbox in S3 and the bus in EventBridge (moto)."""

import json

import boto3
import pytest

from exporttiles.adapters.eventbridge_announcer import EventBridgeAnnouncer
from exporttiles.adapters.s3_inbox import S3Inbox
from exporttiles.domain.errors import AnnouncementError
from exporttiles.ports.events import Event
from tests.contracts.conftest import client_options


@pytest.fixture
def inbox(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return S3Inbox(s3, bucket)


def test_a_file_is_read_in_the_version_that_was_put_down(inbox, s3, bucket):
    first, second = (s3.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"] for body in (b"first", b"second"))

    assert inbox.read_start("a", first, 100) == (b"first", 5)
    assert inbox.read_start("a", second, 3) == (b"sec", 6)
    assert inbox.read_start("a", "", 100) == (b"second", 6)


def test_a_missing_file_raises_key_error(inbox, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]

    for version in ("", marker):
        with pytest.raises(KeyError):
            inbox.read_start("a", version, 100)


def test_an_answer_is_a_json_object_that_may_be_written_again(inbox, s3, bucket):
    inbox.write("accepted/a", b"{}")
    inbox.write("accepted/a", b'{"a": 1}')

    found = s3.get_object(Bucket=bucket, Key="accepted/a")
    assert (json.load(found["Body"]), found["ContentType"]) == ({"a": 1}, "application/json")


class Bus:
    """Takes entries as EventBridge does, ten at a time, and refuses those of one kind."""

    def __init__(self):
        self.calls = []

    def put_events(self, *, Entries):  # noqa: N803 (boto3's name)
        self.calls.append(Entries)
        refused = [entry for entry in Entries if entry["DetailType"] == "refused"]
        answers = [{"ErrorCode": "ThrottlingException"} if entry in refused else {"EventId": "1"} for entry in Entries]
        return {"FailedEntryCount": len(refused), "Entries": answers}


def test_many_events_are_sent_ten_at_a_time_and_in_order():
    bus = Bus()

    EventBridgeAnnouncer(bus, "exporttiles").announce([Event("told", {"n": n}) for n in range(23)])

    assert [len(entries) for entries in bus.calls] == [10, 10, 3]
    assert [json.loads(entry["Detail"])["n"] for entries in bus.calls for entry in entries] == list(range(23))


def test_a_refused_event_raises_an_error():
    with pytest.raises(AnnouncementError, match="ThrottlingException"):
        EventBridgeAnnouncer(Bus(), "exporttiles").announce([Event("told", {}), Event("refused", {})])


def test_eventbridge_takes_what_is_sent(s3_endpoint):
    client = boto3.client("events", **client_options(s3_endpoint))
    client.create_event_bus(Name="exporttiles")

    EventBridgeAnnouncer(client, "exporttiles").announce([Event("told", {"a": 1})])

    client.close()
