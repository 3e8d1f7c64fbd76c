"""Errors as ArcGIS clients expect them: HTTP 200 and the code in the body.

The Python client raises what stands in the body whatever the status, but some of
its paths look at the status first and never see a body that comes with another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from exporttiles.domain.errors import (
    AreaError,
    InvalidTokenError,
    JobStateError,
    RequestError,
    ServiceNotFoundError,
    UnknownSpatialReferenceError,
)


class InvalidUrlError(RequestError):
    """Nothing is at this address."""


class NotFoundError(RequestError):
    """There is no such folder, tile, or file of a job."""


class ExportNotAllowedError(RequestError):
    """The service does not allow its tiles to be exported."""


class TokenRequiredError(RequestError):
    """The server wants to know who asks."""


class AccessDeniedError(RequestError):
    """The caller is known and may not do this."""


class TooLargeError(RequestError):
    """The answer is larger than can be sent."""


class SignInError(RequestError):
    """No key has this name and token."""


CODES: dict[type[Exception], int] = {
    InvalidTokenError: 498,
    TokenRequiredError: 499,
    AccessDeniedError: 403,
    NotFoundError: 404,
    TooLargeError: 413,
    ServiceNotFoundError: 404,
    RequestError: 400,
    Exception: 500,
}
"""Code of an error class; of a class that is not listed, that of its nearest base."""

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
    """Return the code of an error."""
    return next(CODES[base] for base in type(error).__mro__ if base in CODES)


def error_document(error: Exception) -> dict[str, Any]:
    """Return the envelope of an error; the text of an unexpected one stays in the log."""
    if not isinstance(error, RequestError):
        message, details = "Export failed.", []
    elif type(error) in MESSAGES:
        message, details = MESSAGES[type(error)], [str(error)]
    else:
        message, details = str(error), []
    return {"error": {"code": code_of(error), "message": message, "details": details}}
