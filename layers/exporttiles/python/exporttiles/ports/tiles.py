"""What the use cases need of tile caches."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex, TileRange

if TYPE_CHECKING:  # who asks for a job's status needs no arrays
    import numpy as np
    from numpy.typing import NDArray

Tile = bytes | memoryview
"""An encoded image."""

PlacedTile = tuple[tuple[int, int], Tile]
"""Row and column in the scheme, and the tile."""

Mask: TypeAlias = "NDArray[np.bool_]"
"""(128, 128) tiles of a bundle, row before column, from its top-left tile."""


FoundBundles: TypeAlias = Mapping[BundleIndex, Sequence[int] | None]
"""Bundles that may hold tiles, and the places of their tiles where those are known.

A place is the row in the bundle times 128 plus the column in the bundle.
"""


class TileSource(Protocol):
    """A tile cache, read a bundle at a time."""

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles of one bundle that are wanted and exist, as they arrive.

        A tile whose record is damaged comes as no bytes, so that it can be
        told from one that does not exist.

        Args:
            bundle: which 128 by 128 block.
            selected: the tiles that are wanted.

        Raises:
            SourceError: the cache cannot be read; a missing tile is no error.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that may hold tiles: all others hold none.

        Args:
            block: tiles of one level.
            tile_count: how many of them are wanted.
            limit: how many names or bundles to look at, at most.

        Returns:
            None if it would cost too much to find out, compared with a look
            into each bundle or for each file: the cache is not sparse.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> "NDArray[np.int32]":
        """Return the bytes of the tiles that are wanted, without reading them.

        Args:
            bundle: which 128 by 128 block.
            selected: the tiles that are wanted.

        Returns:
            (128, 128) bytes, row before column; 0 where a tile does not exist
            or is not wanted.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return which of the tiles that are wanted exist and were written before a time.

        The store knows when an object was written: of a cache of files that
        is one tile, of others all tiles of a bundle or of an archive.

        Args:
            bundle: which 128 by 128 block.
            selected: the tiles that are wanted.
            since: in UTC; what was written in that second has changed.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is not what it claims to be.
        """
        ...


class TileSources(Protocol):
    """Opens tile caches."""

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        ...
