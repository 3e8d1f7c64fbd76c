"""The members of a zip archive as objects: a tile package in S3 is read in place, like any other cache."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice

from exporttiles.adapters.object_stores import PATIENCE, open_store
from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.formats.archives.zip_reader import (
    LOCAL_HEADER_BYTES,
    TAIL_BYTES,
    MemberHeader,
    contents_offset,
    find_directory,
    read_directory,
)
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_bytes, kind_of_name, kind_of_text
from exporttiles.formats.caches.listing import DOCUMENTS, RASTERS
from exporttiles.formats.caches.stac import STAC_SUFFIX
from exporttiles.ports.objects import ObjectReader, StoredObject

ARCHIVES = (".tpkx", ".tpk", ".zip")
_RASTERS = tuple(f".{extension}" for extension in RASTERS)
_EXTRA_BYTES = 64
"""Expected size of the extra field in a local header; NTFS times take 36 bytes."""


def open_cache(url: str, patience: timedelta = PATIENCE) -> ObjectReader:
    """Return the objects of a cache: below its folder, or inside of its archive.

    Args:
        url: of the cache.
        patience: see `open_store`.

    Raises:
        SourceError: the address names no store.
    """
    folder, _, name = url.rpartition("/")
    return within(open_store(folder, patience), name) if _is_one_file(name) else open_store(url, patience)


def require_cache(objects: ObjectReader, name: str) -> None:
    """Refuse a file of a store that is not an archive of tiles, by its name and kind.

    Args:
        objects: the store; `name` need not be a file in it.
        name: as the user gave it; it never means the folder that contains it.

    Raises:
        SourceError: the file is of another kind.
    """
    try:
        head = bytes(objects.read_start(name, HEAD_BYTES)[0]) if name else b""
    except (KeyError, SourceError):  # a folder, or missing: its listing gives a better message
        return
    lower = name.lower()
    text = kind_of_text(head.decode("utf-8", "replace")) if head else "empty"
    found = kind_of_bytes(head) or text
    if lower.endswith((*ARCHIVES, ".pmtiles", *_RASTERS)):
        expected: bytes | tuple[bytes, ...] = b"PMTiles" if lower.endswith(".pmtiles") else b"PK"
        if lower.endswith(_RASTERS):
            expected = (b"II*", b"MM", b"II+")
        if found and not head.startswith(expected):
            raise SourceError(f"'{name}' is {found}, not what its name says.")
    elif lower in DOCUMENTS:
        raise SourceError(f"'{name}' is a document of a cache. Name the folder of the cache as the source.")
    elif named := kind_of_name(name):
        raise SourceError(f"'{name}' is {named[0]}, not a cache of tiles. {named[1]}")
    elif name and not lower.endswith(STAC_SUFFIX):
        raise SourceError(
            f"'{name}' is {found or 'a file of another kind'}, not a cache of tiles. A source is a folder, or a .tpkx, "
            ".tpk, .zip, .pmtiles or .tif, or a .json of STAC; on this machine also a .mbtiles or .gpkg."
        )


def archive_version(url: str, patience: timedelta = PATIENCE) -> str | None:
    """Return the version of an archive or GeoTIFF, such as its ETag; None for a folder.

    Args:
        url: of the cache.
        patience: see `open_store`.

    Raises:
        SourceError: the address names no store.
    """
    folder, _, name = url.rpartition("/")
    return open_store(folder, patience).version(name) if _is_one_file(name) else None


def _is_one_file(name: str) -> bool:
    return name.lower().endswith((*ARCHIVES, ".pmtiles", *_RASTERS))


def within(objects: ObjectReader, name: str) -> ObjectReader:
    """Return the members of an archive in a store, or the store itself if the name is not an archive.

    A PMTiles archive or a GeoTIFF has no members: it is one object of the store.
    """
    return ArchivedObjects(objects, name) if name.lower().endswith(ARCHIVES) else objects


class ArchivedObjects:
    """The members of an archive, read by byte ranges.

    The directory is read once. Reading fails if the archive is replaced meanwhile.
    """

    def __init__(self, objects: ObjectReader, archive: str) -> None:
        self._objects = objects
        self._archive = archive
        self._offsets: dict[str, int] = {}
        """Offsets of the contents of members that were read before."""

    def read(self, key: str) -> bytes:
        """Return a whole member."""
        return bytes(self.read_start(key, self._member(key).size_bytes)[0])

    def read_start(self, key: str, size_bytes: int) -> tuple[memoryview, int]:
        """Return the first bytes of a member, and its whole length."""
        member = self._member(key)
        (found,) = self._objects.read_ranges(self._archive, [_guess(member, size_bytes)])
        return self._contents(member, found, size_bytes), member.size_bytes

    def read_many(self, keys: Sequence[str]) -> Iterator[bytes | None]:
        """Yield whole members in the order of their keys."""
        members = [self._member(key) if key in self._members else None for key in keys]
        spans = [_guess(member, member.size_bytes) for member in members if member]
        found = self._objects.read_ranges(self._archive, spans)
        for member in members:
            yield bytes(self._contents(member, next(found), member.size_bytes)) if member else None

    def read_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> Iterator[memoryview]:
        """Yield byte ranges of one member."""
        member = self._member(key)
        if key not in self._offsets:
            self.read_start(key, 0)
        at, end = self._offsets[key], self._offsets[key] + member.size_bytes
        spans = [(at + start, min(at + stop, end)) for start, stop in ranges]
        return self._objects.read_ranges(self._archive, spans, version)

    def version(self, key: str) -> str | None:
        """Return the version of the archive, if it has the member."""
        return self._objects.version(self._archive) if key in self._members else None

    def sizes_bytes(self, keys: Sequence[str]) -> Iterator[int | None]:
        """Yield the lengths of members in the order of their keys."""
        members = self._members
        return iter([members[key].size_bytes if key in members else None for key in keys])

    def modified_at(self, keys: Sequence[str]) -> Iterator[datetime | None]:
        """Yield the time at which the archive was written, for each member that exists."""
        (written_at,) = self._objects.modified_at([self._archive])
        members = self._members
        return iter([written_at if key in members else None for key in keys])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the members whose names begin with a prefix, by name."""
        for name in islice(self._names, bisect_left(self._names, prefix), None):
            if not name.startswith(prefix):
                return
            yield StoredObject(name, self._members[name].size_bytes)

    def _member(self, key: str) -> MemberHeader:
        member = self._members[key]
        if not member.is_plain:
            raise DamagedCacheError(
                f"'{key[:80]}' in {self._archive} is compressed or encrypted; what is read in place must be "
                "stored without compression."
            )
        return member

    @cached_property
    def _names(self) -> Sequence[str]:
        return sorted(self._members)

    @cached_property
    def _members(self) -> Mapping[str, MemberHeader]:
        try:
            _, size = self._objects.read_start(self._archive, 1)  # pins the version for the reads that follow
        except KeyError as error:
            raise DamagedCacheError(f"There is no archive {self._archive}.") from error
        try:
            tail_start = max(0, size - TAIL_BYTES)
            tail = next(self._objects.read_ranges(self._archive, [(tail_start, size)])) if size else b""
            place = find_directory(tail, size)
            if place.offset >= tail_start:
                directory = tail[place.offset - tail_start :][: place.size_bytes]
            else:
                span = (place.offset, place.offset + place.size_bytes)
                (directory,) = self._objects.read_ranges(self._archive, [span])
            return {member.name: member for member in read_directory(directory, place)}
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{self._archive}: {error}") from error

    def _contents(self, member: MemberHeader, found: memoryview, size_bytes: int) -> memoryview:
        """Return the first bytes of a member, from a range that was read and at most one more request."""
        try:
            at = self._offsets[member.name] = contents_offset(found, member)
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{self._archive}: {error}") from error
        size, start = min(size_bytes, member.size_bytes), at - member.header_offset
        if len(found) < start + size:
            (found,) = self._objects.read_ranges(self._archive, [(at, at + size)])
            start = 0
        return found[start : start + size]


def _guess(member: MemberHeader, size_bytes: int) -> tuple[int, int]:
    """Return the range that most likely holds the local header and the first bytes of a member."""
    header = LOCAL_HEADER_BYTES + len(member.name) + _EXTRA_BYTES
    return member.header_offset, member.header_offset + header + min(size_bytes, member.size_bytes)
