"""Authentication and authorization: the caller of a request, and the services open to them.

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
"""Name of the cookie that holds a token after sign-in, as on ArcGIS Server."""

_HEADERS = ("x-esri-authorization", "authorization")
_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request.

    Attributes:
        key: their API key; None if tokens are off.
    """

    key: ApiKey | None = None

    @property
    def owner(self) -> str:
        """Return the owner to store with their jobs; '' if tokens are off."""
        return self.key.key_id if self.key else ""

    def sees(self, service_name: str) -> bool:
        """Return True if a service is open to them."""
        return self.key is None or self.key.allows(service_name)

    def visible(self, service_names: Iterable[str]) -> Sequence[str]:
        """Filter the names of services: keep those that are open to them."""
        return [name for name in service_names if self.sees(name)]

    def require(self, service_name: str) -> None:
        """Check that a service is open to them, whether or not it exists.

        Raises:
            AccessDeniedError: the service is not open to them.
        """
        if not self.sees(service_name):
            raise AccessDeniedError("The key does not open this service.")

    def limited(self, service: ImageService) -> ImageService:
        """Return a service with the tile limit of their key, if that is lower."""
        if self.key is None:
            return service
        limit = min(service.max_export_tiles_count, self.key.max_tile_count)
        return replace(service, max_export_tiles_count=limit)

    def owns(self, job: Job) -> bool:
        """Return True if a job was made with their key, or without a key while tokens are off."""
        return compare_digest(job.owner, self.owner)


def identify(request: Request, runtime: Runtime) -> Caller:
    """Return the caller of a request.

    Raises:
        TokenRequiredError: tokens are on, and the request has none.
        InvalidTokenError: the token is not a valid key.
    """
    if not runtime.settings.token_security:
        return Caller()  # ignore tokens: some clients send one to every server
    token = _token_of(request)
    if not token:
        raise TokenRequiredError("Send an API key as a token.")
    return Caller(runtime.authenticate(token))


def _token_of(request: Request) -> str:
    """Return the token of a request, or ''. Headers come first, as no log keeps them."""
    for name in _HEADERS:
        if match := _BEARER.fullmatch(request.headers.get(name, "").strip()):
            return match[1]
    return request.parameters.get("token", "").strip() or cookie_token(request)


def cookie_token(request: Request) -> str:
    """Return the token of the cookie that signing in has set, or ''."""
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
