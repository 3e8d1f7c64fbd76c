"""API keys: opaque tokens, and what each lets its holder do.

ADR 8 says why a key is kept as a plain SHA-256 and nothing slower.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

SECRET_BYTES = 32
_PREFIX = "exporttiles_"  # so that scanners for leaked secrets, and people, know it when they see it
_TOKEN = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)
_SCOPE = re.compile(r"(?:\w{1,120}/)?(?:\w{1,120}|\*)", re.ASCII)


def token_of(secret: bytes) -> str:
    """Return the token of `SECRET_BYTES` random bytes."""
    return _PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def is_token(text: str) -> bool:
    """Tell whether a text can be a token at all."""
    return _TOKEN.fullmatch(text) is not None


def key_id_of(token: str) -> str:
    """Return the id of the key that a token is."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key: never the token.

    Attributes:
        key_id: the SHA-256 of the token, 64 hexadecimal digits.
        name: what its operator calls it.
        services: names of services, ``Folder/*`` for all of a folder, ``*`` for all.
        max_tile_count: tiles that one export may select, if its service allows so many.
        expires_at: when it opens nothing any more, in UTC.

    Raises:
        ValueError: a name or a limit is none.
    """

    key_id: str
    name: str
    services: tuple[str, ...]
    max_tile_count: int
    expires_at: datetime

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.@-]{1,80}", self.name):
            raise ValueError(f"'{self.name[:80]}' is no name of a key: legal are letters, digits and the signs _ . @ -")
        for scope in self.services:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(f"'{scope[:80]}' names no services: legal are Name, Folder/Name, Folder/* and *.")
        if not self.services or self.max_tile_count < 1:
            raise ValueError("A key opens one service and one tile at least.")

    def allows(self, service_name: str) -> bool:
        """Tell whether the key opens a service."""
        folder, slash, _ = service_name.rpartition("/")
        return not {"*", service_name, f"{folder}{slash}*"}.isdisjoint(self.services)
