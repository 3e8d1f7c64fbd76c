"""Mosaics: rasters that tiles are drawn from, and the levels that they suffice for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from exporttiles.domain.tiling import TilingScheme

if TYPE_CHECKING:  # a service has a mosaic, and a function that reports a status needs no NumPy
    from exporttiles.domain.mosaic_files import MosaicFiles
    from exporttiles.domain.service import TileFormat

Sides = tuple[float, float, float, float]
"""xmin, ymin, xmax and ymax."""


ValueRange = tuple[float, float]
"""Values that become 0 and 255, in this order."""


class MosaicOrder(StrEnum):
    """Orders of the files of a mosaic: those at the end cover those before."""

    GIVEN = "given"
    NAME = "name"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class RasterFile:
    """A raster of a mosaic.

    Attributes:
        key: of the file, below the address of the cache.
        boxes: around its pixels, in the scheme's reference; two if it crosses the edge of the world.
    """

    key: str
    boxes: tuple[Sides, ...]

    def overlap(self, sides: Sides) -> list[Sides]:
        """Return the parts of a box that its pixels may lie in."""
        parts = [
            (max(box[0], sides[0]), max(box[1], sides[1]), min(box[2], sides[2]), min(box[3], sides[3]))
            for box in self.boxes
        ]
        return [part for part in parts if part[0] < part[2] and part[1] < part[3]]


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A raster as it was when the mosaic was made.

    Attributes:
        version: its ETag.
        size_bytes: its length.
        known: offset -> bytes of it that opening it takes.
    """

    version: str
    size_bytes: int
    known: Mapping[int, bytes]


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
    tile_format: "TileFormat"
    quality: int
    source_wkid: int | None = None
    copies_blocks: bool = True
    rescale: tuple[ValueRange, ...] = ()
    bands: tuple[int, ...] = ()
    file_count: int = 0
    index: str = ""
    files: "MosaicFiles | None" = field(default=None, compare=False, repr=False)


def finest_level(scheme: TilingScheme, resolution: float) -> int:
    """Return the level whose pixels differ least in size from those of a raster, as GDAL chooses it.

    Args:
        scheme: of the tiles.
        resolution: of the raster, in map units of the scheme per pixel.
    """
    return min(scheme.lods, key=lambda lod: abs(math.log(lod.resolution / resolution))).level


def coarsest_level(scheme: TilingScheme, side: float, finest: int) -> int:
    """Return the finest level at which an extent is not larger than a tile; the first one if there is none.

    Args:
        scheme: of the tiles.
        side: the longer side of the extent, in map units of the scheme.
        finest: limit of the result.
    """
    fitting = [lod.level for lod in scheme.lods if lod.level <= finest and scheme.tile_span(lod.level) >= side]
    return max(fitting, default=scheme.lods[0].level)
