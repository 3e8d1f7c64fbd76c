"""New imagery, in batches of objects: reschedule the exports that subscribe to it."""

import json
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.events.new_imagery import reschedule_exports

logger = Logger(service="receive_imagery")
metrics = Metrics(service="receive_imagery")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Set the timers of the subscriptions whose exports contain a new object."""
    events = [json.loads(message["body"]) for message in event["Records"]]
    rescheduled = reschedule_exports(events, runtime or from_environment())
    metrics.add_metric("ObjectsOfImagery", MetricUnit.Count, len(events))
    for name, reason in rescheduled.failures:
        logger.warning("Passed over", extra={"subscription": name, "reason": reason})
    logger.info("Received", extra={"objects": len(events), "rescheduled": rescheduled.names})
