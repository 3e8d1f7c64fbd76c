"""New imagery, many objects at a time: the exports subscribed to it are put off until it is quiet."""

import json
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.events.new_imagery import stir

logger = Logger(service="receive_imagery")
metrics = Metrics(namespace="ExportTiles", service="receive_imagery")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Set the timers of all subscriptions that the objects concern."""
    stirred = stir([json.loads(message["body"]) for message in event["Records"]], runtime or from_environment())
    metrics.add_metric("ObjectsOfImagery", MetricUnit.Count, len(event["Records"]))
    for name, reason in stirred.troubles:
        logger.warning("Passed over", extra={"subscription": name, "reason": reason})
    logger.info("Received", extra={"objects": len(event["Records"]), "put_off": stirred.put_off})
