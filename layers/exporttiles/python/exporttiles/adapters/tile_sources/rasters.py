"""Tiles that are drawn from GeoTIFFs when they are asked for."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exporttiles.adapters.process import METER
from exporttiles.adapters.tile_sources.open_rasters import OpenRasters
from exporttiles.adapters.tile_sources.raster_blocks import RasterBlocks, StoredBlocks
from exporttiles.domain.errors import DamagedCacheError, ReplacedError
from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.mosaic_files import MosaicFiles, tiles_of
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.bundles.byte_ranges import coalesce, numbered_records
from exporttiles.formats.rasters.aligned import AlignedBlocks, aligned_blocks
from exporttiles.formats.rasters.blocks import jpeg_start
from exporttiles.formats.rasters.drawing import MAX_READ_PIXELS, PlacedRaster, compose, encode, place
from exporttiles.formats.rasters.raster import Block, Raster
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.process import RunAll
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile

_DRAWING_PIXELS = 2048
"""Side of the squares that are drawn at a time: fewer pixels cost more at their edges, more take memory."""

_AHEAD_BYTES = 32 * 2**20
"""Limit of the stored blocks that are read for some drawings before the first of them is drawn."""

_AHEAD_DRAWINGS = 16
_REQUESTS = 16
"""Rasters that are read at a time."""

_PART_DRAWINGS = 8
"""Squares beside each other that another process draws at a time. Each process decodes the blocks at the edges anew."""

_FEW_DRAWINGS = 8
"""Fewer squares than this are drawn before other processes have started."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A raster as it lies in a drawing.

    Attributes:
        key: of its file.
    """

    key: str
    placed: PlacedRaster


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A square block of tiles, and the rasters that lie in it, the uppermost first."""

    tiles: TileRange
    layers: Sequence[_Layer]


@dataclass(frozen=True, slots=True)
class _Part:
    """Tiles of a bundle that another process draws.

    Attributes:
        cache: without its rasters.
        files: the rasters near the tiles, the lowest first.
        opened: how each of them is opened.
    """

    objects: ObjectReader
    cache: TileCache
    files: Sequence[RasterFile]
    opened: Sequence[OpenedFile]
    bundle: BundleIndex
    selected: Mask


_DrawnPart: TypeAlias = tuple[list[PlacedTile], int]
"""Tiles, and the requests that they took."""


class RasterTiles:
    """Tiles of a mosaic, drawn from its rasters.

    Rasters are not opened anew: the mosaic holds the bytes that this takes. One that has been replaced since is opened
    anew, and drawn if it lies in the same place.

    JPEG blocks that are tiles already are copied. The stored blocks of some drawings are read in few requests, while
    those before are drawn.

    Args:
        objects: the store of the rasters.
        cache: with a mosaic.
        run_all: of a pool of processes; None draws all tiles in this process.
    """

    def __init__(
        self, objects: ObjectReader, cache: TileCache, run_all: RunAll[_Part, _DrawnPart] | None = None
    ) -> None:
        if cache.mosaic is None or cache.mosaic.files is None:
            raise DamagedCacheError("The service descriptor cannot be used: the list of rasters is missing.")
        self._objects, self._mosaic, self._files = objects, cache.mosaic, cache.mosaic.files
        self._cache, self._run_all = cache, run_all
        self._requests = ThreadPoolExecutor(_REQUESTS, thread_name_prefix="rasters")
        self._rasters = OpenRasters(objects, self._mosaic, self._files)
        self._blocks = RasterBlocks(self._requests)

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the selected tiles that have pixels; empty bytes where blocks of the rasters are damaged."""
        left, replaced = selected.copy(), set[str]()
        self._reopen_decoded(bundle, selected)
        while True:
            try:
                for (row, column), tile in self._read_bundle(bundle, left.copy()):
                    left[row - bundle.row, column - bundle.column] = False
                    yield (row, column), tile
            except ReplacedError as error:
                if error.key in replaced or error.key not in self._files.numbers:
                    raise
                replaced.add(error.key)
                self._reopen(error.key)
            else:
                return

    def _read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        if self._mosaic.copies_blocks:
            yield from self._copied(bundle, selected)
        if not selected.any():
            return
        parts = list(self._apart(bundle, selected)) if self._run_all else []
        if self._run_all and parts:
            for tiles, gets in self._run_all(draw_part, parts):
                METER.count(gets=gets)
                yield from tiles
            return
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher:
            previous: list[_Drawing] = []
            fetched: Future[StoredBlocks] = Future()
            for group in chain(_groups(self._drawings(bundle, selected)), [[]]):
                following = fetcher.submit(self._fetch, group)
                if previous:
                    stored = fetched.result()
                    for drawing in previous:
                        yield from self._tiles(drawing, bundle, selected, stored)
                previous, fetched = group, following

    def _apart(self, bundle: BundleIndex, selected: Mask) -> Iterator[_Part]:
        """Yield the parts of a bundle that other processes draw, in the order of the tiles; none for a few drawings."""
        side = self._drawing_side
        met = selected & self._met(bundle, self._near(_block(bundle, selected)))
        drawings = np.logical_or.reduceat(
            np.logical_or.reduceat(met, range(0, PACKET_SIZE, side)), range(0, PACKET_SIZE, side), axis=1
        )
        if np.count_nonzero(drawings) < _FEW_DRAWINGS:
            return
        mosaic = replace(self._mosaic, files=None, copies_blocks=False)  # those were copied already
        cache = replace(self._cache, mosaic=mosaic)
        width = _PART_DRAWINGS * side
        for row, column in product(range(0, PACKET_SIZE, side), range(0, PACKET_SIZE, width)):
            top, left = bundle.row + row, bundle.column + column
            tiles = TileRange(bundle.level, top, top + side, left, left + width)
            chosen = np.zeros_like(selected)
            chosen[bundle.slices(tiles)] = met[bundle.slices(tiles)]
            if chosen.any():
                files = self._near(tiles)[::-1]
                opened = self._files.opened([self._files.numbers[file.key] for file in files])
                yield _Part(self._objects, cache, files, opened, bundle, chosen)

    @property
    def _drawing_side(self) -> int:
        """Return how many tiles the squares are wide that are drawn at a time."""
        return max(1, _DRAWING_PIXELS // self._mosaic.scheme.tile_size)

    def _copied(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles that are blocks of the uppermost raster there, and take them out of the selection."""
        uncovered = selected.copy()
        files = self._near(_block(bundle, selected))
        for number, file in enumerate(files):
            met = uncovered & self._met(bundle, [file])
            if not met.any():
                continue
            self._rasters.prepare(files[number:])
            found = aligned_blocks(self._rasters[file.key], self._mosaic.scheme, bundle.level)
            if found:
                chosen = np.zeros_like(selected)
                tiles = found.tiles.intersection(bundle.tile_range)
                if tiles.count:
                    chosen[bundle.slices(tiles)] = met[bundle.slices(tiles)]
                yield from self._copy(self._rasters[file.key], found, bundle, chosen)
                selected &= ~chosen
            uncovered &= ~met

    def _copy(self, raster: Raster, found: AlignedBlocks, bundle: BundleIndex, chosen: Mask) -> Iterator[PlacedTile]:
        """Yield blocks as tiles, and take those that are not stored out of the choice."""
        corner = np.array([bundle.row, bundle.column])
        places = np.argwhere(chosen) + corner
        rows, columns = (places - np.array([found.tiles.row_start, found.tiles.column_start])).T
        offsets, sizes = (values[0, rows, columns] for values in found.directory.blocks)
        missing = places[sizes == 0] - corner
        chosen[missing[:, 0], missing[:, 1]] = False
        places, offsets, sizes = places[sizes > 0], offsets[sizes > 0], sizes[sizes > 0]
        start, ranges, numbered = jpeg_start(found.directory), coalesce(offsets, sizes), places.tolist()
        for number, block in numbered_records(ranges, raster.file.ranges(ranges), offsets, sizes):
            row, column = numbered[number]
            yield (row, column), b"".join((start, block[2:]))

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that the boxes around the rasters meet."""
        ranges = [found for file in self._near(block) for found in tiles_of(file, self._mosaic.scheme, block)]
        most = min(limit, max(tile_count, len(ranges)))
        bundles: dict[BundleIndex, None] = {}
        for found in ranges:
            if found.bundle_count <= most:
                bundles |= dict.fromkeys(found.bundles)
            if max(found.bundle_count, len(bundles)) > most:
                return None
        return bundles

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> NDArray[np.int32]:
        """Return the mean size of a tile for those that the boxes around the rasters meet: nothing is drawn."""
        met = self._met(bundle, self._near(_block(bundle, selected)))
        return np.where(selected & met, self._cache.average_tile_bytes, 0).astype(np.int32)

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return the mask of tiles all of whose rasters were written before a time."""
        files = self._near(_block(bundle, selected))
        written = self._objects.modified_at([file.key for file in files])
        since = since.replace(microsecond=0)
        modified = [file for file, moment in zip(files, written, strict=True) if moment is None or moment >= since]
        return selected & self._met(bundle, files) & ~self._met(bundle, modified)

    def _drawings(self, bundle: BundleIndex, selected: Mask) -> Iterator[_Drawing]:
        """Yield the drawings that hold selected tiles and rasters."""
        side = self._drawing_side
        met = selected & self._met(bundle, self._near(_block(bundle, selected)))
        for row, column in product(range(0, PACKET_SIZE, side), repeat=2):
            top, left = bundle.row + row, bundle.column + column
            tiles = TileRange(bundle.level, top, top + side, left, left + side)
            wanted = met[bundle.slices(tiles)]
            if wanted.any():
                yield from self._placed(_around(tiles, wanted))

    def _placed(self, tiles: TileRange) -> Iterator[_Drawing]:
        """Yield the drawing of a block of tiles, in parts if it takes too many pixels at a time."""
        layers, files = [], self._near(tiles)
        self._rasters.prepare(files)
        for file in files:
            placed = place(self._rasters[file.key], file, self._mosaic.scheme, tiles)
            if placed is None:
                continue
            if placed.is_too_large:
                yield from self._parts(tiles, file.key)
                return
            if placed.is_blank:
                continue
            layers.append(_Layer(file.key, placed))
            if placed.hides_others:
                break
        if layers:
            yield _Drawing(tiles, layers)

    def _parts(self, tiles: TileRange, key: str) -> Iterator[_Drawing]:
        half = (tiles.row_stop - tiles.row_start) // 2
        if not half:
            raise DamagedCacheError(
                f"{key}: A tile of level {tiles.level} would read more than {MAX_READ_PIXELS:,} pixels. Add overviews: "
                f"gdaladdo -r average {key} 2 4 8 16 32 64."
            )
        for row, column in product(
            (tiles.row_start, tiles.row_start + half), (tiles.column_start, tiles.column_start + half)
        ):
            yield from self._placed(TileRange(tiles.level, row, row + half, column, column + half))

    def _tiles(
        self, drawing: _Drawing, bundle: BundleIndex, selected: Mask, stored: StoredBlocks
    ) -> Iterator[PlacedTile]:
        """Yield the selected tiles of a drawing."""
        tiles, size = drawing.tiles, self._mosaic.scheme.tile_size
        count = tiles.row_stop - tiles.row_start
        keys = {id(layer.placed): layer.key for layer in drawing.layers}

        def decoded(placed: PlacedRaster, block: Block) -> Image.Image | None:
            return self._blocks.decode(keys[id(placed)], placed.raster, block, stored)

        try:
            image = compose([layer.placed for layer in drawing.layers], count * size, decoded)
        except DamagedCacheError:
            if count > 1:  # the other tiles can be drawn
                for row, column in product(
                    range(tiles.row_start, tiles.row_stop), range(tiles.column_start, tiles.column_stop)
                ):
                    for part in self._placed(TileRange(tiles.level, row, row + 1, column, column + 1)):
                        yield from self._tiles(part, bundle, selected, {})
            elif selected[bundle.slices(tiles)].any():
                yield (tiles.row_start, tiles.column_start), b""
            return
        for row, column in zip(*selected[bundle.slices(tiles)].nonzero(), strict=True):
            tile = encode(image, self._mosaic, (int(column) * size, int(row) * size))
            if tile is not None:
                yield (tiles.row_start + int(row), tiles.column_start + int(column)), tile

    def _fetch(self, group: Sequence[_Drawing]) -> StoredBlocks:
        """Return the stored blocks of some drawings."""
        layers = (layer for drawing in group for layer in drawing.layers)
        return self._blocks.read((layer.key, layer.placed.raster, layer.placed.blocks) for layer in layers)

    def _reopen(self, key: str) -> None:
        """Open a raster that has been replaced."""
        self._rasters.reopen(key)
        self._blocks.forget(key)

    def _reopen_decoded(self, bundle: BundleIndex, selected: Mask) -> None:
        """Open rasters anew whose decoded blocks are of an earlier version."""
        known = self._blocks.keys
        files = [file for file in self._near(_block(bundle, selected)) if file.key in known] if known else []
        keys = [file.key for file in files if (selected & self._met(bundle, [file])).any()]
        for key, is_replaced in zip(keys, self._requests.map(self._rasters.is_replaced, keys), strict=True):
            if is_replaced:
                self._reopen(key)

    def _near(self, block: TileRange) -> list[RasterFile]:
        """Return the rasters whose boxes meet a block of tiles, the uppermost first."""
        scheme = self._mosaic.scheme
        found = [file for file in self._files.near(scheme, block) if any(tiles_of(file, scheme, block))]
        return found[::-1]

    def _met(self, bundle: BundleIndex, files: Iterable[RasterFile]) -> Mask:
        """Return the mask of the tiles of a bundle that the boxes around some rasters meet."""
        met = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
        for file in files:
            for found in tiles_of(file, self._mosaic.scheme, bundle.tile_range):
                met[bundle.slices(found)] = True
        return met


def draw_part(part: _Part) -> _DrawnPart:
    """Draw some tiles of a bundle, in another process than that of the reader."""
    before = METER.snapshot()
    mosaic = part.cache.mosaic and replace(part.cache.mosaic, files=MosaicFiles.of(part.files, part.opened))
    source = RasterTiles(part.objects, replace(part.cache, mosaic=mosaic))
    tiles = list(source.read_bundle(part.bundle, part.selected))
    return tiles, (METER.snapshot() - before).gets


def _block(bundle: BundleIndex, selected: Mask) -> TileRange:
    """Return the smallest block around the selected tiles of a bundle."""
    places = np.argwhere(selected) + np.array([bundle.row, bundle.column])
    if not len(places):
        return TileRange(bundle.level, 0, 0, 0, 0)
    (top, left), (bottom, right) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return TileRange(bundle.level, top, bottom + 1, left, right + 1)


def _around(tiles: TileRange, wanted: Mask) -> TileRange:
    """Return the smallest part of a square block, halved in both directions, that holds all wanted tiles."""
    places, side = np.argwhere(wanted), len(wanted)
    while side > 1 and (places // (side // 2) == places[0] // (side // 2)).all():
        side //= 2
    row, column = (places[0] // side * side + np.array([tiles.row_start, tiles.column_start])).tolist()
    return TileRange(tiles.level, row, row + side, column, column + side)


def _groups(drawings: Iterable[_Drawing]) -> Iterator[list[_Drawing]]:
    """Yield drawings whose blocks are read together."""
    group: list[_Drawing] = []
    size_bytes = 0
    for drawing in drawings:
        spans = {
            (layer.key, block): layer.placed.raster.spans(block)
            for layer in drawing.layers
            for block in layer.placed.blocks
        }
        needed = sum(stop - start for each in spans.values() for start, stop in each)
        if group and (size_bytes + needed > _AHEAD_BYTES or len(group) == _AHEAD_DRAWINGS):
            yield group
            group, size_bytes = [], 0
        group.append(drawing)
        size_bytes += needed
    if group:
        yield group
