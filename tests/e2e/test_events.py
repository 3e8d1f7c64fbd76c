"""Exports without a person, through the real wiring: files, events and schedules in, events out."""

import json
import time
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

import pytest

from local.services import exporttiles
from tests.e2e.conftest import KEY


class Inbox:
    """The inbox, and a queue that receives all events of the bus."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.s3 = cloud.client("s3")
        self.sqs = cloud.client("sqs")
        self.bus = cloud.client("events")
        self.bucket = cloud.outputs["InboxBucketName"]
        self.heard = []
        self.ear = self.sqs.create_queue(QueueName=f"{cloud.stack_name}-ear")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.ear, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [events | {"Resource": arn}]}
        self.sqs.set_queue_attributes(QueueUrl=self.ear, Attributes={"Policy": json.dumps(policy)})
        self.where = {"EventBusName": cloud.outputs["EventBusName"]}
        self.bus.put_rule(Name="ear", EventPattern=json.dumps({"source": ["exporttiles"]}), **self.where)
        self.bus.put_targets(Rule="ear", Targets=[{"Id": "ear", "Arn": arn}], **self.where)

    def close(self):
        """Remove the ear: a bus with rules cannot be deleted."""
        self.bus.remove_targets(Rule="ear", Ids=["ear"], **self.where)
        self.bus.delete_rule(Name="ear", **self.where)
        self.sqs.delete_queue(QueueUrl=self.ear)

    def drop(self, name, body):
        text = body if isinstance(body, bytes) else json.dumps(body | KEY).encode()
        self.s3.put_object(Bucket=self.bucket, Key=f"requests/{name}", Body=text)

    def ask(self, detail):
        """Put a request on the bus and return the id of the event."""
        entry = {
            "EventBusName": self.cloud.outputs["EventBusName"],
            "Source": "survey.office",
            "DetailType": "ExportTilesRequested",
            "Detail": json.dumps(detail | KEY),
        }
        return self.bus.put_events(Entries=[entry])["Entries"][0]["EventId"]

    def answer(self, key):
        """Wait for an answer beside the requests."""

        def read():
            try:
                return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            except self.s3.exceptions.NoSuchKey:
                return None

        return wait_for(read)

    def hear(self, seconds=60, **wanted):
        """Wait for an event whose detail has these members."""

        def listen():
            messages = self.sqs.receive_message(QueueUrl=self.ear, MaxNumberOfMessages=10).get("Messages", [])
            self.heard += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.ear, ReceiptHandle=message["ReceiptHandle"])
            details = [event["detail"] for event in self.heard]
            return next((d for d in details if all(d.get(name) == value for name, value in wanted.items())), None)

        return wait_for(listen, seconds)


def wait_for(look, seconds=60):
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def inbox(cloud):
    inbox = Inbox(cloud)
    yield inbox
    inbox.close()


def test_a_dropped_file_becomes_a_package_and_is_told_as_it_does(inbox, client, small):
    inbox.drop("district.json", {"service": small, "levels": "0-2", "tilePackage": True, "name": "district-{date}"})

    accepted = inbox.answer("accepted/district.json")
    finished = inbox.hear(jobId=accepted["jobId"], status="finished")

    assert finished["name"].startswith("district-20")
    assert finished["tiles"] == {"selected": 21, "done": 21, "packed": 21, "missing": 0}
    assert finished["result"]["fileName"] == f"{finished['name']}.tpkx"
    job = client.wait(small, accepted["jobId"])
    assert len(client.package(small, job)) == finished["bytes"]
    statuses = [e["detail"]["status"] for e in inbox.heard if e["detail"].get("jobId") == accepted["jobId"]]
    assert statuses == ["submitted", "progress", "finished"]


def test_a_file_that_asks_for_the_impossible_is_answered_in_words(inbox):
    inbox.drop("typo.json", {"service": "Wrold_Imagery", "levels": "0-2"})
    inbox.drop("no.json", b"levels=0-2")

    assert inbox.answer("rejected/typo.json")["reasons"] == ["There is no image service 'Wrold_Imagery'."]
    assert "It is not JSON" in inbox.answer("rejected/no.json")["reasons"][0]
    assert inbox.hear(request="requests/typo.json")["service"] == "Wrold_Imagery"


def test_a_message_that_comes_again_finds_its_job(inbox, cloud, small):
    event = {
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "source": "survey.office",
        "detail-type": "ExportTilesRequested",
        "detail": {"service": small, "levels": "1", "tilePackage": True, "callbackData": "again"} | KEY,
    }
    for _ in range(3):
        inbox.sqs.send_message(QueueUrl=cloud.outputs["RequestQueueUrl"], MessageBody=json.dumps(event))

    assert inbox.hear(callbackData="again", status="finished")
    statuses = [e["detail"]["status"] for e in inbox.heard if e["detail"].get("callbackData") == "again"]
    assert statuses.count("submitted") == statuses.count("finished") == 1


def test_an_event_on_the_bus_starts_an_export(inbox, small):
    inbox.ask({"service": small, "levels": "0-1", "tilePackage": "true", "callbackData": {"order": 4711}})

    finished = inbox.hear(callbackData={"order": 4711}, status="finished")

    assert finished["tiles"]["packed"] == 5
    assert finished["result"]["url"].endswith("/Small.tpkx")


def test_of_a_series_only_the_newest_packages_are_kept(inbox, client, small):
    request = {"service": small, "levels": "0", "tilePackage": True, "name": "series-{date}", "keep": 1}
    inbox.ask(request | {"callbackData": "first"})
    first = inbox.hear(callbackData="first", status="finished")
    inbox.ask(request | {"callbackData": "second"})
    second = inbox.hear(callbackData="second", status="finished")

    removed = inbox.hear(callbackData="first", status="removed")

    assert "make room for newer ones: 1 of this series" in removed["reason"]
    assert client.get(first["jobUrl"])["jobStatus"] == "esriJobDeleted"
    with client.open(second["result"]["url"]) as response:
        assert len(response.read()) == second["bytes"]
    with pytest.raises(HTTPError, match="404"):
        client.open(first["result"]["url"])
    where = {"Bucket": inbox.cloud.outputs["PackageBucketName"], "Prefix": f"packages/{first['jobId']}"}
    assert wait_for(lambda: inbox.s3.list_objects_v2(**where)["KeyCount"] == 0 or None)


def test_a_delta_brings_what_was_written_since_and_lists_it(inbox, client, small, tiles):
    began = datetime.now(UTC) + timedelta(seconds=1)
    time.sleep(2)
    request = {"service": small, "levels": "0-3", "tilePackage": True, "since": began.isoformat()}
    inbox.ask(request | {"callbackData": "calm"})
    calm = inbox.hear(callbackData="calm", status="unchanged")
    key = f"caches/{small}/3/5/2.jpg"
    tiles.write(key, tiles.read(key))
    inbox.ask(request | {"callbackData": "news"})
    news = inbox.hear(callbackData="news", status="finished")

    assert calm["tiles"]["upToDate"] == 85
    assert "none of the tiles that exist has changed" in calm["reason"]
    assert news["tiles"] == {"selected": 85, "done": 85, "packed": 1, "missing": 0, "upToDate": 84}
    with client.open(news["result"]["changesUrl"]) as response:
        listed = json.load(response)
    assert listed["changed"] == [{"level": 3, "rows": [2, 3], "columns": [5, 6], "tiles": 1}]


def test_a_download_that_broke_off_is_resumed_with_a_fresh_link(inbox, client):
    finished = inbox.hear(status="finished")
    url, middle = finished["result"]["url"], finished["bytes"] // 2

    with client.open(url, Range=f"bytes=0-{middle - 1}") as response:
        assert response.status == 206
        first_link, body = response.url, response.read()
    time.sleep(1.1)  # a link is signed to the second
    with client.open(url, Range=f"bytes={middle}-") as response:
        assert response.headers["Content-Range"] == f"bytes {middle}-{finished['bytes'] - 1}/{finished['bytes']}"
        assert response.url != first_link
        body += response.read()

    with client.open(url) as response:
        assert body == response.read()
    assert "X-Amz-Signature" in first_link
    assert "X-Amz" not in json.dumps(inbox.heard)


def test_a_request_that_cannot_be_handled_waits_and_is_replayed(inbox, cloud, small):
    source = cloud.outputs["RequestDeadLetterQueueUrl"]
    request = {"service": small, "levels": "0", "tilePackage": True, "callbackData": "late"} | KEY
    event = {"id": "1", "source": "s", "detail-type": "ExportTilesRequested", "detail": request}
    inbox.sqs.send_message(QueueUrl=source, MessageBody=json.dumps(event))

    exporttiles(cloud, "replay")

    assert inbox.hear(callbackData="late", status="finished")
    assert "Messages" not in inbox.sqs.receive_message(QueueUrl=source)


def test_what_cannot_be_handled_is_tried_four_times_and_kept(inbox, cloud):
    queue, dead_letters = cloud.outputs["RequestQueueUrl"], cloud.outputs["RequestDeadLetterQueueUrl"]
    inbox.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})  # not to wait for minutes
    inbox.sqs.send_message(QueueUrl=queue, MessageBody='{"poison": true}')

    def look():
        return inbox.sqs.receive_message(QueueUrl=dead_letters, AttributeNames=["All"]).get("Messages")

    (message,) = wait_for(look)
    inbox.sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
    inbox.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})

    assert message["Body"] == '{"poison": true}'


def test_a_schedule_asks_for_exports_until_it_is_removed(inbox, cloud, small, tmp_path, capfd):
    area = tmp_path / "area.json"
    ring = [[0, 0], [0, 40], [40, 40], [40, 0], [0, 0]]
    area.write_text(json.dumps({"rings": [ring], "spatialReference": {"wkid": 4326}}))
    what = ["--service", small, "--levels", "0-3", "--area", str(area), *(["--key", KEY["key"]] if KEY else [])]
    exporttiles(cloud, "schedule", "add", "weekly", "--cron", "0 5 ? * MON *", *what)
    exporttiles(cloud, "schedule", "add", "weekly", "--cron", "* * * * ? *", *what)
    exporttiles(cloud, "schedule", "list")
    assert "cron(* * * * ? *) UTC" in capfd.readouterr().out.splitlines()[-1]

    finished = inbox.hear(seconds=150, name=f"weekly-{datetime.now(UTC):%Y-%m-%d}", status="finished")
    exporttiles(cloud, "schedule", "remove", "weekly")
    exporttiles(cloud, "schedule", "list")

    assert 4 <= finished["tiles"]["selected"] < 21
    assert capfd.readouterr().out == "Removed weekly.\n"
