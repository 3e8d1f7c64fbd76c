"""State PlanExport: a job in, its work items in S3 out."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime

logger = Logger(service="plan_export")


@logger.inject_lambda_context(correlation_id_path="job_id")
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Divide the export of a job into work items."""
    runtime = runtime or from_environment()
    plan = runtime.plan_export(event["job_id"]).to_json()
    logger.info("Planned", extra=plan)
    return plan
