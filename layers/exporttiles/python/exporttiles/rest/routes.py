"""What is where: every route, and the way from a request to its response."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from exporttiles.domain.errors import InvalidTokenError, RequestError
from exporttiles.rest import job_resources, pages, resources, sign_in
from exporttiles.rest.access import Caller, identify
from exporttiles.rest.addresses import ROOT, ServiceType
from exporttiles.rest.call import Call, Document
from exporttiles.rest.errors import InvalidUrlError, TokenRequiredError, code_of, error_document
from exporttiles.rest.http import Request, Response, html_response, json_response
from exporttiles.rest.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Route:
    """A path and its resource.

    Attributes:
        path: below `ROOT`, with the variable parts of `_PARTS`.
        default_format: of a request without ``f``.
        is_public: anyone may ask, so that clients find out whether they need a token.
        acts: calling it changes something, so that HEAD does not call it.
        sends_bytes: its errors are real HTTP errors, not documents under 200.
    """

    path: str
    resource: Callable[[Call], Document | Response]
    default_format: str = "html"
    is_public: bool = False
    acts: bool = False
    sends_bytes: bool = False


_SERVICE = "/services/{service}/{service_type}"
_JOB = _SERVICE + "{operation}/jobs/{job_id}"
_FILES = "/directories/arcgisoutput/{service}_{service_type}/{job_id}"

ROUTES = (
    Route("/info", resources.server_info, is_public=True),
    Route("/generateToken", sign_in.generate_token, is_public=True, acts=True),
    Route("/services", resources.catalog),
    Route("/services/{folder}", resources.catalog),
    Route(_SERVICE, resources.service),
    Route(_SERVICE + "/tile/{level}/{row}/{column}", resources.tile, sends_bytes=True),
    Route(_SERVICE + "/tilemap/{level}/{row}/{column}/{width}/{height}", resources.tilemap),
    Route(_SERVICE + "/exportTiles{submit}", job_resources.export_tiles, acts=True),
    Route(_SERVICE + "/estimateExportTilesSize{submit}", job_resources.estimate_export_tiles_size, acts=True),
    Route(_JOB, job_resources.job),
    Route(_JOB + "/results/{name}", job_resources.job_result),
    Route(_JOB + "/inputs/{name}", job_resources.job_input),
    Route(_JOB + "/cancel", job_resources.cancel, acts=True),
    Route(_JOB + "/resume", job_resources.resume, acts=True),
    Route(_FILES, job_resources.listing, default_format="json"),
    Route(_FILES + "/{file}", job_resources.file, default_format="json", sends_bytes=True),
)
"""The table of contents. Each route answers GET, POST and HEAD, with and without a final slash."""

_PARTS = {
    "service": r"[^/]+(?:/[^/]+)?",
    "service_type": "|".join(ServiceType),
    "operation": r"|/exportTiles|/estimateExportTilesSize",
    "submit": r"|/submitJob",  # how the operations were called at 10.2.1
    **dict.fromkeys(("level", "row", "column", "width", "height"), r"[0-9]{1,9}"),
    "file": r"[^/]+(?:/[^/]+)*",
    **dict.fromkeys(("folder", "job_id", "name"), r"[^/]+"),
}


def _compile(path: str) -> re.Pattern[str]:
    pattern = re.sub(r"{(\w+)}", lambda part: f"(?P<{part[1]}>{_PARTS[part[1]]})", path)
    return re.compile(f"{ROOT}{pattern}/?")


_PATTERNS = tuple((_compile(route.path), route) for route in ROUTES)
_CORS = {"access-control-allow-origin": "*"}
_PREFLIGHT = {
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, x-esri-authorization",
    "access-control-max-age": "86400",
}


def respond(request: Request, runtime: Runtime) -> Response:
    """Return the response to a request.

    Raises:
        RequestError: the caller can mend it; see `refuse`.
    """
    if request.method == "OPTIONS":
        return _finish(request, Response(204, _PREFLIGHT))
    route, arguments = _find(request)
    if request.method == "HEAD" and route.acts:
        return _finish(request, Response())
    caller = Caller() if route.is_public else identify(request, runtime)
    if "service" in arguments:
        caller.require(arguments["service"])
    call = Call(request, runtime, _format(request, route), arguments, caller)
    reply = route.resource(call)
    return _finish(request, reply if isinstance(reply, Response) else _render(reply, call))


def acts(request: Request) -> bool:
    """Tell whether a request that found its resource may have changed something."""
    return request.method != "OPTIONS" and _find(request)[0].acts


def refuse(request: Request, error: Exception) -> Response:
    """Return the response that tells an error."""
    document = error_document(error)
    try:
        route, _ = _find(request)
        name = _format(request, route)
    except RequestError:
        route, name = None, "json"
    if route is not None and route.sends_bytes:
        return _finish(request, json_response(document, status=code_of(error)))
    if name == "html":
        told = document["error"]
        sections = [pages.paragraph(line, "error") for line in (told["message"], *told["details"])]
        if isinstance(error, (TokenRequiredError, InvalidTokenError)):
            sections.append(pages.sign_in_form(f"{ROOT}/generateToken"))
        text = pages.page("Error", {"services": f"{ROOT}/services?f=html"}, *sections)
        return _finish(request, html_response(text, code_of(error)))
    return _finish(request, json_response(document, pretty=name == "pjson"))


def _find(request: Request) -> tuple[Route, dict[str, str]]:
    if request.method in ("GET", "POST", "HEAD"):
        for pattern, route in _PATTERNS:
            if match := pattern.fullmatch(request.path):
                return route, match.groupdict()
    raise InvalidUrlError("Nothing is at this address.")


def _format(request: Request, route: Route) -> str:
    return request.format("html" if request.prefers_html else route.default_format)


def _render(document: Document, call: Call) -> Response:
    if call.format != "html":
        return json_response(document.content, pretty=call.format == "pjson")
    data = [pages.value(document.content)] if document.content else []
    page = pages.page(
        document.title,
        call.trail,
        *document.sections,
        *data,
        json_url=f"{quote(call.request.path)}?f=pjson" if data else "",
        refresh_seconds=document.refresh_seconds,
    )
    return html_response(page)


def _finish(request: Request, response: Response) -> Response:
    """Return a response with what all of them carry, and without a body where none may be."""
    body = b"" if request.method == "HEAD" else response.body
    return Response(response.status, {**_CORS, "x-content-type-options": "nosniff", **response.headers}, body)
