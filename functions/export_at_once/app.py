"""State ExportAtOnce: a small job in, its tile package out."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime

logger = Logger(service="export_at_once")


@logger.inject_lambda_context(correlation_id_path="job_id")
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Plan a job, export its work items and pack their fragments."""
    runtime = runtime or from_environment()
    packed = runtime.export_at_once(event["job_id"]).to_json()
    logger.info("Packed", extra={"package": packed})
    return packed
