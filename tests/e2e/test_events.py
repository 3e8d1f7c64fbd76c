"""Exports without a person, through the real wiring: files, events and schedules in, events out."""

import json
import time

import pytest


class Inbox:
    """The inbox, and a queue that hears everything that is told on the bus."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.s3 = cloud.client("s3")
        self.sqs = cloud.client("sqs")
        self.bus = cloud.client("events")
        self.bucket = cloud.outputs["InboxBucketName"]
        self.heard = []
        self.ear = self.sqs.create_queue(QueueName="ear")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.ear, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        where = {"EventBusName": cloud.outputs["EventBusName"]}
        self.bus.put_rule(Name="ear", EventPattern=json.dumps({"source": ["exporttiles"]}), **where)
        self.bus.put_targets(Rule="ear", Targets=[{"Id": "ear", "Arn": arn}], **where)

    def drop(self, name, body):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.s3.put_object(Bucket=self.bucket, Key=f"requests/{name}", Body=text)

    def ask(self, detail):
        """Put a request on the bus and return the id of the event."""
        entry = {
            "EventBusName": self.cloud.outputs["EventBusName"],
            "Source": "survey.office",
            "DetailType": "ExportTilesRequested",
            "Detail": json.dumps(detail),
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

    def hear(self, **wanted):
        """Wait for an event whose detail has these members."""

        def listen():
            messages = self.sqs.receive_message(QueueUrl=self.ear, MaxNumberOfMessages=10).get("Messages", [])
            self.heard += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.ear, ReceiptHandle=message["ReceiptHandle"])
            details = [event["detail"] for event in self.heard]
            return next((d for d in details if all(d.get(name) == value for name, value in wanted.items())), None)

        return wait_for(listen)


def wait_for(look, seconds=60):
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def inbox(cloud):
    return Inbox(cloud)


def test_a_dropped_file_becomes_a_package_and_is_told_as_it_does(inbox, client, small):
    inbox.drop("district.json", {"service": small, "levels": "0-2", "tilePackage": True, "name": "district-{date}"})

    accepted = inbox.answer("accepted/district.json")
    finished = inbox.hear(jobId=accepted["jobId"], status="finished")

    assert finished["name"].startswith("district-20")
    assert finished["tiles"] == {"selected": 21, "done": 21, "packed": 21, "missing": 0}
    assert finished["result"]["fileName"] == f"{finished['name']}.tpkx"
    job = client.wait(small, accepted["jobId"])
    assert len(client.package(small, job)) == finished["bytes"]
    told = [event["detail"]["status"] for event in inbox.heard if event["detail"].get("jobId") == accepted["jobId"]]
    assert told == ["submitted", "progress", "finished"]
