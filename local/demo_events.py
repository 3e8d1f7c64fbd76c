"""An automatic export, from a request file to a package: `make demo-events`.

It deploys the stack to an AWS emulator, publishes a world cache, puts a request file into the inbox, prints the
events of the job as they arrive, and downloads the package from the address in the last one.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from exporttiles.cli.progress import progress_bar
from local.cloud import ROOT, LocalCloud, LocalCloudError
from local.demo import DELIVERED, download
from local.services import exporttiles, upload_and_publish
from local.world_cache import make_xyz_cache

SERVICE = "World_Imagery"
CACHE = ROOT / ".cache" / SERVICE
KEY = "requests/nightly.json"
REQUEST = {
    "service": SERVICE,
    "name": "nightly-{date}",
    "levels": "0-6",
    "tilePackage": True,
    "callbackData": {"order": 4711},
}
PATIENCE_SECONDS = 120


def main() -> None:
    """Run the demo; Ctrl-C stops everything that it started."""
    DELIVERED.mkdir(exist_ok=True)
    with progress_bar("Cutting a world cache") as bar:
        make_xyz_cache(CACHE, progress=bar)
    with LocalCloud(say=click.echo) as cloud:
        upload_and_publish(cloud, CACHE)
        ear = listen(cloud)
        inbox = cloud.outputs["InboxBucketName"]
        click.echo(f"\nput s3://{inbox}/{KEY}\n{json.dumps(REQUEST)}\n")
        cloud.client("s3").put_object(Bucket=inbox, Key=KEY, Body=json.dumps(REQUEST))
        for detail in events(cloud, ear):
            click.echo(
                json.dumps({name: detail.get(name) for name in ("status", "percent", "tiles", "bytes", "callbackData")})
            )
        if "result" not in detail:
            raise SystemExit(detail.get("reason"))
        package = DELIVERED / detail["result"]["fileName"]
        click.echo(f"\nGET {detail['result']['url']}")
        download(detail["result"]["url"], package)
        exporttiles(cloud, "check", str(package))
        answer = cloud.client("s3").get_object(Bucket=inbox, Key=KEY.replace("requests/", "accepted/"))
        click.echo(f"\naccepted/nightly.json says {json.dumps(json.load(answer['Body']))}")
        click.echo(f"{package.relative_to(ROOT)} is there.")


def listen(cloud: LocalCloud) -> str:
    """Send the events on the bus to a queue. Return the URL of the queue."""
    sqs, bus = cloud.client("sqs"), {"EventBusName": cloud.outputs["EventBusName"]}
    url: str = sqs.create_queue(QueueName="ear")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rules = cloud.client("events")
    rules.put_rule(Name="ear", EventPattern=json.dumps({"source": ["exporttiles"]}), **bus)
    rules.put_targets(Rule="ear", Targets=[{"Id": "ear", "Arn": arn}], **bus)
    return url


def events(cloud: LocalCloud, queue_url: str) -> Iterator[dict[str, Any]]:
    """Yield the details of the events until the job has ended.

    Raises:
        SystemExit: no event arrived for two minutes.
    """
    sqs = cloud.client("sqs")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1).get("Messages", []):
            detail = json.loads(message["Body"])["detail"]
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            yield detail
            if detail.get("status") not in {"submitted", "progress"}:
                return
    raise SystemExit("No event arrived.")


if __name__ == "__main__":
    try:
        main()
    except LocalCloudError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
