"""Tiles drawn from GeoTIFFs, compared with GDAL; `python -m benchmarks.rendering NAME FILE LEVEL` draws a level."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from obstore.store import LocalStore
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from benchmarks.processes import Run, alternate, median_of
from benchmarks.results import Section, Table, Target
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.process import METER
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import PACKET_SIZE, TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache

QUALITY = 80
_LEVEL = 15
_SIDE = 8  # tiles of a window of GDAL
_CORNER = (500_000, 5_200_000)  # UTM 32 north
_COLUMNS = ("", "tiles", "CPU s", "tiles per CPU s", "ranged GETs a tile", "peak MB")


def rendering(folder: Path, side: int, rounds: int) -> Section:
    """Draw all tiles of a level from a COG in UTM, and copy those of a COG in the tiling scheme.

    Args:
        folder: of the COGs.
        side: of the COGs in tiles.
        rounds: how often each contender runs.
    """
    utm, aligned = _cog(folder / "utm.tif", side), _cog(folder / "aligned.tif", side, is_aligned=True)
    commands = {
        "ours, UTM": ("ours", utm, _LEVEL),
        "GDAL, UTM": ("gdal", utm, _LEVEL),
        "ours, UTM, one level coarser": ("ours", utm, _LEVEL - 1),
        "GDAL, UTM, one level coarser": ("gdal", utm, _LEVEL - 1),
        "ours, blocks that are tiles": ("ours", aligned, _LEVEL),
    }
    contenders = {
        name: (lambda what=what: [sys.executable, "-m", "benchmarks.rendering", what[0], what[1], str(what[2])])
        for name, what in commands.items()
    }
    runs = {name: median_of(each) for name, each in alternate(contenders, rounds).items()}
    found = {name: json.loads(each.output) for name, each in runs.items()}
    rate = {name: each["tiles"] / each["cpu_seconds"] for name, each in found.items()}
    times = rate["ours, UTM"] / rate["GDAL, UTM"]
    coarser = rate["ours, UTM, one level coarser"] / rate["GDAL, UTM, one level coarser"]
    gets = found["ours, UTM"]["gets"] / found["ours, UTM"]["tiles"]
    copied, peak = rate["ours, blocks that are tiles"], runs["ours, UTM"].peak_bytes / 1e6
    note = (
        f"GDAL (WarpedVRT of rasterio) warps {_SIDE} x {_SIDE} tiles at a time, bilinear. Both encode with Pillow: "
        f"JPEG of quality {QUALITY}, PNG at the edge. Processor time is that of drawing, without start-up."
    )
    rows = [_row(name, runs[name], each) for name, each in found.items()]
    return Section(
        "Rendering",
        [Table(f"COGs of {side} x {side} tiles, JPEG blocks of 512 and 256 pixels", _COLUMNS, rows, note)],
        [
            Target("drawing UTM against GDAL, per CPU second", "1.5 times", f"{times:.2f} times", times >= 1.5),
            Target("the same, one level coarser", "1.5 times", f"{coarser:.2f} times", coarser >= 1.5),
            Target("copying blocks that are tiles", "100,000 tiles/CPU s", f"{copied:,.0f}", copied >= 100_000),
            Target("requests for drawing", "at most 0.1 a tile", f"{gets:.3f}", gets <= 0.1),
            Target("memory for drawing", "at most 1,769 MB", f"{peak:,.0f} MB", peak <= 1769),
        ],
    )


def _row(name: str, run: Run, found: dict[str, float]) -> tuple[str, ...]:
    rate, gets = found["tiles"] / found["cpu_seconds"], found["gets"] / found["tiles"]
    shown = f"{gets:.3f}" if found["gets"] else ""
    return (
        name,
        f"{found['tiles']:,}",
        f"{found['cpu_seconds']:.2f}",
        f"{rate:,.0f}",
        shown,
        f"{run.peak_bytes / 1e6:,.0f}",
    )


def _cog(path: Path, side: int, *, is_aligned: bool = False) -> Path:
    """Make a COG of imagery, in Web Mercator or UTM; return its path."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    resolution = WEB_MERCATOR_256.lod(_LEVEL).resolution
    extent = WEB_MERCATOR_256.tile_extent(_LEVEL, 11_008, 17_024)
    pixel, corner, crs, block = resolution, (extent.xmin, extent.ymax), "EPSG:3857", 256
    if not is_aligned:
        pixel, corner, crs, block = resolution * 0.68, _CORNER, "EPSG:32632", 512
    random, rows = np.random.default_rng(2026), 256 * side
    picture = np.full((3, rows, rows), 128, np.float32)
    for size, strength in ((4, 6), (16, 14), (64, 25), (256, 30)):
        for band in range(3):
            coarse = Image.fromarray(random.normal(size=(rows // size + 2,) * 2).astype(np.float32))
            picture[band] += strength * np.asarray(coarse.resize((rows, rows), Image.Resampling.BICUBIC))
    options = {
        "driver": "GTiff",
        "count": 3,
        "dtype": "uint8",
        "tiled": True,
        "compress": "jpeg",
        "photometric": "ycbcr",
    }
    transform = Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
    blocks = {"blockxsize": block, "blockysize": block}
    with rasterio.open(
        path, "w", width=rows, height=rows, crs=crs, transform=transform, **options, **blocks
    ) as dataset:
        dataset.write(np.clip(picture, 0, 255).astype(np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8, 16], Resampling.average)
    return path


def draw_ours(path: Path, service: ImageService, block: TileRange) -> Iterator[bytes]:
    """Yield the tiles of a block as we draw them."""
    source = read_cache(ObstoreObjects(LocalStore(path.parent)), service.cache)
    for bundle in block.bundles:
        selected = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
        selected[bundle.slices(block.intersection(bundle.tile_range))] = True
        for _, tile in source.read_bundle(bundle, selected):
            yield bytes(tile)


def draw_gdal(path: Path, _service: ImageService, block: TileRange) -> Iterator[bytes]:
    """Yield the tiles of a block as GDAL warps them, in the formats that ours have."""
    resolution = WEB_MERCATOR_256.lod(block.level).resolution
    corner = WEB_MERCATOR_256.tile_extent(block.level, block.row_start, block.column_start)
    rows, columns = block.row_stop - block.row_start, block.column_stop - block.column_start
    target = {
        "crs": "EPSG:3857",
        "transform": Affine(resolution, 0, corner.xmin, 0, -resolution, corner.ymax),
        "width": columns * 256,
        "height": rows * 256,
    }
    with (
        rasterio.open(path) as dataset,
        WarpedVRT(dataset, resampling=Resampling.bilinear, add_alpha=True, warp_mem_limit=64, **target) as warped,
    ):
        for top in range(0, rows, _SIDE):
            for left in range(0, columns, _SIDE):
                height, width = min(_SIDE, rows - top) * 256, min(_SIDE, columns - left) * 256
                picture = np.moveaxis(warped.read(window=Window(left * 256, top * 256, width, height)), 0, 2)
                for down in range(0, height, 256):
                    for right in range(0, width, 256):
                        tile = np.ascontiguousarray(picture[down : down + 256, right : right + 256])
                        if not tile[..., 3].any():
                            continue
                        body, image = BytesIO(), Image.fromarray(tile)
                        if tile[..., 3].all():
                            image.convert("RGB").save(body, "JPEG", quality=QUALITY, optimize=True)
                        else:
                            image.save(body, "PNG")
                        yield body.getvalue()


_CONTENDERS: dict[str, Callable[[Path, ImageService, TileRange], Iterator[bytes]]] = {
    "ours": draw_ours,
    "gdal": draw_gdal,
}


def main(name: str, path: Path, level: int) -> None:
    """Draw the tiles of a level, and print their number, and the processor time and requests that it took."""
    inspect = InspectCache(ObstoreObjects(LocalStore(path.parent)), read_cache, WEB_MERCATOR_256)
    service = inspect(path.stem, f"file://{path}").service
    block = WEB_MERCATOR_256.tile_range(service.full_extent, level)
    began, before = time.process_time(), METER.snapshot()
    count = sum(1 for _ in _CONTENDERS[name](path, service, block))
    seconds, used = time.process_time() - began, METER.snapshot() - before
    sys.stdout.write(json.dumps({"tiles": count, "cpu_seconds": seconds, "gets": used.gets}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
