"""Zip archives: the records of the format, and writing archives without compression.

Sizes and checksums of all members are known beforehand. A local header does
not depend on its offset, so that header and member can be written anywhere and
joined later; the central directory comes last. ArcGIS reads tile packages only
if no member is compressed.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3; constant fields as
in packages written by ArcGIS Pro.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass
from operator import itemgetter
from zlib import crc32

from zlib_ng.zlib_ng import crc32_combine

from exporttiles.domain.errors import PackageError

DOS_EPOCH = (1 << 5 | 1) << 16
"""1980-01-01 00:00, the earliest time of the format: equal members give equal bytes."""

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
ZIP64_END = struct.Struct("<4sQ2H2I4Q")
ZIP64_LOCATOR = struct.Struct("<4sIQI")

LOCAL_SIGNATURE = b"PK\3\4"
CENTRAL_SIGNATURE = b"PK\1\2"
END_SIGNATURE = b"PK\5\6"
ZIP64_END_SIGNATURE = b"PK\6\6"
ZIP64_LOCATOR_SIGNATURE = b"PK\6\7"

MAX_16 = 0xFFFF
MAX_32 = 0xFFFFFFFF
STORED = 0
ZIP64_EXTRA = 0x0001

_NEEDED, _NEEDED_ZIP64 = 10, 45
_MADE_BY = 0x0014  # version 2.0 on FAT
_FILE_ATTRIBUTES = 0x20


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in an archive; the name is ASCII, with ``/`` between folders."""

    name: str
    size_bytes: int
    crc32: int


def local_header(member: ZipMember, *, modified: int = DOS_EPOCH) -> bytes:
    """Return the local header, which stands before a member's bytes.

    Args:
        member: name, size and checksum, all known: there is no data descriptor.
        modified: MS-DOS time, the date in the high 16 bits.

    Raises:
        PackageError: the name cannot be written.
    """
    name = _name(member)
    size = member.size_bytes
    extra = _zip64_extra(size, size) if size >= MAX_32 else b""
    return LOCAL_HEADER.pack(LOCAL_SIGNATURE, *_shared_fields(member, name, extra, modified)) + name + extra


def central_directory(members: Collection[tuple[ZipMember, int]], *, modified: int = DOS_EPOCH) -> bytes:
    """Return the central directory and the end records, which stand after the last member.

    ZIP64 records appear only where a size, an offset or a count needs them.

    Args:
        members: each with the offset of its local header in bytes from the
            beginning of the archive, in the order in which they are listed.
            Their bytes may lie in another order.
        modified: as given to `local_header`.

    Raises:
        PackageError: a member does not begin where the one before it ends, or
            a name appears twice or cannot be written.
    """
    names: set[str] = set()
    start = 0
    for member, offset in sorted(members, key=itemgetter(1)):
        if offset != start:
            raise PackageError(f"'{member.name}' begins at byte {offset}, but the members so far end at {start}.")
        if member.name in names:
            raise PackageError(f"'{member.name}' is in the package twice.")
        names.add(member.name)
        start += len(local_header(member)) + member.size_bytes
    directory = b"".join(_central_header(member, offset, modified) for member, offset in members)
    return directory + _end(len(members), len(directory), start)


def archive_crc32(members: Collection[tuple[ZipMember, int]], directory: bytes) -> int:
    """Return the CRC-32 of a whole archive, calculated from those of its members without reading them.

    Args:
        members: as given to `central_directory`.
        directory: as it returned.

    Raises:
        PackageError: a name cannot be written.
    """
    checksum = 0
    for member, _ in sorted(members, key=itemgetter(1)):
        checksum = crc32_combine(crc32(local_header(member), checksum), member.crc32, member.size_bytes)
    return crc32(directory, checksum)


def _name(member: ZipMember) -> bytes:
    name = member.name
    if not (name and name.isascii() and name.isprintable() and len(name) <= MAX_16):
        raise PackageError(f"'{name[:80]}' cannot be the name of a file in a package.")
    return name.encode("ascii")


def _central_header(member: ZipMember, offset: int, modified: int) -> bytes:
    name = _name(member)
    wide = [member.size_bytes] * 2 if member.size_bytes >= MAX_32 else []
    wide += [offset] if offset >= MAX_32 else []
    extra = _zip64_extra(*wide) if wide else b""
    shared = _shared_fields(member, name, extra, modified)
    fields = CENTRAL_HEADER.pack(CENTRAL_SIGNATURE, _MADE_BY, *shared, 0, 0, 0, _FILE_ATTRIBUTES, min(offset, MAX_32))
    return fields + name + extra


def _shared_fields(member: ZipMember, name: bytes, extra: bytes, modified: int) -> tuple[int, ...]:
    """Return the fields that both headers of a member have, in their order."""
    needed, size = _NEEDED_ZIP64 if extra else _NEEDED, min(member.size_bytes, MAX_32)
    no_flags = 0
    time, date = modified & MAX_16, modified >> 16
    return needed, no_flags, STORED, time, date, member.crc32, size, size, len(name), len(extra)


def _zip64_extra(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", ZIP64_EXTRA, 8 * len(values), *values)


def _end(count: int, size: int, offset: int) -> bytes:
    records = b""
    if count >= MAX_16 or size >= MAX_32 or offset >= MAX_32:
        records = ZIP64_END.pack(
            ZIP64_END_SIGNATURE,
            ZIP64_END.size - 12,  # the signature and this field do not count
            _MADE_BY,
            _NEEDED_ZIP64,
            0,
            0,
            count,
            count,
            size,
            offset,
        ) + ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, 0, offset + size, 1)
    count, size, offset = min(count, MAX_16), min(size, MAX_32), min(offset, MAX_32)
    return records + END.pack(END_SIGNATURE, 0, 0, count, count, size, offset, 0)
