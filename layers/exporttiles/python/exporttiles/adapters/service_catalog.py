"""Published services: JSON descriptors below ``services/`` in the tile bucket."""

import re
from collections.abc import Sequence

from exporttiles.domain.errors import DamagedCacheError, InvalidParameterError, ServiceNotFoundError
from exporttiles.domain.service import ImageService
from exporttiles.formats.caches.service_descriptor import service_from_json, service_to_json
from exporttiles.ports.objects import ObjectStore

_PREFIX = "services/"
_SUFFIX = ".json"
# A name becomes part of a key and of a file name: nothing may climb out of either.
_NAME = re.compile(r"(?:[A-Za-z0-9_]{1,120}/)?[A-Za-z0-9_]{1,120}", re.ASCII)


class ServiceCatalog:
    """The services of one bucket."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def get(self, name: str) -> ImageService:
        """Return a service by ``Name`` or ``Folder/Name``."""
        key = _key(name)
        try:
            return service_from_json(self._objects.read(key))
        except KeyError as error:
            raise ServiceNotFoundError(_not_found(name)) from error
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{key}: {error}") from error

    def names(self) -> Sequence[str]:
        """Return the names of all services, in order."""
        keys = (stored.key for stored in self._objects.list(_PREFIX))
        return sorted(key.removeprefix(_PREFIX).removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX))

    def put(self, service: ImageService) -> None:
        """Publish a service, replacing one of the same name.

        Raises:
            InvalidParameterError: no service can have this name.
        """
        if not _NAME.fullmatch(service.name):
            legal = "Legal are Name and Folder/Name of up to 120 letters, digits and _ each."
            raise InvalidParameterError("name", service.name, legal)
        self._objects.write(_key(service.name), service_to_json(service))

    def delete(self, name: str) -> str:
        """Remove the descriptor of a service, and nothing else; return its key.

        Raises:
            ServiceNotFoundError: there is none.
        """
        key = _key(name)
        if name not in self.names():
            raise ServiceNotFoundError(_not_found(name))
        self._objects.delete([key])
        return key


def _key(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ServiceNotFoundError(_not_found(name))
    return f"{_PREFIX}{name}{_SUFFIX}"


def _not_found(name: str) -> str:
    return f"There is no image service '{name[:120]}'."
