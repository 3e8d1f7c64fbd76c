"""State SubmitPackage: a package of a batch in, the execution of its job out."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.messages.batch import BatchItem
from exporttiles.messages.execution import execution_input, execution_name

logger = Logger(service="submit_package")


@logger.inject_lambda_context(correlation_id_path="batch_id")
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Create or resume the job of a package; return its execution, or nothing if it has ended."""
    runtime = runtime or from_environment()
    job = runtime.submit_package(BatchItem.from_json(event))
    logger.info("Submitted", extra={"job_id": job.job_id, "package": job.name, "status": job.status})
    if job.status.is_final:
        return {}
    return {"name": execution_name(job.job_id, job.attempt), "input": execution_input(job)}
