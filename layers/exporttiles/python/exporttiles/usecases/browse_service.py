"""Show what a service holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.ports.tiles import TileSources


@dataclass(frozen=True, slots=True)
class ReadTile:
    """Serves single tiles."""

    sources: TileSources

    def __call__(self, service: ImageService, level: int, row: int, column: int) -> bytes | None:
        """Return an encoded tile as it lies in the cache, or None where there is none.

        Raises:
            SourceError, DamagedCacheError: the cache cannot be read.
        """
        bundle = BundleIndex.of_tile(level, row, column)
        selected = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
        selected[row - bundle.row, column - bundle.column] = True
        for _, tile in self.sources.open(service.cache).read_bundle(bundle, selected):
            return bytes(tile) or None  # no bytes: its record is damaged
        return None


@dataclass(frozen=True, slots=True)
class ReadTilemap:
    """Tells which tiles exist."""

    sources: TileSources

    def __call__(self, service: ImageService, tiles: TileRange) -> Sequence[int]:
        """Return 1 for each tile that exists and 0 for each that does not, row by row.

        Args:
            service: whose cache is looked at.
            tiles: at least one, and all in one bundle.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is not what it claims to be.
        """
        bundle = BundleIndex.of_tile(tiles.level, tiles.row_start, tiles.column_start)
        asked = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
        asked[
            tiles.row_start - bundle.row : tiles.row_stop - bundle.row,
            tiles.column_start - bundle.column : tiles.column_stop - bundle.column,
        ] = True
        sizes = self.sources.open(service.cache).tile_sizes(bundle, asked)
        found: list[int] = (sizes[asked] > 0).astype(int).tolist()
        return found
