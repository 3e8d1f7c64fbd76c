"""Readers of tile caches, one for each layout, and what opens them."""

from collections import OrderedDict
from collections.abc import Callable

from exporttiles.adapters.archives import archive_version, open_cache
from exporttiles.adapters.tile_sources.bundles import CompactV1Tiles, CompactV2Tiles
from exporttiles.adapters.tile_sources.files import FileTiles
from exporttiles.adapters.tile_sources.pmtiles import PmtilesTiles
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource

READERS: dict[CacheLayout, Callable[[ObjectReader, TileCache], TileSource]] = {
    CacheLayout.FILES: FileTiles,
    CacheLayout.COMPACT_V1: CompactV1Tiles,
    CacheLayout.COMPACT_V2: CompactV2Tiles,
    CacheLayout.PMTILES: PmtilesTiles,
}


def read_cache(objects: ObjectReader, cache: TileCache) -> TileSource:
    """Return a reader of a cache that lies in a store."""
    return READERS[cache.layout](objects, cache)


_KEPT = 2
"""Archives whose directories are kept; each may take some 100 MB."""


class TileSources:
    """Opens tile caches by their address and layout.

    A client that looks at a map asks for one tile after the other: what was
    read of an archive's directory serves the next one, until the archive is replaced.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[TileCache, str], TileSource] = OrderedDict()

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        version = archive_version(cache.url)
        if version is None:
            return read_cache(open_cache(cache.url), cache)
        source = self._kept.pop((cache, version), None) or read_cache(open_cache(cache.url), cache)
        self._kept[cache, version] = source
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return source
