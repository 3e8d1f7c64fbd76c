"""DynamoDB stream of the job table: announce changes of jobs as events."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.adapters.dynamodb_items import jobs_of_change
from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.events.announcements import announcements

logger = Logger(service="announce_job")


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Announce the changes of jobs, in the order of the stream."""
    runtime = runtime or from_environment()
    changes = [jobs_of_change(record["dynamodb"]) for record in event["Records"] if record["eventName"] != "REMOVE"]
    base_url = runtime.settings.public_base_url
    events = [event for before, now in changes for event in announcements(before, now, base_url)]
    if events:
        runtime.announcer.announce(events)
        logger.info(
            "Announced", extra={"events": [(event.detail["jobId"], event.detail["status"]) for event in events]}
        )
