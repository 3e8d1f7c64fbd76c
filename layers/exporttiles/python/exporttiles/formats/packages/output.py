"""What every kind of output offers to the planner, the workers and the packer.

An output is *joined* or *written*. The fragments of a joined one (an archive of
bundles, PMTiles) are parts of the package as they are. Those of a written one
(an SQLite file) are read once more by the packer, which writes the package.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from exporttiles.domain.extent import Extent
from exporttiles.domain.tiling import BundleIndex
from exporttiles.domain.wording import gap_names
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.archives.zip_writer import ZipMember
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.checked_files import PackageReport

Tiles = Mapping[tuple[int, int], bytes | memoryview]
"""Row and column in the scheme -> encoded image."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Facts about the packed tiles that the documents state.

    Attributes:
        levels: those with tiles, ascending, at least one.
        extent: of the export, in the scheme's reference.
        read_overview: reads a few tiles of one level, for a thumbnail.
    """

    job_id: str
    levels: Sequence[int]
    extent: Extent
    read_overview: Callable[[], Tiles]


class Fragment(Protocol):
    """The part of a package that a worker makes, as it grows.

    Attributes:
        pieces: its bytes.
        size_bytes: their number.
        members: the files in an archive, each with the offset of its local header; none in other outputs.
    """

    pieces: list[bytes | memoryview]
    size_bytes: int
    members: list[tuple[ZipMember, int]]

    @property
    def crc32(self) -> int:
        """Return the checksum of all bytes."""
        ...

    def add(self, bundle: BundleIndex, tiles: Tiles) -> None:
        """Append the tiles of a bundle; bundles come in the order of the output.

        Raises:
            PackageError: the tiles are not of one bundle, or cannot be written.
        """
        ...

    def directory(self) -> bytes:
        """Return the places of the tiles, for `Output.layout`; b"" if the list of members is enough."""
        ...


@dataclass(frozen=True, slots=True)
class FragmentPlace:
    """A finished fragment.

    Attributes:
        number: of its work item, in the order of the output.
        size_bytes: at least 1.
        members, directory: as in `Fragment`.
    """

    number: int
    size_bytes: int
    members: Sequence[tuple[ZipMember, int]]
    directory: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """A package in the order of its bytes.

    Attributes:
        pieces: bytes, the number of a fragment, or a file that was written.
        members: the files of an archive, as its directory lists them; none in other outputs.
        report: of the check of a written file, which is made before it is stored; None for joined outputs.
    """

    pieces: Sequence[bytes | int | Path]
    members: Sequence[ZipMember] = ()
    report: PackageReport | None = None


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the packer offers to written outputs.

    Attributes:
        folder: for files, until the package is stored.
        max_bytes: limit of a file.
        read: returns a fragment, compared with its checksum.
    """

    folder: Path
    max_bytes: int
    read: Callable[[int], bytes]


class Output(Protocol):
    """One kind of output, for one export."""

    @property
    def file_name(self) -> str:
        """Return the name of the package or archive."""
        ...

    @property
    def is_folder(self) -> bool:
        """Return True if the members are also delivered as single files in folders."""
        ...

    @property
    def is_written(self) -> bool:
        """Return True if one process writes the package from all fragments, on a disk of limited size."""
        ...

    @property
    def head_bytes(self) -> int:
        """Return how many bytes of the package stand before the first fragment, where that is known beforehand."""
        ...

    @property
    def bundle_overhead_bytes(self) -> int:
        """Return the bytes of a bundle in a fragment besides its tiles."""
        ...

    def in_order(self, bundles: Sequence[BundleIndex]) -> Iterable[int]:
        """Return the positions of bundles, which are in the order of the scheme, in the order of the output."""
        ...

    def new_fragment(self) -> Fragment:
        """Return an empty fragment."""
        ...

    def documents(self, contents: Contents) -> dict[str, bytes]:
        """Return the files of an archive besides the bundles by name, in their order.

        Raises:
            AreaError: the extent cannot be expressed as the format requires.
        """
        ...

    def layout(
        self,
        contents: Contents,
        documents: Mapping[str, bytes],
        fragments: Sequence[FragmentPlace],
        workshop: Workshop,
    ) -> Layout:
        """Return the package that consists of fragments, in the order of their numbers, at least one.

        Raises:
            PackageError: they do not fit together, or the package would be too long.
        """
        ...

    def warnings(self, contents: Contents) -> list[str]:
        """Return warnings: readers that cannot show the output, levels without tiles."""
        ...

    def check(self, file: RangedFile, scope: Scope) -> PackageReport:
        """Check the package or archive within a scope and report on it."""
        ...


def gap_warnings(levels: Iterable[int]) -> list[str]:
    """Return a warning if levels between others are missing, which `check` reports as a fault."""
    gaps = gap_names(levels)
    return [f"The export holds no tiles of {gaps}, but of coarser and of finer levels."] if gaps else []
