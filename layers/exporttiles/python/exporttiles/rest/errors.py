"""Errors as ArcGIS clients expect them: HTTP 200 and the code in the body.

The Python client raises what stands in the body whatever the status, but some of
its paths look at the status first and never see a body that comes with another.
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
    """The server wants to know who asks."""

    http_status = 499


class AccessDeniedError(RequestError):
    """The caller is known and may not do this."""

    http_status = 403


class TooLargeError(RequestError):
    """The answer is larger than can be sent."""

    http_status = 413


class SignInError(RequestError):
    """No key has this name and token."""


MESSAGES: dict[type[Exception], str] = {
    # Clients look for the words of these three, and sign in when they meet them.
    InvalidTokenError: "Invalid Token",
    TokenRequiredError: "Token Required",
    AccessDeniedError: "Token is valid but access is denied.",
    SignInError: "Unable to generate token.",
    InvalidUrlError: "Invalid URL",
    JobStateError: "Invalid or missing input parameters",
}
"""Fixed words that clients know; the error's own text then goes to the details."""


@contextmanager
def naming(parameter: str) -> Iterator[None]:
    """Begin the message of an error about an area or its reference with the parameter that holds it."""
    try:
        yield
    except (AreaError, UnknownSpatialReferenceError) as error:
        error.parameter = error.parameter or parameter
        raise


def code_of(error: Exception) -> int:
    """Return the HTTP status of an error, which is the code in its document."""
    return error.http_status if isinstance(error, ExportTilesError) else ExportTilesError.http_status


def error_document(error: Exception) -> dict[str, Any]:
    """Return the envelope of an error; the text of an unexpected one stays in the log."""
    if not isinstance(error, RequestError):
        message, details = "Export failed.", []
    elif type(error) in MESSAGES:
        message, details = MESSAGES[type(error)], [str(error)]
    else:
        message, details = str(error), []
    return {"error": {"code": code_of(error), "message": message, "details": details}}
