"""Checks a zip archive against the rules that ArcGIS sets for tile packages.

The members must be stored as they are, known beforehand and lie one behind
the other; ordinary zip readers accept much more.

Source: PKWARE APPNOTE.TXT 6.3.10, section 4.3.
"""

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, Span
from exporttiles.formats.archives.zip_archive import CENTRAL_HEADER, END, LOCAL_HEADER, ZIP64_END, ZIP64_LOCATOR
from exporttiles.formats.archives.zip_directory import zip64_values
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_bytes, kind_of_text
from exporttiles.formats.checks.findings import Findings

MAX_DIRECTORY_BYTES = 128 * 2**20
"""Enough for 1,500,000 bundles; a longer directory is not read."""

_MAX_16 = 0xFFFF
_MAX_32 = 0xFFFFFFFF
_ZIP64_EXTRA_BYTES = 20
_ENCRYPTED, _HAS_DESCRIPTOR = 0x01, 0x08
_MAX_DESCRIPTOR_BYTES = 24
_VERSIONS_NEEDED = frozenset({10, 20, 45})
_CHUNK_BYTES = 8 * 2**20
_EXTRA_BYTES = 64
"""Of a local header, read in the hope that it has no more."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of a file is read; all of it, unless something else is said.

    Attributes:
        headers: names of the members whose headers and indexes are read; None for all.
        contents: names of those of which every byte is read, for their checksum; None for all.
        tiles: look at the beginning of every tile.
    """

    headers: Collection[str] | None = None
    contents: Collection[str] | None = None
    tiles: bool = True

    def has_header(self, name: str) -> bool:
        """Tell whether header and index of a member are read."""
        return self.headers is None or name in self.headers

    def has_contents(self, name: str) -> bool:
        """Tell whether all of a member is read."""
        return self.contents is None or name in self.contents


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member as the central directory lists it, and where its bytes lie.

    Attributes:
        is_plain: the bytes are the file itself, neither compressed nor
            encrypted. Of other members only the name is known.
    """

    name: str
    size_bytes: int
    crc32: int
    header_offset: int
    offset: int
    is_plain: bool = True

    def head(self, size_bytes: int) -> Span:
        """Return where its first bytes lie, fewer if it is shorter."""
        return self.offset, self.offset + min(size_bytes, self.size_bytes)


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

    @property
    def text(self) -> str:
        """Return the name, with whatever is not ASCII made visible."""
        return self.name.decode("ascii", "backslashreplace")

    @property
    def is_plain(self) -> bool:
        """Return True if the bytes of the member are those of the file."""
        return self.method == 0 and self.size == self.compressed and not self.flags & _ENCRYPTED

    @property
    def expected_size(self) -> int:
        """Return how many bytes the local header has if it holds no more than it must."""
        return LOCAL_HEADER.size + len(self.name) + (_ZIP64_EXTRA_BYTES if self.size >= _MAX_32 else 0)


def check_archive(file: RangedFile, findings: Findings, scope: Scope) -> list[StoredMember] | None:
    """Note what is wrong with an archive and return the files in it.

    Args:
        file: read in pieces of at most `MAX_DIRECTORY_BYTES`.
        findings: faults are added here.
        scope: of which members headers and bytes are read. The directory is
            read whole, and tells of the others that they lie without gaps.

    Returns:
        The files in the order in which they are listed. Every one of them lies
        inside the file. None if it is no archive, or their places cannot be
        trusted; a finding says so.
    """
    directory = _find_directory(file, findings)
    if directory is None:
        return None
    headers = _read_directory(file, directory, findings)
    members = _locate(file, headers, directory, scope, findings)
    if members is None:
        return None
    readable = [member for member in members if member.is_plain and scope.has_contents(member.name)]
    _check_contents(file, readable, findings)
    return [member for member in members if not member.name.endswith("/")]


def _find_directory(file: RangedFile, findings: Findings) -> _Directory | None:
    file_size = file.size_bytes
    tail_size = min(file_size, END.size + _MAX_16)
    tail = file.read(file_size - tail_size, file_size)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < END.size:
        findings.add("", _no_archive(file.read(0, HEAD_BYTES)))
        return None
    findings.require(len(tail) - at == END.size, "", "The archive has a comment or bytes behind its end.")
    end_offset = file_size - tail_size + at
    _, disk, first_disk, here, count, size, offset, _ = END.unpack_from(tail, at)
    findings.require(disk == first_disk == 0 and here == count, "", "The archive is split into several files.")

    if count == _MAX_16 or _MAX_32 in (size, offset):
        locator = file.read(max(0, end_offset - ZIP64_LOCATOR.size), end_offset)
        if locator.startswith(b"PK\6\7") and len(locator) == ZIP64_LOCATOR.size:
            end_offset = ZIP64_LOCATOR.unpack(locator)[2]
            record = file.read(end_offset, end_offset + ZIP64_END.size)
            if not record.startswith(b"PK\6\6") or len(record) < ZIP64_END.size:
                findings.add("", "The archive's ZIP64 end record is not where it should be.")
                return None
            count, size, offset = ZIP64_END.unpack(record)[7:]
    if size > MAX_DIRECTORY_BYTES or count * CENTRAL_HEADER.size > size:
        findings.add(
            "", f"The central directory claims {counted(count, 'member')} in {counted(size, 'byte')}; it is not read."
        )
        return None
    if offset + size > end_offset:
        findings.add("", "The central directory is not where the archive's end says.")
        return None
    findings.require(offset + size == end_offset, "", "There are bytes between the central directory and its end.")
    return _Directory(offset, size, count)


def _no_archive(start: bytes) -> str:
    """Return what a file is, by its first bytes, that has no end of a zip archive."""
    if not start:
        return "It is empty."
    if start.startswith(b"PK\3\4"):
        return "It is a zip archive whose end is missing: cut off, or not yet written to its end."
    kind = kind_of_bytes(start) or kind_of_text(start.decode("latin-1").removeprefix("\xef\xbb\xbf"))
    return f"It is {kind}, and no zip archive." if kind else "It is no zip archive."


def _read_directory(file: RangedFile, directory: _Directory, findings: Findings) -> list[_Header]:
    data = file.read(directory.offset, directory.offset + directory.size_bytes)
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
    findings.require(
        whole, "", f"The central directory holds {len(headers):,} of {counted(directory.count, 'member')}."
    )
    return headers


def _locate(
    file: RangedFile, headers: list[_Header], directory: _Directory, scope: Scope, findings: Findings
) -> list[StoredMember] | None:
    """Return where the members lie, or None if two share bytes or one leaves the archive."""
    members: dict[int, StoredMember] = {}
    names, lower_names = set[str](), set[str]()
    end = slack = 0
    in_place = sorted(headers, key=lambda header: header.header_offset)
    wanted = [header for header in in_place if scope.has_header(header.text)]
    local_headers = file.ranges(_span(header, directory) for header in wanted)
    for header in in_place:
        name, start = header.text, header.header_offset
        _check_header(name, header, findings)
        findings.require(name not in names, name, "The name is in the archive twice.")
        is_alone = name.lower() not in lower_names or name in names
        findings.require(is_alone, name, "Another name differs from it in capitals alone.")
        names.add(name)
        lower_names.add(name.lower())
        local_size = header.expected_size
        if scope.has_header(name):
            local, local_size = _read_local(file, start, next(local_headers))
            if local is None:
                findings.add(name, f"There is no local header at byte {start}.")
                return None
            _compare(name, local, header, findings)
        if not findings.require(start >= end, name, f"It begins at byte {start}, inside the member before it."):
            return None
        gap = start - end
        findings.require(gap <= slack, name, f"The {gap} bytes before it belong to no member.")
        end = start + local_size + header.compressed
        slack = _MAX_DESCRIPTOR_BYTES if header.flags & _HAS_DESCRIPTOR else 0
        if not findings.require(end <= directory.offset, name, "It reaches into the central directory."):
            return None
        members[start] = StoredMember(name, header.size, header.crc32, start, start + local_size, header.is_plain)
    findings.require(directory.offset - end <= slack, "", "There are bytes between the last member and the directory.")
    return [members[header.header_offset] for header in headers if header.header_offset in members]


def _span(header: _Header, directory: _Directory) -> Span:
    start = header.header_offset
    return start, min(start + LOCAL_HEADER.size + len(header.name) + _EXTRA_BYTES, directory.offset)


def _check_header(name: str, header: _Header, findings: Findings) -> None:
    findings.require(header.name.isascii(), name, "The name is not plain ASCII.")
    if findings.require(header.method == 0, name, "It is compressed; ArcGIS reads only stored members."):
        findings.require(header.size == header.compressed, name, "Its two sizes differ although it is stored.")
    findings.require(not header.flags & _ENCRYPTED, name, "It is encrypted.")
    findings.require(not header.flags & _HAS_DESCRIPTOR, name, "It has a data descriptor.")
    others = header.flags & ~(_ENCRYPTED | _HAS_DESCRIPTOR)
    if header.method == 0:  # else some tell how it is compressed
        findings.require(not others, name, f"Its flags are {header.flags:#06x} instead of 0.")
        version = header.needed & 0xFF  # the other byte names a system, in archives by macOS (APPNOTE 4.4.2)
        findings.require(version in _VERSIONS_NEEDED, name, f"It asks for zip version {version / 10}.")


def _read_local(file: RangedFile, offset: int, data: bytes | memoryview) -> tuple[_Header | None, int]:
    """Return a local header and its length, from its first bytes and perhaps one more request."""
    data = bytes(data)
    if len(data) < LOCAL_HEADER.size or not data.startswith(b"PK\3\4"):
        return None, 0
    _, needed, flags, method, _, _, crc32, compressed, size, name_size, extra_size = LOCAL_HEADER.unpack_from(data)
    local_size = LOCAL_HEADER.size + name_size + extra_size
    if local_size > len(data):
        data = file.read(offset, offset + local_size)
    name, extra = data[LOCAL_HEADER.size :][:name_size], data[LOCAL_HEADER.size + name_size : local_size]
    size, compressed, _ = zip64_values(extra, size, compressed, 0)
    return _Header(needed, flags, method, crc32, compressed, size, name), local_size


def _compare(name: str, local: _Header, central: _Header, findings: Findings) -> None:
    # Where a data descriptor follows, the local header does not know these yet (APPNOTE 4.4.4).
    counts = () if central.flags & local.flags & _HAS_DESCRIPTOR else ("crc32", "compressed", "size")
    for what in ("name", "flags", "method", *counts):
        one, other = getattr(local, what), getattr(central, what)
        text = f"Its local header and the directory differ in {what}: {one!r}, {other!r}."
        findings.require(one == other, name, text)


def _check_contents(file: RangedFile, members: list[StoredMember], findings: Findings) -> None:
    chunks = file.ranges(span for member in members for span in _chunks(member))
    for member in members:
        crc32 = 0
        for _ in _chunks(member):
            crc32 = zlib.crc32(next(chunks), crc32)
        findings.require(crc32 == member.crc32, member.name, "Its checksum (CRC-32) is wrong.")


def _chunks(member: StoredMember) -> Iterator[Span]:
    end = member.offset + member.size_bytes
    for start in range(member.offset, end, _CHUNK_BYTES):
        yield start, min(start + _CHUNK_BYTES, end)
