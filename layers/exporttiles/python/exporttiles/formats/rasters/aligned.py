"""Blocks of a raster that are tiles of a scheme already: JPEGs of the same pixels, which are copied undecoded."""

from dataclasses import dataclass

import numpy as np

from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.rasters.blocks import is_plain_jpeg
from exporttiles.formats.rasters.directory import Directory
from exporttiles.formats.rasters.raster import Raster

_SHIFT_PIXELS = 0.05
"""How far the pixels of a block may lie from those of its tile."""


@dataclass(frozen=True, slots=True)
class AlignedBlocks:
    """The whole blocks of a picture, as tiles.

    Attributes:
        tiles: of the scheme, in the order of the blocks.
    """

    directory: Directory
    tiles: TileRange


def aligned_blocks(raster: Raster, scheme: TilingScheme, level: int) -> AlignedBlocks | None:
    """Return the blocks of a raster that are tiles of a level; None if it has none, or transparent pixels.

    Args:
        raster: the raster.
        scheme: of the tiles.
        level: of the scheme.
    """
    if raster.may_be_transparent or not raster.georeference.spatial_reference.is_same_as(scheme.spatial_reference):
        return None
    a, b, left, d, e, top = raster.georeference.matrix
    if b or d or a < 0 or e > 0:
        return None
    resolution, size = scheme.lod(level).resolution, scheme.tile_size
    place = np.array([(left - scheme.origin_x) / resolution, (scheme.origin_y - top) / resolution]) / size
    column, row = (int(value) for value in np.rint(place))
    for number, found in enumerate(raster.levels):
        directory = raster.pictures[found.picture]
        rows, columns = directory.shape
        drift = np.abs(np.array([a, -e]) * raster.scales(number) / resolution - 1) * (columns, rows)
        shift = np.abs(place - (column, row)) * size + drift
        if directory.block_shape == (size, size) and (shift < _SHIFT_PIXELS).all() and is_plain_jpeg(directory):
            return AlignedBlocks(directory, TileRange(level, row, row + rows // size, column, column + columns // size))
    return None
