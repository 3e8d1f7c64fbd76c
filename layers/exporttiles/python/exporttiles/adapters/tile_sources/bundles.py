"""Compact caches: one file for 128 by 128 tiles."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from exporttiles.adapters.tile_sources.indexed import IndexedTiles, Records
from exporttiles.adapters.tile_sources.listing import list_sparse
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.formats.bundles.names import BundleNames
from exporttiles.formats.bundles.v1 import (
    BUNDLX_BYTES,
    HEADER_BYTES,
    check_header,
    read_bundlx,
    read_record,
    record_extents,
)
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET, SIZE_PREFIX_BYTES, read_index
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile


class _BundleTiles(IndexedTiles):
    def __init__(self, objects: ObjectReader, cache: TileCache) -> None:
        super().__init__(objects)
        self._names = BundleNames.of_cache(cache)

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block, from a listing of the level's folder."""
        folder = self._names.level_folder(block.level)
        keys = list_sparse(self._objects, folder, min(block.bundle_count, tile_count), limit)
        if keys is None:
            return None
        bundles = filter(None, map(self._names.parse, keys))
        return {bundle: None for bundle in bundles if bundle.tile_range.intersection(block).count}

    def _key(self, bundle: BundleIndex) -> str:
        return self._names.bundle(bundle)


class CompactV2Tiles(_BundleTiles):
    """A Compact Cache V2: offsets and sizes are in the bundle."""

    def _records(self, bundle: BundleIndex, _selected: Mask) -> Records:
        head, file_size = self._objects.read_start(self._key(bundle), RECORDS_OFFSET)
        index = read_index(head)
        return index.offset, np.where(index.outside(file_size), -1, index.size).astype(np.int32)


class CompactV1Tiles(_BundleTiles):
    """A Compact Cache V1: offsets are in a .bundlx file, sizes before each tile."""

    def _records(self, bundle: BundleIndex, _selected: Mask) -> Records:
        head, file_size = self._objects.read_start(self._key(bundle), HEADER_BYTES)
        check_header(head)
        offsets = self._offsets(bundle)
        lengths = record_extents(offsets, file_size)
        return offsets, np.where((offsets > 0) & (lengths == 0), -1, lengths).astype(np.int32)

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the selected tiles that exist; raise SourceError at the end if one of the two files was replaced."""
        placed = None
        for placed in super().read_bundle(bundle, selected):
            yield placed
        if placed:
            for key in reversed(self._keys(bundle)):
                list(self._objects.read_ranges(key, [(0, 1)]))  # fails if the object was replaced

    def _keys(self, bundle: BundleIndex) -> Sequence[str]:
        return [self._key(bundle), self._names.offsets(bundle)]

    def _offsets(self, bundle: BundleIndex) -> NDArray[np.int64]:
        try:
            bundlx, _ = self._objects.read_start(self._names.offsets(bundle), BUNDLX_BYTES + 1)
        except KeyError as error:
            raise DamagedCacheError("There is no .bundlx beside it.") from error
        return read_bundlx(bundlx)

    def _image(self, record: memoryview) -> memoryview | None:
        return read_record(record)

    def _sizes(self, lengths: NDArray[np.int32]) -> NDArray[np.int32]:
        # A gap behind a record is part of its length: only the record itself contains its size.
        return np.maximum(lengths - SIZE_PREFIX_BYTES, 0)
