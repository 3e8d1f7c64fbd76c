"""State PackTilePackage: fragments in, one tile package out."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.messages.packed_package import PartlyPacked

logger = Logger(service="pack_tile_package")


@logger.inject_lambda_context(correlation_id_path="job_id")
def handler(event: dict[str, Any], context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Join the fragments of a job, as many as there is time for; the state machine calls again for the others."""
    runtime = runtime or from_environment()
    before = PartlyPacked.from_json(event["result"]["package"]) if "result" in event else PartlyPacked()
    packed = runtime.pack_tile_package.go_on(
        event["job_id"], before, lambda: context.get_remaining_time_in_millis() / 1000
    )
    document = packed.to_json()
    if isinstance(packed, PartlyPacked):
        logger.info("Packed in part", extra={"package": document})
    else:
        logger.info("Packed", extra={"package": document})
    return document
