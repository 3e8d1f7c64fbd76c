"""Finding the members of a zip archive from its last bytes, without reading the rest.

Made for archives in object storage: the caller brings bytes, this tells which
ones. The archive may be anybody's, so that sizes and counts are bounded and
nothing is believed that points outside of the file.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.12-4.3.16 and 4.5.3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.zip_archive import CENTRAL_HEADER, END, LOCAL_HEADER, ZIP64_END, ZIP64_LOCATOR

TAIL_BYTES = 128 * 1024
"""Enough for the longest comment and all end records; mostly for the whole directory."""

MAX_DIRECTORY_BYTES = 32 * 2**20
"""Enough for 350,000 bundles; a longer directory is not read."""

LOCAL_HEADER_BYTES = LOCAL_HEADER.size

_MAX_16 = 0xFFFF
_MAX_32 = 0xFFFFFFFF
_STORED = 0
_ENCRYPTED = 0x01


@dataclass(frozen=True, slots=True)
class DirectoryPlace:
    """Where the central directory lies in the archive, and how many members it lists."""

    offset: int
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A member as the central directory lists it.

    Attributes:
        size_bytes: of its contents.
        header_offset: where its local header begins; the contents follow that
            header, whose length only it tells.
        is_plain: its bytes lie in the archive as they are, neither compressed
            nor encrypted.
    """

    name: str
    size_bytes: int
    header_offset: int
    is_plain: bool


def find_directory(tail: bytes | memoryview, file_size_bytes: int) -> DirectoryPlace:
    """Return where the central directory lies.

    Args:
        tail: the last `TAIL_BYTES` of the archive, or all of it.
        file_size_bytes: length of the archive.

    Raises:
        DamagedCacheError: it is no zip archive, or one that cannot be read.
    """
    data = bytes(tail)
    tail_offset = file_size_bytes - len(data)
    at = data.rfind(b"PK\5\6")
    if at < 0 or len(data) - at < END.size:
        raise DamagedCacheError("It is no zip archive, or its end is missing.")
    _, disk, first_disk, here, count, size, offset, _ = END.unpack_from(data, at)
    if count == _MAX_16 or _MAX_32 in (size, offset):
        locator_at = at - ZIP64_LOCATOR.size
        if locator_at >= 0 and data.startswith(b"PK\6\7", locator_at):
            at = ZIP64_LOCATOR.unpack_from(data, locator_at)[2] - tail_offset
            if not 0 <= at <= locator_at - ZIP64_END.size or not data.startswith(b"PK\6\6", at):
                raise DamagedCacheError("The archive's ZIP64 end record is not where it should be.")
            _, _, _, _, disk, first_disk, here, count, size, offset = ZIP64_END.unpack_from(data, at)
    if not disk == first_disk == 0 or here != count:
        raise DamagedCacheError("The archive is split into several files.")
    if size > MAX_DIRECTORY_BYTES or count * CENTRAL_HEADER.size > size:
        raise DamagedCacheError(
            f"The central directory claims {counted(count, 'member')} in {counted(size, 'byte')}; it is not read."
        )
    if offset + size > tail_offset + at:
        raise DamagedCacheError("The central directory is not where the archive's end says.")
    return DirectoryPlace(offset, size, count)


def read_directory(data: bytes | memoryview, place: DirectoryPlace) -> Iterator[ListedMember]:
    """Yield the members that lie inside of the archive; folders are left out.

    Args:
        data: the bytes of the central directory.
        place: where it lies.

    Raises:
        DamagedCacheError: the directory is cut short, or a member does not lie
            before it.
    """
    data = bytes(data)
    at = 0
    for number in range(place.count):
        if not data.startswith(b"PK\1\2", at) or len(data) < at + CENTRAL_HEADER.size:
            raise DamagedCacheError(f"The central directory holds {number:,} of {counted(place.count, 'member')}.")
        fields = CENTRAL_HEADER.unpack_from(data, at)
        name_size, extra_size, comment_size = fields[10:13]
        at += CENTRAL_HEADER.size
        name = data[at : at + name_size].decode("utf-8", "backslashreplace")
        extra = data[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        size, compressed, offset = zip64_values(extra, fields[9], fields[8], fields[16])
        if offset + LOCAL_HEADER.size + compressed > place.offset:
            raise DamagedCacheError(f"'{name[:80]}' reaches into the archive's central directory.")
        if not name.endswith("/"):
            is_plain = fields[4] == _STORED and not fields[3] & _ENCRYPTED and size == compressed
            yield ListedMember(name, size, offset, is_plain)


def contents_offset(header: bytes | memoryview, member: ListedMember) -> int:
    """Return where the contents of a member begin in the archive.

    Args:
        header: the first `LOCAL_HEADER_BYTES` of its local header, or more.
        member: whose header it is.

    Raises:
        DamagedCacheError: it is no local header.
    """
    if len(header) < LOCAL_HEADER.size or bytes(header[:4]) != b"PK\3\4":
        raise DamagedCacheError(f"There is no local header of '{member.name[:80]}' at byte {member.header_offset}.")
    name_size, extra_size = LOCAL_HEADER.unpack_from(header)[9:11]
    return member.header_offset + LOCAL_HEADER.size + int(name_size) + int(extra_size)


def zip64_values(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Return size, compressed size and offset, from the ZIP64 field where they are told there."""
    values = [size, compressed, offset]
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 0x0001:
            field = extra[at + 4 : at + 4 + length]
            told = struct.iter_unpack("<Q", field[: len(field) // 8 * 8])
            values = [next(told, (value,))[0] if value == _MAX_32 else value for value in values]
        at += 4 + length
    return values[0], values[1], values[2]
