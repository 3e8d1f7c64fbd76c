"""The files that a check looks at, and its report."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO, Self

from exporttiles.domain.wording import gap_names
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.checks.archive_check import Scope, check_archive
from exporttiles.formats.checks.findings import Finding, Findings

MAX_DOCUMENT_BYTES = 16 * 2**20
"""Longer documents are not read; the longest known are those with legends."""


@dataclass(frozen=True, slots=True)
class PackageReport:
    """Contents and faults of a package.

    Attributes:
        size_bytes: length of the file.
        members: the files in it, in the order in which they are listed.
        tile_counts: level -> tiles in the bundles that were read, ascending; levels without tiles do not appear.
        damage: faults of the archive, of bundles and of tiles: something is lost.
        remarks: faults of the documents that describe the tiles.
    """

    size_bytes: int
    members: Sequence[StoredMember]
    tile_counts: Mapping[int, int]
    damage: tuple[Finding, ...]
    remarks: tuple[Finding, ...]

    @classmethod
    def of(
        cls,
        size_bytes: int,
        tile_counts: Mapping[int, int],
        damage: Findings,
        remarks: Findings,
        members: Sequence[StoredMember] = (),
    ) -> Self:
        """Return the report of a check; levels without tiles are left out."""
        held = {level: count for level, count in sorted(tile_counts.items()) if count}
        return cls(size_bytes, members, held, tuple(damage.all), tuple(remarks.all))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return all faults; none means that the package is sound."""
        return self.remarks + self.damage


@dataclass(frozen=True)
class CheckedFiles:
    """The files of a package or a cache, in an archive or a folder, and the faults found so far.

    Attributes:
        file: holds the bytes of all of them.
        members: where they lie in it, in the order in which they are listed.
        scope: how much of them is read.
        damage, remarks: as in `PackageReport`.
    """

    file: RangedFile
    members: Sequence[StoredMember]
    scope: Scope = field(default_factory=Scope)
    damage: Findings = field(default_factory=Findings)
    remarks: Findings = field(default_factory=Findings)

    @cached_property
    def by_name(self) -> Mapping[str, StoredMember]:
        """The files by their names."""
        return {member.name: member for member in self.members}

    def read(self, member: StoredMember | None) -> bytes | None:
        """Return a document; None if it is missing, compressed or too long."""
        if member is None or not member.is_plain or member.size_bytes > MAX_DOCUMENT_BYTES:
            return None
        return self.file.read(member.offset, member.offset + member.size_bytes)

    def heads(self, members: Iterable[StoredMember], size_bytes: int) -> Iterator[bytes | memoryview]:
        """Yield the first bytes of files; fewer if they are shorter."""
        return self.file.ranges(member.head(size_bytes) for member in members)

    def report(self, tile_counts: Mapping[int, int]) -> PackageReport:
        """Return the report of the check."""
        return PackageReport.of(self.file.size_bytes, tile_counts, self.damage, self.remarks, self.members)


def check_archive_with(
    check_files: Callable[[CheckedFiles], Mapping[int, int]], file: BinaryIO | RangedFile, scope: Scope | None = None
) -> PackageReport:
    """Check an archive, then its members if they can be located.

    Safe with hostile input: only the thumbnail is decompressed, and sizes are
    bounded. Memory does not grow with the size of the archive.

    Args:
        check_files: adds faults of the members; returns the number of tiles of each level.
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
    """
    file = file if isinstance(file, RangedFile) else RangedFile.of(file)
    scope, damage = scope or Scope(), Findings()
    members = check_archive(file, damage, scope)
    files = CheckedFiles(file, members or (), scope, damage)
    return files.report({} if members is None else check_files(files))


def check_gaps(path: str, levels: Iterable[int], findings: Findings) -> None:
    """Check that no level between the first and the last lacks bundles."""
    gaps = gap_names(levels)
    findings.require(not gaps, path, f"There are no bundles of {gaps}, though of coarser and of finer levels.")
