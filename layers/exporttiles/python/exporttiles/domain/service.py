"""Image services: a tile cache, how it is laid out, and what may be exported."""

from dataclasses import dataclass
from enum import StrEnum

from exporttiles.domain.extent import Extent
from exporttiles.domain.tiling import TilingScheme


class CacheLayout(StrEnum):
    """How a tile cache lies in its store."""

    FILES = "files"
    COMPACT_V2 = "compact-v2"


class TileFormat(StrEnum):
    """Formats of the tiles of a cache, in Esri's words."""

    JPEG = "JPEG"
    PNG = "PNG"
    PNG8 = "PNG8"
    PNG24 = "PNG24"
    PNG32 = "PNG32"
    MIXED = "MIXED"
    LERC = "LERC"


@dataclass(frozen=True, slots=True)
class TileCache:
    """Where the tiles lie.

    Attributes:
        url: store and folder, ``s3://bucket/prefix`` or ``file:///folder``.
        path_template: of a file cache, the path of a tile below the url, with
            ``{level}``, ``{row}`` and ``{column}``; of a bundle cache, the
            folder of the level folders.
        average_tile_bytes: mean size of a tile, for planning and estimates.
    """

    url: str
    layout: CacheLayout
    path_template: str
    average_tile_bytes: int


@dataclass(frozen=True, slots=True)
class ImageService:
    """A published tile cache.

    Attributes:
        name: ``Name`` or ``Folder/Name``.
        min_level, max_level: the levels that hold tiles, both included.
        compression_quality: JPEG quality of the cache, 0 for other formats.
        full_extent: the envelope of the tiles, in the scheme's reference.
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

    @property
    def short_name(self) -> str:
        """Return the name without its folder."""
        return self.name.rpartition("/")[2]
