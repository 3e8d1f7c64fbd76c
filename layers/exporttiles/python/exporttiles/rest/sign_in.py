"""Sign in with a user name and a password: the name of an API key, and the key itself.

This serves clients with a sign-in dialog, and people who browse the pages.

Source: ArcGIS REST API, "Generate Token".
"""

import re
from dataclasses import replace
from hmac import compare_digest
from urllib.parse import quote, urlencode

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.errors import InvalidTokenError, RequestError
from exporttiles.rest import pages
from exporttiles.rest.access import COOKIE, cookie_token
from exporttiles.rest.addresses import ROOT
from exporttiles.rest.call import Call, Document
from exporttiles.rest.errors import SignInError
from exporttiles.rest.http import Request, Response, html_response, redirect

_PAGE = re.compile(rf"{ROOT}(?:/[^?#\\]*)?")
"""Paths of our own pages; they name no other host."""

_ACTION = re.compile("/(?:cancel|resume)/?$")
"""End of a path that changes a job whenever it is opened."""


def generate_token(call: Call) -> Document | Response:
    """Exchange a name and a key for a token, or show the form for it.

    Raises:
        RequestError: tokens are off, or the key is in the URL.
        SignInError: no such key exists, or it has another name; or the form is on another site.
    """
    if not call.runtime.settings.token_security:
        raise RequestError("Nobody has to sign in: tokens are off.")
    if call.request.method != "POST":  # logs and browser histories keep a key in a URL
        if call.format == "html":
            return Document({}, "Sign in", (pages.sign_in_form(way_back(call.request)),))
        raise RequestError("Send username and password in the body of a POST.")
    if call.format == "html" and _is_sent_elsewhere(call.request):
        raise SignInError("Sign in with the form on this page: that of another site was refused.")
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
    if call.request.method != "POST" or _is_sent_elsewhere(call.request):
        return Document({}, "Sign out", (pages.button("Sign out", f"{ROOT}/logout"),))
    return _with_cookie(redirect(f"{ROOT}/services", 303), f"{COOKIE}=; Max-Age=0")


def open_without_token(call: Call) -> Response:
    """Answer a link whose address holds a token: sign in with it, and open the same page without it.

    Histories, bookmarks and people who share the address would pass the token on. The browser opens the page from this
    one, not by a redirect: after a link on another site, that would come without the cookie. Whoever is signed in
    already stays so: a link must not sign people in with the key of somebody else. After a link on another site the
    same page is opened once more with the token, to find out who is.

    Raises:
        InvalidTokenError: the token is not a valid key; a header held another one.
    """
    token = call.request.parameters["token"].strip()
    call.runtime.authenticate(token)
    path, query = quote(call.request.path), {"f": "html"} if "f" in call.request.parameters else {}
    if _is_sent_elsewhere(call.request):
        return html_response(_opening(f"{path}?{urlencode({**query, 'token': token})}"))
    opened = html_response(_opening(f"{path}?{urlencode(query)}" if query else path))
    try:
        call.runtime.authenticate(cookie_token(call.request))
    except InvalidTokenError:
        return _with_cookie(opened, f"{COOKIE}={token}")
    return opened


def open_again(request: Request) -> Response | None:
    """Answer a link on another site, which comes without the cookie: open the same page once more, from this one.

    Returns:
        None unless a browser followed such a link.
    """
    if not _is_sent_elsewhere(request) or request.headers.get("sec-fetch-mode") != "navigate":
        return None
    return html_response(_opening(quote(request.path)))


def _is_sent_elsewhere(request: Request) -> bool:
    """Return True if a browser sends a request for a page of another host, perhaps without the cookie."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def _opening(path: str) -> str:
    return pages.page("Opening the page", {}, pages.links({"Continue": path}), next_path=path)


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
    return replace(response, headers={**response.headers, "set-cookie": f"{cookie}; {attributes}"})


def _key_of(call: Call, name: str, token: str) -> ApiKey:
    try:
        key = call.runtime.authenticate(token)
    except InvalidTokenError as error:
        raise SignInError("Invalid username or password specified.") from error
    if not compare_digest(key.name.encode(), name.strip().encode()):
        raise SignInError("Invalid username or password specified.")
    return key
