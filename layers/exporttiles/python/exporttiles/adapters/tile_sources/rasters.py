"""Tiles that are drawn from GeoTIFFs when they are asked for."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exporttiles.adapters.process import METER
from exporttiles.domain.errors import DamagedCacheError, ReplacedError, SourceError
from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.mosaic_files import MosaicFiles, tiles_of
from exporttiles.domain.service import TileCache
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.archives.ranged_file import RangedFile, Span
from exporttiles.formats.bundles.byte_ranges import coalesce, numbered_records, slice_records
from exporttiles.formats.rasters.aligned import AlignedBlocks, aligned_blocks
from exporttiles.formats.rasters.blocks import jpeg_start
from exporttiles.formats.rasters.drawing import MAX_READ_PIXELS, PlacedRaster, compose, encode, place
from exporttiles.formats.rasters.raster import Block, Raster
from exporttiles.ports.objects import ObjectReader, ranged_file
from exporttiles.ports.process import RunAll
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile

_DRAWING_PIXELS = 2048
"""Side of the squares that are drawn at a time: fewer pixels cost more at their edges, more take memory."""

_AHEAD_BYTES = 32 * 2**20
"""Limit of the stored blocks that are read for some drawings before the first of them is drawn."""

_STORED_BYTES = 4 * _AHEAD_BYTES
"""Limit of the stored blocks of one drawing that are read together."""

_AHEAD_DRAWINGS = 16
_DECODED_BYTES = 128 * 2**20
_OPEN_RASTERS = 256
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


_StoredBlocks: TypeAlias = dict[tuple[str, Block], list[memoryview]]
"""Key of the file, and block -> its bytes, for each time that it is stored."""


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
        self._opened: dict[str, OpenedFile] = {}
        self._versions: dict[str, str] = {}
        """Key of each raster that was opened -> its version."""
        self._rasters: OrderedDict[str, Raster] = OrderedDict()
        self._decoded = _DecodedBlocks()
        self._requests = ThreadPoolExecutor(_REQUESTS, thread_name_prefix="rasters")

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the selected tiles that have pixels; empty bytes where blocks of the rasters are damaged."""
        left, replaced = selected.copy(), set[str]()
        self._forget_replaced(bundle, selected)
        while True:
            try:
                for (row, column), tile in self._read_bundle(bundle, left.copy()):
                    left[row - bundle.row, column - bundle.column] = False
                    yield (row, column), tile
            except ReplacedError as error:
                if error.key in replaced or error.key not in self._files.numbers:
                    raise
                replaced.add(error.key)
                self._open_anew(error.key)
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
            fetched: Future[_StoredBlocks] = Future()
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
            self._prepare(files[number:])
            found = aligned_blocks(self._raster(file.key), self._mosaic.scheme, bundle.level)
            if found:
                chosen = np.zeros_like(selected)
                tiles = found.tiles.intersection(bundle.tile_range)
                if tiles.count:
                    chosen[bundle.slices(tiles)] = met[bundle.slices(tiles)]
                yield from self._copy(self._raster(file.key), found, bundle, chosen)
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
        self._prepare(files)
        for file in files:
            placed = place(self._raster(file.key), file, self._mosaic.scheme, tiles)
            if placed is None:
                continue
            if placed.is_too_large:
                yield from self._parts(tiles, file.key)
                return
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
        self, drawing: _Drawing, bundle: BundleIndex, selected: Mask, stored: _StoredBlocks
    ) -> Iterator[PlacedTile]:
        """Yield the selected tiles of a drawing."""
        tiles, size = drawing.tiles, self._mosaic.scheme.tile_size
        count = tiles.row_stop - tiles.row_start
        keys = {id(layer.placed): layer.key for layer in drawing.layers}

        def decoded(placed: PlacedRaster, block: Block) -> Image.Image | None:
            return self._decode(keys[id(placed)], placed.raster, block, stored)

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

    def _fetch(self, group: Sequence[_Drawing]) -> _StoredBlocks:
        """Return the stored blocks of some drawings that are not decoded already."""
        wanted: defaultdict[str, dict[Block, Sequence[Span]]] = defaultdict(dict)
        room = _STORED_BYTES
        rasters = {layer.key: layer.placed.raster for drawing in group for layer in drawing.layers}
        for layer in (layer for drawing in group for layer in drawing.layers):
            for block in layer.placed.blocks:
                if block not in wanted[layer.key] and (layer.key, block) not in self._decoded:
                    spans = layer.placed.raster.spans(block)
                    room -= sum(stop - start for start, stop in spans)
                    if room < 0:  # the others are read when they are drawn
                        break
                    wanted[layer.key][block] = spans
        read = self._requests.map(lambda key: self._read(rasters[key], wanted[key]), wanted)
        return {(key, block): data for key, found in zip(wanted, read, strict=True) for block, data in found.items()}

    def _read(self, raster: Raster, spans: Mapping[Block, Sequence[Span]]) -> dict[Block, list[memoryview]]:
        """Return the stored blocks of a raster."""
        starts = [start for each in spans.values() for start, _ in each]
        sizes = [stop - start for each in spans.values() for start, stop in each]
        ranges = coalesce(starts, sizes)
        records = iter(slice_records(ranges, raster.file.ranges(ranges), starts, sizes))
        return {block: [next(records) for _ in each] for block, each in spans.items()}

    def _decode(self, key: str, raster: Raster, block: Block, stored: _StoredBlocks) -> Image.Image | None:
        found = self._decoded.get((key, block))
        if found is None:
            data = stored.get((key, block))
            if (
                data is None
            ):  # it was decoded when the others were read, and has been dropped since; or there was no room
                data = self._read(raster, {block: raster.spans(block)})[block]
            if not data:
                return None
            found = raster.decode(block, data)
            self._decoded.put((key, block), found)
        return found

    def _raster(self, key: str) -> Raster:
        """Return an open raster; recently used ones are kept.

        Raises:
            DamagedCacheError: it cannot be read.
        """
        raster = self._rasters.pop(key, None)
        if raster is None:
            opened = self._opened.get(key) or self._files.opened([self._files.numbers[key]])[0]
            raster = self._open(key, self._file(key, opened))
        self._rasters[key] = raster
        if len(self._rasters) > _OPEN_RASTERS:
            self._rasters.popitem(last=False)
        return raster

    def _prepare(self, files: Sequence[RasterFile]) -> None:
        """Read the records of some rasters together."""
        keys = [file.key for file in files if file.key not in self._rasters][:_OPEN_RASTERS]
        missing = [key for key in keys if key not in self._opened]
        if missing:
            if len(self._opened) + len(missing) > _OPEN_RASTERS:
                self._opened = {key: self._opened[key] for key in keys if key in self._opened}
            self._opened |= zip(missing, self._files.opened([self._files.numbers[key] for key in missing]), strict=True)

    def _open(self, key: str, file: RangedFile, *, is_checked: bool = True) -> Raster:
        wkid = self._mosaic.source_wkid
        stated = SpatialReference(wkid, wkid) if wkid else None
        try:
            raster = Raster(file, stated, self._mosaic.rescale, self._mosaic.bands)
            if not is_checked:
                raster.read_all()
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{key}: {error}") from error
        return raster

    def _open_anew(self, key: str) -> None:
        """Open a raster that has been replaced.

        Raises:
            SourceError: the store failed or did not answer.
            DamagedCacheError: it cannot be read, or lies elsewhere.
        """
        before = self._raster(key)
        try:
            version = self._objects.version(key) or ""
            now = ranged_file(self._objects, key)
        except KeyError as error:
            raise _missing(key) from error
        raster = self._open(key, self._file(key, OpenedFile(version, now.size_bytes, now.known)), is_checked=False)
        if (raster.georeference, raster.shape) != (before.georeference, before.shape) or raster.pixels.needs_rescale:
            raise DamagedCacheError(
                f"{key}: It was replaced by a file of another place, size or kind. Publish the service again."
            )
        self._decoded.drop(key)
        self._rasters[key] = raster

    def _forget_replaced(self, bundle: BundleIndex, selected: Mask) -> None:
        """Open rasters anew whose decoded blocks are of an earlier version."""
        known = self._decoded.keys
        files = [file for file in self._near(_block(bundle, selected)) if file.key in known] if known else []
        keys = [file.key for file in files if (selected & self._met(bundle, [file])).any()]
        for key, version in zip(keys, self._requests.map(self._objects.version, keys), strict=True):
            if version != self._versions[key]:
                self._open_anew(key)

    def _file(self, key: str, opened: OpenedFile) -> RangedFile:
        """Return a raster that is read by ranges, as long as it is not replaced."""
        self._versions[key] = opened.version

        def read_ranges(spans: Sequence[Span]) -> Iterator[memoryview]:
            try:
                yield from self._objects.read_ranges(key, spans, opened.version)
            except ReplacedError as error:
                raise ReplacedError(key) from error
            except KeyError as error:
                raise _missing(key) from error

        return RangedFile(opened.size_bytes, read_ranges, dict(opened.known))

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


def _missing(key: str) -> SourceError:
    return SourceError(f"There is no file {key}. If it was removed on purpose, publish the service again.")


class _DecodedBlocks:
    """Decoded blocks that were used recently, up to a size in memory."""

    def __init__(self) -> None:
        self._images: OrderedDict[tuple[str, Block], Image.Image] = OrderedDict()
        self._size_bytes = 0

    def __contains__(self, key: tuple[str, Block]) -> bool:
        return key in self._images

    def get(self, key: tuple[str, Block]) -> Image.Image | None:
        image = self._images.get(key)
        if image is not None:
            self._images.move_to_end(key)
        return image

    @property
    def keys(self) -> set[str]:
        """Return the keys of their files."""
        return {key for key, _ in self._images}

    def drop(self, key: str) -> None:
        """Forget the blocks of a file."""
        for each in [each for each in self._images if each[0] == key]:
            self._size_bytes -= _size_bytes(self._images.pop(each))

    def put(self, key: tuple[str, Block], image: Image.Image) -> None:
        self._images[key] = image
        self._size_bytes += _size_bytes(image)
        while self._size_bytes > _DECODED_BYTES and len(self._images) > 1:
            _, dropped = self._images.popitem(last=False)
            self._size_bytes -= _size_bytes(dropped)


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


def _size_bytes(image: Image.Image) -> int:
    return image.width * image.height * (1 if image.mode == "L" else 4)


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
