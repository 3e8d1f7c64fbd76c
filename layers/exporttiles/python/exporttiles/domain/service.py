"""Image services: published tile caches, their layout and export limits."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from exporttiles.domain.extent import Extent
from exporttiles.domain.mosaic import ValueRange
from exporttiles.domain.tiling import TilingScheme

if TYPE_CHECKING:  # a function that reports a status needs no NumPy
    from exporttiles.domain.mosaic_files import MosaicFiles


class CacheLayout(StrEnum):
    """Layouts of tile caches."""

    FILES = "files"
    COMPACT_V1 = "compact-v1"
    COMPACT_V2 = "compact-v2"
    PMTILES = "pmtiles"
    DATABASE = "database"
    RASTERS = "rasters"


class ServiceType(StrEnum):
    """Types under which every service is served: some clients export only from map services."""

    IMAGE = "ImageServer"
    MAP = "MapServer"


class TileFormat(StrEnum):
    """Formats of the tiles of a cache: those of Esri, and WebP."""

    JPEG = "JPEG"
    PNG = "PNG"
    PNG8 = "PNG8"
    PNG24 = "PNG24"
    PNG32 = "PNG32"
    MIXED = "MIXED"
    LERC = "LERC"
    WEBP = "WEBP"

    @property
    def encodings(self) -> frozenset[str]:
        """Return the encodings that a tile of this format may have, as `sniff` names them."""
        return _ENCODINGS.get(self, frozenset({"png"}))


_ENCODINGS = {
    TileFormat.JPEG: frozenset({"jpeg"}),
    TileFormat.MIXED: frozenset({"jpeg", "png"}),
    TileFormat.LERC: frozenset({"lerc"}),
    TileFormat.WEBP: frozenset({"webp"}),
}

DRAWN_TILE_BYTES = 16 * 1024
"""Drawing a tile takes as long as exporting so many bytes of a cache in a work item of half a minute."""

ESRI_TILE_FORMATS = tuple(each for each in TileFormat if each is not TileFormat.WEBP)
"""The formats that tile packages and cache datasets can hold."""


def bucket_of(url: str) -> str:
    """Return the bucket of ``s3://bucket/prefix``; '' for any other address."""
    return url.removeprefix("s3://").partition("/")[0] if url.startswith("s3://") else ""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Rasters, and the tiles that are drawn from them.

    Attributes:
        scheme: of the tiles.
        tile_format: JPEG, PNG, or MIXED: JPEG, but PNG where pixels are transparent.
        quality: of JPEG tiles, 1-95 on the scale of libjpeg.
        source_wkid: coordinate system of the rasters, if the user named it; None if the files state theirs.
        rescale: values of pixels that become 0 and 255, for all bands or for each; () for pixels of 8 bits as they are.
        bands: numbers, from 1, of the band that is drawn as gray, or of those drawn as red, green and blue; () for the
            first ones of each file.
        copies_blocks: JPEG blocks that are tiles already are copied, whatever their quality.
        file_count: how many rasters there are.
        index: key of the stored list of the rasters; '' until the service is published.
        files: the rasters; None until they are read from the index.
    """

    scheme: TilingScheme
    tile_format: TileFormat
    quality: int
    source_wkid: int | None = None
    copies_blocks: bool = True
    rescale: tuple[ValueRange, ...] = ()
    bands: tuple[int, ...] = ()
    file_count: int = 0
    index: str = ""
    files: "MosaicFiles | None" = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TileCache:
    """Location and layout of the tiles.

    Attributes:
        url: folder, archive (.tpkx, .tpk, .pmtiles), database (.mbtiles, .gpkg) or GeoTIFF:
            ``s3://bucket/prefix`` or ``file:///folder``.
        path_template: of a file cache, the path of a tile below the url, with
            the fields of `PathTemplate`; of a bundle cache, the folder of the
            level folders, or the path of a bundle with the fields of
            `BundleNames`; of PMTiles, the name of the archive; of a
            database, the name of the table of tiles; '' for rasters.
        average_tile_bytes: mean size of a tile, for planning and estimates.
        extensions: for the field ``{extension}``: of a file cache, all that
            tiles have, the most frequent first; of a bundle cache, those of
            bundles and of the files of their offsets.
        level_rows: of a database or file cache that counts rows from the bottom, for the
            field ``{row_from_bottom}``: how many rows each level has, from
            level 0.
        mosaic: the rasters that tiles are drawn from, if there are no tiles.
    """

    url: str
    layout: CacheLayout
    path_template: str
    average_tile_bytes: int
    extensions: tuple[str, ...] = ()
    level_rows: tuple[int, ...] = ()
    mosaic: Mosaic | None = None

    @property
    def work_bytes(self) -> int:
        """Return the size of a tile of the same work: the mean, but at least `DRAWN_TILE_BYTES` if it is drawn."""
        return max(self.average_tile_bytes, DRAWN_TILE_BYTES) if self.mosaic else self.average_tile_bytes

    @property
    def bucket(self) -> str:
        """Return the bucket that holds the tiles; '' if they are not in S3."""
        return bucket_of(self.url)


@dataclass(frozen=True, slots=True)
class ImageService:
    """A published tile cache.

    Attributes:
        name: ``Name`` or ``Folder/Name``.
        min_level, max_level: the levels that hold tiles, both included.
        compression_quality: JPEG quality of the cache, 0 for other formats.
        full_extent: the envelope of the tiles, in the scheme's reference.
        title: of the map, in any script; '' where it is the name.
        published_at: when the cache was published last, in ISO 8601: tiles may
            have changed since. '' if unknown.
    """

    name: str
    cache: TileCache
    tiling_scheme: TilingScheme
    min_level: int
    max_level: int
    tile_format: TileFormat
    compression_quality: int
    full_extent: Extent
    description: str = ""
    copyright_text: str = ""
    lerc_error: float = 0.0
    export_tiles_allowed: bool = True
    max_export_tiles_count: int = 100_000
    published_at: str = ""
    title: str = ""

    @property
    def map_title(self) -> str:
        """Return the title, or the name if there is none."""
        return self.title or self.short_name

    @property
    def short_name(self) -> str:
        """Return the name without its folder."""
        return self.name.rpartition("/")[2]
