"""The kinds of output: tile packages (.tpkx, .tpk) and cache datasets.

Workers ask an output for the members of a bundle, the packer for the documents;
neither depends on the kind. A new kind is a new class here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from exporttiles.domain.export import ExportRequest, StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import BundleIndex, TilingScheme
from exporttiles.domain.wording import gap_names
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.bundles.v1 import bundlx_path, write_bundle_v1
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT, bundle_path, write_bundle
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, ROOT_JSON
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.cache_check import check_cache_archive
from exporttiles.formats.checks.checked_files import PackageReport
from exporttiles.formats.checks.package_check import check_package
from exporttiles.formats.packages import conf, gdal, tpk, tpkx

Tiles = Mapping[tuple[int, int], bytes | memoryview]
"""Row and column in the scheme -> encoded image."""

Member = tuple[str, list[bytes | memoryview]]
"""A file by its name, ``/`` between folders, and its bytes in pieces."""

_USE_A_DATASET = "They show a cache dataset of it: tilePackage=false, or an output that ends in .zip."


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


@dataclass(frozen=True, slots=True)
class TilePackage:
    """Tile package ``.tpkx``: Compact Cache V2 and JSON documents.

    Attributes:
        is_folder: the members are also delivered as single files in folders.
    """

    service: ImageService
    compression_quality: int | None
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
            ROOT_JSON: tpkx.write_root(service, contents.levels, extent, compression_quality=self.compression_quality),
            tpkx.THUMBNAIL: tpkx.thumbnail(contents.read_overview()),
        }

    def warnings(self, contents: Contents) -> list[str]:
        """Return a warning if GDAL cannot show the package, and one of levels without tiles between others."""
        scheme, gaps = self.service.tiling_scheme, _gap_warnings(contents.levels)
        if not (obstacle := gdal.package_obstacle(scheme, contents.levels, contents.extent)):
            return gaps
        text = f"GDAL and QGIS cannot show this tile package: {obstacle}."
        dataset = CacheDataset(self.service, self.compression_quality, StorageFormat.COMPACT_V2)
        return [text if dataset.obstacle(contents) else f"{text} {_USE_A_DATASET}", *gaps]

    def check(self, file: RangedFile, scope: Scope) -> PackageReport:
        """Check the package within a scope, and report on it."""
        return check_package(file, scope)


@dataclass(frozen=True, slots=True)
class CacheDataset:
    """A cache raster dataset: the folder of a cache, as ArcGIS Server keeps it, and as one ``.zip``."""

    service: ImageService
    compression_quality: int | None
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
            compression_quality=tpkx.declared_quality(service, self.compression_quality),
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
        gaps = _gap_warnings(conf.level_from_0(self.service.tiling_scheme, level) for level in contents.levels)
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


def _gap_warnings(levels: Iterable[int]) -> list[str]:
    """Return a warning if levels between others are missing, which `check` reports as a fault."""
    gaps = gap_names(levels)
    return [f"The export holds no tiles of {gaps}, but of coarser and of finer levels."] if gaps else []


Output = TilePackage | CacheDataset
"""One kind of output, for one export."""


def output_of(service: ImageService, request: ExportRequest) -> Output:
    """Return the output that a request asks for."""
    quality = request.compression_quality
    if not request.tile_package:
        return CacheDataset(service, quality, request.storage_format)
    if request.storage_format is StorageFormat.COMPACT:
        return TilePackageV1(service, quality)
    return TilePackage(service, quality)
