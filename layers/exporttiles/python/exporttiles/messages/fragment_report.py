"""The report of a worker to the packer."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from zlib import crc32

from exporttiles.domain.changes import ChangedBlock
from exporttiles.domain.cost import Usage
from exporttiles.domain.errors import SourceError
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.archives.zip_writer import ZipMember, local_header
from exporttiles.messages.documents import read_document
from exporttiles.messages.flawed_tiles import FlawedTiles


@dataclass(frozen=True, slots=True)
class MemberReport:
    """One file of a fragment.

    Attributes:
        name: in the package.
        header_offset: where its local header begins in the fragment.
        size_bytes, crc32: of the file itself.
    """

    name: str
    header_offset: int
    size_bytes: int
    crc32: int

    @property
    def header(self) -> bytes:
        """Return the local header."""
        return local_header(ZipMember(self.name, self.size_bytes, self.crc32))

    def content(self, fragment: memoryview) -> memoryview:
        """Return the bytes of the file, as a view of the fragment."""
        start = self.header_offset + len(self.header)
        return fragment[start : start + self.size_bytes]


@dataclass(frozen=True, slots=True)
class FragmentReport:
    """The output of one work item; the packer needs nothing else to build the package.

    Attributes:
        crc32: checksum of the fragment.
        members: the files in the fragment, in their order; none if the package is no archive.
        tile_counts: level -> tiles in the fragment; levels without any do not appear.
        levels: levels with selected tiles in the cache, whether in the fragment or not.
        selected_count: tiles that the request selects in these bundles, plus the
            item's share of the selected tiles in bundles that do not exist.
        missing: selected tiles that the cache does not have.
        left_out: tiles that are not images of the cache's format and size.
        not_recompressed: tiles that could not be recompressed and are copied as they are.
        source_bytes: total size of the tiles in the cache, before recompression.
        used: usage of AWS, for the cost of the job.
        up_to_date_count: tiles that are not in a delta because they have not changed.
        changes: blocks of the tiles in a delta.
        skipped_count: tiles without contents that are left out on request.
        directory: as `Fragment.directory` returned it.
    """

    number: int
    fragment_bytes: int
    crc32: int
    members: tuple[MemberReport, ...]
    tile_counts: Mapping[int, int]
    selected_count: int
    missing: FlawedTiles
    left_out: FlawedTiles
    not_recompressed: FlawedTiles
    source_bytes: int
    used: Usage
    levels: tuple[int, ...] = ()
    up_to_date_count: int = 0
    changes: tuple[ChangedBlock, ...] = ()
    skipped_count: int = 0
    directory: bytes = b""

    @property
    def tile_count(self) -> int:
        """Return the number of tiles in the fragment."""
        return sum(self.tile_counts.values())

    def check(self, fragment: bytes) -> None:
        """Compare the checksum of a fragment with this report.

        Raises:
            SourceError: the fragment differs; a retry may help.
        """
        if crc32(fragment) != self.crc32:
            raise SourceError(f"Fragment {self.number} differs from what was written.")

    def contents(self, fragment: bytes) -> Iterator[tuple[str, memoryview]]:
        """Check a fragment, then yield the names and bytes of its files.

        Raises:
            SourceError: as `check`.
        """
        self.check(fragment)
        view = memoryview(fragment)
        for member in self.members:
            yield member.name, member.content(view)

    def to_json(self) -> bytes:
        """Return the report as a JSON document."""
        document = {
            "number": self.number,
            "fragment_bytes": self.fragment_bytes,
            "crc32": self.crc32,
            "members": [[m.name, m.header_offset, m.size_bytes, m.crc32] for m in self.members],
            "levels": self.levels,
            "tile_counts": list(self.tile_counts.items()),
            "selected_count": self.selected_count,
            "missing": self.missing.to_json(),
            "left_out": self.left_out.to_json(),
            "unchanged": self.not_recompressed.to_json(),
            "source_bytes": self.source_bytes,
            "used": astuple(self.used),
            "up_to_date_count": self.up_to_date_count,
            "changes": [[*astuple(block.tiles), block.tile_count] for block in self.changes],
            "skipped_count": self.skipped_count,
            "directory": b64encode(self.directory).decode(),
        }
        return json.dumps(document).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "FragmentReport":
        """Return the report of a JSON document."""
        document = read_document(body)
        document["members"] = tuple(MemberReport(*member) for member in document["members"])
        document["levels"] = tuple(document["levels"])
        document["tile_counts"] = dict(document["tile_counts"])
        document["changes"] = tuple(
            ChangedBlock(TileRange(*places), tile_count) for *places, tile_count in document["changes"]
        )
        document["used"] = Usage(*document["used"])
        document["directory"] = b64decode(document["directory"])
        document |= {name: FlawedTiles.from_json(document[name]) for name in ("missing", "left_out")}
        document["not_recompressed"] = FlawedTiles.from_json(document.pop("unchanged"))
        return cls(**document)
