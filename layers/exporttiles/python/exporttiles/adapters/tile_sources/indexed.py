"""Caches with an index of their tiles, for each bundle or for all.

A damaged index makes the bundle or the cache unreadable. A record outside of its file damages
only that tile: it is yielded as empty bytes, so that the caller can count it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.domain.wording import counted
from exporttiles.formats.bundles.byte_ranges import coalesce, numbered_records
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile

MAX_BUNDLE_BYTES = 2 * 2**30
"""Limit for all tiles of a bundle; a small file whose slots share a record can claim more."""

Records = tuple[NDArray[np.int64], NDArray[np.int32]]
"""(128, 128) offsets and lengths in bytes of records, row before column.

The length is 0 where there is no record, and -1 where it lies outside of the file.
"""


class IndexedTiles(ABC):
    """A cache that is read by its index and few byte ranges."""

    def __init__(self, objects: ObjectReader) -> None:
        self._objects = objects

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the selected tiles that exist."""
        offsets, lengths = self._find(bundle, selected)
        wanted, outside = selected & (lengths > 0), selected & (lengths < 0)
        places = bundle.places(wanted)
        for number, record in self._read(bundle, offsets[wanted], lengths[wanted]):
            tile = self._image(record)
            if tile is not None:
                yield places[number], tile
        for place in bundle.places(outside):
            yield place, b""

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> NDArray[np.int32]:
        """Return the sizes of the selected tiles, from the index."""
        _, lengths = self._find(bundle, selected)
        return np.where(selected, self._sizes(lengths), 0).astype(np.int32)

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return the mask of existing tiles if their bundle or archive was written before a time; else none."""
        written = [moment for moment in self._objects.modified_at(self._keys(bundle)) if moment is not None]
        if not written or max(written) >= since.replace(microsecond=0):
            return np.zeros_like(selected)
        _, lengths = self._find(bundle, selected)
        return selected & ((self._sizes(lengths) > 0) | (lengths < 0))

    def _find(self, bundle: BundleIndex, selected: Mask) -> Records:
        try:
            return self._records(bundle, selected)
        except KeyError:  # no file means no tiles
            return np.zeros(selected.shape, np.int64), np.zeros(selected.shape, np.int32)
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{self._key(bundle)}: {error}") from error

    def _read(
        self, bundle: BundleIndex, offsets: NDArray[np.int64], lengths: NDArray[np.int32]
    ) -> Iterator[tuple[int, memoryview]]:
        """Yield records with their numbers, as views of the ranges read, in the order of the file."""
        key, total_bytes = self._key(bundle), int(lengths.sum(dtype=np.int64))
        if total_bytes > MAX_BUNDLE_BYTES:
            raise DamagedCacheError(f"{key} claims tiles of {counted(total_bytes, 'byte')} in one bundle.")
        ranges = coalesce(offsets, lengths)
        return numbered_records(ranges, self._ranges(key, ranges), offsets, lengths)

    def _ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[memoryview]:
        if not ranges:  # the object may not exist
            return
        for body, (start, stop) in zip(self._objects.read_ranges(key, ranges), ranges, strict=True):
            if len(body) < stop - start:
                raise SourceError(f"{key} has become shorter while it was read.")
            yield body

    @abstractmethod
    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that may hold tiles; None if a listing would cost too much."""

    @abstractmethod
    def _key(self, bundle: BundleIndex) -> str:
        """Return the key of the object that holds the tiles of a bundle."""

    def _keys(self, bundle: BundleIndex) -> Sequence[str]:
        """Return the keys of all objects of a bundle: its tiles and their index."""
        return [self._key(bundle)]

    @abstractmethod
    def _records(self, bundle: BundleIndex, selected: Mask) -> Records:
        """Return offsets and lengths of the records, at least of the selected tiles.

        Raises:
            KeyError: there is no such object.
            DamagedCacheError: its index cannot be used.
        """

    def _image(self, record: memoryview) -> memoryview | None:
        """Return the tile of a record; None if there is none."""
        return record

    def _sizes(self, lengths: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the sizes (128, 128) in bytes of the tiles in records."""
        return np.maximum(lengths, 0)
