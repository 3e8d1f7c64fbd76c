"""State CloseJob, and the event of an execution that ended without reaching it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.metrics import count_end
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.job import Job
from exporttiles.messages.execution import Failure, is_execution_name, read_execution_name
from exporttiles.messages.packed_package import PackedPackage

logger = Logger(service="close_job")


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> None:
    """Write the final status of a job, and count it if no other call did."""
    job = _close(event, runtime or from_environment())
    if job is None:
        logger.info("Nothing to close")
        return
    count_end(job)
    outcome = {"status": job.status, "attempt": job.attempt, "tile_count": job.tile_count}
    logger.info("Closed", extra={**outcome, "said": [message.text for message in job.messages]})


def _close(event: dict[str, Any], runtime: Runtime) -> Job | None:
    if "detail" in event:
        execution = event["detail"]
        if not is_execution_name(execution["name"]):  # an operator's own
            return None
        job_id, attempt = read_execution_name(execution["name"])
        logger.set_correlation_id(job_id)
        if execution["status"] == "FAILED":
            return runtime.close_job.fail(job_id, Failure.from_json(execution), attempt)
        return runtime.close_job.stop(job_id, attempt, timed_out=execution["status"] == "TIMED_OUT")
    job_id, attempt = event["job_id"], event["attempt"]
    logger.set_correlation_id(job_id)
    if "failure" in event:  # from a step or a work item
        return runtime.close_job.fail(job_id, Failure.from_json(event["failure"]), attempt)
    if "packages_key" in event:
        return runtime.close_job.end_batch(job_id, attempt)
    return runtime.close_job.succeed(job_id, PackedPackage.from_json(event["result"]["package"]), attempt)
