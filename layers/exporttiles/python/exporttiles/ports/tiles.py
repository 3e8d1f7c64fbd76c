"""Tile caches, read a bundle at a time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex, TileRange

if TYPE_CHECKING:  # NumPy is slow to import, and a function that reports a status needs none
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
        """Yield the selected tiles of a bundle that exist, as they arrive.

        A tile with a damaged record is yielded as empty bytes; a tile that does not
        exist is not yielded.

        Args:
            bundle: the 128 by 128 block.
            selected: mask of the tiles.

        Raises:
            SourceError: the cache cannot be read; a missing tile is not an error.
            DamagedCacheError: the cache is damaged.
        """
        ...

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that may hold tiles; the others hold none.

        Args:
            block: tiles of one level.
            tile_count: how many of them are selected.
            limit: maximum number of names or bundles to list.

        Returns:
            None if a listing would cost too much, compared with reading each bundle
            or file: the cache is not sparse.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is damaged.
        """
        ...

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> "NDArray[np.int32]":
        """Return the sizes of the selected tiles, without reading them.

        Args:
            bundle: the 128 by 128 block.
            selected: mask of the tiles.

        Returns:
            (128, 128) sizes in bytes, row before column; 0 where a tile does not
            exist or is not selected.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is damaged.
        """
        ...

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return the mask of the selected tiles that exist and were written before a time.

        The time is that of the stored object: a tile in a cache of files, otherwise
        a bundle or an archive, for all of its tiles.

        Args:
            bundle: the 128 by 128 block.
            selected: mask of the tiles.
            since: in UTC; tiles written in the same second count as modified.

        Raises:
            SourceError: the cache cannot be read.
            DamagedCacheError: the cache is damaged.
        """
        ...


class TileSources(Protocol):
    """Opens tile caches by address and layout."""

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        ...
