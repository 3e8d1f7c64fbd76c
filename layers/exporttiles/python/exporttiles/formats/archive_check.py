"""Checks a zip archive against the rules that ArcGIS sets for tile packages.

The members must be stored as they are, known beforehand and lie one behind
the other; ordinary zip readers accept much more.

Source: PKWARE APPNOTE.TXT 6.3.10, section 4.3.
"""

import zlib
from dataclasses import dataclass
from typing import BinaryIO

from exporttiles.formats.findings import Findings
from exporttiles.formats.zip_archive import CENTRAL_HEADER, END, LOCAL_HEADER, ZIP64_END, ZIP64_LOCATOR
from exporttiles.formats.zip_directory import zip64_values

MAX_DIRECTORY_BYTES = 16 * 2**20
"""Enough for 200,000 bundles; a longer directory is not read."""

_MAX_16 = 0xFFFF
_MAX_32 = 0xFFFFFFFF
_VERSIONS_NEEDED = frozenset({10, 20, 45})
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member as the central directory tells it, and where its bytes lie."""

    name: str
    size_bytes: int
    crc32: int
    header_offset: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Directory:
    offset: int
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class _Header:
    """What a local and a central header both tell."""

    needed: int
    flags: int
    method: int
    crc32: int
    compressed: int
    size: int
    name: bytes
    header_offset: int = 0


def check_archive(file: BinaryIO, findings: Findings) -> list[StoredMember]:
    """Note what is wrong with an archive and return the files in it.

    Args:
        file: seekable; read in pieces of at most `MAX_DIRECTORY_BYTES`.
        findings: faults are added here.

    Returns:
        The files in the order in which they lie; none if their places cannot
        be trusted. Every one of them lies inside the file.
    """
    file_size = file.seek(0, 2)
    directory = _find_directory(file, file_size, findings)
    if directory is None:
        return []
    headers = _read_directory(file, directory, findings)
    members = _locate(file, headers, directory, findings)
    for member in members or ():
        _check_crc(file, member, findings)
    return [member for member in members or () if not member.name.endswith("/")]


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Return bytes from a place in a file; fewer if it ends before."""
    file.seek(offset)
    return file.read(size)


def _find_directory(file: BinaryIO, file_size: int, findings: Findings) -> _Directory | None:
    tail_size = min(file_size, END.size + _MAX_16)
    tail = read_at(file, file_size - tail_size, tail_size)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < END.size:
        findings.add("", "It is no zip archive, or its end is missing.")
        return None
    findings.require(len(tail) - at == END.size, "", "The archive has a comment or bytes behind its end.")
    end_offset = file_size - tail_size + at
    _, disk, first_disk, here, count, size, offset, _ = END.unpack_from(tail, at)
    findings.require(disk == first_disk == 0 and here == count, "", "The archive is split into several files.")

    if count == _MAX_16 or _MAX_32 in (size, offset):
        locator = read_at(file, max(0, end_offset - ZIP64_LOCATOR.size), ZIP64_LOCATOR.size)
        if locator.startswith(b"PK\6\7") and len(locator) == ZIP64_LOCATOR.size:
            end_offset = ZIP64_LOCATOR.unpack(locator)[2]
            record = read_at(file, end_offset, ZIP64_END.size) if end_offset < file_size else b""
            if not record.startswith(b"PK\6\6") or len(record) < ZIP64_END.size:
                findings.add("", "The archive's ZIP64 end record is not where it should be.")
                return None
            count, size, offset = ZIP64_END.unpack(record)[7:]
    if size > MAX_DIRECTORY_BYTES or count * CENTRAL_HEADER.size > size:
        findings.add("", f"The central directory claims {count} members in {size} bytes; it is not read.")
        return None
    if offset + size > end_offset:
        findings.add("", "The central directory is not where the archive's end says.")
        return None
    findings.require(offset + size == end_offset, "", "There are bytes between the central directory and its end.")
    return _Directory(offset, size, count)


def _read_directory(file: BinaryIO, directory: _Directory, findings: Findings) -> list[_Header]:
    data = read_at(file, directory.offset, directory.size_bytes)
    headers: list[_Header] = []
    at = 0
    while data.startswith(b"PK\1\2", at) and len(data) >= at + CENTRAL_HEADER.size:
        fields = CENTRAL_HEADER.unpack_from(data, at)
        at += CENTRAL_HEADER.size
        name_size, extra_size, comment_size = fields[10:13]
        name = data[at : at + name_size]
        extra = data[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        size, compressed, offset = zip64_values(extra, fields[9], fields[8], fields[16])
        headers.append(_Header(fields[2], fields[3], fields[4], fields[7], compressed, size, name, offset))
    whole = at == len(data) == directory.size_bytes and len(headers) == directory.count
    findings.require(whole, "", f"The central directory holds {len(headers)} of {directory.count} members.")
    return headers


def _locate(
    file: BinaryIO, headers: list[_Header], directory: _Directory, findings: Findings
) -> list[StoredMember] | None:
    """Return where the members lie, or None if two share bytes or one leaves the archive."""
    members: list[StoredMember] = []
    names: set[str] = set()
    end = 0
    for header in sorted(headers, key=lambda header: header.header_offset):
        name = header.name.decode("ascii", "backslashreplace")
        _check_header(name, header, findings)
        findings.require(name.lower() not in names, name, "The name is in the archive twice.")
        names.add(name.lower())
        start = header.header_offset
        local, local_size = _read_local(file, start) if start < directory.offset else (None, 0)
        if local is None:
            findings.add(name, f"There is no local header at byte {start}.")
            return None
        if not findings.require(start >= end, name, f"It begins at byte {start}, inside the member before it."):
            return None
        findings.require(start == end, name, f"The {start - end} bytes before it belong to no member.")
        _compare(name, local, header, findings)
        end = start + local_size + header.compressed
        if not findings.require(end <= directory.offset, name, "It reaches into the central directory."):
            return None
        if header.method == 0 and header.size == header.compressed:
            members.append(StoredMember(name, header.size, header.crc32, start, start + local_size))
    findings.require(end == directory.offset, "", "There are bytes between the last member and the directory.")
    return members


def _check_header(name: str, header: _Header, findings: Findings) -> None:
    findings.require(header.name.isascii(), name, "The name is not plain ASCII.")
    findings.require(header.method == 0, name, "It is compressed; ArcGIS reads only stored members.")
    findings.require(header.size == header.compressed, name, "Its two sizes differ although it is stored.")
    findings.require(not header.flags & 0x01, name, "It is encrypted.")
    findings.require(not header.flags & 0x08, name, "It has a data descriptor.")
    findings.require(not header.flags & ~0x09, name, f"Its flags are {header.flags:#06x} instead of 0.")
    findings.require(header.needed in _VERSIONS_NEEDED, name, f"It asks for zip version {header.needed / 10}.")


def _read_local(file: BinaryIO, offset: int) -> tuple[_Header | None, int]:
    data = read_at(file, offset, LOCAL_HEADER.size)
    if len(data) < LOCAL_HEADER.size or not data.startswith(b"PK\3\4"):
        return None, 0
    _, needed, flags, method, _, _, crc32, compressed, size, name_size, extra_size = LOCAL_HEADER.unpack(data)
    rest = file.read(name_size + extra_size)
    size, compressed, _ = zip64_values(rest[name_size:], size, compressed, 0)
    header = _Header(needed, flags, method, crc32, compressed, size, rest[:name_size])
    return header, LOCAL_HEADER.size + name_size + extra_size


def _compare(name: str, local: _Header, central: _Header, findings: Findings) -> None:
    for what in ("name", "flags", "method", "crc32", "compressed", "size"):
        one, other = getattr(local, what), getattr(central, what)
        text = f"Its local header and the directory differ in {what}: {one!r}, {other!r}."
        findings.require(one == other, name, text)


def _check_crc(file: BinaryIO, member: StoredMember, findings: Findings) -> None:
    file.seek(member.offset)
    left, crc32 = member.size_bytes, 0
    while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
        crc32 = zlib.crc32(chunk, crc32)
        left -= len(chunk)
    findings.require(not left and crc32 == member.crc32, member.name, "Its checksum (CRC-32) is wrong.")
