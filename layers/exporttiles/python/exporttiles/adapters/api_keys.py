"""API keys: JSON documents below ``tokens/`` in the tile bucket, named by the hash of their token."""

import json
import re
from collections.abc import Sequence
from datetime import datetime

from exporttiles.domain.api_key import ApiKey
from exporttiles.ports.objects import ObjectStore

_PREFIX = "tokens/"
_SUFFIX = ".json"
_KEY_ID = re.compile(r"[0-9a-f]{64}")


class ApiKeys:
    """The API keys of one bucket; reading one is one GET."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def get(self, key_id: str) -> ApiKey:
        """Return a key, expired or not."""
        if not _KEY_ID.fullmatch(key_id):
            raise KeyError(key_id)
        document = json.loads(self._objects.read(_object_key(key_id)))
        return ApiKey(
            key_id=key_id,
            name=document["name"],
            services=tuple(document["services"]),
            max_tile_count=document["max_tile_count"],
            expires_at=datetime.fromisoformat(document["expires_at"]),
        )

    def put(self, key: ApiKey) -> None:
        """Keep a key."""
        document = {
            "name": key.name,
            "services": key.services,
            "max_tile_count": key.max_tile_count,
            "expires_at": key.expires_at.isoformat(),
        }
        self._objects.write(_object_key(key.key_id), json.dumps(document, indent=2).encode())

    def list(self) -> Sequence[ApiKey]:
        """Return all keys by name."""
        names = [stored.key.removeprefix(_PREFIX).removesuffix(_SUFFIX) for stored in self._objects.list(_PREFIX)]
        return sorted(map(self.get, filter(_KEY_ID.fullmatch, names)), key=lambda key: key.name)

    def delete(self, key_id: str) -> None:
        """Forget a key."""
        self._objects.delete([_object_key(key_id)])


def _object_key(key_id: str) -> str:
    return f"{_PREFIX}{key_id}{_SUFFIX}"
