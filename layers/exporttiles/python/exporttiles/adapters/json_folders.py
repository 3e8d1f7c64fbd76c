"""Services, API keys and subscriptions: JSON documents in three folders of the tile bucket."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.errors import DamagedCacheError, InvalidParameterError, ServiceNotFoundError
from exporttiles.domain.service import ImageService
from exporttiles.domain.subscription import Subscription
from exporttiles.formats.caches.service_descriptor import service_from_json, service_to_json
from exporttiles.ports.objects import ObjectStore

_SUFFIX = ".json"
_INDEX_SUFFIX = ".mosaic"
# A name becomes part of a key and of a file name: it must not escape from either.
_SERVICE_NAME = re.compile(r"(?:[A-Za-z0-9_]{1,120}/)?[A-Za-z0-9_]{1,120}", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{64}")


def require_service_name(name: str) -> None:
    """Refuse a name that no service can have.

    Raises:
        InvalidParameterError: it is not Name or Folder/Name.
    """
    if not _SERVICE_NAME.fullmatch(name):
        legal = "It must be Name or Folder/Name, each of 1 to 120 letters, digits and _."
        raise InvalidParameterError("name", name, legal)


class _JsonFolder:
    """The JSON documents below one prefix of a store."""

    _prefix: ClassVar[str]

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    def names(self) -> Sequence[str]:
        """Return the names of all documents, in order."""
        keys = (stored.key for stored in self.objects.list(self._prefix))
        return sorted(key.removeprefix(self._prefix).removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX))

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}{_SUFFIX}"

    def _write(self, name: str, document: object) -> None:
        self.objects.write(self._key(name), json.dumps(document, indent=2).encode())


class ServiceCatalog(_JsonFolder):
    """The published image services.

    The index of a mosaic lies beside the descriptor, under a name with the hash of its contents: a running export reads
    the one that it began with. Publishing deletes those before the last one.
    """

    _prefix = "services/"

    def get(self, name: str) -> ImageService:
        """Return a service by ``Name`` or ``Folder/Name``.

        Raises:
            ServiceNotFoundError: there is no service of this name, or it cannot be a name.
            DamagedCacheError: its descriptor cannot be read.
        """
        if not _SERVICE_NAME.fullmatch(name):
            raise _service_not_found(name)
        key = self._key(name)
        try:
            return service_from_json(self.objects.read(key))
        except KeyError as error:
            raise _service_not_found(name) from error
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{key}: {error}") from error

    def get_with_rasters(self, name: str) -> ImageService:
        """Return a service like `get`, with the rasters of its mosaic.

        Raises:
            SourceError: there is no index of the rasters, or the store did not answer.
        """
        from exporttiles.adapters.tile_sources import with_rasters

        service = self.get(name)
        return replace(service, cache=with_rasters(service.cache, self.objects))

    def put(self, service: ImageService) -> None:
        """Publish a service, replacing one of the same name.

        Raises:
            InvalidParameterError: no service can have this name.
        """
        require_service_name(service.name)
        kept = set()
        if service.cache.mosaic and service.cache.mosaic.files is not None:
            from exporttiles.formats.caches.mosaic_index import write_index

            body = write_index(service.cache.mosaic.files)
            index = f"{self._prefix}{service.name}.{sha256(body).hexdigest()[:16]}{_INDEX_SUFFIX}"
            self.objects.write(index, body)
            service = replace(service, cache=replace(service.cache, mosaic=replace(service.cache.mosaic, index=index)))
            kept = {index, self._index_before(service.name)}
        self.objects.write(self._key(service.name), service_to_json(service))
        self.objects.delete([key for key in self._indexes(service.name) if key not in kept])

    def delete(self, name: str) -> str:
        """Delete the descriptor of a service and the index of its mosaic, and nothing else; return its key.

        Raises:
            ServiceNotFoundError: there is no service of this name.
        """
        if name not in self.names():
            raise _service_not_found(name)
        key = self._key(name)
        self.objects.delete([key, *self._indexes(name)])
        return key

    def _index_before(self, name: str) -> str:
        """Return the key of the index of the service that is replaced; '' if there is none."""
        try:
            mosaic = self.get(name).cache.mosaic
        except (DamagedCacheError, ServiceNotFoundError):
            return ""
        return mosaic.index if mosaic else ""

    def _indexes(self, name: str) -> Sequence[str]:
        """Return the keys of all indexes of a service."""
        start = f"{self._prefix}{name}."
        folder = start.rpartition("/")[0]
        keys = (stored.key for stored in self.objects.list(f"{folder}/"))
        return [key for key in keys if key.startswith(start) and key.endswith(_INDEX_SUFFIX)]


class ApiKeys(_JsonFolder):
    """The API keys, named by the hash of their tokens; the tokens are not stored. Reading one is one GET."""

    _prefix = "tokens/"

    def get(self, key_id: str) -> ApiKey:
        """Return a key, expired or not.

        Raises:
            KeyError: there is no such key.
        """
        if not _KEY_ID.fullmatch(key_id):
            raise KeyError(key_id)
        document = json.loads(self.objects.read(self._key(key_id)))
        return ApiKey(
            key_id=key_id,
            name=document["name"],
            services=tuple(document["services"]),
            max_tile_count=document["max_tile_count"],
            expires_at=datetime.fromisoformat(document["expires_at"]),
        )

    def put(self, key: ApiKey) -> None:
        """Store a key."""
        document = {
            "name": key.name,
            "services": key.services,
            "max_tile_count": key.max_tile_count,
            "expires_at": key.expires_at.isoformat(),
        }
        self._write(key.key_id, document)

    def list(self) -> Sequence[ApiKey]:
        """Return all keys, ordered by name."""
        return sorted(map(self.get, filter(_KEY_ID.fullmatch, self.names())), key=lambda key: key.name)

    def delete(self, key_id: str) -> None:
        """Delete a key; from the next request on it is unknown."""
        self.objects.delete([self._key(key_id)])


class Subscriptions(_JsonFolder):
    """The exports to repeat whenever new imagery arrives."""

    _prefix = "subscriptions/"

    def get(self, name: str) -> Subscription:
        """Return a subscription.

        Raises:
            KeyError: there is no such subscription.
            InvalidParameterError: the document is not a subscription.
        """
        body = self.objects.read(self._key(name))
        try:
            document = json.loads(body)
            return Subscription(
                name=name,
                quiet=timedelta(minutes=document["quietMinutes"]),
                request=json.dumps(document["request"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            legal = 'It must be JSON such as {"quietMinutes": 15, "request": {"service": "World_Imagery"}}.'
            raise InvalidParameterError(self._key(name), body[:80], legal) from error

    def put(self, subscription: Subscription) -> None:
        """Store a subscription, replacing one of the same name."""
        document = {
            "quietMinutes": subscription.quiet.total_seconds() / 60,
            "request": json.loads(subscription.request),
        }
        self._write(subscription.name, document)

    def delete(self, name: str) -> None:
        """Delete a subscription.

        Raises:
            KeyError: there is no such subscription.
        """
        self.objects.read(self._key(name))
        self.objects.delete([self._key(name)])


def _service_not_found(name: str) -> ServiceNotFoundError:
    return ServiceNotFoundError(f"There is no image service '{name[:120]}'.")
