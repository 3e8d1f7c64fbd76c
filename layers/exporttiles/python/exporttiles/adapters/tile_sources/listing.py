"""Listing a level of a cache, as long as that costs little beside looking for its tiles one by one."""

from itertools import islice

from exporttiles.ports.objects import ObjectReader

_FEW_REQUESTS = 32
"""So many reads cost no more than two or three listings: S3 asks for one the price of 12 reads."""

_MOST_KEYS = 1_000_000  # a thousand requests to S3, one after the other
_SPARSE = 4
"""A level that has one of so many things that are looked for is not sparse: 4 requests for each at most."""


def sparse_limit(requests: int) -> int:
    """Return how many things a level may have to be sparse; 0 if it is hardly worth finding out.

    Args:
        requests: how many would be looked for if nothing were known of them.
    """
    return 0 if requests <= _FEW_REQUESTS else min(requests // _SPARSE, _MOST_KEYS)


def list_sparse(objects: ObjectReader, prefix: str, requests: int) -> list[str] | None:
    """Return the keys that begin with a prefix; None if they are many, or hardly worth a listing.

    Args:
        objects: the store.
        prefix: of all objects that are in question.
        requests: how many objects would be asked for without a listing.
    """
    most = sparse_limit(requests)
    if not most:
        return None
    keys = [stored.key for stored in islice(objects.list(prefix), most + 1)]
    return keys if len(keys) <= most else None
