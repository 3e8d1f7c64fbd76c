"""Contents of exported packages, of any program: figures are compared only if the contents are equal."""

import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pmtiles.reader import MmapSource, all_tiles

from benchmarks.caches import Place, bundle_tiles, tiles_of

_SAMPLES = 400


class UnequalPackagesError(Exception):
    """Two results do not hold the same tiles, so their figures cannot be compared."""


def read(path: Path) -> Iterator[tuple[Place, bytes]]:
    """Yield level, row and column of the tiles of a package, archive, database or folder, and their bytes."""
    if path.is_dir():
        return tiles_of(path)
    return {".tpkx": _read_tpkx, ".pmtiles": _read_pmtiles, ".mbtiles": _read_mbtiles, ".gpkg": _read_gpkg}[
        path.suffix
    ](path)


def require_equal(path: Path, wanted: Mapping[Place, bytes], *, is_upside_down: bool = False) -> None:
    """Compare a result with the digests of the tiles that it should hold.

    Args:
        path: of the result.
        wanted: the digests.
        is_upside_down: the rows of MBTiles are counted from the top, against their specification.

    Raises:
        UnequalPackagesError: a tile is missing, too many, or other than it was.
    """
    found = digests(path)
    if is_upside_down:
        found = {(level, (1 << level) - 1 - row, column): digest for (level, row, column), digest in found.items()}
    differing = [place for place in found.keys() | wanted.keys() if found.get(place) != wanted.get(place)]
    if differing:
        level, row, column = min(differing)
        raise UnequalPackagesError(
            f"{path.name} holds {len(found):,} tiles instead of {len(wanted):,}; {len(differing):,} differ, "
            f"the first at level {level}, row {row}, column {column}."
        )


def digests(path: Path) -> dict[Place, bytes]:
    """Return a digest of every tile."""
    return {place: blake2b(tile, digest_size=16).digest() for place, tile in read(path)}


def fidelity(path: Path, source: Path, *, level: int) -> tuple[float, float]:
    """Compare a recompressed result with its source, pixel by pixel, at some tiles of a level.

    Returns:
        Peak signal to noise ratio in decibels, of all the pixels together; bytes as a share of the source's.

    Raises:
        UnequalPackagesError: the tiles are not at the same places.
    """
    ours, theirs = dict(read(path)), dict(read(source))
    if ours.keys() != theirs.keys():
        raise UnequalPackagesError(f"{path.name} holds {len(ours):,} tiles instead of {len(theirs):,}.")
    places = sorted(place for place in ours if place[0] == level)
    errors = [
        np.square(_pixels(ours[place]) - _pixels(theirs[place])).mean()
        for place in places[:: -(-len(places) // _SAMPLES)]
    ]
    share = sum(map(len, ours.values())) / sum(map(len, theirs.values()))
    return float(10 * np.log10(255**2 / np.mean(errors))), share


def _pixels(tile: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(BytesIO(tile)).convert("RGB"), np.float64)


def _read_tpkx(path: Path) -> Iterator[tuple[Place, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".bundle"):
                yield from bundle_tiles(name, archive.read(name))


def _read_pmtiles(path: Path) -> Iterator[tuple[Place, bytes]]:
    with path.open("rb") as file:
        for (level, column, row), tile in all_tiles(MmapSource(file)):
            yield (level, row, column), tile


def _read_mbtiles(path: Path) -> Iterator[tuple[Place, bytes]]:
    database = sqlite3.connect(path)
    for level, column, row, tile in database.execute("SELECT * FROM tiles"):
        yield (level, (1 << level) - 1 - row, column), tile
    database.close()


def _read_gpkg(path: Path) -> Iterator[tuple[Place, bytes]]:
    database = sqlite3.connect(path)
    for level, column, row, tile in database.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"):
        yield (level, row, column), tile
    database.close()
