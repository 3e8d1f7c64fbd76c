"""Export requests from a queue: files in the inbox, and events on the bus."""

import json
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.events.requests import receive

logger = Logger(service="request_export")
metrics = Metrics(service="request_export")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Start or reject the export that each message requests. Unreadable messages stay in the queue."""
    for message in event["Records"]:
        metrics.add_metric("RequestsReceived", MetricUnit.Count, 1)
        outcome = receive(json.loads(message["body"]), runtime or from_environment())
        if outcome is None:
            continue
        metrics.add_metric("RequestsRejected" if outcome.reasons else "RequestsAccepted", MetricUnit.Count, 1)
        job_id = outcome.job.job_id if outcome.job else None
        logger.info("Received", extra={"request": outcome.origin, "job_id": job_id, "reasons": outcome.reasons})
