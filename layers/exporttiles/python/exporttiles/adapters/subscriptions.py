"""Subscriptions: JSON documents below ``subscriptions/`` in the tile bucket."""

import json
from collections.abc import Sequence
from datetime import timedelta

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.subscription import Subscription
from exporttiles.ports.objects import ObjectStore

_PREFIX = "subscriptions/"
_SUFFIX = ".json"


class Subscriptions:
    """The subscriptions of one bucket; only its owner writes there."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def names(self) -> Sequence[str]:
        """Return the names of all subscriptions, in order."""
        keys = (stored.key for stored in self._objects.list(_PREFIX))
        return sorted(key.removeprefix(_PREFIX).removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX))

    def get(self, name: str) -> Subscription:
        """Return a subscription."""
        return _read(name, self._objects.read(_key(name)))

    def put(self, subscription: Subscription) -> None:
        """Keep a subscription, replacing one of the same name."""
        document = {
            "quietMinutes": subscription.quiet.total_seconds() / 60,
            "request": json.loads(subscription.request),
        }
        self._objects.write(_key(subscription.name), json.dumps(document, indent=2).encode())

    def delete(self, name: str) -> None:
        """Forget a subscription.

        Raises:
            KeyError: there is none.
        """
        self._objects.read(_key(name))
        self._objects.delete([_key(name)])


def _key(name: str) -> str:
    return f"{_PREFIX}{name}{_SUFFIX}"


def _read(name: str, body: bytes) -> Subscription:
    try:
        document = json.loads(body)
        return Subscription(
            name=name,
            quiet=timedelta(minutes=document["quietMinutes"]),
            request=json.dumps(document["request"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        legal = 'It must be JSON such as {"quietMinutes": 15, "request": {"service": "World_Imagery"}}.'
        raise InvalidParameterError(_key(name), body[:80], legal) from error
