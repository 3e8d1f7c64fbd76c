"""Find out who asks."""

from dataclasses import dataclass

from exporttiles.domain.api_key import ApiKey, is_token, key_id_of
from exporttiles.domain.errors import InvalidTokenError
from exporttiles.ports.process import Clock
from exporttiles.ports.services import ApiKeyStore


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Turns a token into the key that it is."""

    api_keys: ApiKeyStore
    clock: Clock

    def __call__(self, token: str) -> ApiKey:
        """Return the key.

        Raises:
            InvalidTokenError: there is none, or it has expired. The text is the
                same for both: a stranger learns nothing.
        """
        try:
            key = self.api_keys.get(key_id_of(token)) if is_token(token) else None
        except KeyError:
            key = None
        if key is None or key.expires_at <= self.clock.now():
            raise InvalidTokenError("The key is unknown, or was revoked or has expired.")
        return key
