"""The published image services, and the keys that open them."""

from collections.abc import Sequence
from typing import Protocol

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.service import ImageService


class ServiceCatalog(Protocol):
    """The published image services."""

    def get(self, name: str) -> ImageService:
        """Return a service by ``Name`` or ``Folder/Name``.

        Raises:
            ServiceNotFoundError: there is none, or the name is not one.
        """
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all services, in order."""
        ...

    def put(self, service: ImageService) -> None:
        """Publish a service, replacing one of the same name."""
        ...


class ApiKeyStore(Protocol):
    """The API keys, without their tokens."""

    def get(self, key_id: str) -> ApiKey:
        """Return a key, expired or not.

        Raises:
            KeyError: there is none.
        """
        ...

    def put(self, key: ApiKey) -> None:
        """Keep a key."""
        ...

    def list(self) -> Sequence[ApiKey]:
        """Return all keys by name."""
        ...

    def delete(self, key_id: str) -> None:
        """Forget a key; it opens nothing from the next request on."""
        ...
