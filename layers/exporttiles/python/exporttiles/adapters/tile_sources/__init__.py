"""Readers of tile caches: one class for each layout, and the choice between them."""

import os
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import timedelta

from exporttiles.adapters.archives import archive_version, open_cache
from exporttiles.adapters.tile_sources.bundles import CompactV1Tiles, CompactV2Tiles
from exporttiles.adapters.tile_sources.database import DatabaseTiles
from exporttiles.adapters.tile_sources.files import FileTiles
from exporttiles.adapters.tile_sources.pmtiles import PmtilesTiles
from exporttiles.domain.errors import SourceDeniedError
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource


def _raster_tiles(objects: ObjectReader, cache: TileCache) -> TileSource:
    from exporttiles.adapters.tile_sources.rasters import RasterTiles  # Pillow: caches of tiles need none

    return RasterTiles(objects, cache)


READERS: dict[CacheLayout, Callable[[ObjectReader, TileCache], TileSource]] = {
    CacheLayout.FILES: FileTiles,
    CacheLayout.COMPACT_V1: CompactV1Tiles,
    CacheLayout.COMPACT_V2: CompactV2Tiles,
    CacheLayout.PMTILES: PmtilesTiles,
    CacheLayout.DATABASE: DatabaseTiles,
    CacheLayout.RASTERS: _raster_tiles,
}


def read_cache(objects: ObjectReader, cache: TileCache) -> TileSource:
    """Return the reader for the layout of a cache in a store."""
    return READERS[cache.layout](objects, cache)


_KEPT = 2
"""Archives whose readers are kept; the directories of one may take some 100 MB."""


class TileCaches:
    """Opens tile caches by address and layout.

    A map client requests one tile after the other: the reader of an archive, with
    its directories, is kept for the next request until the archive is replaced.

    Args:
        patience: how long requests to S3 are retried while it is busy.
        buckets: that caches may lie in. An emulator also reads folders of this machine.
    """

    def __init__(self, patience: timedelta, buckets: Collection[str]) -> None:
        self._patience = patience
        self._buckets = buckets
        self._kept: OrderedDict[tuple[TileCache, str], TileSource] = OrderedDict()

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache; the same one for an archive that was opened recently.

        Raises:
            SourceDeniedError: it is in none of the buckets.
            SourceError: the address names no store.
        """
        self._require_bucket(cache)
        version = archive_version(cache.url, self._patience)
        source = self._kept.pop((cache, version), None) if version else None
        source = source or read_cache(open_cache(cache.url, self._patience), cache)
        if version is None:
            return source
        self._kept[cache, version] = source
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return source

    def _require_bucket(self, cache: TileCache) -> None:
        is_on_emulator = cache.url.startswith("file:") and "AWS_ENDPOINT_URL" in os.environ
        if cache.bucket not in self._buckets and not is_on_emulator:
            raise SourceDeniedError(
                f"CacheBuckets: The tiles lie at '{cache.url}', in none of the buckets that this stack may read. "
                f"Deploy it again with {cache.bucket or 'the bucket'} in CacheBuckets."
            )
