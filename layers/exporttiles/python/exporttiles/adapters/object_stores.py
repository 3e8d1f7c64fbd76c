"""Objects in S3, in a folder or in memory, read and written with obstore.

A GET takes a fraction of the CPU time of boto3 and releases the GIL, so that
threads suffice for concurrent reads.
"""

import os
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store
from obstore.store import ObjectStore as Store

from exporttiles.adapters.process import METER
from exporttiles.domain.errors import ReplacedError, SourceDeniedError, SourceError
from exporttiles.ports.objects import StoredFolder, StoredObject
from exporttiles.ports.tiles import Tile

if TYPE_CHECKING:  # stubs without a runtime module
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig, S3Config

_AWS_MESSAGE = re.compile(r"<Message>([^<]{1,1000})</Message>")
_READERS = 32
_VERSIONS = 1_000
_LISTED = 1_000  # objects in one page of an S3 listing
_MULTIPART_BYTES = 32 * 2**20
_CHUNK_BYTES = 8 * 2**20
_CHUNKS = 2
"""Concurrent chunks of a multipart upload: bounds the memory beside the object itself."""

_BLOCK_BYTES = 2**20
_AHEAD_BYTES = 64 * 2**20
"""Limit of the ranges that are read ahead of the consumer."""

_DNS_SUFFIXES = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu"}
"""Prefixes of regions outside amazonaws.com, which object_store takes for all of them."""

PATIENCE = timedelta(seconds=15)
"""How long requests to S3 are retried while a client waits: API Gateway ends a request after 30 s."""


def retries(patience: timedelta) -> "RetryConfig":
    """Return the retries of a request to S3, which answers 503 SlowDown until it has split a busy prefix.

    Waits are drawn between 0.1 s and three times the last one, up to 5 s; with a base of 2 they would hardly grow.
    `tests/unit/adapters/test_request_rates.py` simulates how workers share a prefix.

    Args:
        patience: no retry begins after this time.
    """
    return {
        "max_retries": 400,
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 3},
        "retry_timeout": patience,
    }


def s3_endpoint(region: str) -> str | None:
    """Return the address of S3 in a region; None where object_store knows it."""
    suffixes = (suffix for prefix, suffix in _DNS_SUFFIXES.items() if region.startswith(prefix))
    return next((f"https://s3.{region}.{suffix}" for suffix in suffixes), None)


@cache
def open_store(url: str, patience: timedelta = PATIENCE) -> "ObstoreObjects":
    """Return the store at ``s3://bucket/prefix`` or ``file:///folder``.

    Args:
        url: of the store.
        patience: how long requests to S3 are retried while it is busy.

    Raises:
        SourceError: the address names no store.
    """
    try:
        if url.startswith(
            "file://"
        ):  # paths and keys are taken as they are: from_url would decode %20, and end them at #
            return ObstoreObjects(LocalStore(url.removeprefix("file://")))
        # Plain HTTP is used only if AWS_ENDPOINT_URL is an http address.
        options: ClientConfig = {"allow_http": True}
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
        endpoint = None if "AWS_ENDPOINT_URL" in os.environ else s3_endpoint(region)
        config: S3Config = {"endpoint": endpoint} if endpoint else {}
        retry = retries(patience)
        if url.startswith("s3://"):
            bucket, _, prefix = url.removeprefix("s3://").partition("/")
            return ObstoreObjects(
                S3Store(bucket, prefix=prefix or None, config=config, client_options=options, retry_config=retry)
            )
        return ObstoreObjects(S3Store.from_url(url, config=config, client_options=options, retry_config=retry))
    except (BaseError, ValueError) as error:
        raise SourceError(f"'{url}' is not the address of a tile cache, such as s3://bucket/caches/Name.") from error


class ObstoreObjects:
    """The objects of one obstore store, by key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._versions: OrderedDict[str, str | None] = OrderedDict()
        """ETags of the objects whose start was read most recently."""

    def __reduce__(self) -> tuple[type["ObstoreObjects"], tuple[Store]]:
        """Return how another process opens the same store."""
        return ObstoreObjects, (self._store,)

    def read(self, key: str) -> bytes:
        """Return a whole object."""
        with _translated(key, gets=1):
            return obstore.get(self._store, key).bytes().to_bytes()

    def read_start(self, key: str, size_bytes: int) -> tuple[memoryview, int]:
        """Return the first bytes of an object, and its whole length."""
        try:
            with _translated(key, gets=1):
                found = obstore.get(self._store, key, options={"range": (0, size_bytes)})
                self._remember(key, found.meta["e_tag"])
                return memoryview(found.bytes()), found.meta["size"]
        except SourceError:
            if self._size_if_there(key) == 0:  # an empty object has no ranges
                return memoryview(b""), 0
            raise

    def read_many(self, keys: Sequence[str]) -> Iterator[bytes | None]:
        """Yield whole objects in the order of their keys."""
        return self._readers.map(self._read_if_there, keys)

    def read_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> Iterator[memoryview]:
        """Yield byte ranges of one object, reading up to `_AHEAD_BYTES` ahead."""
        waiting: deque[tuple[int, Future[memoryview]]] = deque()
        ahead_bytes = 0
        for start, stop in ranges:
            waiting.append((stop - start, self._readers.submit(self._read_range, key, (start, stop), version)))
            ahead_bytes += stop - start
            while ahead_bytes > _AHEAD_BYTES:
                size_bytes, body = waiting.popleft()
                yield body.result()
                ahead_bytes -= size_bytes
        while waiting:
            yield waiting.popleft()[1].result()

    def sizes_bytes(self, keys: Sequence[str]) -> Iterator[int | None]:
        """Yield the lengths of objects in the order of their keys."""
        return self._readers.map(self._size_if_there, keys)

    def version(self, key: str) -> str | None:
        """Return the ETag of an object, or its time and size; None if it does not exist."""
        try:
            with _translated(key):
                found = obstore.head(self._store, key)
        except KeyError:
            return None
        return found["e_tag"] or f"{found['last_modified'].isoformat()} {found['size']}"

    def modified_at(self, keys: Sequence[str]) -> Iterator[datetime | None]:
        """Yield when objects were written, in the order of their keys."""
        return self._readers.map(self._modified_if_there, keys)

    def write(self, key: str, body: bytes | Sequence[Tile]) -> None:
        """Store an object."""
        with _translated(key, puts=_write_requests(body)):
            obstore.put(
                self._store,
                key,
                body if isinstance(body, bytes) else _in_blocks(body),
                use_multipart=size_bytes(body) > _MULTIPART_BYTES,
                chunk_size=_CHUNK_BYTES,
                max_concurrency=_CHUNKS,
            )

    def write_many(self, bodies: Mapping[str, bytes]) -> None:
        """Store small objects by their keys, several at a time."""
        for _ in self._readers.map(self.write, bodies.keys(), bodies.values()):
            pass

    def create(self, key: str, body: bytes) -> bool:
        """Store an object. Return False if the key already exists."""
        try:
            with _translated(key, puts=1):
                obstore.put(self._store, key, body, mode="create", use_multipart=False)
        except FileExistsError:
            return False
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a prefix, in key order."""
        with _translated(prefix, puts=1):
            for number, page in enumerate(obstore.list(self._store, prefix, chunk_size=_LISTED)):
                METER.count(puts=min(number, 1))  # the request for the first page is counted already
                for found in page:
                    yield StoredObject(found["path"], found["size"])

    def list_folder(self, prefix: str) -> StoredFolder:
        """Return the objects and folders directly below a prefix."""
        with _translated(prefix, puts=1):
            found = obstore.list_with_delimiter(self._store, prefix)
        objects = [StoredObject(stored["path"], stored["size"]) for stored in found["objects"]]
        folders = [f"{folder.rstrip('/')}/" for folder in found["common_prefixes"]]
        return StoredFolder(sorted(objects, key=lambda stored: stored.key), sorted(folders))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects."""
        unwanted = list(keys)
        if not unwanted:
            return
        try:
            with _translated(unwanted[0]):
                obstore.delete(self._store, unwanted)
        except KeyError:  # LocalStore, unlike S3, stops at a missing object
            for key in unwanted:
                with suppress(KeyError), _translated(key):
                    obstore.delete(self._store, key)

    def _read_if_there(self, key: str) -> bytes | None:
        try:
            return self.read(key)
        except KeyError:
            return None

    def _size_if_there(self, key: str) -> int | None:
        try:
            with _translated(key, gets=1):
                return obstore.head(self._store, key)["size"]
        except KeyError:
            return None

    def _modified_if_there(self, key: str) -> datetime | None:
        try:
            with _translated(key, gets=1):
                return obstore.head(self._store, key)["last_modified"].replace(microsecond=0)
        except KeyError:
            return None

    def _read_range(self, key: str, span: tuple[int, int], version: str | None) -> memoryview:
        start, stop = span
        with _translated(key, gets=1):
            options: GetOptions = {"range": (start, stop)}
            if version := version or self._versions.get(key):
                options["if_match"] = version
            return memoryview(obstore.get(self._store, key, options=options).bytes())

    def _remember(self, key: str, version: str | None) -> None:
        self._versions[key] = version
        self._versions.move_to_end(key)
        while len(self._versions) > _VERSIONS:
            self._versions.popitem(last=False)


def _write_requests(body: bytes | Sequence[Tile]) -> int:
    """Return the number of requests to write an object: one, or one for each chunk plus two."""
    total_bytes = size_bytes(body)
    return 1 if total_bytes <= _MULTIPART_BYTES else 2 + -(-total_bytes // _CHUNK_BYTES)


def size_bytes(body: bytes | Sequence[Tile]) -> int:
    """Return the length of a body in one or several pieces."""
    return len(body) if isinstance(body, bytes) else sum(map(len, body))


def _in_blocks(pieces: Sequence[Tile]) -> Iterator[bytes]:
    """Yield pieces joined to blocks: passing thousands of pieces to obstore costs more than copying them."""
    start = block_bytes = 0
    for stop, piece in enumerate(pieces, start=1):
        block_bytes += len(piece)
        if block_bytes >= _BLOCK_BYTES:
            yield b"".join(pieces[start:stop])
            start, block_bytes = stop, 0
    if block_bytes:
        yield b"".join(pieces[start:])


@contextmanager
def _translated(key: str, *, gets: int = 0, puts: int = 0) -> Iterator[None]:
    """Count billable requests, and translate errors to those of the port."""
    METER.count(gets=gets, puts=puts)
    try:
        yield
    except (FileNotFoundError, NotFoundError) as error:
        raise KeyError(key) from error
    except (FileExistsError, AlreadyExistsError) as error:
        raise FileExistsError(key) from error
    except PreconditionError as error:
        raise ReplacedError(key) from error
    except (BaseError, OSError) as error:
        if "403 Forbidden" in str(error) or isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            reason = _AWS_MESSAGE.search(str(error))
            text = f"Access to '{key}' is denied: {reason[1] if reason else 'S3 gives no reason'}"
            raise SourceDeniedError(text) from error
        if "incorrectly configured region" in str(error):
            raise SourceError(f"'{key}' is in a bucket of another region than AWS_REGION.") from error
        first_line = str(error).partition("\n")[0]
        raise SourceError(f"The store did not answer for '{key}': {first_line}") from error
