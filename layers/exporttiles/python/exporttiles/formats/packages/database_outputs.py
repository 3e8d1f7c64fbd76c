"""MBTiles and GeoPackage as outputs: SQLite files, written in one go from the bundles of all fragments."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporttiles.domain.errors import DamagedPackageError
from exporttiles.domain.plan import BUNDLE_OVERHEAD_BYTES
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.archives.zip_writer import local_header
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET, bundle_path, parse_bundle_path, read_index, write_bundle
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.checked_files import PackageReport
from exporttiles.formats.checks.database_check import check_database
from exporttiles.formats.packages.database import PlacedTile
from exporttiles.formats.packages.geopackage import TileMatrixSet, write_geopackage
from exporttiles.formats.packages.mbtiles import write_mbtiles
from exporttiles.formats.packages.output import Contents, FragmentPlace, Layout, Tiles, Workshop, gap_warnings
from exporttiles.formats.packages.web_mercator import metadata
from exporttiles.formats.packages.zip_outputs import Member, ZipFragment

_STRUCTURE = Scope(contents=(), tiles=False)
"""Of the check of a new file: its tiles were looked at when they were read."""


class _Database(ABC):
    """What both have in common: fragments are bundles, which the packer reads again."""

    __slots__ = ()
    is_folder = False
    is_written = True
    head_bytes = 0
    bundle_overhead_bytes = BUNDLE_OVERHEAD_BYTES

    def in_order(self, bundles: Sequence[BundleIndex]) -> range:
        """Return the positions as they are."""
        return range(len(bundles))

    def new_fragment(self) -> ZipFragment:
        """Return an empty fragment."""
        return ZipFragment(_bundle_members)

    def documents(self, _contents: Contents) -> dict[str, bytes]:
        """Return no files: this is no archive."""
        return {}

    def layout(
        self,
        contents: Contents,
        _documents: Mapping[str, bytes],
        fragments: Sequence[FragmentPlace],
        workshop: Workshop,
    ) -> Layout:
        """Write the file, check it, and return it as the only piece."""
        path = workshop.folder / self.file_name
        path.unlink(missing_ok=True)
        self.write(path, _tiles(fragments, workshop), contents, workshop.max_bytes)
        report = check_database(path, _STRUCTURE)
        if report.damage:
            raise DamagedPackageError(f"The file that was written is damaged: {report.damage[0].text}")
        return Layout([path], report=report)

    @property
    @abstractmethod
    def file_name(self) -> str:
        """Return the name of the file."""

    @abstractmethod
    def write(self, path: Path, tiles: Iterator[PlacedTile], contents: Contents, max_bytes: int) -> None:
        """Write the file.

        Raises:
            PackageError: it would be longer than the limit.
        """

    def check(self, _file: RangedFile, _scope: Scope) -> PackageReport:
        """Refuse: the file is checked on a disk, before it is stored."""
        raise TypeError(f"{self.file_name}: A database is checked on a disk, by check_database.")


@dataclass(frozen=True, slots=True)
class Mbtiles(_Database):
    """An MBTiles file ``.mbtiles``."""

    service: ImageService

    @property
    def file_name(self) -> str:
        """Return the name of the file."""
        return f"{self.service.short_name}.mbtiles"

    def write(self, path: Path, tiles: Iterator[PlacedTile], contents: Contents, max_bytes: int) -> None:
        """Write the file."""
        texts = metadata(self.service, contents.levels, contents.extent)
        write_mbtiles(path, tiles, texts, max_bytes=max_bytes)

    def warnings(self, contents: Contents) -> list[str]:
        """Return a warning of levels without tiles between others."""
        return gap_warnings(contents.levels)


@dataclass(frozen=True, slots=True)
class Geopackage(_Database):
    """A GeoPackage ``.gpkg`` with one table of tiles."""

    service: ImageService

    @property
    def file_name(self) -> str:
        """Return the name of the file."""
        return f"{self.service.short_name}.gpkg"

    def write(self, path: Path, tiles: Iterator[PlacedTile], contents: Contents, max_bytes: int) -> None:
        """Write the file."""
        write_geopackage(path, tiles, self.service, contents.levels, contents.extent, max_bytes=max_bytes)

    def warnings(self, contents: Contents) -> list[str]:
        """Return warnings of levels without tiles between others, and of levels whose tiles fill no common box."""
        gaps = gap_warnings(contents.levels)
        if TileMatrixSet.of(self.service.tiling_scheme, contents.levels, contents.extent).is_exact:
            return gaps
        text = (
            "The tiles of the levels of this tiling scheme fill no common box, as the specification of GeoPackages has "
            "it. GDAL and QGIS show them all the same."
        )
        return [text, *gaps]


def _bundle_members(bundle: BundleIndex, tiles: Tiles) -> list[Member]:
    return [(bundle_path(bundle), write_bundle(tiles))]


def _tiles(fragments: Sequence[FragmentPlace], workshop: Workshop) -> Iterator[PlacedTile]:
    """Yield the tiles of all bundles."""
    for fragment in fragments:
        body = memoryview(workshop.read(fragment.number))
        for member, offset in fragment.members:
            start = offset + len(local_header(member))
            bundle, place = body[start : start + member.size_bytes], parse_bundle_path(member.name)
            index = read_index(bundle[:RECORDS_OFFSET], file_size_bytes=member.size_bytes)
            rows, columns = np.nonzero(index.size)
            begins, sizes = index.offset[rows, columns], index.size[rows, columns]
            places = zip(rows.tolist(), columns.tolist(), begins.tolist(), sizes.tolist(), strict=True)
            for row, column, begin, size in places:
                yield place.level, place.row + row, place.column + column, bundle[begin : begin + size]
