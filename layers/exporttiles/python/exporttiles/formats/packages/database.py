"""Writing SQLite files of tiles in one go."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import disk_usage

from exporttiles.domain.errors import PackageError

PlacedTile = tuple[int, int, int, bytes | memoryview]
"""Level, row from the top, column, and the encoded image."""

_PAGE_BYTES = 4096

_LARGEST_TILE_BYTES = 64 * 2**20  # which may not fit any more where others do
_MAX_PAGES = 2**32 - 2
"""Limit of SQLite: 17.6 TB."""


@contextmanager
def new_database(path: Path, application_id: int, max_bytes: int) -> Iterator[sqlite3.Connection]:
    """Yield a new database; it is complete after the block.

    There is no journal: a file that was not completed is of no use.

    Args:
        path: of the file, which does not exist.
        application_id: by which the format is recognised.
        max_bytes: limit of the file.

    Raises:
        PackageError: the file would be longer, or the disk is full.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for pragma, value in (
            ("page_size", _PAGE_BYTES),
            ("application_id", application_id),
            ("max_page_count", min(max(1, max_bytes // _PAGE_BYTES), _MAX_PAGES)),
            ("journal_mode", "OFF"),
            ("synchronous", "OFF"),
            ("locking_mode", "EXCLUSIVE"),
        ):
            database.execute(f"PRAGMA {pragma} = {value}")
        database.execute("BEGIN")
        try:
            yield database
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            if disk_usage(path.parent).free > _LARGEST_TILE_BYTES:
                raise PackageError(too_large(path.suffix, max_bytes)) from error
            raise PackageError(f"The disk has no room for the {path.suffix} file.") from error


def overhead_bytes(tile_bytes: float) -> float:
    """Return about how many bytes a tile of a size takes in a file besides its own.

    Measured: 35 at 200 bytes, 190 at 1 kB, 780 to 920 from 3 to 100 kB.
    """
    return min(800, tile_bytes / 4)


def too_large(suffix: str, max_bytes: int) -> str:
    """Return the message on a package that is longer than such a file may be."""
    return (
        f"The {suffix} file would be larger than {max_bytes / 1e9:,.3g} GB, the most that is written here. "
        "Export it as PMTiles or a tile package, which may be of any size, or export a smaller area or fewer levels."
    )
