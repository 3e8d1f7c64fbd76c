"""Checking zip archives against the rules of ArcGIS for tile packages.

Members must be stored without compression and data descriptors, one after the
other without gaps; ordinary zip readers accept much more.

Source: PKWARE APPNOTE.TXT 6.3.10, section 4.3.
"""

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, Span, StoredMember
from exporttiles.formats.archives.zip_reader import (
    ENCRYPTED,
    HAS_DESCRIPTOR,
    MAX_CHECKED_DIRECTORY_BYTES,
    Directory,
    MemberHeader,
    find_end,
    local_header_size,
    read_entries,
)
from exporttiles.formats.archives.zip_writer import END, LOCAL_HEADER, LOCAL_SIGNATURE, MAX_16, MAX_32, STORED
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_bytes, kind_of_text
from exporttiles.formats.checks.findings import Findings

_ZIP64_EXTRA_BYTES = 20
_MAX_DESCRIPTOR_BYTES = 24
_VERSIONS_NEEDED = frozenset({10, 20, 45})
_CHUNK_BYTES = 8 * 2**20
_EXTRA_BYTES = 64
"""Guess of the extra field of a local header, to save a second request."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The parts of a file that a check reads; by default all of it.

    Attributes:
        headers: names of the members whose headers and indexes are read; None for all.
        contents: names of those of which every byte is read, for their checksum; None for all.
        tiles: look at the beginning of every tile.
    """

    headers: Collection[str] | None = None
    contents: Collection[str] | None = None
    tiles: bool = True

    def has_header(self, name: str) -> bool:
        """Return True if header and index of a member are read."""
        return self.headers is None or name in self.headers

    def has_contents(self, name: str) -> bool:
        """Return True if a member is read whole."""
        return self.contents is None or name in self.contents


def check_archive(file: RangedFile, findings: Findings, scope: Scope) -> list[StoredMember] | None:
    """Check an archive and return the files in it.

    Args:
        file: read in pieces of at most `MAX_CHECKED_DIRECTORY_BYTES`.
        findings: faults are added here.
        scope: the members whose headers and bytes are read. The directory is always
            read whole, and shows if the others lie without gaps.

    Returns:
        The files in the order in which they are listed. Every one of them lies
        inside the file. None if it is not an archive, or their offsets cannot be
        trusted; there is a finding then.
    """
    directory = _find_directory(file, findings)
    if directory is None:
        return None
    headers = _read_directory(file, directory, findings)
    members = _locate_members(file, headers, directory, scope, findings)
    if members is None:
        return None
    readable = [member for member in members if member.is_plain and scope.has_contents(member.name)]
    _check_contents(file, readable, findings)
    return [member for member in members if not member.name.endswith("/")]


def _find_directory(file: RangedFile, findings: Findings) -> Directory | None:
    tail_offset = max(0, file.size_bytes - END.size - MAX_16)
    end = find_end(file.read(tail_offset, file.size_bytes), tail_offset)
    if end is None:
        findings.add("", _describe_other_file(file.read(0, HEAD_BYTES)))
        return None
    is_last = end.offset + END.size == file.size_bytes
    findings.require(is_last, "", "The archive has a comment or bytes behind its end.")
    findings.require(not end.is_split, "", "The archive is split into several files.")
    try:
        end = end.resolve_zip64(file.read)
        directory = end.check_directory(MAX_CHECKED_DIRECTORY_BYTES)
    except DamagedCacheError as error:
        findings.add("", str(error))
        return None
    is_adjacent = directory.offset + directory.size_bytes == end.offset
    findings.require(is_adjacent, "", "There are bytes between the central directory and its end.")
    return directory


def _describe_other_file(start: bytes) -> str:
    """Return the finding for a file without an end record, by its first bytes."""
    if not start:
        return "It is empty."
    if start.startswith(LOCAL_SIGNATURE):
        return "It is a zip archive whose end is missing: cut off, or not yet written to its end."
    kind = kind_of_bytes(start) or kind_of_text(start.decode("latin-1").removeprefix("\xef\xbb\xbf"))
    return f"It is {kind}, not a zip archive." if kind else "It is not a zip archive."


def _read_directory(file: RangedFile, directory: Directory, findings: Findings) -> list[MemberHeader]:
    data = file.read(directory.offset, directory.offset + directory.size_bytes)
    entries = list(read_entries(data))
    headers = [header for header, _ in entries]
    end = entries[-1][1] if entries else 0
    whole = end == len(data) == directory.size_bytes and len(headers) == directory.count
    findings.require(
        whole, "", f"The central directory holds {len(headers):,} of {counted(directory.count, 'member')}."
    )
    return headers


def _locate_members(
    file: RangedFile, headers: list[MemberHeader], directory: Directory, scope: Scope, findings: Findings
) -> list[StoredMember] | None:
    """Return the members with their offsets; None if two overlap or one leaves the archive."""
    members: dict[int, StoredMember] = {}
    names, lower_names = set[str](), set[str]()
    end = slack = 0
    in_place = sorted(headers, key=lambda header: header.header_offset)
    wanted = [header for header in in_place if scope.has_header(_ascii_name(header))]
    local_headers = file.ranges(_span(header, directory) for header in wanted)
    for header in in_place:
        name, start = _ascii_name(header), header.header_offset
        _check_header(name, header, findings)
        findings.require(name not in names, name, "The name is in the archive twice.")
        is_alone = name.lower() not in lower_names or name in names
        findings.require(is_alone, name, "Another name differs from it in capitals alone.")
        names.add(name)
        lower_names.add(name.lower())
        local_size = _expected_local_size(header)
        if scope.has_header(name):
            local, local_size = _read_local(file, start, next(local_headers))
            if local is None:
                findings.add(name, f"There is no local header at byte {start}.")
                return None
            _compare_headers(name, local, header, findings)
        if not findings.require(start >= end, name, f"It begins at byte {start}, inside the member before it."):
            return None
        gap = start - end
        findings.require(gap <= slack, name, f"The {gap} bytes before it belong to no member.")
        end = start + local_size + header.compressed_bytes
        slack = _MAX_DESCRIPTOR_BYTES if header.flags & HAS_DESCRIPTOR else 0
        if not findings.require(end <= directory.offset, name, "It reaches into the central directory."):
            return None
        members[start] = StoredMember(name, header.size_bytes, header.crc32, start, start + local_size, header.is_plain)
    findings.require(directory.offset - end <= slack, "", "There are bytes between the last member and the directory.")
    return [members[header.header_offset] for header in headers if header.header_offset in members]


def _ascii_name(header: MemberHeader) -> str:
    """Return the name, with bytes that are not ASCII escaped."""
    return header.raw_name.decode("ascii", "backslashreplace")


def _expected_local_size(header: MemberHeader) -> int:
    """Return the length of a local header without optional fields."""
    return LOCAL_HEADER.size + len(header.raw_name) + (_ZIP64_EXTRA_BYTES if header.size_bytes >= MAX_32 else 0)


def _span(header: MemberHeader, directory: Directory) -> Span:
    start = header.header_offset
    return start, min(start + LOCAL_HEADER.size + len(header.raw_name) + _EXTRA_BYTES, directory.offset)


def _check_header(name: str, header: MemberHeader, findings: Findings) -> None:
    findings.require(header.raw_name.isascii(), name, "The name is not plain ASCII.")
    if findings.require(header.method == STORED, name, "It is compressed; ArcGIS reads only stored members."):
        findings.require(
            header.size_bytes == header.compressed_bytes, name, "Its two sizes differ although it is stored."
        )
    findings.require(not header.flags & ENCRYPTED, name, "It is encrypted.")
    findings.require(not header.flags & HAS_DESCRIPTOR, name, "It has a data descriptor.")
    others = header.flags & ~(ENCRYPTED | HAS_DESCRIPTOR)
    if header.method == STORED:  # otherwise some flags describe the compression
        findings.require(not others, name, f"Its flags are {header.flags:#06x} instead of 0.")
        version = header.needed & 0xFF  # the other byte names a system, in archives by macOS (APPNOTE 4.4.2)
        findings.require(version in _VERSIONS_NEEDED, name, f"It asks for zip version {version / 10}.")


def _read_local(file: RangedFile, offset: int, data: bytes | memoryview) -> tuple[MemberHeader | None, int]:
    """Return a local header and its length, from its first bytes and perhaps one more request."""
    size = local_header_size(data)
    if size is None:
        return None, 0
    return MemberHeader.of_local(bytes(data) if size <= len(data) else file.read(offset, offset + size)), size


def _compare_headers(name: str, local: MemberHeader, central: MemberHeader, findings: Findings) -> None:
    fields = {"name": "raw_name", "flags": "flags", "method": "method"}
    # Where a data descriptor follows, the local header does not know these yet (APPNOTE 4.4.4).
    if not central.flags & local.flags & HAS_DESCRIPTOR:
        fields |= {"crc32": "crc32", "compressed": "compressed_bytes", "size": "size_bytes"}
    for label, field in fields.items():
        one, other = getattr(local, field), getattr(central, field)
        text = f"Its local header and the directory differ in {label}: {one!r}, {other!r}."
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
