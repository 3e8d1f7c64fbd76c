"""The HTTPS API: the ArcGIS REST resources of `exporttiles.rest.routes`."""

from typing import Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from exporttiles.bootstrap.aws import from_environment
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import RequestError
from exporttiles.rest.api_gateway import read_event, write_response
from exporttiles.rest.routes import find_route, refuse, respond

logger = Logger(service="api")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
def handler(event: dict[str, Any], _context: LambdaContext, *, runtime: Runtime | None = None) -> dict[str, Any]:
    """Answer one request. Log unexpected errors, and report them in general words only."""
    request = read_event(event)
    routed = find_route(request)
    try:
        runtime = runtime or from_environment()
        response = respond(routed, runtime)
        if routed.changes_state:  # nothing but the id may be logged: the reply may hold a token
            logger.info("Done", extra={"path": request.path, "job_id": response.job_id})
        return write_response(response)
    except RequestError as error:
        logger.info("Refused", extra={"path": request.path, "reason": str(error)})
        response = refuse(routed, error, runtime)
    except Exception as error:
        logger.exception("Failed", extra={"path": request.path})
        with single_metric(name="FailedRequests", unit=MetricUnit.Count, value=1) as metric:
            metric.add_dimension(name="service", value="api")
        response = refuse(routed, error, runtime)
    return write_response(response)
