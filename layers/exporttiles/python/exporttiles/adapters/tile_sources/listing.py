"""Listing a level of a cache, if that costs little compared with requesting its tiles one by one."""

from itertools import islice

from exporttiles.ports.objects import ObjectReader

_FEW_REQUESTS = 32
"""Up to so many reads, a listing does not pay: one LIST costs as much as 12 GETs."""

_SPARSE = 4
"""A level is sparse if less than one in so many of the selected objects exists."""


def sparse_limit(requests: int, limit: int) -> int:
    """Return how many objects a sparse level may have; 0 if a listing does not pay.

    Args:
        requests: number of objects to request without a listing.
        limit: upper bound of the result.
    """
    return 0 if requests <= _FEW_REQUESTS else min(requests // _SPARSE, limit)


def list_sparse(objects: ObjectReader, prefix: str, requests: int, limit: int) -> list[str] | None:
    """Return the keys that begin with a prefix; None if they are too many, or if a listing does not pay.

    Args:
        objects: the store.
        prefix: of the keys.
        requests: number of objects to request without a listing.
        limit: maximum number of keys to list.
    """
    most = sparse_limit(requests, limit)
    if not most:
        return None
    keys = [stored.key for stored in islice(objects.list(prefix), most + 1)]
    return keys if len(keys) <= most else None
