"""Read single tiles of a service, and which tiles exist."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.ports.tiles import Mask, TileSources


@dataclass(frozen=True, slots=True)
class BrowseService:
    """Reads tiles of a service without exporting them."""

    sources: TileSources

    def tile(self, service: ImageService, level: int, row: int, column: int) -> bytes | None:
        """Return an encoded tile as it is stored in the cache, or None if it does not exist.

        Raises:
            SourceError, DamagedCacheError: the cache cannot be read.
        """
        bundle, selected = _only(TileRange(level, row, row + 1, column, column + 1))
        for _, tile in self.sources.open(service.cache).read_bundle(bundle, selected):
            return bytes(tile) or None  # no bytes: its record is damaged
        return None

    def tilemap(self, service: ImageService, tiles: TileRange) -> Sequence[int]:
        """Return 1 for each tile that exists and 0 for each that does not, row by row.

        Args:
            service: the service.
            tiles: at least one, and all in one bundle.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is damaged.
        """
        bundle, selected = _only(tiles)
        sizes = self.sources.open(service.cache).tile_sizes(bundle, selected)
        exists: list[int] = (sizes[selected] > 0).astype(int).tolist()
        return exists


def _only(tiles: TileRange) -> tuple[BundleIndex, Mask]:
    """Return the bundle of some tiles, and the mask that selects them."""
    bundle = BundleIndex.of_tile(tiles.level, tiles.row_start, tiles.column_start)
    mask = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
    mask[bundle.slices(tiles)] = True
    return bundle, mask
