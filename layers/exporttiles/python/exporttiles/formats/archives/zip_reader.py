"""Reading the members of a zip archive by byte ranges: end records, central directory, local headers.

The caller supplies the bytes, so that archives in object storage are read without
downloading them. Archives are untrusted input: sizes and counts are bounded,
and no offset outside of the file is followed.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12-4.3.16 and 4.5.3.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Self

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.zip_writer import (
    CENTRAL_HEADER,
    CENTRAL_SIGNATURE,
    END,
    END_SIGNATURE,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    MAX_16,
    MAX_32,
    STORED,
    ZIP64_END,
    ZIP64_END_SIGNATURE,
    ZIP64_EXTRA,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_SIGNATURE,
)

TAIL_BYTES = 128 * 1024
"""Enough for the longest comment and all end records; mostly for the whole directory."""

MAX_DIRECTORY_BYTES = 32 * 2**20
"""Limit of the directory of a cache: of 350,000 bundles. It is kept in memory for as long as the cache is read."""

MAX_CHECKED_DIRECTORY_BYTES = 128 * 2**20
"""Limit of the directory of a package: of 1,500,000 bundles, more than an export may have (`plan.MAX_BUNDLES`)."""

LOCAL_HEADER_BYTES = LOCAL_HEADER.size

ENCRYPTED, HAS_DESCRIPTOR = 0x01, 0x08  # flags of a member


@dataclass(frozen=True, slots=True)
class Directory:
    """Offset and length of the central directory, and the number of members it lists."""

    offset: int
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class EndRecord:
    """End of central directory record, in its ordinary or its ZIP64 form.

    Attributes:
        offset: of the record in the archive.
        directory: as the record describes it, unchecked.
        is_split: the archive has several files, or claims so.
    """

    offset: int
    directory: Directory
    is_split: bool

    def resolve_zip64(self, read: Callable[[int, int], bytes]) -> "EndRecord":
        """Return the ZIP64 record if this one refers to it, else this one.

        Args:
            read: returns bytes ``[start, stop)`` of the archive; fewer if it does not have them.

        Raises:
            DamagedCacheError: the ZIP64 record is not where the locator says.
        """
        if self.directory.count != MAX_16 and MAX_32 not in {self.directory.size_bytes, self.directory.offset}:
            return self
        locator_offset = self.offset - ZIP64_LOCATOR.size
        locator = read(max(0, locator_offset), self.offset)
        if len(locator) < ZIP64_LOCATOR.size or not locator.startswith(ZIP64_LOCATOR_SIGNATURE):
            return self
        offset = ZIP64_LOCATOR.unpack(locator)[2]
        record = read(offset, offset + ZIP64_END.size) if offset + ZIP64_END.size <= locator_offset else b""
        if len(record) < ZIP64_END.size or not record.startswith(ZIP64_END_SIGNATURE):
            raise DamagedCacheError("The archive's ZIP64 end record is not where it should be.")
        return _end_record(offset, *ZIP64_END.unpack(record)[4:])

    def check_directory(self, max_bytes: int) -> Directory:
        """Return the directory if it can lie before this record and is not too long to be read.

        Raises:
            DamagedCacheError: it cannot, or is too long.
        """
        directory = self.directory
        if directory.size_bytes > max_bytes or directory.count * CENTRAL_HEADER.size > directory.size_bytes:
            raise DamagedCacheError(
                f"The central directory claims {counted(directory.count, 'member')} in "
                f"{counted(directory.size_bytes, 'byte')}; it is not read."
            )
        if directory.offset + directory.size_bytes > self.offset:
            raise DamagedCacheError("The central directory is not where the archive's end says.")
        return directory


@dataclass(frozen=True, slots=True)
class MemberHeader:
    """Fields that the local header of a member and its entry in the central directory share.

    Attributes:
        needed: version of the format that a reader must know.
        compressed_bytes: length of the contents in the archive.
        size_bytes: length of the contents.
        header_offset: of the local header, which the contents follow; 0 in a local header.
    """

    needed: int
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    raw_name: bytes
    header_offset: int

    @property
    def name(self) -> str:
        """Return the name, decoded as UTF-8."""
        return self.raw_name.decode("utf-8", "backslashreplace")

    @property
    def is_plain(self) -> bool:
        """Return True if the contents are neither compressed nor encrypted."""
        is_stored = self.method == STORED and self.size_bytes == self.compressed_bytes
        return is_stored and not self.flags & ENCRYPTED

    @classmethod
    def of_local(cls, data: bytes) -> Self:
        """Return the fields of a whole local header."""
        return cls._of(LOCAL_HEADER.unpack_from(data)[1:], data[LOCAL_HEADER.size :], 0)

    @classmethod
    def of_central(cls, fields: tuple[int, ...], name_and_extra: bytes) -> Self:
        """Return the fields of an entry of the central directory."""
        return cls._of(fields[2:12], name_and_extra, fields[16])

    @classmethod
    def _of(cls, shared: tuple[int, ...], name_and_extra: bytes, offset: int) -> Self:
        needed, flags, method, _, _, crc32, compressed, size, name_size, extra_size = shared
        extra = name_and_extra[name_size : name_size + extra_size]
        size, compressed, offset = _zip64_values(extra, size, compressed, offset)
        return cls(needed, flags, method, crc32, compressed, size, name_and_extra[:name_size], offset)


def find_end(tail: bytes, tail_offset: int) -> EndRecord | None:
    """Return the ordinary end record; None if there is none.

    Args:
        tail: the last bytes of the archive.
        tail_offset: where they begin in the archive.
    """
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END.size:
        return None
    return _end_record(tail_offset + at, *END.unpack_from(tail, at)[1:-1])


def _end_record(  # noqa: PLR0917 the fields of both records, in their order
    record_offset: int, disk: int, first_disk: int, here: int, count: int, size: int, offset: int
) -> EndRecord:
    return EndRecord(record_offset, Directory(offset, size, count), not disk == first_disk == 0 or here != count)


def find_directory(tail: bytes | memoryview, file_size_bytes: int) -> Directory:
    """Return where the central directory lies.

    Args:
        tail: the last `TAIL_BYTES` of the archive, or all of it.
        file_size_bytes: length of the archive.

    Raises:
        DamagedCacheError: it is not a zip archive, or one that cannot be read.
    """
    data = bytes(tail)
    tail_offset = file_size_bytes - len(data)

    def read(start: int, stop: int) -> bytes:
        return data[start - tail_offset : stop - tail_offset] if start >= tail_offset else b""

    ordinary = find_end(data, tail_offset)
    if ordinary is None:
        raise DamagedCacheError("It is not a zip archive, or its end is missing.")
    end = ordinary.resolve_zip64(read)
    if end.is_split:
        raise DamagedCacheError("The archive is split into several files.")
    return end.check_directory(MAX_DIRECTORY_BYTES)


def read_directory(data: bytes | memoryview, directory: Directory) -> Iterator[MemberHeader]:
    """Yield the members that lie inside of the archive; folders are left out.

    Args:
        data: the bytes of the central directory.
        directory: where it lies.

    Raises:
        DamagedCacheError: the directory is cut short, or a member does not lie
            before it.
    """
    found = 0
    for header, _ in islice(read_entries(bytes(data)), directory.count):
        found += 1
        if header.header_offset + LOCAL_HEADER.size + header.compressed_bytes > directory.offset:
            raise DamagedCacheError(f"'{header.name[:80]}' reaches into the archive's central directory.")
        if not header.raw_name.endswith(b"/"):
            yield header
    if found < directory.count:
        raise DamagedCacheError(f"The central directory holds {found:,} of {counted(directory.count, 'member')}.")


def read_entries(data: bytes) -> Iterator[tuple[MemberHeader, int]]:
    """Yield the entries of a central directory, each with the offset of its end, up to the first that is not one."""
    at = 0
    while data.startswith(CENTRAL_SIGNATURE, at) and len(data) >= at + CENTRAL_HEADER.size:
        fields = CENTRAL_HEADER.unpack_from(data, at)
        name_size, extra_size, comment_size = fields[10:13]
        at += CENTRAL_HEADER.size
        header = MemberHeader.of_central(fields, data[at : at + name_size + extra_size])
        at += name_size + extra_size + comment_size
        yield header, at


def local_header_size(data: bytes | memoryview) -> int | None:
    """Return the length of a local header from its first bytes; None if it is none."""
    if len(data) < LOCAL_HEADER.size or bytes(data[:4]) != LOCAL_SIGNATURE:
        return None
    name_size, extra_size = LOCAL_HEADER.unpack_from(data)[9:11]
    return LOCAL_HEADER.size + int(name_size) + int(extra_size)


def contents_offset(data: bytes | memoryview, member: MemberHeader) -> int:
    """Return where the contents of a member begin in the archive.

    Args:
        data: the first `LOCAL_HEADER_BYTES` of its local header, or more.
        member: as the directory lists it.

    Raises:
        DamagedCacheError: there is no local header.
    """
    size = local_header_size(data)
    if size is None:
        raise DamagedCacheError(f"There is no local header of '{member.name[:80]}' at byte {member.header_offset}.")
    return member.header_offset + size


def _zip64_values(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Return size, compressed size and offset, those that are too large from the ZIP64 field."""
    values = [size, compressed, offset]
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == ZIP64_EXTRA:
            field = extra[at + 4 : at + 4 + length]
            wide = struct.iter_unpack("<Q", field[: len(field) // 8 * 8])
            values = [next(wide, (value,))[0] if value == MAX_32 else value for value in values]
        at += 4 + length
    return values[0], values[1], values[2]
