"""Sign in with a user name and a password: the name of an API key, and the key itself.

This serves clients with a sign-in dialog, and people who browse the pages.

Source: ArcGIS REST API, "Generate Token".
"""

from hmac import compare_digest

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.errors import InvalidTokenError, RequestError
from exporttiles.rest import pages
from exporttiles.rest.access import COOKIE
from exporttiles.rest.call import Call, Document
from exporttiles.rest.errors import SignInError
from exporttiles.rest.http import Response, redirect


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
            return Document({}, "Sign in", (pages.sign_in_form(f"{call.rest_url}/generateToken"),))
        raise RequestError("Send username and password in the body of a POST.")
    parameters = call.request.parameters
    token = parameters.get("password", "")
    key = _key_of(call, parameters.get("username", ""), token)
    if call.format == "html":
        # SameSite: a page of another site cannot start or cancel an export in this name.
        cookie = f"{COOKIE}={token}; Path=/arcgis/rest; HttpOnly; Secure; SameSite=Strict"
        back = redirect(f"{call.rest_url}/services?f=html", 303)
        return Response(back.status, {**back.headers, "set-cookie": cookie})
    expires_milliseconds = int(key.expires_at.timestamp() * 1000)
    return Document({"token": token, "expires": expires_milliseconds, "ssl": True}, "Token")


def _key_of(call: Call, name: str, token: str) -> ApiKey:
    try:
        key = call.runtime.authenticate(token)
    except InvalidTokenError as error:
        raise SignInError("Invalid username or password specified.") from error
    if not compare_digest(key.name.encode(), name.strip().encode()):
        raise SignInError("Invalid username or password specified.")
    return key
