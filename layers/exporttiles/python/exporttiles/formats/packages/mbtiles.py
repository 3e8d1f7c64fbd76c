"""Writing MBTiles 1.3: an SQLite file of Web Mercator tiles, equal ones stored once.

The table ``tiles`` is a view of ``map`` and ``images``, as mbutil and tippecanoe make it.

Source: mapbox/mbtiles-spec, 1.3/spec.md.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from exporttiles.formats.packages.database import PlacedTile, new_database

APPLICATION_ID = 0x4D504258
"""``MPBX``, which SQLite's list of file types names for MBTiles."""

_SCHEMA = """
CREATE TABLE metadata (name TEXT, value TEXT);
CREATE UNIQUE INDEX metadata_index ON metadata (name);
CREATE TABLE images (tile_id INTEGER PRIMARY KEY, tile_data BLOB);
CREATE TABLE map (
  zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_id INTEGER,
  PRIMARY KEY (zoom_level, tile_column, tile_row)
) WITHOUT ROWID;
CREATE VIEW tiles AS
  SELECT zoom_level, tile_column, tile_row, tile_data FROM map JOIN images USING (tile_id);
"""

TABLES = frozenset({"metadata", "images", "map", "tiles"})
"""The tables and views of a file."""

_REMEMBERED = 2**20
"""Different tiles that later ones are compared with: about 100 MB of memory."""


def write_mbtiles(path: Path, tiles: Iterable[PlacedTile], metadata: Mapping[str, str], *, max_bytes: int) -> None:
    """Write a file.

    Args:
        path: of the file, which does not exist.
        tiles: of Web Mercator, each place once.
        metadata: as `web_mercator.metadata` returns it.
        max_bytes: limit of the file.

    Raises:
        PackageError: the file would be longer.
    """
    with new_database(path, APPLICATION_ID, max_bytes) as database:
        for statement in _SCHEMA.split(";")[:-1]:
            database.execute(statement)
        database.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
        database.executemany("INSERT INTO map VALUES (?, ?, ?, ?)", _placed(database, tiles))


def _placed(database: sqlite3.Connection, tiles: Iterable[PlacedTile]) -> Iterator[tuple[int, int, int, int]]:
    """Store the images; yield zoom, column, row from the bottom and number of image of each tile."""
    images: dict[bytes, int] = {}
    count = 0
    for level, row, column, tile in tiles:
        digest = blake2b(tile, digest_size=16).digest()
        number = images.get(digest)
        if number is None:
            number = count = count + 1
            database.execute("INSERT INTO images VALUES (?, ?)", (number, tile))
            if count <= _REMEMBERED:
                images[digest] = number
        yield level, column, 2**level - 1 - row, number
