"""Listing a level of a cache, as long as that costs little beside looking for its tiles one by one."""

from itertools import islice

from exporttiles.ports.objects import ObjectReader

_FEW_REQUESTS = 32
"""So many reads cost no more than two or three listings: S3 asks for one the price of 12 reads."""

_SPARSE = 4
"""A level that has one of so many things that are looked for is not sparse: 4 requests for each at most."""


def sparse_limit(requests: int, limit: int) -> int:
    """Return how many things a level may have to be sparse; 0 if it is hardly worth finding out.

    Args:
        requests: how many would be looked for if nothing were known of them.
        limit: how many at most.
    """
    return 0 if requests <= _FEW_REQUESTS else min(requests // _SPARSE, limit)


def list_sparse(objects: ObjectReader, prefix: str, requests: int, limit: int) -> list[str] | None:
    """Return the keys that begin with a prefix; None if they are many, or hardly worth a listing.

    Args:
        objects: the store.
        prefix: of all objects that are in question.
        requests: how many objects would be asked for without a listing.
        limit: how many keys to list, at most.
    """
    most = sparse_limit(requests, limit)
    if not most:
        return None
    keys = [stored.key for stored in islice(objects.list(prefix), most + 1)]
    return keys if len(keys) <= most else None
