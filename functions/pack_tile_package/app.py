"""State PackTilePackage: fragments in, one tile package out."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime

logger = Logger(service="pack_tile_package")


@logger.inject_lambda_context(correlation_id_path="job_id")
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Join the fragments of a job."""
    runtime = runtime or from_environment()
    packed = runtime.pack_tile_package(event["job_id"]).to_json()
    logger.info("Packed", extra={"package": packed})
    return packed
