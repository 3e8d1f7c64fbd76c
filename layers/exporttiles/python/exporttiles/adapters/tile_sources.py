"""Readers of tile caches, one for each layout."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from exporttiles.adapters.object_stores import open_store
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundle import RECORDS_OFFSET, TileIndex, bundle_path, read_index
from exporttiles.formats.byte_ranges import coalesce, slice_records
from exporttiles.ports import Mask, ObjectStore, PlacedTile, TileSource


class FileTiles:
    """A cache of one file a tile: XYZ, TMS, WMTS order or ArcGIS exploded."""

    def __init__(self, objects: ObjectStore, cache: TileCache) -> None:
        self._objects = objects
        self._path_of = cache.path_template.format

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles that are wanted and exist."""
        places = _places(bundle, selected)
        tiles = self._objects.read_many(self._keys(bundle, places))
        for place, tile in zip(places, tiles, strict=True):
            if tile is not None:
                yield place, tile

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> NDArray[np.int32]:
        """Return the bytes of the tiles that are wanted; one request for each."""
        keys = self._keys(bundle, _places(bundle, selected))
        sizes = np.zeros(selected.shape, np.int32)
        sizes[selected] = [size or 0 for size in self._objects.sizes_bytes(keys)]
        return sizes

    def _keys(self, bundle: BundleIndex, places: list[tuple[int, int]]) -> list[str]:
        return [self._path_of(level=bundle.level, row=row, column=column) for row, column in places]


class CompactV2Tiles:
    """A Compact Cache V2: the index of a bundle, then ranges of its records."""

    def __init__(self, objects: ObjectStore, cache: TileCache) -> None:
        self._objects = objects
        self._folder = cache.path_template

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles that are wanted and exist."""
        index = self._index(bundle)
        if index is None:
            return
        wanted = selected & (index.size > 0)
        offsets, sizes = index.offset[wanted], index.size[wanted]
        ranges = coalesce(offsets, sizes)
        bodies = list(self._objects.read_ranges(self._key(bundle), ranges))
        if any(len(body) < stop - start for body, (start, stop) in zip(bodies, ranges, strict=True)):
            raise DamagedCacheError(f"{self._key(bundle)} ends before its last tile.")
        tiles = slice_records(ranges, bodies, offsets, sizes)
        yield from zip(_places(bundle, wanted), tiles, strict=True)

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> NDArray[np.int32]:
        """Return the bytes of the tiles that are wanted, from the bundle's index."""
        index = self._index(bundle)
        if index is None:
            return np.zeros(selected.shape, np.int32)
        return np.where(selected, index.size, 0)

    def _key(self, bundle: BundleIndex) -> str:
        return f"{self._folder}{bundle_path(bundle)}"

    def _index(self, bundle: BundleIndex) -> TileIndex | None:
        """Return the index of a bundle; None where there is no bundle, and so no tile."""
        try:
            (head,) = self._objects.read_ranges(self._key(bundle), [(0, RECORDS_OFFSET)])
        except KeyError:
            return None
        try:
            return read_index(head)
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{self._key(bundle)}: {error}") from error


def _places(bundle: BundleIndex, selected: Mask) -> list[tuple[int, int]]:
    """Return row and column in the scheme of each selected tile, in row-major order."""
    rows, columns = np.nonzero(selected)
    return list(zip((rows + bundle.row).tolist(), (columns + bundle.column).tolist(), strict=True))


READERS: dict[CacheLayout, Callable[[ObjectStore, TileCache], TileSource]] = {
    CacheLayout.FILES: FileTiles,
    CacheLayout.COMPACT_V2: CompactV2Tiles,
}


class TileSources:
    """Opens tile caches by their layout."""

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        return READERS[cache.layout](open_store(cache.url), cache)
