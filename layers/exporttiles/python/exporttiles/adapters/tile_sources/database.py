"""MBTiles and GeoPackages on this machine: the places of all tiles are read at once, tiles by bundles."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.archives.untrusted_database import quoted
from exporttiles.formats.bundles.v2 import MAX_TILE_BYTES
from exporttiles.formats.caches.tile_tables import open_database
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile

_BYTES_A_TILE = 8
"""Fewest bytes that the place of a tile takes in a file. A view can claim more tiles than there are places."""

_ROW = np.dtype([("level", np.int32), ("row", np.int64), ("column", np.int64), ("size", np.int32)])

_Version = tuple[int, int, int]
"""Inode, size and time of change of a file."""

_Index = Mapping[BundleIndex, NDArray[np.void]]
"""Bundle -> (n) records of `_ROW`, with rows from the top."""


class DatabaseTiles:
    """A table of tiles in an SQLite file; reading fails if the file is changed meanwhile."""

    def __init__(self, _objects: ObjectReader, cache: TileCache) -> None:
        if not cache.url.startswith("file://"):
            raise SourceError(f"'{cache.url}' is an SQLite file, which is read from a folder of this machine only.")
        self._path = Path(cache.url.removeprefix("file://"))
        self._table, self._level_rows = cache.path_template, cache.level_rows
        self._version = _version(self._path)

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the selected tiles that exist."""
        rows, columns = ((self.tile_sizes(bundle, selected) != 0) & selected).nonzero()
        if not len(rows):
            return
        wanted = set(zip((rows + bundle.row).tolist(), (columns + bundle.column).tolist(), strict=True))
        row_numbers = [self._row(bundle.level, row) for row, _ in wanted]
        query = (
            f"SELECT tile_row, tile_column, tile_data FROM {quoted(self._table)} "  # noqa: S608
            "WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?"
        )
        spans = (
            bundle.column + int(columns.min()),
            bundle.column + int(columns.max()),
            min(row_numbers),
            max(row_numbers),
        )
        with open_database(self._path) as database:
            for row, column, tile in database.rows(query, bundle.level, *spans):
                place = self._row(bundle.level, row), column
                if place in wanted:
                    yield place, tile if isinstance(tile, bytes) and len(tile) <= MAX_TILE_BYTES else b""
        self._require_unchanged()

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that hold tiles."""
        del tile_count, limit  # they are known without any request
        return {
            bundle: None
            for bundle in self._index
            if bundle.level == block.level and bundle.tile_range.intersection(block).count
        }

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> NDArray[np.int32]:
        """Return the sizes of the selected tiles; 1 for one of no bytes, which exists but is damaged."""
        sizes = np.zeros(selected.shape, np.int32)
        found = self._index.get(bundle)
        if found is not None:
            sizes[found["row"] - bundle.row, found["column"] - bundle.column] = found["size"]
        return np.where(selected, sizes, 0).astype(np.int32)

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return the mask of existing tiles if the file was written before a time; else none."""
        written = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        return (self.tile_sizes(bundle, selected) > 0) & (written < since.replace(microsecond=0))

    def _row(self, level: int, row: int) -> int:
        """Convert a row of the table to one of the scheme, or back."""
        return self._level_rows[level] - 1 - row if self._level_rows else row

    @property
    def _index(self) -> _Index:
        self._require_unchanged()
        return _read_index(self._path, self._table, self._level_rows, self._version)

    def _require_unchanged(self) -> None:
        if _version(self._path) != self._version:
            raise SourceError(f"{self._path.name} was changed while it was read.")


@lru_cache(maxsize=1)
def _read_index(path: Path, table: str, level_rows: tuple[int, ...], _version: _Version) -> _Index:
    """Return the places and sizes of all tiles.

    Raises:
        DamagedCacheError: the file cannot be read.
    """
    size = "CASE typeof(tile_data) WHEN 'blob' THEN max(1, min(length(tile_data), 2147483647)) ELSE 1 END"
    query = f"SELECT zoom_level, tile_row, tile_column, {size} FROM {quoted(table)} LIMIT ?"  # noqa: S608
    most = path.stat().st_size // _BYTES_A_TILE
    with open_database(path) as database:
        try:
            found = np.fromiter(database.rows(query, most + 1), _ROW)
        except (TypeError, ValueError, OverflowError) as error:
            text = f"{path.name}: It has tiles whose zoom level, column or row is no whole number."
            raise DamagedCacheError(text) from error
    if len(found) > most:
        raise DamagedCacheError(
            f"{path.name}: It claims more than {most:,} tiles, which a file of its size cannot hold."
        )
    if level_rows:
        if len(found) and not 0 <= found["level"].min() <= found["level"].max() < len(level_rows):
            raise DamagedCacheError(f"{path.name}: It has tiles of a level that the tiling scheme does not have.")
        found["row"] = np.array(level_rows, np.int64)[found["level"]] - 1 - found["row"]
    return MappingProxyType(dict(_by_bundle(path.name, found)))


def _by_bundle(name: str, found: NDArray[np.void]) -> Iterator[tuple[BundleIndex, NDArray[np.void]]]:
    """Yield bundles and their tiles.

    Raises:
        DamagedCacheError: a tile is there twice.
    """
    row, column = found["row"] // PACKET_SIZE, found["column"] // PACKET_SIZE
    order = np.lexsort((found["column"], found["row"], column, row, found["level"]))
    found, places = found[order], np.column_stack([found["level"], row, column])[order]
    same = (found["level"][1:] == found["level"][:-1]) & (found["row"][1:] == found["row"][:-1])
    for twice in np.flatnonzero(same & (found["column"][1:] == found["column"][:-1]))[:1].tolist():
        level, row_number, column_number, _ = found[twice].tolist()
        raise DamagedCacheError(
            f"{name}: The tile of level {level}, row {row_number} from the top, column {column_number} is there twice."
        )
    starts = np.flatnonzero((np.diff(places, axis=0) != 0).any(axis=1)) + 1
    for part in np.split(found, starts):
        if len(part):
            level, row_number, column_number, _ = part[0].tolist()
            yield BundleIndex.of_tile(level, row_number, column_number), part


def _version(path: Path) -> _Version:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{path.name}: {error.strerror}.") from error
    return status.st_ino, status.st_size, status.st_mtime_ns
