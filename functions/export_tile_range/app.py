"""State ExportTileRange: one work item in, one fragment of the package out."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.messages.plan import WorkItem

logger = Logger(service="export_tile_range")


@logger.inject_lambda_context(correlation_id_path="job_id")
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Build the bundles of one work item."""
    runtime = runtime or from_environment()
    report = runtime.export_tile_range(WorkItem.from_json(event))
    done: dict[str, int | float] = {
        "work_item": report.number,
        "tile_count": report.tile_count,
        "selected_count": report.selected_count,
        "size_bytes": report.fragment_bytes,
        "gigabyte_seconds": report.used.gigabyte_seconds,
    }
    logger.info("Exported", extra=done)
