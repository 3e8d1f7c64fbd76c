"""Changes of the job table, told to the world as events."""

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
    """Announce what happened to jobs, in the order in which it happened."""
    runtime = runtime or from_environment()
    changes = [jobs_of_change(record["dynamodb"]) for record in event["Records"] if record["eventName"] != "REMOVE"]
    events = [told for before, now in changes for told in announcements(before, now, runtime.settings.public_base_url)]
    if events:
        runtime.announcer.announce(events)
        logger.info("Announced", extra={"events": [(told.detail["jobId"], told.detail["status"]) for told in events]})
