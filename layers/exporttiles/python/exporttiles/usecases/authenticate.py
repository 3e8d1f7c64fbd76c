"""Find the API key that a token stands for."""

from collections.abc import Callable
from dataclasses import dataclass

from exporttiles.domain.api_key import ApiKey, is_token, key_id_of
from exporttiles.domain.errors import InvalidTokenError
from exporttiles.ports.process import Clock


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Looks up API keys by their tokens.

    Attributes:
        get_key: returns the key of an id; raises KeyError if there is none.
    """

    get_key: Callable[[str], ApiKey]
    clock: Clock

    def __call__(self, token: str) -> ApiKey:
        """Return the key.

        Raises:
            InvalidTokenError: there is none, or it has expired. The message is the
                same for both: it must not help to guess keys.
        """
        try:
            key = self.get_key(key_id_of(token)) if is_token(token) else None
        except KeyError:
            key = None
        if key is None or key.expires_at <= self.clock.now():
            raise InvalidTokenError("The key is unknown, or was revoked or has expired.")
        return key
