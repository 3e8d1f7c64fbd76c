"""Readers of tile caches, one for each layout, and what opens them."""

from collections.abc import Callable

from exporttiles.adapters.archives import open_cache
from exporttiles.adapters.tile_sources.bundles import CompactV1Tiles, CompactV2Tiles
from exporttiles.adapters.tile_sources.files import FileTiles
from exporttiles.adapters.tile_sources.pmtiles import PmtilesTiles
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.ports import ObjectReader, TileSource

READERS: dict[CacheLayout, Callable[[ObjectReader, TileCache], TileSource]] = {
    CacheLayout.FILES: FileTiles,
    CacheLayout.COMPACT_V1: CompactV1Tiles,
    CacheLayout.COMPACT_V2: CompactV2Tiles,
    CacheLayout.PMTILES: PmtilesTiles,
}


def read_cache(objects: ObjectReader, cache: TileCache) -> TileSource:
    """Return a reader of a cache that lies in a store."""
    return READERS[cache.layout](objects, cache)


class TileSources:
    """Opens tile caches by their address and layout."""

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        return read_cache(open_cache(cache.url), cache)
