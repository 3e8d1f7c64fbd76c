"""HTTP requests and responses, independent of API Gateway."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from exporttiles.domain.errors import InvalidParameterError, RequestError

MAX_BODY_CHARACTERS = 6 * 1024 * 1024
"""Size limit of a request to a Lambda function."""

MAX_FIELDS = 200

FORMATS = ("html", "json", "pjson")

_FORM = "application/x-www-form-urlencoded"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'; form-action 'self'"
)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_NO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    Attributes:
        method: in upper case.
        path: decoded, from the root of the host.
        query: as sent, without the question mark.
        headers: by name in lower case.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)  # these three may hold a token
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str = field(default="", repr=False)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """Return the parameters of query and form by name.

        The first value of a repeated name counts, and the query comes before the
        form, as in the Java servlets of ArcGIS Server.

        Raises:
            RequestError: the body is not a form, is too long or has too many fields.
        """
        content_type = self.headers.get("content-type", _FORM)
        if self.body and not content_type.lower().startswith(_FORM):
            raise RequestError(f"Send the parameters as {_FORM}, or in the URL.")
        if len(self.query) + len(self.body) > MAX_BODY_CHARACTERS:
            raise RequestError(f"The request is longer than {MAX_BODY_CHARACTERS} characters.")
        found: dict[str, str] = {}
        try:
            for part in (self.query, self.body):
                for name, value in parse_qsl(part, keep_blank_values=True, max_num_fields=MAX_FIELDS):
                    found.setdefault(name, value)
        except ValueError as error:
            raise RequestError(f"The request has more than {MAX_FIELDS} parameters.") from error
        return found

    def format(self, default: str = "html") -> str:
        """Return the response format, one of `FORMATS`.

        Raises:
            InvalidParameterError: `f` is not one of `FORMATS`.
        """
        if self.parameters.get("callback"):
            raise InvalidParameterError("callback", self.parameters["callback"], "JSONP is not served; CORS is.")
        name = self.parameters.get("f", "").strip().lower() or default
        if name not in FORMATS:
            raise InvalidParameterError("f", name, f"It must be one of {', '.join(FORMATS)}.")
        return name

    @property
    def accepts_gzip(self) -> bool:
        """Return True if the client accepts gzip: it names it, and not with weight 0 (RFC 9110)."""
        codings = self.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
        weights = {name: parameter for name, _, parameter in (coding.partition(";") for coding in codings)}
        return "gzip" in weights and not _NO_WEIGHT.fullmatch(weights["gzip"])

    @property
    def prefers_html(self) -> bool:
        """Return True for a browser, which accepts HTML before all else."""
        return self.headers.get("accept", "").startswith("text/html")

    def base_url(self, configured: str) -> str:
        """Return scheme and host under which the client reaches the API, without a final slash.

        Args:
            configured: the URL from the settings, or '' to use the host of the request.

        Raises:
            RequestError: the request has no valid host.
        """
        if configured:
            return configured.rstrip("/")
        host = self.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise RequestError("The request names no host.")
        scheme = "http" if self.headers.get("x-forwarded-proto") == "http" else "https"
        return f"{scheme}://{host}"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        job_id: of the job that the request started or changed, for the log; it is not sent.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    job_id: str | None = None


def json_response(document: Mapping[str, Any], *, pretty: bool = False, status: int = 200) -> Response:
    """Return a JSON document as a response."""
    body = json.dumps(document, indent=2 if pretty else None, separators=None if pretty else (",", ":"))
    return Response(status, {"content-type": "application/json; charset=utf-8"}, body.encode())


def html_response(page: str, status: int = 200, *, public_base_url: str = "") -> Response:
    """Return a page as a response. Its policy allows scripts, styles and pictures of this host only, and no frames.

    Args:
        page: HTML.
        status: HTTP status.
        public_base_url: the URL from the settings, whose host may receive forms as well; '' for none.
    """
    address = urlsplit(public_base_url)
    form_hosts = f" {address.scheme}://{address.netloc}" if public_base_url else ""
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": _POLICY + form_hosts,
        "referrer-policy": "no-referrer",  # the URL may contain a token
    }
    return Response(status, headers, page.encode(errors="replace"))


def redirect(url: str, status: int) -> Response:
    """Return a redirect that must not be cached."""
    return Response(status, {"location": url, "cache-control": "no-store"})
