"""The HTTPS API: the ArcGIS REST resources of `exporttiles.rest.routes`."""

import re
from typing import Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.domain.errors import RequestError
from exporttiles.rest.api_gateway import read_event, write_response
from exporttiles.rest.http import Response
from exporttiles.rest.routes import acts, refuse, respond
from exporttiles.rest.runtime import Runtime

logger = Logger(service="api")
_JOB_ID = re.compile(r"(?:/jobs/|\"jobId\": ?\")(j[0-9a-f]{32})")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Answer one request; a mistake of ours is logged and told in general words only."""
    request = read_event(event)
    try:
        response = respond(request, runtime or from_environment())
        if acts(request):
            logger.info("Done", extra={"path": request.path, "job_id": _job_of(response)})
        return write_response(response)
    except RequestError as error:
        logger.info("Refused", extra={"path": request.path, "reason": str(error)})
        response = refuse(request, error)
    except Exception as error:
        logger.exception("Failed", extra={"path": request.path})
        with single_metric(name="FailedRequests", unit=MetricUnit.Count, value=1, namespace="ExportTiles") as metric:
            metric.add_dimension(name="service", value="api")
        response = refuse(request, error)
    return write_response(response)


def _job_of(response: Response) -> str | None:
    """Return the id of the job that a response tells of: nothing else of it may be in a log."""
    found = _JOB_ID.search(response.headers.get("location", "") + response.body[:200].decode(errors="replace"))
    return found[1] if found else None
