"""Rasters that tiles are drawn from: their order in a mosaic, and the levels that they suffice for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from exporttiles.domain.tiling import TilingScheme

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
