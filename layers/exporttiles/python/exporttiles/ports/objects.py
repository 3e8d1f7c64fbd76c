"""Objects under keys: tiles, fragments, documents."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from exporttiles.ports.tiles import Tile


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """What lies directly below a prefix: objects, and prefixes of more, each in key order."""

    objects: Sequence[StoredObject]
    folders: Sequence[str]


class ObjectReader(Protocol):
    """Objects under keys: in one bucket, below one folder, or inside one archive."""

    def read(self, key: str) -> bytes:
        """Return a whole object.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store did not answer as it should.
        """
        ...

    def read_start(self, key: str, size_bytes: int) -> tuple[memoryview, int]:
        """Return the first bytes of an object, fewer if it is shorter, and its whole length.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store did not answer as it should.
        """
        ...

    def read_many(self, keys: Sequence[str]) -> Iterator[bytes | None]:
        """Yield whole objects in the order of their keys; None where there is none.

        Several are read at a time; the first is there before the last is asked for.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[memoryview]:
        """Yield byte ranges ``[start, stop)`` of one object, several read at a time.

        A range that reaches past the end yields what there is; one that
        begins there is refused.

        Raises:
            KeyError: there is no object under this key.
            SourceError: the store did not answer as it should, or the object
                has been replaced since its start was read.
        """
        ...

    def sizes_bytes(self, keys: Sequence[str]) -> Iterator[int | None]:
        """Yield the lengths of objects in the order of their keys; None where there is none.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def modified_at(self, keys: Sequence[str]) -> Iterator[datetime | None]:
        """Yield when objects were written, in the order of their keys, to the second; None where there is none.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a prefix, in key order."""
        ...


class ObjectStore(ObjectReader, Protocol):
    """Objects that can be written, too."""

    def write(self, key: str, body: bytes | Sequence[Tile]) -> None:
        """Store an object whole, replacing what was there; its bytes may come in pieces."""
        ...

    def create(self, key: str, body: bytes) -> bool:
        """Store an object if the key is free; tell whether it was."""
        ...

    def list_folder(self, prefix: str) -> StoredFolder:
        """Return what lies directly below a prefix that ends in ``/``; nothing if there is no such folder.

        Raises:
            SourceError: the store did not answer as it should.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; keys without an object are passed over."""
        ...
