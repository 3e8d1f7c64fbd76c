"""Objects under keys: tiles, fragments, documents."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from exporttiles.formats.archives.ranged_file import RangedFile, Span
from exporttiles.ports.tiles import Tile

_HEAD_BYTES = 64 * 2**10
"""Read with the first request for a file; it holds the directories of most."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """The objects and folders directly below a prefix, each in key order."""

    objects: Sequence[StoredObject]
    folders: Sequence[str]


class ObjectReader(Protocol):
    """Read access to objects by key: in a bucket, below a folder, or inside an archive."""

    def read(self, key: str) -> bytes:
        """Return a whole object.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store failed or did not answer.
        """
        ...

    def read_start(self, key: str, size_bytes: int) -> tuple[memoryview, int]:
        """Return the first bytes of an object, fewer if it is shorter, and its whole length.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store failed or did not answer.
        """
        ...

    def read_many(self, keys: Sequence[str]) -> Iterator[bytes | None]:
        """Yield whole objects in the order of their keys; None where there is none.

        Several are read at a time; the first is yielded before the last is requested.

        Raises:
            SourceError: the store failed or did not answer.
        """
        ...

    def read_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> Iterator[memoryview]:
        """Yield byte ranges ``[start, stop)`` of one object, several read at a time.

        A range that reaches past the end is cut; one that begins there raises SourceError.

        Args:
            key: of the object.
            ranges: in any order.
            version: that the object must have, see `version`; None for that whose start was read last.

        Raises:
            KeyError: there is no object under this key.
            ReplacedError: the object has another version.
            SourceError: the store failed or did not answer.
        """
        ...

    def version(self, key: str) -> str | None:
        """Return the version of an object, such as its ETag; None if there is no object under this key.

        Raises:
            SourceError: the store failed or did not answer.
        """
        ...

    def sizes_bytes(self, keys: Sequence[str]) -> Iterator[int | None]:
        """Yield the lengths of objects in the order of their keys; None where there is none.

        Raises:
            SourceError: the store failed or did not answer.
        """
        ...

    def modified_at(self, keys: Sequence[str]) -> Iterator[datetime | None]:
        """Yield when objects were written, in the order of their keys, to the second; None where there is none.

        Raises:
            SourceError: the store failed or did not answer.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a prefix, in key order."""
        ...


class ObjectStore(ObjectReader, Protocol):
    """Read and write access to objects by key."""

    def write(self, key: str, body: bytes | Sequence[Tile]) -> None:
        """Store an object, replacing an existing one; its bytes may come in pieces."""
        ...

    def write_many(self, bodies: Mapping[str, bytes]) -> None:
        """Store small objects by their keys, several at a time."""
        ...

    def create(self, key: str, body: bytes) -> bool:
        """Store an object. Return False if the key already exists."""
        ...

    def list_folder(self, prefix: str) -> StoredFolder:
        """Return the objects and folders directly below a prefix that ends in ``/``.

        Raises:
            SourceError: the store failed or did not answer.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; keys that do not exist are ignored."""
        ...


def ranged_file(objects: ObjectReader, key: str, head_bytes: int = _HEAD_BYTES) -> RangedFile:
    """Return an object as a file that is read by byte ranges; its first bytes are read at once.

    Raises:
        KeyError: there is no object under this key.
        SourceError: the store failed or did not answer.
    """
    head, size_bytes = objects.read_start(key, head_bytes)

    def read_ranges(spans: Sequence[Span]) -> Iterator[memoryview]:
        if all(stop <= len(head) for _, stop in spans):
            return iter([head[start:stop] for start, stop in spans])
        return objects.read_ranges(key, spans)

    return RangedFile(size_bytes, read_ranges)
