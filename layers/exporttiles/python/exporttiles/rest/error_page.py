"""The page of an error: the reason, and the form to correct it."""

from collections.abc import Mapping
from urllib.parse import quote

from exporttiles.domain.errors import InvalidTokenError, RequestError
from exporttiles.domain.job import Operation
from exporttiles.rest import pages, sign_in
from exporttiles.rest.addresses import ROOT
from exporttiles.rest.call import trail_of
from exporttiles.rest.errors import AccessDeniedError, SignInError, TokenRequiredError, error_document
from exporttiles.rest.http import Request
from exporttiles.rest.parameter_names import PARAMETERS


def error_page(request: Request, arguments: Mapping[str, str], error: Exception, operation: Operation | None) -> str:
    """Return the page of an error: with the form for signing in, or the one that was sent, still filled.

    Args:
        request: that is refused.
        arguments: the variable parts of its path, by name.
        error: why it is refused.
        operation: whose form was sent; None for other pages.
    """
    trail = trail_of(ROOT, arguments, quote(request.path))
    if isinstance(error, TokenRequiredError):
        asked = pages.paragraph("This page is for people with an API key.")
        return pages.page("Sign in", trail, asked, pages.sign_in_form(sign_in.way_back(request)))
    shown = error_document(error)["error"]
    parts = [pages.problem(" ".join(shown["details"]) or shown["message"])]
    if isinstance(error, (InvalidTokenError, SignInError, AccessDeniedError)):  # perhaps another key opens it
        parts.append(pages.sign_in_form(sign_in.way_back(request)))
    if operation:
        invalid = error.parameter if isinstance(error, RequestError) and error.parameter in PARAMETERS else ""
        if invalid:
            parts.append(pages.paragraph_of(pages.link(f"Go to {invalid}", f"#{invalid}")))
        parts.append(pages.export_form(quote(request.path), operation, request.parameters, invalid))
    return pages.page("Error", trail, *parts)
