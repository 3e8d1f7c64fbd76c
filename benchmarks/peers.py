"""Commands of comparable programs; `python -m benchmarks.peers NAME ARGUMENT...` runs those without a command."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import shapely
import yaml

from benchmarks.areas import star
from benchmarks.caches import Cache
from benchmarks.processes import Command
from exporttiles.domain.tiling import EDGE_PIXELS
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

BIN = Path(sys.executable).parent
_ROWS = 256  # of tiles that brute force tests together


def mapproxy(cache: Cache, v2: Path, target: Path, kind: str = "compact-v2") -> Command:
    """Return the command of MapProxy's export of V2 bundles; with several processes it loses tiles.

    Args:
        cache: the tiles to export.
        v2: folder of their bundles.
        target: folder or file to write.
        kind: of the target, as MapProxy names it: compact-v2, mbtile or geopackage.
    """
    configuration = target.with_suffix(".yaml")
    source = {
        "grids": ["GLOBAL_WEBMERCATOR"],
        "sources": [],
        "format": "image/jpeg",
        "cache": {"type": "compact", "version": 2, "directory": str(v2 / "Layers/_alllayers")},
    }
    locks = {"cache": {"base_dir": str(target.parent.with_name("mapproxy")), "lock_dir": "locks"}}
    configuration.write_text(yaml.safe_dump({"services": {}, "globals": locks, "caches": {"source": source}}))
    half = -WEB_MERCATOR_256.origin_x * cache.share - 1  # a metre less: it takes neighbours that touch
    return [
        BIN / "mapproxy-util", "export", "--quiet", "-f", configuration, "--source", "source", "--type", kind,
        "--grid", "GLOBAL_WEBMERCATOR", "--levels", f"0..{cache.max_level}", "--dest", target, "-c", "1",
        f"--coverage={-half},{-half},{half},{half}", "--srs", "EPSG:3857",
    ]  # fmt: skip


def pmtiles_convert(mbtiles: Path, target: Path) -> Command:
    """Return the command of pmtiles-convert, for an MBTiles file of the area."""
    return [BIN / "pmtiles-convert", mbtiles, target]


def gdal(package: Path, target: Path, max_level: int, quality: int) -> Command:
    """Return the command of GDAL's recompression: it rewrites the deepest level and derives the others from it."""
    return [sys.executable, "-m", "benchmarks.peers", "gdal", package, target, str(max_level), str(quality)]


def run_gdal(package: str, target: str, max_level: str, quality: str) -> None:
    """Do what gdal_translate and gdaladdo do, which no Python package includes."""
    with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
        rasterio.shutil.copy(package, target, driver="MBTiles", TILE_FORMAT="JPEG", QUALITY=quality)
        with rasterio.open(target, "r+") as dataset:
            dataset.build_overviews([1 << level for level in range(1, int(max_level) + 1)])


def run_brute_force(level: str) -> None:
    """Count the tiles of a level that the star of 400 vertices touches, one by one."""
    side, margin = 1 << int(level), EDGE_PIXELS / 256
    ((ring,),) = star().polygons
    origin = (WEB_MERCATOR_256.origin_x, WEB_MERCATOR_256.origin_y)
    ring = (ring - origin) / WEB_MERCATOR_256.tile_span(int(level)) * (1, -1)
    polygon = shapely.Polygon(ring)
    shapely.prepare(polygon)
    count = 0
    for start in range(0, side, _ROWS):
        row, column = np.mgrid[start : start + _ROWS, :side]
        boxes = shapely.box(column + margin, row + margin, column + 1 - margin, row + 1 - margin)
        count += int(shapely.intersects(polygon, boxes).sum())
    print(json.dumps({"tiles": count}))


STEPS: dict[str, Callable[..., None]] = {"gdal": run_gdal, "brute_force": run_brute_force}

if __name__ == "__main__":
    STEPS[sys.argv[1]](*sys.argv[2:])
