"""Readers of tile caches: one class for each layout, and the choice between them."""

import os
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from exporttiles.adapters.archives import archive_version, open_cache
from exporttiles.adapters.tile_sources.bundles import CompactV1Tiles, CompactV2Tiles
from exporttiles.adapters.tile_sources.database import DatabaseTiles
from exporttiles.adapters.tile_sources.files import FileTiles
from exporttiles.adapters.tile_sources.pmtiles import PmtilesTiles
from exporttiles.domain.errors import DamagedCacheError, SourceDeniedError, SourceError
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.ports.objects import ObjectReader, ranged_file
from exporttiles.ports.process import RunAll
from exporttiles.ports.tiles import TileSource

READERS: dict[CacheLayout, Callable[[ObjectReader, TileCache], TileSource]] = {
    CacheLayout.FILES: FileTiles,
    CacheLayout.COMPACT_V1: CompactV1Tiles,
    CacheLayout.COMPACT_V2: CompactV2Tiles,
    CacheLayout.PMTILES: PmtilesTiles,
    CacheLayout.DATABASE: DatabaseTiles,
}


def read_cache(objects: ObjectReader, cache: TileCache, run_all: RunAll[Any, Any] | None = None) -> TileSource:
    """Return the reader for the layout of a cache in a store.

    Args:
        objects: the store.
        cache: the cache.
        run_all: of a pool of processes, which draw the tiles of rasters; None draws them in this process.
    """
    if cache.layout is CacheLayout.RASTERS:
        from exporttiles.adapters.tile_sources.rasters import RasterTiles  # Pillow: caches of tiles need none

        return RasterTiles(objects, cache, run_all)
    return READERS[cache.layout](objects, cache)


def with_rasters(cache: TileCache, indexes: ObjectReader) -> TileCache:
    """Return a cache with the rasters of its mosaic, if it has one, read from its index.

    Args:
        cache: of a published service.
        indexes: the store of the index.

    Raises:
        SourceError: there is no index, or the store failed or did not answer.
        DamagedCacheError: the index cannot be used.
    """
    mosaic = cache.mosaic
    if mosaic is None or mosaic.files is not None:
        return cache
    from exporttiles.formats.caches.mosaic_index import read_index  # NumPy: a function that reports a status needs none

    try:
        files = read_index(ranged_file(indexes, mosaic.index, _INDEX_BYTES))
    except KeyError as error:
        text = f"There is no index {mosaic.index}: the service was removed, or published again. Export again."
        raise SourceError(text) from error
    except DamagedCacheError as error:
        raise DamagedCacheError(f"{mosaic.index}: {error}") from error
    return replace(cache, mosaic=replace(mosaic, files=files))


_INDEX_BYTES = 512 * 2**10
"""Read with the first request for an index; it holds the tables of most."""

_KEPT = 2
"""Archives whose readers are kept; the directories of one may take some 100 MB."""


class TileCaches:
    """Opens tile caches by address and layout.

    A map client requests one tile after the other: the reader of an archive, with
    its directories, is kept for the next request until the archive is replaced, and that of a mosaic.

    Args:
        patience: how long requests to S3 are retried while it is busy.
        buckets: that caches may lie in. An emulator also reads folders of this machine.
        indexes: the store of the indexes of mosaics; it is opened when it is needed.
    """

    def __init__(
        self, patience: timedelta, buckets: Collection[str], indexes: Callable[[], ObjectReader] | None = None
    ) -> None:
        self._patience = patience
        self._buckets = buckets
        self._indexes = indexes
        self._kept: OrderedDict[tuple[TileCache, str], TileSource] = OrderedDict()

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache; the same one for an archive or mosaic that was opened recently.

        Raises:
            SourceDeniedError: it is in none of the buckets.
            SourceError: the address names no store.
            DamagedCacheError: the index of a mosaic cannot be used.
        """
        self._require_bucket(cache)
        version = cache.mosaic.index if cache.mosaic else archive_version(cache.url, self._patience)
        source = self._kept.pop((cache, version), None) if version else None
        source = source or read_cache(
            open_cache(cache.url, self._patience), with_rasters(cache, self._indexes()) if self._indexes else cache
        )
        if not version:
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
