"""Sign in with a user name and a password: the name of an API key, and the key itself.

This serves clients with a sign-in dialog, and people who browse the pages.

Source: ArcGIS REST API, "Generate Token".
"""

import re
from hmac import compare_digest
from urllib.parse import quote

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.errors import InvalidTokenError, RequestError
from exporttiles.rest import pages
from exporttiles.rest.access import COOKIE
from exporttiles.rest.addresses import ROOT
from exporttiles.rest.call import Call, Document
from exporttiles.rest.errors import SignInError
from exporttiles.rest.http import Request, Response, redirect

_PAGE = re.compile(rf"{ROOT}(?:/[^?#\\]*)?")
"""Paths of our own pages; they name no other host."""

_ACTION = re.compile("/(?:cancel|resume)/?$")
"""End of a path that changes a job whenever it is opened."""


def generate_token(call: Call) -> Document | Response:
    """Exchange a name and a key for a token, or show the form for it.

    Raises:
        RequestError: tokens are off, or the key is in the URL.
        SignInError: no such key exists, or it has another name.
    """
    if not call.runtime.settings.token_security:
        raise RequestError("Nobody has to sign in: tokens are off.")
    if call.request.method != "POST":  # logs and browser histories keep a key in a URL
        if call.format == "html":
            return Document({}, "Sign in", (pages.sign_in_form(way_back(call.request)),))
        raise RequestError("Send username and password in the body of a POST.")
    parameters = call.request.parameters
    token = parameters.get("password", "")
    key = _key_of(call, parameters.get("username", ""), token)
    if call.format == "html":
        # SameSite: a page of another site cannot start or cancel an export in this name.
        return _with_cookie(redirect(way_back(call.request), 303), f"{COOKIE}={token}")
    expires_milliseconds = int(key.expires_at.timestamp() * 1000)
    return Document({"token": token, "expires": expires_milliseconds, "ssl": True}, "Token")


def sign_out(call: Call) -> Document | Response:
    """Remove the token from the browser; the key stays valid."""
    if call.request.method != "POST":
        return Document({}, "Sign out", (pages.button("Sign out", f"{ROOT}/logout"),))
    return _with_cookie(redirect(f"{ROOT}/services", 303), f"{COOKIE}=; Max-Age=0")


def way_back(request: Request) -> str:
    """Return the path of the page to return to after signing in.

    A form names its page in `back`; other pages are returned to by their own path. The query is left out: it
    may hold a token, and on an operation it would start an export.
    """
    path = request.parameters.get("back") or request.path
    if not _PAGE.fullmatch(path) or path in (f"{ROOT}/generateToken", f"{ROOT}/logout"):
        return f"{ROOT}/services"
    return quote(_ACTION.sub("", path))


def _with_cookie(response: Response, cookie: str) -> Response:
    attributes = "Path=/arcgis/rest; HttpOnly; Secure; SameSite=Strict"
    return Response(response.status, {**response.headers, "set-cookie": f"{cookie}; {attributes}"})


def _key_of(call: Call, name: str, token: str) -> ApiKey:
    try:
        key = call.runtime.authenticate(token)
    except InvalidTokenError as error:
        raise SignInError("Invalid username or password specified.") from error
    if not compare_digest(key.name.encode(), name.strip().encode()):
        raise SignInError("Invalid username or password specified.")
    return key
