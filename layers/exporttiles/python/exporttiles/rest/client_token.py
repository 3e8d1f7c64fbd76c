"""Idempotency tokens: a repeated request with the same token starts no second job.

Source: IETF draft "The Idempotency-Key HTTP Header Field"; `clientToken` as in the APIs of AWS.
"""

import re

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.rest.http import Request

HEADER, PARAMETER = "Idempotency-Key", "clientToken"
MIN_CHARACTERS, MAX_CHARACTERS = 16, 128

# A short token could be guessed, and the job id is derived from it.
_TOKEN = re.compile(rf"[\x21-\x7e]{{{MIN_CHARACTERS},{MAX_CHARACTERS}}}")


def read_client_token(request: Request) -> str:
    """Return the idempotency token of a request, or ''.

    Raises:
        InvalidParameterError: the token has a wrong form, or header and parameter differ.
    """
    found = {
        PARAMETER: request.parameters.get(PARAMETER, ""),
        HEADER: request.headers.get(HEADER.lower(), "").strip().strip('"'),
    }
    tokens = {name: token for name, token in found.items() if token}
    for name, token in tokens.items():
        if not _TOKEN.fullmatch(token):
            legal = f"It must have {MIN_CHARACTERS} to {MAX_CHARACTERS} visible ASCII characters."
            raise InvalidParameterError(name, token, legal)
    if len(set(tokens.values())) > 1:
        raise InvalidParameterError(PARAMETER, found[PARAMETER], f"The header {HEADER} has another value.")
    return next(iter(tokens.values()), "")
