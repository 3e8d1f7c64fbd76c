"""Who asks, and what they may see and do: decided here and nowhere else.

Source: ArcGIS REST API, "HTTP authorization headers"; ADR 8.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.job import Job
from exporttiles.domain.service import ImageService
from exporttiles.rest.errors import AccessDeniedError, TokenRequiredError
from exporttiles.rest.http import Request

COOKIE = "agstoken"
"""Name of the cookie of a person who signed in, as on ArcGIS Server."""

_HEADERS = ("x-esri-authorization", "authorization")
_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request.

    Attributes:
        key: what they hold; None where nobody needs one.
    """

    key: ApiKey | None = None

    @property
    def owner(self) -> str:
        """Return what their jobs are marked with."""
        return self.key.key_id if self.key else ""

    def sees(self, service_name: str) -> bool:
        """Tell whether a service is open to them."""
        return self.key is None or self.key.allows(service_name)

    def seen(self, service_names: Iterable[str]) -> Sequence[str]:
        """Return the services that are open to them."""
        return [name for name in service_names if self.sees(name)]

    def require(self, service_name: str) -> None:
        """Refuse a service that is not open to them, whether it exists or not.

        Raises:
            AccessDeniedError: it is not.
        """
        if not self.sees(service_name):
            raise AccessDeniedError("The key does not open this service.")

    def limited(self, service: ImageService) -> ImageService:
        """Return a service with the lower of its limit of tiles and theirs."""
        if self.key is None:
            return service
        limit = min(service.max_export_tiles_count, self.key.max_tile_count)
        return replace(service, max_export_tiles_count=limit)

    def owns(self, job: Job) -> bool:
        """Tell whether a job was made with their key, or without one where none is needed."""
        return compare_digest(job.owner, self.owner)


def identify(request: Request, runtime: Runtime) -> Caller:
    """Return who asks.

    Raises:
        TokenRequiredError: tokens are on, and the request brings none.
        InvalidTokenError: it brings one that opens nothing.
    """
    if not runtime.settings.token_security:
        return Caller()  # a token is no reason to refuse: some clients send one everywhere
    token = _token_of(request)
    if not token:
        raise TokenRequiredError("Send an API key as a token.")
    return Caller(runtime.authenticate(token))


def _token_of(request: Request) -> str:
    """Return the token of a request, '' if it has none; headers, which no log keeps, come first."""
    for name in _HEADERS:
        if match := _BEARER.fullmatch(request.headers.get(name, "").strip()):
            return match[1]
    return request.parameters.get("token", "").strip() or _cookie_of(request)


def _cookie_of(request: Request) -> str:
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
