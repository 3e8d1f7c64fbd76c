"""Tiles drawn from GeoTIFFs, compared with GDAL and rio-tiler.

`python -m benchmarks.rendering NAME FILE LEVEL` draws a level.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from obstore.store import LocalStore
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader

from benchmarks.processes import Run, alternate, median_of
from benchmarks.results import Section, Table, Target
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.process import METER
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.cost import Usage, bill
from exporttiles.domain.plan import FragmentSize, worker_seconds
from exporttiles.domain.service import DRAWN_TILE_BYTES, ImageService
from exporttiles.domain.tiling import PACKET_SIZE, TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.rasters.drawing import encode
from exporttiles.usecases.inspection.inspect_cache import InspectCache

QUALITY = 80
_LEVEL = 15
_SIDE = 8  # tiles of a window of GDAL
_CORNER = (500_000, 5_200_000)  # UTM 32 north
_WORKER_MEGABYTES = 1769
_PACKER_SECONDS = 3
_COLUMNS = ("", "tiles", "CPU s", "tiles per CPU s", "ranged GETs a tile", "peak MB", "$ for 100,000")


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
        "GDAL, UTM, PNG as ours": ("gdal_as_ours", utm, _LEVEL),
        "rio-tiler, UTM": ("rio_tiler", utm, _LEVEL),
        "ours, UTM, one level coarser": ("ours", utm, _LEVEL - 1),
        "GDAL, UTM, one level coarser": ("gdal", utm, _LEVEL - 1),
        "GDAL, UTM, one level coarser, PNG as ours": ("gdal_as_ours", utm, _LEVEL - 1),
        "ours, blocks that are tiles": ("ours", aligned, _LEVEL),
    }
    contenders = {
        name: (lambda what=what: [sys.executable, "-m", "benchmarks.rendering", what[0], what[1], str(what[2])])
        for name, what in commands.items()
    }
    runs = {name: median_of(each) for name, each in alternate(contenders, rounds).items()}
    found = {name: _Drawn(**json.loads(each.output)) for name, each in runs.items()}
    ours, coarser, copied = (found[name] for name in commands if name.startswith("ours"))
    times = {name: (coarser if "coarser" in name else ours).rate / each.rate for name, each in found.items()}
    peak = runs["ours, UTM"].peak_bytes / 1e6
    dollars = max(each.dollars for each in (ours, coarser, copied))
    note = (
        f"GDAL (WarpedVRT of rasterio) warps {_SIDE} x {_SIDE} tiles at a time, bilinear. Pillow encodes its tiles "
        f"and ours: JPEG of quality {QUALITY}, PNG at the edge. That of GDAL has GDAL's compression level, 6. With "
        f"equal PNG, ours is {times['GDAL, UTM, PNG as ours']:.2f} times as fast, one level "
        f"coarser {times['GDAL, UTM, one level coarser, PNG as ours']:.2f} times: this compares the drawing alone. "
        "rio-tiler draws tile by tile and encodes with GDAL. Processor time is that of drawing, without start-up. "
        "Dollars are those of an export of 100,000 such tiles with that time in workers, without storage and download."
    )
    rows = [_row(name, runs[name], each) for name, each in found.items()]
    return Section(
        "Rendering",
        [Table(f"COGs of {side} x {side} tiles, JPEG blocks of 512 and 256 pixels", _COLUMNS, rows, note)],
        [
            _times("drawing UTM against GDAL, per CPU second", times["GDAL, UTM"], 1.5),
            _times("the same, one level coarser", times["GDAL, UTM, one level coarser"], 1.5),
            _times("drawing UTM against rio-tiler, per CPU second", times["rio-tiler, UTM"], 3),
            Target(
                "copying blocks that are tiles", "100,000 tiles/CPU s", f"{copied.rate:,.0f}", copied.rate >= 100_000
            ),
            Target("requests for drawing", "at most 0.1 a tile", f"{ours.gets_a_tile:.3f}", ours.gets_a_tile <= 0.1),
            Target("memory for drawing", "at most 1,769 MB", f"{peak:,.0f} MB", peak <= 1769),
            Target("cost of 100,000 drawn tiles", "at most $0.05", f"${dollars:.4f}", dollars <= 0.05),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Tiles that were drawn, and what that took."""

    tiles: int
    bytes: int
    cpu_seconds: float
    gets: int

    @property
    def rate(self) -> float:
        """Return the tiles for each second of processor time."""
        return self.tiles / self.cpu_seconds

    @property
    def gets_a_tile(self) -> float:
        """Return the requests for each tile."""
        return self.gets / self.tiles

    @property
    def dollars(self) -> float:
        """Return the cost of an export of 100,000 such tiles, without storage and download."""
        count, tile_bytes = 100_000, self.bytes // self.tiles
        planned_bytes = count * max(tile_bytes, DRAWN_TILE_BYTES)
        work_items = -(-planned_bytes // FragmentSize.of(planned_bytes).target)
        seconds = count / self.rate + worker_seconds(0, count * tile_bytes, from_files=False, recompressed=False)
        used = Usage(
            gets=round(count * self.gets_a_tile) + 2 * work_items + 1,  # the export, and the check of each fragment
            puts=3 * work_items + 7,  # fragment, report, and its copy into the package
            gigabyte_seconds=(seconds + _PACKER_SECONDS) * _WORKER_MEGABYTES / 1024,
        )
        return bill(used, work_items, at_once=False).dollars


def _times(name: str, times: float, bar: float) -> Target:
    return Target(name, f"{bar} times", f"{times:.2f} times", times >= bar)


def _row(name: str, run: Run, found: _Drawn) -> tuple[str, ...]:
    is_ours = name.startswith("ours")
    return (
        name,
        f"{found.tiles:,}",
        f"{found.cpu_seconds:.2f}",
        f"{found.rate:,.0f}",
        f"{found.gets_a_tile:.3f}" if is_ours else "",
        f"{run.peak_bytes / 1e6:,.0f}",
        f"{found.dollars:.4f}" if is_ours else "",
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
    """Yield the tiles of a block as GDAL warps them, in the formats that ours have; PNG of GDAL's default level."""
    for picture, left, top in _warped(path, block):
        tile = picture.crop((left, top, left + 256, top + 256))
        least, most = tile.getchannel("A").getextrema()
        body = BytesIO()
        if least == 255:
            tile.convert("RGB").save(body, "JPEG", quality=QUALITY, optimize=True)
        elif most:
            tile.save(body, "PNG", compress_level=6)
        if most:
            yield body.getvalue()


def draw_gdal_as_ours(path: Path, service: ImageService, block: TileRange) -> Iterator[bytes]:
    """Yield the tiles of a block as GDAL warps them, encoded as ours are."""
    if service.cache.mosaic:
        for picture, left, top in _warped(path, block):
            if tile := encode(picture, service.cache.mosaic, (left, top)):
                yield tile


def _warped(path: Path, block: TileRange) -> Iterator[tuple[Image.Image, int, int]]:
    """Yield the left and top of each tile of a block in a picture that GDAL warps."""
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
        WarpedVRT(dataset, resampling=Resampling.bilinear, add_alpha=True, warp_mem_limit=512, **target) as warped,
    ):
        for top in range(0, rows, _SIDE):
            for left in range(0, columns, _SIDE):
                height, width = min(_SIDE, rows - top) * 256, min(_SIDE, columns - left) * 256
                bands = warped.read(window=Window(left * 256, top * 256, width, height))
                picture = Image.merge("RGBA", [Image.fromarray(band) for band in bands])
                for down in range(0, height, 256):
                    for right in range(0, width, 256):
                        yield picture, right, down


def draw_rio_tiler(path: Path, _service: ImageService, block: TileRange) -> Iterator[bytes]:
    """Yield the tiles of a block as rio-tiler draws and encodes them, one by one."""
    with Reader(str(path)) as reader:
        for row, column in product(
            range(block.row_start, block.row_stop), range(block.column_start, block.column_stop)
        ):
            with suppress(TileOutsideBounds):
                tile = reader.tile(column, row, block.level, resampling_method="bilinear", reproject_method="bilinear")
                if tile.mask.all():
                    yield tile.render(add_mask=False, img_format="JPEG", quality=QUALITY)
                elif tile.mask.any():
                    yield tile.render(img_format="PNG")


_CONTENDERS: dict[str, Callable[[Path, ImageService, TileRange], Iterator[bytes]]] = {
    "ours": draw_ours,
    "gdal": draw_gdal,
    "gdal_as_ours": draw_gdal_as_ours,
    "rio_tiler": draw_rio_tiler,
}


def main(name: str, path: Path, level: int) -> None:
    """Draw the tiles of a level, and print their number and bytes, and the processor time and requests."""
    inspect = InspectCache(ObstoreObjects(LocalStore(path.parent)), read_cache, WEB_MERCATOR_256)
    service = inspect(path.stem, f"file://{path}").service
    block = WEB_MERCATOR_256.tile_range(service.full_extent, level)
    began, before = time.process_time(), METER.snapshot()
    sizes = [len(tile) for tile in _CONTENDERS[name](path, service, block)]
    seconds, used = time.process_time() - began, METER.snapshot() - before
    figures = {"tiles": len(sizes), "bytes": sum(sizes), "cpu_seconds": seconds, "gets": used.gets}
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
