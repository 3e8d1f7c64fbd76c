"""Every five minutes: close orphaned jobs, and remove orphaned objects and uploads."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.metrics import count_end
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.usecases.delete_orphans import slice_at

logger = Logger(service="watch_jobs")
metrics = Metrics(service="watch_jobs")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Check the open jobs, and sweep the part of the bucket that is due."""
    runtime = runtime or from_environment()
    watch = runtime.watch_jobs()
    for job in watch.started:
        logger.warning("Started again", extra={"job_id": job.job_id})
    for job in watch.closed:
        logger.warning("Closed", extra={"job_id": job.job_id, "status": job.status})
        count_end(job)
    metrics.add_metric("OpenJobs", MetricUnit.Count, watch.open_count)
    metrics.add_metric("OldestOpenJobSeconds", MetricUnit.Seconds, watch.oldest.total_seconds())
    metrics.add_metric("JobsClosedByWatchman", MetricUnit.Count, len(watch.closed))

    beginning = slice_at(datetime.fromisoformat(event["time"]))
    sweep = runtime.delete_orphans(beginning)
    if sweep.object_count or sweep.upload_count:
        swept = {"objects": sweep.object_count, "uploads": sweep.upload_count}
        logger.warning("Swept", extra={"beginning": beginning, **swept})
    if watch.failures:
        raise ExceptionGroup("Some jobs could not be looked at.", list(watch.failures))
