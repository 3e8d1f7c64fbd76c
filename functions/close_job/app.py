"""State CloseJob, and the event of an execution that never reached it."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap import Runtime, from_environment
from exporttiles.domain.job import Job
from exporttiles.messages import Failure, PackedPackage

logger = Logger(service="close_job")
metrics = Metrics(namespace="ExportTiles", service="close_job")


@logger.inject_lambda_context(correlation_id_path="job_id || detail.name")
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Write the last status of a job."""
    job = _close(event, runtime or from_environment())
    end = "Unchanged" if job.found_nothing_new else job.status
    metrics.add_metric(name=f"Exports{end}", unit=MetricUnit.Count, value=1)
    logger.info("Closed", extra={"status": job.status, "tile_count": job.tile_count})


def _close(event: dict[str, Any], runtime: Runtime) -> Job:
    if "detail" in event:
        execution = event["detail"]
        if execution["status"] == "FAILED":
            return runtime.close_job.fail(execution["name"], Failure.from_json(execution))
        timed_out = execution["status"] == "TIMED_OUT"
        return runtime.close_job.stop(execution["name"], timed_out=timed_out)
    if "failure" in event:
        return runtime.close_job.fail(event["job_id"], Failure.from_json(event["failure"]))
    packed = PackedPackage.from_json(event["result"]["package"])
    return runtime.close_job.succeed(event["job_id"], packed)
