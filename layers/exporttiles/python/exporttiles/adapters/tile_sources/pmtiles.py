"""PMTiles v3: directories on a Hilbert curve, then ranges of one archive."""

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporttiles.adapters.tile_sources.indexed import IndexedTiles, Records
from exporttiles.adapters.tile_sources.listing import sparse_limit
from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.domain.wording import counted
from exporttiles.formats.bundles.v2 import MAX_TILE_BYTES
from exporttiles.formats.caches.pmtiles import (
    MAX_DIRECTORY_BYTES,
    MAX_LEVEL,
    START_BYTES,
    Directory,
    PmtilesHeader,
    first_id,
    read_directory,
    read_header,
    tile_ids,
    tiles_at,
)
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask

_MAX_DEPTH = 4
"""Maximum depth of leaf directories; writers make one level, but a hostile leaf may refer to itself."""

_MAX_LEAVES = 512
"""Leaf directories read for one bundle, at all depths; its tiles are neighbours on the curve."""

_WIDE_LEAF = 4 * PACKET_SIZE**2
"""A leaf directory that covers fewer positions is not read to find bundles: all are taken to hold tiles."""

_KEPT_ENTRIES = 2 * 2**20
"""Size of the leaf directories that are kept for the next bundle: 64 MiB."""


class PmtilesTiles(IndexedTiles):
    """A PMTiles archive; reading fails if it is replaced meanwhile."""

    def __init__(self, objects: ObjectReader, cache: TileCache) -> None:
        super().__init__(objects)
        self._archive = cache.path_template
        self._leaves_left = _MAX_LEAVES
        self._leaves: OrderedDict[tuple[int, int], Directory] = OrderedDict()

    def _key(self, _bundle: BundleIndex) -> str:
        return self._archive

    def _records(self, bundle: BundleIndex, selected: Mask) -> Records:
        offsets, lengths = np.zeros(selected.shape, np.int64), np.zeros(selected.shape, np.int32)
        rows, columns = selected.nonzero()
        world = 1 << bundle.level
        exists = (rows + bundle.row < world) & (columns + bundle.column < world)
        rows, columns = rows[exists], columns[exists]
        if not len(rows) or bundle.level > MAX_LEVEL:
            return offsets, lengths
        header, root = self._start
        ids = tile_ids(bundle.level, rows + bundle.row, columns + bundle.column)
        self._leaves_left = _MAX_LEAVES
        found, sizes = self._look_up(root, ids, depth=0)
        is_outside = (found + sizes > header.tiles.size_bytes) | (sizes > MAX_TILE_BYTES)
        offsets[rows, columns] = header.tiles.offset + found
        lengths[rows, columns] = np.where(is_outside, -1, sizes)
        return offsets, lengths

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block, from the directories: the tiles of a bundle are one run of positions."""
        level, most = block.level, sparse_limit(min(block.bundle_count, tile_count), limit)
        if not most:  # as on all levels of less than 128 rows
            return None
        if level > MAX_LEVEL:
            return {}
        _, root = self._start
        self._leaves_left = _MAX_LEAVES
        start, numbers = first_id(level), np.empty(0, np.int64)
        for spans in self._spans(root, start, first_id(level + 1), depth=0):
            first, last = ((spans - (start, start + 1)) // PACKET_SIZE**2).T
            if self._leaves_left < 0 or len(numbers) + int((last - first + 1).sum()) > most:
                return None
            repeated = np.repeat(last + 1 - np.cumsum(last - first + 1), last - first + 1)
            numbers = np.union1d(numbers, np.arange(len(repeated)) + repeated)
        coarse = max(0, level + 1 - PACKET_SIZE.bit_length())  # whose tiles are the bundles of this level
        rows, columns = tiles_at(coarse, numbers + first_id(coarse))
        places = zip((rows * PACKET_SIZE).tolist(), (columns * PACKET_SIZE).tolist(), strict=True)
        found = (BundleIndex(level, row, column) for row, column in places)
        return {bundle: None for bundle in found if bundle.tile_range.intersection(block).count}

    def _spans(self, directory: Directory, start: int, stop: int, depth: int) -> Iterator[NDArray[np.int64]]:
        """Yield half-open runs (n, 2) of positions that may hold tiles, between two positions."""
        if depth > _MAX_DEPTH:
            raise DamagedCacheError(f"Its leaf directories are more than {_MAX_DEPTH} deep.")
        is_leaf = directory.run_length == 0
        ends = np.where(is_leaf, np.append(directory.tile_id[1:], stop), directory.tile_id + directory.run_length)
        spans = np.clip(np.column_stack([directory.tile_id, ends]), start, stop)
        sizes = spans[:, 1] - spans[:, 0]
        is_wide = is_leaf & (sizes > _WIDE_LEAF)
        yield spans[(sizes > 0) & ~is_wide]
        for number in np.flatnonzero(is_wide).tolist():
            self._leaves_left -= 1
            leaf = self._leaf(int(directory.offset[number]), int(directory.size[number]))
            yield from self._spans(leaf, int(spans[number, 0]), int(spans[number, 1]), depth + 1)

    def _look_up(
        self, directory: Directory, ids: NDArray[np.int64], depth: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return offset and size (n) of tiles (n) in the section of tiles; a size of 0 where there is none."""
        if depth > _MAX_DEPTH:
            raise DamagedCacheError(f"Its leaf directories are more than {_MAX_DEPTH} deep.")
        entry = directory.find(ids)
        offsets = np.where(entry >= 0, directory.offset[entry], 0)
        sizes = np.where(entry >= 0, directory.size[entry], 0)
        is_leaf = (entry >= 0) & (directory.run_length[entry] == 0)
        entries = np.unique(entry[is_leaf])
        self._leaves_left -= len(entries)
        if self._leaves_left < 0:
            raise DamagedCacheError(
                f"It spreads the tiles of one bundle over more than {_MAX_LEAVES} leaf directories."
            )
        for number in entries.tolist():
            within = is_leaf & (entry == number)
            leaf = self._leaf(int(directory.offset[number]), int(directory.size[number]))
            offsets[within], sizes[within] = self._look_up(leaf, ids[within], depth + 1)
        return offsets, sizes

    @cached_property
    def _start(self) -> tuple[PmtilesHeader, Directory]:
        """The header and the root directory."""
        try:
            head, file_size = self._objects.read_start(self._archive, START_BYTES)
        except KeyError as error:
            raise SourceError(f"There is no archive {self._archive}.") from error
        header = read_header(head, file_size)
        root = header.root
        if root.offset + root.size_bytes <= len(head):
            packed = head[root.offset :][: root.size_bytes]
        else:
            packed = self._range(root.offset, root.size_bytes)
        return header, read_directory(packed, header.internal_compression)

    def _leaf(self, offset: int, size_bytes: int) -> Directory:
        """Return a leaf directory; recently used ones are cached."""
        header, _ = self._start
        if offset + size_bytes > header.leaves.size_bytes:
            size = f"{counted(header.leaves.size_bytes, 'byte')} of leaf directories"
            raise DamagedCacheError(f"A leaf directory at byte {offset:,} lies outside of the {size}.")
        leaf = self._leaves.pop((offset, size_bytes), None)
        if leaf is None:
            packed = self._range(header.leaves.offset + offset, size_bytes)
            leaf = read_directory(packed, header.internal_compression)
        self._leaves[offset, size_bytes] = leaf
        while sum(len(kept.tile_id) for kept in self._leaves.values()) > _KEPT_ENTRIES and len(self._leaves) > 1:
            self._leaves.popitem(last=False)
        return leaf

    def _range(self, offset: int, size_bytes: int) -> memoryview:
        if size_bytes > MAX_DIRECTORY_BYTES:
            raise DamagedCacheError(f"It has a directory of {counted(size_bytes, 'byte')}.")
        (found,) = self._objects.read_ranges(self._archive, [(offset, offset + size_bytes)])
        return found
