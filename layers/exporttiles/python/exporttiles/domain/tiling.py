"""Tiling schemes: origin, resolutions and tile grid of each level of detail.

Rows count downwards from the top left, as ArcGIS counts them. OGC calls a
scheme a tile matrix set and a level of detail a tile matrix.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import SpatialReference

if TYPE_CHECKING:  # NumPy is slow to import, and a function that reports a status needs none
    import numpy as np
    from numpy.typing import NDArray

PACKET_SIZE = 128
"""Rows and columns of tiles in one bundle."""

EDGE_PIXELS = 0.05
"""Minimum depth to which an area must reach into a tile to select it.

Esri's own resolutions put the grid up to 12 mm off the powers of two, so that
longitude -90 reaches 0.01 pixel into the next column at level 19.
"""

ROUNDED_UP = 1 + 1e-14
"""Factor that compensates rounding of tile coordinates just below a whole number."""


@dataclass(frozen=True, slots=True)
class LevelOfDetail:
    """One resolution of a scheme, in map units per pixel; scale is the 1:n denominator."""

    level: int
    resolution: float
    scale: float


@dataclass(frozen=True, slots=True)
class TileRange:
    """A block of tiles of one level: half-open rows and columns."""

    level: int
    row_start: int
    row_stop: int
    column_start: int
    column_stop: int

    @property
    def count(self) -> int:
        """Return the number of tiles."""
        return max(0, self.row_stop - self.row_start) * max(0, self.column_stop - self.column_start)

    @property
    def bundle_count(self) -> int:
        """Return the number of bundles that hold the tiles."""
        if not self.count:
            return 0
        rows = (self.row_stop - 1) // PACKET_SIZE - self.row_start // PACKET_SIZE + 1
        return rows * ((self.column_stop - 1) // PACKET_SIZE - self.column_start // PACKET_SIZE + 1)

    @property
    def bundles(self) -> Iterator["BundleIndex"]:
        """Yield the bundles that hold the tiles, row by row."""
        if self.count:
            for row in range(self.row_start // PACKET_SIZE * PACKET_SIZE, self.row_stop, PACKET_SIZE):
                for column in range(self.column_start // PACKET_SIZE * PACKET_SIZE, self.column_stop, PACKET_SIZE):
                    yield BundleIndex(self.level, row, column)

    def union(self, other: "TileRange") -> "TileRange":
        """Return the smallest block around two blocks of one level."""
        return TileRange(
            self.level,
            min(self.row_start, other.row_start),
            max(self.row_stop, other.row_stop),
            min(self.column_start, other.column_start),
            max(self.column_stop, other.column_stop),
        )

    def intersection(self, other: "TileRange") -> "TileRange":
        """Return the tiles that two blocks of one level share; may be empty."""
        return TileRange(
            self.level,
            max(self.row_start, other.row_start),
            min(self.row_stop, other.row_stop),
            max(self.column_start, other.column_start),
            min(self.column_stop, other.column_stop),
        )


@dataclass(frozen=True, slots=True, order=True)
class BundleIndex:
    """The place of a bundle: its level and the row and column of its top-left tile."""

    level: int
    row: int
    column: int

    @classmethod
    def of_tile(cls, level: int, row: int, column: int) -> "BundleIndex":
        """Return the bundle that holds a tile."""
        return cls(level, row // PACKET_SIZE * PACKET_SIZE, column // PACKET_SIZE * PACKET_SIZE)

    @property
    def tile_range(self) -> TileRange:
        """Return the 128 rows and columns of the bundle."""
        return TileRange(self.level, self.row, self.row + PACKET_SIZE, self.column, self.column + PACKET_SIZE)

    def slices(self, tiles: TileRange) -> tuple[slice, slice]:
        """Return the rows and columns of tiles within the bundle, to index its (128, 128) arrays."""
        return (
            slice(tiles.row_start - self.row, tiles.row_stop - self.row),
            slice(tiles.column_start - self.column, tiles.column_stop - self.column),
        )

    def places(self, selected: "NDArray[np.bool_]") -> list[tuple[int, int]]:
        """Return row and column in the scheme of each selected tile, in row-major order.

        Args:
            selected: (128, 128) mask of tiles, row before column.
        """
        rows, columns = selected.nonzero()
        return list(zip((rows + self.row).tolist(), (columns + self.column).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class TilingScheme:
    """Origin at the top left in map units, square tiles in pixels, and the levels."""

    spatial_reference: SpatialReference
    origin_x: float
    origin_y: float
    tile_size: int
    dpi: float
    lods: tuple[LevelOfDetail, ...]

    def lod(self, level: int) -> LevelOfDetail:
        """Return one level of detail.

        Raises:
            InvalidParameterError: the scheme does not have it.
        """
        for lod in self.lods:
            if lod.level == level:
                return lod
        levels = [lod.level for lod in self.lods]
        legal = f"The tiling scheme has the levels {min(levels)}-{max(levels)}."
        raise InvalidParameterError("levels", level, legal)

    @property
    def extent(self) -> Extent:
        """Return the extent of all possible tiles: right of the origin and below it, infinite."""
        return Extent(self.origin_x, -math.inf, math.inf, self.origin_y, self.spatial_reference)

    def tile_span(self, level: int) -> float:
        """Return the side of a tile in map units."""
        return self.lod(level).resolution * self.tile_size

    def tile_extent(self, level: int, row: int, column: int) -> Extent:
        """Return the envelope of one tile."""
        span = self.tile_span(level)
        return Extent(
            self.origin_x + column * span,
            self.origin_y - (row + 1) * span,
            self.origin_x + (column + 1) * span,
            self.origin_y - row * span,
            self.spatial_reference,
        )

    def tile_range(self, extent: Extent, level: int) -> TileRange:
        """Return the smallest block of tiles that covers an extent, to `EDGE_PIXELS`.

        An extent that is less wide or high than that on either side of a tile
        edge gets the tile that holds its middle.

        Args:
            extent: envelope in the scheme's own reference.
            level: level of detail.

        Returns:
            Half-open rows and columns from 0; empty if the extent is empty, or
            left of the origin or above it.

        Source: OGC 07-057r7 (WMTS 1.0.0), annex H.1, with the edge rule above.
        """
        if extent.is_empty:
            return TileRange(level, 0, 0, 0, 0)
        span = self.tile_span(level)
        margin = EDGE_PIXELS / self.tile_size
        rows = _reached_tiles((self.origin_y - extent.ymax) / span, (self.origin_y - extent.ymin) / span, margin)
        columns = _reached_tiles((extent.xmin - self.origin_x) / span, (extent.xmax - self.origin_x) / span, margin)
        return TileRange(level, *rows, *columns)


def _reached_tiles(start: float, stop: float, margin: float) -> tuple[int, int]:
    """Return the tiles into which a span reaches deeper than a margin, else the tile of its middle."""
    if stop <= 0:
        return 0, 0
    start = max(0.0, start)
    first, after = math.floor(start + margin), math.ceil(stop - margin)
    if first < after:
        return first, after
    # A middle that rounding puts just before an edge belongs to the next tile, if the span reaches beyond the edge.
    middle = min(math.floor((start + stop) / 2 * ROUNDED_UP), math.ceil(stop) - 1)
    return middle, middle + 1
