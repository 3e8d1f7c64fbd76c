"""Routing: the route table, and dispatch from a request to its response."""

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import RequestError
from exporttiles.domain.job import Operation
from exporttiles.domain.service import ServiceType
from exporttiles.rest import assets, job_resources, pages, resources, sign_in
from exporttiles.rest.access import Caller, identify
from exporttiles.rest.addresses import ROOT
from exporttiles.rest.call import Call, Document
from exporttiles.rest.error_page import error_page
from exporttiles.rest.errors import InvalidUrlError, TokenRequiredError, code_of, error_document
from exporttiles.rest.http import Request, Response, html_response, json_response


@dataclass(frozen=True, slots=True)
class Route:
    """A path and its resource.

    Attributes:
        path: below `ROOT`, with the variable parts of `_PARTS`.
        default_format: of a request without ``f``.
        is_public: needs no token, so that clients can find out whether others do.
        changes_state: a call starts or changes something, so that HEAD does not call it.
        sends_bytes: its errors have their own HTTP status, instead of 200 with the code in the document.
    """

    path: str
    resource: Callable[[Call], Document | Response]
    default_format: str = "html"
    is_public: bool = False
    changes_state: bool = False
    sends_bytes: bool = False


_SERVICE = "/services/{service}/{service_type}"
_JOB = _SERVICE + "{operation}/jobs/{job_id}"
_FILES = "/directories/arcgisoutput/{service}_{service_type}/{job_id}"

ROUTES = (
    Route("/info", resources.server_info, is_public=True),
    Route("/static/{asset}", assets.asset, is_public=True, sends_bytes=True),
    Route("/generateToken", sign_in.generate_token, is_public=True, changes_state=True),
    Route("/logout", sign_in.sign_out, is_public=True, changes_state=True),
    Route("", resources.catalog),  # people type the root
    Route("/services", resources.catalog),
    Route("/services/{folder}", resources.catalog),
    Route(_SERVICE, resources.service),
    Route(_SERVICE + "/tile/{level}/{row}/{column}", resources.tile, sends_bytes=True),
    Route(_SERVICE + "/tilemap/{level}/{row}/{column}/{width}/{height}", resources.tilemap),
    Route(_SERVICE + "/exportTiles{submit}", job_resources.export_tiles, changes_state=True),
    Route(_SERVICE + "/estimateExportTilesSize{submit}", job_resources.estimate_export_tiles_size, changes_state=True),
    Route(_JOB, job_resources.job),
    Route(_JOB + "/results/{name}", job_resources.job_result),
    Route(_JOB + "/inputs/{name}", job_resources.job_input),
    Route(_JOB + "/packages", job_resources.packages),
    Route(_JOB + "/map", job_resources.job_map),
    Route(_JOB + "/cancel", job_resources.cancel, changes_state=True),
    Route(_JOB + "/resume", job_resources.resume, changes_state=True),
    Route(_FILES, job_resources.listing, default_format="json"),
    Route(_FILES + "/{file}", job_resources.file, default_format="json", sends_bytes=True),
)
"""Every route. Each serves GET, POST and HEAD, with and without a final slash."""

_OPERATIONS: Mapping[Callable[[Call], Document | Response], Operation] = {
    job_resources.export_tiles: Operation.EXPORT_TILES,
    job_resources.estimate_export_tiles_size: Operation.ESTIMATE_EXPORT_TILES_SIZE,
}
"""Resources that show a form, and take it."""

_LONG_BYTES = 50_000
"""Longer JSON is compressed. Replies with tokens are shorter: their compressed length could give them away."""

VARIANTS = {
    "operation": ("", *(f"/{operation}" for operation in Operation)),
    "submit": ("", "/submitJob"),  # the suffix of the operations at 10.2.1
}
"""Path parts with a fixed set of values, '' among them."""

NUMBERS = ("level", "row", "column", "width", "height")
"""Path parts that are numbers."""

_PARTS = {
    "service": r"[^/]+(?:/[^/]+)?",
    "service_type": "|".join(ServiceType),
    **{name: "|".join(values) for name, values in VARIANTS.items()},
    **dict.fromkeys(NUMBERS, r"[0-9]{1,9}"),
    "file": r"[^/]+(?:/[^/]+)*",
    **dict.fromkeys(("asset", "folder", "job_id", "name"), r"[^/]+"),
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


@dataclass(frozen=True, slots=True)
class RoutedRequest:
    """A request with its route.

    Attributes:
        route: None if nothing is at this address.
        arguments: the variable parts of the path, by name.
    """

    request: Request
    route: Route | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes_state(self) -> bool:
        """Return True if the request may start or change something."""
        return self.route is not None and self.route.changes_state


def find_route(request: Request) -> RoutedRequest:
    """Find the route of a request, to respond to it or to refuse it."""
    if request.method in ("GET", "POST", "HEAD"):
        for pattern, route in _PATTERNS:
            if match := pattern.fullmatch(request.path):
                return RoutedRequest(request, route, match.groupdict())
    return RoutedRequest(request)


def respond(routed: RoutedRequest, runtime: Runtime) -> Response:
    """Return the response to a request.

    Raises:
        RequestError: the request cannot be served; pass the error to `refuse`.
    """
    request, arguments = routed.request, routed.arguments
    if request.method == "OPTIONS":
        return _finish(request, Response(204, _PREFLIGHT))
    route = _require_route(routed)
    if request.method == "HEAD" and route.changes_state:
        return _finish(request, Response())
    caller = Caller() if route.is_public else identify(request, runtime)
    if "service" in arguments:
        caller.require(arguments["service"])
    call = Call(request, runtime, _format(routed), arguments, caller)
    if _is_page_with_token(call, route):
        return _finish(request, sign_in.open_without_token(call))
    reply = route.resource(call)
    return _finish(request, reply if isinstance(reply, Response) else _render(reply, call))


def _is_page_with_token(call: Call, route: Route) -> bool:
    """Return True for a page whose address holds a token, unless the address starts or changes something."""
    query = dict(parse_qsl(call.request.query))
    if call.format != "html" or call.request.method != "GET" or call.caller.key is None or "token" not in query:
        return False
    if route.resource in _OPERATIONS:
        return query.keys() <= {"f", "token"}  # the form
    return not (route.changes_state or route.sends_bytes)


def refuse(routed: RoutedRequest, error: Exception, runtime: Runtime | None = None) -> Response:
    """Return the response that reports an error.

    Args:
        routed: the request.
        error: reason why it cannot be served.
        runtime: None if the error occurred before there was one.
    """
    request, document = routed.request, error_document(error)
    try:
        response_format = _format(routed)
    except RequestError:
        return _finish(request, json_response(document))
    is_page = response_format == "html"
    if routed.route and routed.route.sends_bytes:
        if not request.prefers_html:
            return _finish(request, json_response(document, status=code_of(error)))
        is_page = True
    if is_page:
        again = sign_in.open_again(request) if isinstance(error, TokenRequiredError) else None
        if again and request.method == "GET" and not routed.changes_state:
            return _finish(request, again)
        operation = _OPERATIONS.get(routed.route.resource) if routed.route else None
        text = error_page(request, routed.arguments, error, operation)
        public_base_url = runtime.settings.public_base_url if runtime else ""
        return _finish(request, html_response(text, code_of(error), public_base_url=public_base_url))
    return _finish(request, json_response(document, pretty=response_format == "pjson"))


def _require_route(routed: RoutedRequest) -> Route:
    if routed.route is None:
        raise InvalidUrlError("Nothing is at this address.")
    return routed.route


def _format(routed: RoutedRequest) -> str:
    request, route = routed.request, routed.route
    default_format = route.default_format if route else "json"
    return request.format("html" if request.prefers_html else default_format)


def _render(document: Document, call: Call) -> Response:
    if call.format != "html":
        response = json_response(document.content, pretty=call.format == "pjson")
        return replace(response, job_id=document.job_id)
    data = [pages.value(document.content, call.rest_url)] if document.content else []
    if data and document.sections:
        data = [pages.details("All data of this page", *data)]
    page = pages.page(
        document.title,
        call.trail,
        *document.sections,
        *data,
        json_url=f"{quote(call.request.path)}?f=pjson" if data else "",
        refresh_seconds=document.refresh_seconds,
        signed_in_as=call.caller.key.name if call.caller.key else "",
    )
    return html_response(page, public_base_url=call.runtime.settings.public_base_url)


def _finish(request: Request, response: Response) -> Response:
    """Add the headers of every response, compress long JSON, and drop the body where HTTP allows none.

    Caches on the way, such as CloudFront, would otherwise keep the pages and tokens of one caller for others.
    """
    is_long = len(response.body) > _LONG_BYTES and response.headers.get("content-type", "").startswith(
        "application/json"
    )
    if is_long and request.accepts_gzip:
        headers = {**response.headers, "content-encoding": "gzip", "vary": "accept-encoding"}
        response = replace(response, headers=headers, body=gzip.compress(response.body, compresslevel=5, mtime=0))
    headers = {**_CORS, "x-content-type-options": "nosniff", "cache-control": "private, no-cache", **response.headers}
    return replace(response, headers=headers, body=b"" if request.method == "HEAD" else response.body)
