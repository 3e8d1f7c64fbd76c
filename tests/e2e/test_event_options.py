"""Optional events of a stack: exports on new imagery, mail and webhooks."""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

import pytest
import yaml

from exporttiles.adapters.object_stores import ObstoreObjects
from local.cloud import ROOT, LocalCloud
from local.services import exporttiles, publish, store_of
from tests.builders import a_tile
from tests.e2e.test_events import Inbox, wait_for
from tests.serving import serving
from tests.workflow.stack import CloudFormation

DOCS = ROOT / "docs" / "events.md"
SERVICE = "Small"
REQUEST = {"service": SERVICE, "levels": "0-2", "tilePackage": True}


@pytest.fixture(scope="module")
def cloud():
    """A stack of its own: each object of a cache makes an event here."""
    parameters = {"NewImageryEvents": "on", "NotificationEmail": "gis@example.org"}
    with LocalCloud(parameters=parameters) as cloud:
        tiles = ObstoreObjects(store_of(cloud))
        for level in range(3):
            for row in range(2**level):
                for column in range(2**level):
                    tiles.write(f"caches/{SERVICE}/{level}/{column}/{row}.jpg", a_tile(level, row, column))
        publish(cloud, SERVICE)
        yield cloud


@pytest.fixture(scope="module")
def inbox(cloud):
    return Inbox(cloud)


def subscribe(cloud, name, *options):
    what = ["--on-new-imagery", "--quiet-minutes", "1", "--service", SERVICE, *options]
    exporttiles(cloud, "schedule", "add", name, *what)


def timers(cloud):
    found = cloud.client("scheduler").list_schedules(GroupName="exporttiles-timers")["Schedules"]
    return {schedule["Name"]: schedule for schedule in found}


def test_new_imagery_brings_the_exports_that_hold_it_when_it_has_come_to_rest(cloud, inbox, capfd):
    subscribe(cloud, "shallow", "--levels", "0-1")
    subscribe(cloud, "deep", "--levels", "2", "--keep", "2", "--since-last")
    exporttiles(cloud, "schedule", "list")
    assert "new imagery, 1 minute after the last" in capfd.readouterr().out

    tiles = ObstoreObjects(store_of(cloud))
    for column in range(3):
        tiles.write(f"caches/{SERVICE}/2/{column}/1.jpg", a_tile(2, 1, column))
    wait_for(lambda: timers(cloud).keys() & {"deep"} or None)
    finished = inbox.hear(seconds=150, service=SERVICE, status="finished")

    assert finished["name"].startswith("deep-20")
    assert finished["tiles"]["selected"] == 16
    assert not timers(cloud)  # none for what holds no level 2, and that of the other has rung
    assert [e["detail"]["status"] for e in inbox.heard].count("finished") == 1
    for name in ("shallow", "deep"):
        exporttiles(cloud, "schedule", "remove", name)


def test_whoever_wants_mail_gets_one_for_an_export_that_has_ended(cloud, inbox):
    """A mail cannot be read here; another subscriber of its topic gets the same words."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    (topic,) = [topic for topic in topics if "NotificationTopic" in topic]
    subscribers = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [(each["Protocol"], each["Endpoint"]) for each in subscribers] == [("email", "gis@example.org")]
    mailbox = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=mailbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    inbox.ask(REQUEST | {"callbackData": "mail"})
    finished = inbox.hear(callbackData="mail", status="finished")
    (mail,) = wait_for(lambda: sqs.receive_message(QueueUrl=mailbox).get("Messages"))

    assert json.loads(mail["Body"]) == f"Export of {SERVICE}: finished. {finished['jobUrl']}"


def documented_resources(kind):
    """Return the resources of the example in the documentation that has one of a kind."""
    (example,) = [each for each in re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL) if kind in each]
    return {
        resource["Type"].removeprefix("AWS::Events::"): resource["Properties"]
        for resource in yaml.load(example, CloudFormation).values()  # noqa: S506  (a SafeLoader)
    }


@pytest.fixture
def hook():
    """A server that keeps what is posted to it: headers and document."""
    posted = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.put((self.headers, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}/hook", posted


def test_the_documented_webhook_is_called_when_an_export_has_ended(cloud, inbox, hook):
    """The emulator makes no such resources from a template, so the same properties go to its API."""
    url, posted = hook
    resources, events = documented_resources("AWS::Events::ApiDestination"), cloud.client("events")
    secret = {"ApiKeyName": "X-Hook-Key", "ApiKeyValue": "sesame"}
    connection = resources["Connection"]
    assert connection["AuthParameters"]["ApiKeyAuthParameters"]["ApiKeyName"] == secret["ApiKeyName"]
    connection["AuthParameters"]["ApiKeyAuthParameters"] = secret
    made = events.create_connection(Name="hook", **connection)
    destination = {"ConnectionArn": made["ConnectionArn"], "InvocationEndpoint": url}
    made = events.create_api_destination(Name="hook", **resources["ApiDestination"] | destination)
    rule = resources["Rule"]
    bus, (target,) = rule["EventBusName"], rule["Targets"]
    assert bus == cloud.outputs["EventBusName"]
    events.put_rule(Name="hook", EventBusName=bus, EventPattern=json.dumps(rule["EventPattern"]))
    role = "arn:aws:iam::000000000000:role/hook"
    arns = {"Arn": made["ApiDestinationArn"], "RoleArn": role}
    events.put_targets(Rule="hook", EventBusName=bus, Targets=[target | arns])

    inbox.ask(REQUEST | {"callbackData": "hook"})
    headers, event = posted.get(timeout=60)

    assert headers["X-Hook-Key"] == "sesame"
    assert (event["detail-type"], event["source"]) == ("ExportTiles Job Status Change", "exporttiles")
    assert (event["detail"]["status"], event["detail"]["callbackData"]) == ("finished", "hook")
    assert inbox.hear(callbackData="hook", status="finished") == event["detail"]
    with pytest.raises(Empty):
        posted.get(timeout=1)  # neither submitted nor progress
