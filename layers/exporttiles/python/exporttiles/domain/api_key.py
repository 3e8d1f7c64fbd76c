"""API keys: opaque tokens with scopes and limits.

ADR 8 explains why keys are stored as plain SHA-256, not as a slow hash.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

SECRET_BYTES = 32
_PREFIX = "exporttiles_"  # recognised by scanners for leaked secrets, and by people
_TOKEN = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)
_SCOPE = re.compile(r"(?:\w{1,120}/)?(?:\w{1,120}|\*)", re.ASCII)


def token_of(secret: bytes) -> str:
    """Return the token of `SECRET_BYTES` random bytes."""
    return _PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def is_token(text: str) -> bool:
    """Return True if a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def key_id_of(token: str) -> str:
    """Return the key id of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored API key; never the token itself.

    Attributes:
        key_id: the SHA-256 of the token, 64 hexadecimal digits.
        name: given by the operator.
        services: names of services, ``Folder/*`` for all of a folder, ``*`` for all.
        max_tile_count: tiles that one export may select, if its service allows so many.
        expires_at: in UTC.

    Raises:
        ValueError: a name or a limit is not legal; the message begins with which.
    """

    key_id: str
    name: str
    services: tuple[str, ...]
    max_tile_count: int
    expires_at: datetime

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.@-]{1,80}", self.name):
            raise ValueError(
                f"name: '{self.name[:80]}' cannot be used. It must have 1 to 80 letters, digits and _ . @ -"
            )
        for scope in self.services or ("",):
            if not _SCOPE.fullmatch(scope):
                text = f"services: '{scope[:80]}' cannot be used. It must be Name, Folder/Name, Folder/* or *."
                raise ValueError(text)
        if self.max_tile_count < 1:
            raise ValueError(f"max_tiles: '{self.max_tile_count}' cannot be used. It must be a whole number from 1.")

    def allows(self, service_name: str) -> bool:
        """Return True if the key grants access to a service."""
        folder, slash, _ = service_name.rpartition("/")
        return not {"*", service_name, f"{folder}{slash}*"}.isdisjoint(self.services)
