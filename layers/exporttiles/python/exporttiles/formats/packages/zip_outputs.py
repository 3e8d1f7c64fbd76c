"""Archives of bundles as outputs: tile packages (.tpkx, .tpk) and cache datasets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from zlib_ng.zlib_ng import crc32

from exporttiles.domain import parts
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.plan import BUNDLE_OVERHEAD_BYTES
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import BundleIndex, TilingScheme
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.archives.zip_writer import ZipMember, archive_crc32, central_directory, local_header
from exporttiles.formats.bundles.v1 import bundlx_path, write_bundle_v1
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT, bundle_path, write_bundle
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, ROOT_JSON
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.cache_check import check_cache_archive
from exporttiles.formats.checks.checked_files import PackageReport
from exporttiles.formats.checks.package_check import check_package
from exporttiles.formats.packages import conf, gdal, tpk, tpkx
from exporttiles.formats.packages.output import Contents, FragmentPlace, Layout, Tiles, Workshop, gap_warnings

Member = tuple[str, list[bytes | memoryview]]
"""A file by its name, ``/`` between folders, and its bytes in pieces."""

_USE_A_DATASET = "They show a cache dataset of it: tilePackage=false, or an output that ends in .zip."


class ZipFragment:
    """Members of an archive, each after its local header, as they grow.

    Attributes:
        pieces: the bytes of the fragment.
        size_bytes: their number.
        members: the files, each with the offset of its header.

    Args:
        bundle_members: returns the files that hold the tiles of a bundle.
    """

    def __init__(self, bundle_members: Callable[[BundleIndex, Tiles], list[Member]]) -> None:
        self.pieces: list[bytes | memoryview] = []
        self.size_bytes = 0
        self.members: list[tuple[ZipMember, int]] = []
        self._bundle_members = bundle_members

    @property
    def crc32(self) -> int:
        """Return the checksum of all bytes."""
        return archive_crc32(self.members, b"")

    def add(self, bundle: BundleIndex, tiles: Tiles) -> None:
        """Append the files that hold the tiles of a bundle."""
        for name, pieces in self._bundle_members(bundle, tiles):
            member = _member(name, pieces)
            header = local_header(member)
            self.members.append((member, self.size_bytes))
            self.pieces += [header, *pieces]
            self.size_bytes += len(header) + member.size_bytes

    def directory(self) -> bytes:
        """Return b"": the list of members is enough."""
        return b""


class _Archive(ABC):
    """What all archives have in common."""

    __slots__ = ()
    is_written = False
    head_bytes = 0
    bundle_overhead_bytes = BUNDLE_OVERHEAD_BYTES

    def in_order(self, bundles: Sequence[BundleIndex]) -> Iterable[int]:
        """Return the positions as they are."""
        return range(len(bundles))

    def new_fragment(self) -> ZipFragment:
        """Return an empty fragment."""
        return ZipFragment(self.bundle_members)

    @abstractmethod
    def bundle_members(self, bundle: BundleIndex, tiles: Tiles) -> list[Member]:
        """Return the files that hold the tiles of a bundle."""

    def layout(
        self,
        _contents: Contents,
        documents: Mapping[str, bytes],
        fragments: Sequence[FragmentPlace],
        _workshop: Workshop,
    ) -> Layout:
        """Return large fragments, which the store can copy, then the documents, small fragments and the directory.

        The directory is in the order of ArcGIS, which is not that of the offsets: the
        documents first, then the bundles in the order of the plan, by level.
        """
        large = [fragment for fragment in fragments if fragment.size_bytes >= parts.MIN_PART_BYTES]
        small = [fragment for fragment in fragments if fragment.size_bytes < parts.MIN_PART_BYTES]
        pieces: list[bytes | int | Path] = [fragment.number for fragment in large]
        end = sum(fragment.size_bytes for fragment in large)
        listed = []
        for name, body in documents.items():
            member = ZipMember(name, len(body), crc32(body))
            listed.append((member, end))
            pieces.append(local_header(member) + body)
            end += len(local_header(member)) + len(body)
        pieces += [fragment.number for fragment in small]
        starts = dict(zip((fragment.number for fragment in large), _starts(large, 0), strict=True))
        starts |= zip((fragment.number for fragment in small), _starts(small, end), strict=True)
        for fragment in fragments:
            start = starts[fragment.number]
            listed.extend((member, start + offset) for member, offset in fragment.members)
        return Layout([*pieces, central_directory(listed)], [member for member, _ in listed])


@dataclass(frozen=True, slots=True)
class TilePackage(_Archive):
    """Tile package ``.tpkx``: Compact Cache V2 and JSON documents.

    Attributes:
        is_folder: the members are also delivered as single files in folders.
    """

    service: ImageService
    is_folder = False

    @property
    def file_name(self) -> str:
        """Return the name of the package."""
        return f"{self.service.short_name}.tpkx"

    def bundle_members(self, bundle: BundleIndex, tiles: Tiles) -> list[Member]:
        """Return the files that hold the tiles of a bundle: one.

        Raises:
            PackageError: the tiles are not of one bundle, or cannot be written.
        """
        return [(f"{tpkx.BUNDLE_FOLDER}/{bundle_path(bundle)}", write_bundle(tiles))]

    def documents(self, contents: Contents) -> dict[str, bytes]:
        """Return the other files by name, in their order: iteminfo.json, root.json and the thumbnail.

        Raises:
            AreaError: the extent cannot be expressed in degrees.
        """
        service, extent = self.service, contents.extent
        return {
            tpkx.ITEMINFO: tpkx.write_iteminfo(service, extent, job_id=contents.job_id),
            ROOT_JSON: tpkx.write_root(service, contents.levels, extent),
            tpkx.THUMBNAIL: tpkx.thumbnail(contents.read_overview()),
        }

    def warnings(self, contents: Contents) -> list[str]:
        """Return a warning if GDAL cannot show the package, and one of levels without tiles between others."""
        scheme, gaps = self.service.tiling_scheme, gap_warnings(contents.levels)
        if not (obstacle := gdal.package_obstacle(scheme, contents.levels, contents.extent)):
            return gaps
        text = f"GDAL and QGIS cannot show this tile package: {obstacle}."
        dataset = CacheDataset(self.service, StorageFormat.COMPACT_V2)
        return [text if dataset.obstacle(contents) else f"{text} {_USE_A_DATASET}", *gaps]

    def check(self, file: RangedFile, scope: Scope) -> PackageReport:
        """Check the package within a scope, and report on it."""
        return check_package(file, scope)


@dataclass(frozen=True, slots=True)
class CacheDataset(_Archive):
    """A cache raster dataset: the folder of a cache, as ArcGIS Server keeps it, and as one ``.zip``."""

    service: ImageService
    storage_format: StorageFormat
    is_folder = True

    @property
    def file_name(self) -> str:
        """Return the name of the archive."""
        return f"{self.service.short_name}.zip"

    @property
    def folder(self) -> str:
        """Return the folder of conf.xml."""
        return f"{self.service.short_name}/{tpk.MAP_NAME}"

    def bundle_members(self, bundle: BundleIndex, tiles: Tiles) -> list[Member]:
        """Return the bundle and, of the older format, its offsets."""
        scheme = self.service.tiling_scheme
        folder = f"{self.folder}/{conf.LEVELS_FOLDER}"
        place = replace(bundle, level=conf.level_from_0(scheme, bundle.level))
        path = f"{folder}/{bundle_path(place)}"
        if self.storage_format is StorageFormat.COMPACT_V2:
            return [(path, write_bundle(tiles, record_count=DATASET_RECORD_COUNT))]
        pieces, offsets = write_bundle_v1(tiles)
        return [(path, pieces), (f"{folder}/{bundlx_path(place)}", [offsets])]

    def documents(self, contents: Contents) -> dict[str, bytes]:
        """Return conf.cdi, conf.properties and, last because it completes the cache, conf.xml."""
        service, scheme = self.service, self._scheme(contents)
        is_read_by_gdal = self.storage_format is StorageFormat.COMPACT_V2
        conf_xml = conf.write_conf_xml(
            scheme,
            self.storage_format,
            service.tile_format,
            compression_quality=tpkx.declared_quality(service),
            lerc_error=service.lerc_error,
            tile_end=gdal.tile_end(scheme, contents.extent) if is_read_by_gdal else None,
        )
        return {
            f"{self.folder}/{CONF_CDI}": conf.write_conf_cdi(contents.extent),
            f"{self.folder}/{conf.CONF_PROPERTIES}": conf.write_conf_properties(),
            f"{self.folder}/{CONF_XML}": conf_xml,
        }

    def warnings(self, contents: Contents) -> list[str]:
        """Return a warning if GDAL cannot show the dataset, and one of levels without tiles between others."""
        gaps = gap_warnings(conf.level_from_0(self.service.tiling_scheme, level) for level in contents.levels)
        obstacle = self.obstacle(contents)
        return [f"GDAL and QGIS cannot show this cache dataset: {obstacle}.", *gaps] if obstacle else gaps

    def obstacle(self, contents: Contents) -> str:
        """Return why GDAL cannot show the dataset, or '' if it can, or does not read the format at all."""
        if self.storage_format is not StorageFormat.COMPACT_V2:
            return ""
        return gdal.dataset_obstacle(self._scheme(contents), contents.extent)

    def check(self, file: RangedFile, scope: Scope) -> PackageReport:
        """Check the archive within a scope, and report on it."""
        return check_cache_archive(file, scope, is_package=not self.is_folder)

    def _scheme(self, contents: Contents) -> TilingScheme:
        """Return the tiling scheme as conf.xml lists it."""
        return conf.scheme_from_0(self.service.tiling_scheme, max(contents.levels))


@dataclass(frozen=True, slots=True)
class TilePackageV1(CacheDataset):
    """Tile package ``.tpk`` of ArcMap: a Compact Cache V1 dataset with the documents of an item."""

    storage_format: StorageFormat = StorageFormat.COMPACT
    is_folder = False

    @property
    def file_name(self) -> str:
        """Return the name of the package."""
        return f"{self.service.short_name}.tpk"

    @property
    def folder(self) -> str:
        """Return the folder of conf.xml."""
        return tpk.MAP_FOLDER

    def documents(self, contents: Contents) -> dict[str, bytes]:
        """Return the documents of the item, then those of the cache."""
        service, extent = self.service, contents.extent
        return {
            tpk.PKINFO: tpk.write_pkinfo(service, job_id=contents.job_id),
            tpk.ITEMINFO: tpk.write_iteminfo(service, extent, job_id=contents.job_id),
            tpk.THUMBNAIL: tpkx.thumbnail(contents.read_overview()),
            tpk.MAPSERVER: tpk.write_mapserver(service, extent),
            **CacheDataset.documents(self, contents),
        }


def _starts(fragments: Sequence[FragmentPlace], start: int) -> Iterable[int]:
    """Return where each of some fragments begins that follow each other."""
    return accumulate((fragment.size_bytes for fragment in fragments[:-1]), initial=start) if fragments else ()


def _member(name: str, pieces: Sequence[bytes | memoryview]) -> ZipMember:
    size_bytes = checksum = 0
    for piece in pieces:
        size_bytes += len(piece)
        checksum = crc32(piece, checksum)
    return ZipMember(name, size_bytes, checksum)
