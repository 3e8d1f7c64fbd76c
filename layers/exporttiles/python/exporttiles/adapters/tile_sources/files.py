"""Caches with one file for each tile: XYZ, TMS, WMTS order, ArcGIS exploded, sharded."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from exporttiles.adapters.tile_sources.listing import list_sparse
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.bundles.v2 import MAX_TILE_BYTES
from exporttiles.formats.caches.path_template import PathTemplate, TilePlace
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile


class FileTiles:
    """A cache with one file for each tile.

    If tiles have several extensions, the most frequent one is tried first, and
    the next one only for tiles that were not found: a listing costs as much as 12
    reads, and in a MIXED cache few tiles have the rarer extension.
    """

    def __init__(self, objects: ObjectReader, cache: TileCache) -> None:
        self._objects = objects
        self._template = PathTemplate(cache.path_template, cache.level_rows)
        self._extensions = cache.extensions or ("",)

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the selected tiles that exist; those with the most frequent extension first."""
        places = bundle.places(selected)
        for extension in self._extensions:
            missing = []
            tiles = self._objects.read_many(self._keys(bundle, places, extension))
            for place, tile in zip(places, tiles, strict=True):
                if tile is None:
                    missing.append(place)
                else:
                    yield place, tile if len(tile) <= MAX_TILE_BYTES else b""
            places = missing

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block and the places of their tiles, from a listing of the level's folder."""
        keys = list_sparse(self._objects, self._template.level_prefix(block.level), tile_count, limit)
        if keys is None:
            return None
        found: defaultdict[BundleIndex, list[int]] = defaultdict(list)
        for place in map(self._template.place, keys):
            if place and place.level == block.level:
                bundle = BundleIndex.of_tile(block.level, place.row, place.column)
                found[bundle].append((place.row - bundle.row) * PACKET_SIZE + place.column - bundle.column)
        return {bundle: places for bundle, places in found.items() if bundle.tile_range.intersection(block).count}

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> NDArray[np.int32]:
        """Return the sizes of the selected tiles, with one request for each."""
        sizes = np.zeros(selected.shape, np.int32)
        unknown = selected.copy()
        for extension in self._extensions:
            keys = self._keys(bundle, bundle.places(unknown), extension)
            sizes[unknown] = [size or 0 for size in self._objects.sizes_bytes(keys)]
            unknown &= sizes == 0
        return sizes

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return the mask of tiles written before a time, with one request for each."""
        unmodified, unknown = np.zeros_like(selected), selected.copy()
        for extension in self._extensions:
            keys = self._keys(bundle, bundle.places(unknown), extension)
            written = list(self._objects.modified_at(keys))
            places = unknown.nonzero()
            unmodified[places] = [moment is not None and moment < since.replace(microsecond=0) for moment in written]
            unknown[places] = [moment is None for moment in written]
        return unmodified

    def _keys(self, bundle: BundleIndex, places: list[tuple[int, int]], extension: str) -> list[str]:
        return [self._template.path(TilePlace(bundle.level, row, column), extension) for row, column in places]
