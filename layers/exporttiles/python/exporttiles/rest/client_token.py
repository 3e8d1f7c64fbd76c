"""The token by which a client tells that a request is one it has sent before.

Source: IETF draft "The Idempotency-Key HTTP Header Field"; `clientToken` as in the APIs of AWS.
"""

import re

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.rest.http import Request

HEADER, PARAMETER = "Idempotency-Key", "clientToken"
DESCRIPTION = "16 to 128 characters of your own, such as a UUID: the same request with the same token starts one job"

_TOKEN = re.compile(r"[\x21-\x7e]{16,128}")  # short ones are guessed, and with them the id of the job


def read_client_token(request: Request) -> str:
    """Return the token of a request, '' if it has none.

    Raises:
        InvalidParameterError: it cannot be used, or header and parameter differ.
    """
    found = {
        PARAMETER: request.parameters.get(PARAMETER, ""),
        HEADER: request.headers.get(HEADER.lower(), "").strip().strip('"'),
    }
    tokens = {name: token for name, token in found.items() if token}
    for name, token in tokens.items():
        if not _TOKEN.fullmatch(token):
            raise InvalidParameterError(name, token, "It must have 16 to 128 visible ASCII characters.")
    if len(set(tokens.values())) > 1:
        raise InvalidParameterError(PARAMETER, found[PARAMETER], f"The header {HEADER} has another value.")
    return next(iter(tokens.values()), "")
