"""Errors as ArcGIS clients expect them: HTTP 200, and the code in the body.

Esri's Python client raises the error of the body, but parts of it look at the
HTTP status first, and never read the body of a reply other than 200.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from exporttiles.domain.errors import (
    AreaError,
    ExportTilesError,
    InvalidTokenError,
    JobStateError,
    RequestError,
    SourceError,
    UnknownSpatialReferenceError,
)


class InvalidUrlError(RequestError):
    """Nothing is at this address."""


class NotFoundError(RequestError):
    """There is no such folder, tile, or file of a job."""

    http_status = 404


class ExportNotAllowedError(RequestError):
    """The service does not allow its tiles to be exported."""


class TokenRequiredError(RequestError):
    """Tokens are on, and the request has none."""

    http_status = 499


class AccessDeniedError(RequestError):
    """The token is valid, but does not open the service."""

    http_status = 403


class TooLargeError(RequestError):
    """The reply exceeds the limit of AWS Lambda."""

    http_status = 413


class SignInError(RequestError):
    """No key has this name and token."""


MESSAGES: dict[type[Exception], str] = {
    # Clients search for these three texts, and start to sign in when they find one.
    InvalidTokenError: "Invalid Token",
    TokenRequiredError: "Token Required",
    AccessDeniedError: "Token is valid but access is denied.",
    SignInError: "Unable to generate token.",
    InvalidUrlError: "Invalid URL",
    JobStateError: "Invalid or missing input parameters",
}
"""Fixed messages that clients know, by error class. The text of the error itself goes to `details`."""

_UNEXPECTED = "The request failed; the log has the reason."
_UNREADABLE = (
    "The stored data cannot be read; the log has the reason. Try again; if a file was removed on purpose, "
    "publish the service again."
)


@contextmanager
def naming_parameter(parameter: str) -> Iterator[None]:
    """Name the parameter of the area in errors about an area or its spatial reference."""
    try:
        yield
    except (AreaError, UnknownSpatialReferenceError) as error:
        error.parameter = error.parameter or parameter
        raise


def code_of(error: Exception) -> int:
    """Return the HTTP status of an error, which is the code in its document."""
    return error.http_status if isinstance(error, ExportTilesError) else ExportTilesError.http_status


def error_document(error: Exception) -> dict[str, Any]:
    """Return the document of an error.

    Hide the text of errors that are not of the request, which the log keeps. The text of a `SourceError` may name
    buckets and files, which a caller need not know; its document says what the owner of the service can do.
    """
    details: list[str] = []
    if isinstance(error, SourceError):
        message = _UNREADABLE
    elif not isinstance(error, RequestError):
        message = _UNEXPECTED
    elif type(error) in MESSAGES:
        message, details = MESSAGES[type(error)], [str(error)]
    else:
        message = str(error)
    return {"error": {"code": code_of(error), "message": message, "details": details}}
