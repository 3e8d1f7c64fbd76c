"""Whole exports of small caches, and what independent readers find in them."""

import sqlite3
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from mapproxy.cache.compact import CompactCacheV1, CompactCacheV2
from mapproxy.cache.tile import Tile
from numpy.typing import NDArray
from PIL import Image
from pmtiles.reader import MmapSource, all_tiles
from rasterio.windows import Window
from tpkutils import TPK

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import JobStatus, Message
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.tiling import TilingScheme
from tests.builders import a_request
from tests.fakes import a_runtime, memory, run_workflow
from tests.oracles.build_package import Place, a_service, extent_of

OUTPUTS = {
    "tpkx": (True, StorageFormat.COMPACT_V2),
    "tpk": (True, StorageFormat.COMPACT),
    "dataset V2": (False, StorageFormat.COMPACT_V2),
    "dataset V1": (False, StorageFormat.COMPACT),
    "PMTiles": (True, StorageFormat.PMTILES),
    "MBTiles": (True, StorageFormat.MBTILES),
    "GeoPackage": (True, StorageFormat.GEOPACKAGE),
}
"""tilePackage and storageFormatType of every output."""


def a_cache(
    scheme: TilingScheme, tiles: Mapping[Place, bytes], *, tile_format: TileFormat = TileFormat.PNG, quality: int = 0
) -> tuple[ObstoreObjects, ImageService]:
    """Return a cache of one file a tile, in any scheme, and its service."""
    objects = memory()
    for (level, row, column), tile in tiles.items():
        objects.write(f"{level}/{row}/{column}", tile)
    service = a_service(scheme=scheme, tile_format=tile_format, quality=quality)
    levels = [level for level, _, _ in tiles]
    extent = extent_of(scheme, tiles)
    return objects, replace(service, full_extent=extent, min_level=min(levels), max_level=max(levels))


def export(
    objects: ObstoreObjects, service: ImageService, levels: Iterable[int], output: str, folder: Path, **changes: Any
) -> Path:
    """Run an export, changed in some attributes of its request, and return its file; beside it, its contents."""
    return export_with_messages(objects, service, levels, output, folder, **changes)[0]


def export_with_messages(
    objects: ObstoreObjects, service: ImageService, levels: Iterable[int], output: str, folder: Path, **changes: Any
) -> tuple[Path, Sequence[Message]]:
    """Run an export and return its file, as `export` does, and the messages of the job."""
    runtime = a_runtime(objects)
    tile_package, storage_format = OUTPUTS[output]
    request = a_request(service, tuple(sorted(set(levels))), area=changes.pop("area", None))
    request = replace(request, tile_package=tile_package, storage_format=storage_format, **changes)
    job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)
    assert job.status is JobStatus.SUCCEEDED, job.messages
    path = folder / job.package.name
    path.write_bytes(runtime.objects.read(job.package.key))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    return path, job.messages


def by_mapproxy(levels_folder: Path, places: Iterable[Place], *, version: int) -> dict[Place, bytes]:
    """Return the tiles that MapProxy finds below a folder of level folders, of those asked for."""
    cache = (CompactCacheV1 if version == 1 else CompactCacheV2)(str(levels_folder))
    found = {}
    for level, row, column in places:
        tile = Tile((column, row, level))
        if cache.load_tile(tile):
            found[level, row, column] = tile.image_result_buffer().read()
    return found


def by_tpkutils(path: Path) -> dict[Place, bytes]:
    """Return all tiles that tpkutils finds; levels are those of Web Mercator with 256 pixels."""
    with TPK(path) as package:
        return {(tile.z, tile.y, tile.x): tile.data for tile in package.read_tiles()}


def by_pmtiles(path: Path) -> dict[Place, bytes]:
    """Return all tiles that the `pmtiles` library finds."""
    with path.open("rb") as file:
        return {(level, row, column): body for (level, column, row), body in all_tiles(MmapSource(file))}


def by_sqlite(path: Path, *, rows_from_bottom: bool) -> dict[Place, bytes]:
    """Return all tiles in the table or view `tiles` of a database."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT zoom_level, tile_row, tile_column, tile_data FROM tiles").fetchall()
    return {
        (level, 2**level - 1 - row if rows_from_bottom else row, column): tile for level, row, column, tile in found
    }


def by_gdal(path: Path, place: Place, max_level: int, *, tile_size: int = 256, **options: str) -> NDArray[np.uint8]:
    """Return one tile as GDAL draws it: (bands, rows, columns) of bytes."""
    level, row, column = place
    overview = {} if level == max_level else {"overview_level": max_level - level - 1}
    with rasterio.open(path, **overview, **options) as dataset:
        drawn: NDArray[np.uint8] = dataset.read(
            window=Window(column * tile_size, row * tile_size, tile_size, tile_size)
        )
    return drawn


def decoded(data: bytes, mode: str = "RGBA") -> NDArray[np.uint8]:
    """Return an encoded tile as Pillow draws it: (bands, rows, columns) of bytes."""
    return np.moveaxis(np.asarray(Image.open(BytesIO(data)).convert(mode)), 2, 0)


def neighbours(places: Iterable[Place]) -> set[Place]:
    """Return places, and those around them."""
    around = (-1, 0, 1)
    return {
        (level, row + down, column + right)
        for level, row, column in places
        for down in around
        for right in around
        if row + down >= 0 and column + right >= 0
    }
