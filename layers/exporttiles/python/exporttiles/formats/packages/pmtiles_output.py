"""PMTiles as an output: joined from fragments in the order of the Hilbert curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.checked_files import PackageReport
from exporttiles.formats.checks.pmtiles_check import check_pmtiles
from exporttiles.formats.packages.output import Contents, FragmentPlace, Layout, Workshop, gap_warnings
from exporttiles.formats.packages.pmtiles import (
    HEAD_BYTES,
    PmtilesFragment,
    curve_order,
    join_directories,
    write_archive,
)


@dataclass(frozen=True, slots=True)
class Pmtiles:
    """A PMTiles archive ``.pmtiles``."""

    service: ImageService
    is_folder = is_written = False
    head_bytes = HEAD_BYTES
    bundle_overhead_bytes = 0

    @property
    def file_name(self) -> str:
        """Return the name of the archive."""
        return f"{self.service.short_name}.pmtiles"

    def in_order(self, bundles: Sequence[BundleIndex]) -> list[int]:
        """Return the positions of bundles in the order of the curve, by level."""
        order: list[int] = curve_order(bundles).tolist()
        return order

    def new_fragment(self) -> PmtilesFragment:
        """Return an empty fragment."""
        return PmtilesFragment()

    def documents(self, _contents: Contents) -> dict[str, bytes]:
        """Return no files: an archive of tiles has none."""
        return {}

    def layout(
        self,
        contents: Contents,
        _documents: Mapping[str, bytes],
        fragments: Sequence[FragmentPlace],
        _workshop: Workshop,
    ) -> Layout:
        """Return header and root directory, the tiles, then metadata and leaf directories."""
        directory = join_directories((fragment.directory, fragment.size_bytes) for fragment in fragments)
        tile_bytes = sum(fragment.size_bytes for fragment in fragments)
        head, tail = write_archive(directory, tile_bytes, self.service, contents.extent)
        return Layout([head, *(fragment.number for fragment in fragments), tail])

    def warnings(self, contents: Contents) -> list[str]:
        """Return a warning of levels without tiles between others."""
        return gap_warnings(contents.levels)

    def check(self, file: RangedFile, scope: Scope) -> PackageReport:
        """Check the archive."""
        return check_pmtiles(file, "", scope)
