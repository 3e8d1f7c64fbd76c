"""Verify a finished package by reading it like a client, before the job succeeds."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import eq
from pathlib import Path
from zlib import crc32

from exporttiles import __version__
from exporttiles.domain.errors import DamagedPackageError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, Span, StoredMember
from exporttiles.formats.archives.zip_writer import ZipMember
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.checked_files import PackageReport
from exporttiles.formats.checks.findings import Finding, Findings
from exporttiles.formats.packages.output import Layout, Output
from exporttiles.messages.flawed_tiles import FlawedTiles
from exporttiles.messages.fragment_report import FragmentReport
from exporttiles.messages.keys import CHANGES_NAME, VERIFICATION_NAME, JobKeys
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock

INDEX_BYTES = 256 * 2**20
"""Limit of headers and indexes to read: about 2,000 bundles. If there are more, work items are sampled evenly."""

CONTENTS_BYTES = 16 * 2**20
"""Limit of bytes to read for checksums: a larger package is not read whole, but members of this total size are."""

_COMPARED_RANGES = 64
"""Ranges that are compared if a package has no members with checksums."""

_CHUNK_BYTES = 8 * 2**20
_SHOWN_FINDINGS = 3


@dataclass(frozen=True, slots=True)
class VerifyPackage:
    """Compares the stored package with the reports of the workers.

    The store has compared every byte by the checksum of the object. Here the
    archive is read by byte ranges, as a client reads it: directory, documents,
    headers and indexes. The amount read is bounded for a package of any size.

    Attributes:
        objects: the package bucket.
    """

    objects: ObjectStore
    clock: Clock

    def __call__(
        self,
        job_id: str,
        packed: PackedPackage,
        output: Output,
        layout: Layout,
        reports: Sequence[FragmentReport],
    ) -> None:
        """Check a package and write a report beside it.

        Args:
            job_id: the job.
            packed: the expected package.
            output: the kind of package.
            layout: what it consists of.
            reports: of all workers.

        Raises:
            DamagedPackageError: the stored package differs.
        """
        members, keys = layout.members, JobKeys(job_id)
        sampled = list(_sampled(reports) if members else (report for report in reports if report.fragment_bytes))
        in_fragments = {member.name for report in sampled for member in report.members}
        documents = _documents(members, reports)
        contents = documents | _readable([member for member in members if member.name in in_fragments])
        damage, reading = Findings(), _Reading()

        (size_bytes,) = self.objects.sizes_bytes([packed.key])
        _require_size(packed, size_bytes)
        file = RangedFile(packed.size_bytes, partial(self._read_ranges, reading, packed.key))
        is_whole = _is_whole(packed, file, damage)
        # Members of a package that was read whole are not read again.
        scope = Scope(in_fragments | documents, () if is_whole else contents, tiles=False)
        found = layout.report or output.check(file, scope)
        _compare_members(members, found, damage)
        _compare_tile_counts(sampled, found, damage)
        read_back = _read_back(packed, members, None if is_whole else contents)
        if not members and not is_whole:
            read_back["bytes"] = self._compare_pieces(keys, file, layout, reports, damage)
        if output.is_folder:
            self._check_folder(keys, packed, members, contents, damage)
        _refuse([*found.damage, *damage.all])

        document = {
            "package": packed.name,
            "sizeBytes": packed.size_bytes,
            "verifiedAt": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "exporttiles": __version__,
            "tiles": {
                "selected": sum(report.selected_count for report in reports),
                "packed": packed.tile_count,
                "upToDate": packed.up_to_date_count,
                "missing": _flawed(FlawedTiles.joined([report.missing for report in reports])),
                "skipped": packed.skipped_count,
                "leftOut": _flawed(packed.left_out),
                "unchanged": _flawed(packed.not_recompressed),
            },
            "levels": _levels(reports, sampled),
            "bundles": {"packed": _bundle_count(reports), "verified": _bundle_count(sampled)},
            "checksums": {
                "algorithm": "CRC-32",
                "package": f"{packed.crc32:08x}",
                "comparedByStore": {"bytes": packed.size_bytes},
                "readBack": read_back,
            },
            "read": {"requests": reading.requests, "bytes": reading.bytes},
            "remarks": [_sentence(remark) for remark in found.remarks],
        }
        self.objects.write(keys.delivered(VERIFICATION_NAME), json.dumps(document, indent=2).encode())

    def _read_ranges(self, reading: "_Reading", key: str, spans: Sequence[Span]) -> Iterator[memoryview]:
        reading.requests += len(spans)
        reading.bytes += sum(stop - start for start, stop in spans)
        return self.objects.read_ranges(key, spans)

    def _compare_pieces(
        self, keys: JobKeys, file: RangedFile, layout: Layout, reports: Sequence[FragmentReport], damage: Findings
    ) -> int:
        """Compare evenly chosen ranges of the package with what it was made of; return how many bytes were compared."""
        ranges = list(self._ranges(keys, layout, reports))
        chosen = ranges[:: -(-len(ranges) // _COMPARED_RANGES)]
        spans = [(start, start + size) for start, size, _ in chosen]
        for (start, _, read), found in zip(chosen, file.ranges(spans), strict=True):
            damage.require(found == read(), "", f"The bytes from {start:,} on differ from what was made.")
        return sum(size for _, size, _ in chosen)

    def _ranges(
        self, keys: JobKeys, layout: Layout, reports: Sequence[FragmentReport]
    ) -> Iterator[tuple[int, int, Callable[[], bytes | memoryview]]]:
        """Yield where a range lies in the package, its size, and what reads it where it comes from."""
        most, offset = CONTENTS_BYTES // _COMPARED_RANGES, 0
        for piece in layout.pieces:
            if isinstance(piece, bytes):
                offset += len(piece)
            elif isinstance(piece, int):
                report = reports[piece]
                key, size = keys.fragment(report.number, report.crc32), min(report.fragment_bytes, most)
                yield offset, size, partial(_first, self.objects.read_ranges, key, size)
                offset += report.fragment_bytes
            else:
                end = piece.stat().st_size
                for start in range(0, end, max(most, end // _COMPARED_RANGES)):
                    yield offset + start, min(most, end - start), partial(_read, piece, start, min(most, end - start))
                offset += end

    def _check_folder(
        self,
        keys: JobKeys,
        packed: PackedPackage,
        members: Sequence[ZipMember],
        contents: set[str],
        damage: Findings,
    ) -> None:
        """Compare the files of a dataset with those in its archive."""
        expected = {keys.delivered(member.name): member for member in members}
        sizes_bytes = {stored.key: stored.size_bytes for stored in self.objects.list(keys.packages)}
        beside = {packed.key, *map(keys.delivered, (VERIFICATION_NAME, CHANGES_NAME))}
        for key in sizes_bytes.keys() - expected.keys() - beside:
            damage.add(key, "It does not belong to the dataset.")
        for key, member in expected.items():
            text = f"The file has {counted(sizes_bytes.get(key) or 0, 'byte')} instead of {member.size_bytes:,}."
            damage.require(sizes_bytes.get(key) == member.size_bytes, key, text)
        read = [key for key, member in expected.items() if member.name in contents]
        for key, body in zip(read, self.objects.read_many(read), strict=True):
            text = "The file's checksum (CRC-32) is wrong."
            damage.require(body is not None and crc32(body) == expected[key].crc32, key, text)


def _first(read_ranges: Callable[[str, Sequence[Span]], Iterator[memoryview]], key: str, size: int) -> memoryview:
    return next(read_ranges(key, [(0, size)]))


def _read(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


@dataclass(slots=True)
class _Reading:
    """The requests to the store, and the bytes read."""

    requests: int = 0
    bytes: int = 0


def _sampled(reports: Sequence[FragmentReport]) -> Iterator[FragmentReport]:
    """Yield the work items whose bundles are checked: all, or an even sample."""
    index_bytes = sum(min(RECORDS_OFFSET, member.size_bytes) for report in reports for member in report.members)
    step = -(-index_bytes // INDEX_BYTES) or 1
    return (report for report in reports[::step] if report.fragment_bytes)


def _readable(members: Sequence[ZipMember]) -> set[str]:
    """Return the names of members to read whole: up to `CONTENTS_BYTES`, chosen as if at random by their checksums."""
    names, left_bytes = set(), CONTENTS_BYTES
    for member in sorted(members, key=lambda member: member.crc32):
        if member.size_bytes <= left_bytes:
            names.add(member.name)
            left_bytes -= member.size_bytes
    return names


def _documents(members: Sequence[ZipMember], reports: Sequence[FragmentReport]) -> set[str]:
    return {member.name for member in members} - {member.name for report in reports for member in report.members}


def _require_size(packed: PackedPackage, size_bytes: int | None) -> None:
    if size_bytes != packed.size_bytes:
        raise DamagedPackageError(
            f"The finished package has {counted(size_bytes or 0, 'byte')} instead of {packed.size_bytes:,}."
        )


def _is_whole(packed: PackedPackage, file: RangedFile, damage: Findings) -> bool:
    """Return True if a package is small enough to be read whole, and its checksum is right."""
    if packed.size_bytes > CONTENTS_BYTES:
        return False
    checksum = 0
    for chunk in file.ranges((start, start + _CHUNK_BYTES) for start in range(0, packed.size_bytes, _CHUNK_BYTES)):
        checksum = crc32(chunk, checksum)
    return damage.require(checksum == packed.crc32, "", "The checksum (CRC-32) of the package is wrong.")


def _read_back(packed: PackedPackage, members: Sequence[ZipMember], contents: set[str] | None) -> dict[str, int]:
    """Return the number of members and bytes whose checksums were compared."""
    if contents is None:
        return {"members": len(members), "bytes": packed.size_bytes}
    sizes_bytes = [member.size_bytes for member in members if member.name in contents]
    return {"members": len(sizes_bytes), "bytes": sum(sizes_bytes)}


def _compare_members(members: Sequence[ZipMember], found: PackageReport, damage: Findings) -> None:
    def as_packed(member: StoredMember) -> ZipMember:
        return ZipMember(member.name, member.size_bytes, member.crc32)

    # There may be a million members: they are looked up by name only if something is wrong.
    if len(members) == len(found.members) and all(map(eq, members, map(as_packed, found.members))):
        return
    expected = {member.name: member for member in members}
    listed = {member.name: as_packed(member) for member in found.members}
    damage.require(expected != listed, "", "The members are not in the order in which they were packed.")
    for name in expected.keys() - listed.keys():
        damage.add(name, "It is missing.")
    for name, member in listed.items():
        damage.require(expected.get(name) == member, name, "Its entry in the directory differs from what was packed.")


def _compare_tile_counts(sampled: Sequence[FragmentReport], found: PackageReport, damage: Findings) -> None:
    """Compare the counts in ascending order of levels: a dataset renumbers its levels from 0."""
    expected = _tile_counts(sampled)
    if list(expected.values()) != list(found.tile_counts.values()):
        damage.add("", f"Tiles by level are {dict(found.tile_counts)} in the indexes and {expected} in the reports.")


def _tile_counts(reports: Sequence[FragmentReport]) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for report in reports:
        counts.update(report.tile_counts)
    return dict(sorted(counts.items()))


def _bundle_count(reports: Sequence[FragmentReport]) -> int:
    return sum(member.name.endswith(".bundle") for report in reports for member in report.members)


def _levels(reports: Sequence[FragmentReport], sampled: Sequence[FragmentReport]) -> list[Mapping[str, int]]:
    verified = _tile_counts(sampled)
    return [
        {"level": level, "packed": count, "verified": verified.get(level, 0)}
        for level, count in _tile_counts(reports).items()
    ]


def _flawed(tiles: FlawedTiles) -> dict[str, object]:
    return {"count": tiles.count, "examples": list(tiles.examples)}


def _sentence(finding: Finding) -> str:
    return f"{finding.path}: {finding.text}" if finding.path else finding.text


def _refuse(damage: Sequence[Finding]) -> None:
    if damage:
        more = f" And {len(damage) - _SHOWN_FINDINGS} more." if len(damage) > _SHOWN_FINDINGS else ""
        shown = " ".join(map(_sentence, damage[:_SHOWN_FINDINGS]))
        raise DamagedPackageError(f"The finished package is damaged: {shown}{more}")
