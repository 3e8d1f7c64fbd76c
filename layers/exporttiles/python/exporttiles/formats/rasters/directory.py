"""Directories of TIFF and BigTIFF files: the pictures in a file, and where their blocks lie.

Source: TIFF 6.0 (Adobe, 1992), sections 2, 8 and 15; BigTIFF (Adobe PageMaker technical note, 2004).
Files are hostile: every count, offset and size is checked before anything of that size is read.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile

MAX_SIDE_PIXELS = 2**24
"""Limit of the width and height of a picture: 16 million, a world map of 2.4 m pixels."""

MAX_BLOCK_BYTES = 2**25
"""Limit of the bytes of one block, which is decoded as a whole."""

_MAX_BLOCKS = 2**21
_MAX_DIRECTORIES = 64
_MAX_ENTRIES = 1_000
_MAX_VALUE_BYTES = 2**20  # of one tag, besides the offsets of blocks
_MAX_BANDS = 64
_WINDOW_BYTES = 32 * 2**10
_KEPT_BYTES = 16 * 2**10
"""Limit of the bytes of one tag that a file keeps as known."""

_MERGED_STRIP_BYTES = 2**18

MIXED_FORMATS = 0
_UNDEFINED = 4
_PREDICTED = {5, 8, 32946, 34925, 50000}  # compressions that libtiff knows a predictor for

_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 11: "f4", 12: "f8"}
_BIG_TYPES = {**_TYPES, 16: "u8", 17: "i8", 18: "u8"}


class Tag(IntEnum):
    """Tags of a directory that are read."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    BANDS = 277
    ROWS_PER_STRIP = 278
    STRIP_SIZES = 279
    PLANAR = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_SIZES = 325
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    PIXEL_SCALE = 33550
    TIE_POINTS = 33922
    TRANSFORMATION = 34264
    GEO_KEYS = 34735
    GEO_DOUBLES = 34736
    GEO_TEXTS = 34737
    GDAL_NODATA = 42113
    RPC = 50844


@dataclass(frozen=True, slots=True)
class _Entry:
    """A value of a directory: its type for NumPy, count, and place in the file."""

    kind: str
    count: int
    offset: int


class _Window:
    """A file of which neighbouring bytes are read at a time. It keeps short ones as known."""

    def __init__(self, file: RangedFile) -> None:
        self.size_bytes = file.size_bytes
        self._file, self._start, self._body = file, 0, b""

    def read(self, start: int, size_bytes: int) -> bytes:
        """Return bytes of the file.

        Raises:
            DamagedCacheError: it ends before.
        """
        stop = start + size_bytes
        if stop > self.size_bytes:
            raise DamagedCacheError(f"It ends at byte {self.size_bytes:,}, before the contents it states.")
        known = self._file.known
        if len(known.get(start, b"")) >= size_bytes:
            return known.get(start, b"")[:size_bytes]
        if not self._start <= start <= stop <= self._start + len(self._body):
            self._start, self._body = start, self._file.read(start, max(stop, start + _WINDOW_BYTES))
        found = self._body[start - self._start : stop - self._start]
        if size_bytes <= _KEPT_BYTES:
            known[start] = found
        return found


@dataclass(frozen=True, eq=False)
class Directory:
    """One picture of a file: the image, an overview of it, or a mask.

    Blocks are tiles or strips; strips are as wide as the picture. Those of a picture whose bands are stored
    apart are numbered band after band.

    Attributes:
        shape: (rows, columns) in pixels.
        sample_format: 1 for integers, 2 with a sign, 3 floating-point numbers; `MIXED_FORMATS` if bands differ.
        block_shape: (rows, columns) of a block; the last tiles reach over the edge, strips do not.
        strips_start: offset of the first strip, if all follow each other and are not compressed.
    """

    shape: tuple[int, int]
    block_shape: tuple[int, int]
    is_tiled: bool
    bands: int
    bits: tuple[int, ...]
    sample_format: int
    compression: int
    photometric: int
    predictor: int
    is_planar: bool
    subfile_type: int
    extra_samples: tuple[int, ...]
    byte_order: str
    _window: _Window = field(repr=False)
    _entries: Mapping[int, _Entry] = field(repr=False)
    strips_start: int | None = None

    @property
    def is_mask(self) -> bool:
        """Return True if it is the mask of a picture."""
        return bool(self.subfile_type & 4)

    @property
    def is_overview(self) -> bool:
        """Return True if it is a picture, or mask, in lower resolution."""
        return bool(self.subfile_type & 1)

    @property
    def grid(self) -> tuple[int, int]:
        """Return the rows and columns of blocks."""
        return -(-self.shape[0] // self.block_shape[0]), -(-self.shape[1] // self.block_shape[1])

    @property
    def planes(self) -> int:
        """Return how many times the picture is stored: once for each band, or once for all of them."""
        return self.bands if self.is_planar else 1

    def block_rows(self, row: int) -> int:
        """Return the pixels that a block of a row of blocks has from top to bottom as it is stored."""
        return (
            self.block_shape[0]
            if self.is_tiled
            else min(self.block_shape[0], self.shape[0] - row * self.block_shape[0])
        )

    def numbers(self, tag: Tag) -> tuple[float, ...]:
        """Return the numbers of a tag; none if it is missing.

        Raises:
            DamagedCacheError: they have another type, or are too many.
        """
        entry = self._entries.get(tag)
        return tuple(_values(self._window, entry, self.byte_order).tolist()) if entry else ()

    def integers(self, tag: Tag) -> tuple[int, ...]:
        """Return the integers of a tag; none if it is missing.

        Raises:
            DamagedCacheError: they have another type, or are too many.
        """
        return _integers(self._window, self._entries.get(tag), self.byte_order)

    def data(self, tag: Tag) -> bytes:
        """Return the bytes of a tag, such as a text; none if it is missing.

        Raises:
            DamagedCacheError: they are too many.
        """
        entry = self._entries.get(tag)
        return _values(self._window, entry, self.byte_order).tobytes() if entry else b""

    def has(self, tag: Tag) -> bool:
        """Return True if the directory has a tag."""
        return tag in self._entries

    @cached_property
    def blocks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the offsets and sizes in bytes (planes, rows, columns) of blocks; a size of 0 where there is none.

        Raises:
            DamagedCacheError: there are fewer than the picture has, or some lie outside of the file.
        """
        rows, columns = self.grid
        if self.strips_start is None:
            tags = (Tag.TILE_OFFSETS, Tag.TILE_SIZES) if self.is_tiled else (Tag.STRIP_OFFSETS, Tag.STRIP_SIZES)
            offsets, sizes = (self._positions(tag, self.planes * rows * columns) for tag in tags)
        else:
            step = self.block_shape[0] * self.row_bytes
            offsets = self.strips_start + np.arange(rows) * step
            sizes = np.minimum(step, self.strips_start + self.shape[0] * self.row_bytes - offsets)
        sizes = np.where(offsets > 0, sizes, 0)
        if (sizes > 2 * self.block_bytes + _MAX_VALUE_BYTES).any():
            raise DamagedCacheError("Some of its blocks state many more bytes than they have pixels.")
        if (offsets < 0).any() or (sizes < 0).any() or (offsets > self._window.size_bytes - sizes).any():
            raise DamagedCacheError("Some of its blocks lie outside of the file.")
        return offsets.reshape(self.planes, rows, columns), sizes.reshape(self.planes, rows, columns)

    def read_all(self) -> None:
        """Read the values of all tags, as far as a file keeps them as known, and the list of blocks.

        Raises:
            DamagedCacheError: the list of blocks cannot be used.
        """
        for entry in self._entries.values():
            size_bytes = entry.count * np.dtype(entry.kind).itemsize
            if size_bytes <= _KEPT_BYTES and entry.offset + size_bytes <= self._window.size_bytes:
                self._window.read(entry.offset, size_bytes)
        self.blocks  # noqa: B018  raises if it cannot be used

    @property
    def block_bytes(self) -> int:
        """Return the bytes of a block with all bands, decoded."""
        return math.prod(self.block_shape) * self.bands * max(1, self.bits[0] // 8)

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a row of pixels of a block, decoded; 0 for pixels of less than a byte."""
        samples = 1 if self.is_planar else self.bands
        return self.block_shape[1] * samples * (self.bits[0] // 8)

    def with_merged_strips(self) -> "Directory":
        """Return the directory with strips of some 256 KB, if they are not compressed and follow each other.

        Some programs write one strip for each row, or one for the whole picture.
        """
        if self.is_tiled or self.compression != 1 or self.is_planar or not self.row_bytes:
            return self
        offsets, sizes = (value.ravel() for value in self.blocks)
        if (offsets[1:] != offsets[:-1] + sizes[:-1]).any() or sizes.sum() < self.shape[0] * self.row_bytes:
            return self
        rows = max(1, min(self.shape[0], _MERGED_STRIP_BYTES // self.row_bytes))
        return replace(self, block_shape=(rows, self.shape[1]), strips_start=int(offsets[0]))

    def _positions(self, tag: Tag, count: int) -> NDArray[np.int64]:
        entry = self._entries.get(tag)
        if entry is None or entry.count < count or entry.kind[0] != "u":
            raise DamagedCacheError(f"It states {counted(entry.count if entry else 0, 'block')} of {count:,}.")
        kind = np.dtype(f"{self.byte_order}{entry.kind}")
        body = self._window.read(entry.offset, count * kind.itemsize)
        return np.frombuffer(body, kind).astype(np.int64)


def read_directories(file: RangedFile) -> list[Directory]:
    """Return the pictures of a TIFF or BigTIFF file in their order.

    Raises:
        DamagedCacheError: it is no TIFF, is cut short, or states what cannot be.
        SourceError: the store failed or did not answer.
    """
    window = _Window(file)
    head = window.read(0, min(16, file.size_bytes))
    byte_order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if byte_order is None or len(head) < 8:
        raise DamagedCacheError("It is not a TIFF file.")
    (version,) = struct.unpack_from(f"{byte_order}H", head, 2)
    is_big = version == 43
    if version not in {42, 43} or (
        is_big and (len(head) < 16 or struct.unpack_from(f"{byte_order}HH", head, 4) != (8, 0))
    ):
        raise DamagedCacheError("It is not a TIFF file.")
    (at,) = struct.unpack_from(f"{byte_order}Q", head, 8) if is_big else struct.unpack_from(f"{byte_order}I", head, 4)
    found: list[Directory] = []
    seen = {0}
    while at not in seen:
        seen.add(at)
        if len(seen) > _MAX_DIRECTORIES:
            raise DamagedCacheError(f"It has more than {_MAX_DIRECTORIES} pictures.")
        entries, at = _read_entries(window, at, byte_order, is_big=is_big)
        found.append(_directory(window, entries, byte_order))
    if at:
        raise DamagedCacheError("Its list of pictures has no end.")
    if not found:
        raise DamagedCacheError("It holds no picture.")
    return found


def _read_entries(window: _Window, at: int, byte_order: str, *, is_big: bool) -> tuple[dict[int, _Entry], int]:
    """Return the entries of a directory, and where the next directory lies; 0 if there is none."""
    count_format, entry_format, offset_format = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
    count_bytes = struct.calcsize(f"={count_format}")
    (count,) = struct.unpack(f"{byte_order}{count_format}", window.read(at, count_bytes))
    if count > _MAX_ENTRIES:
        raise DamagedCacheError(f"A picture of it has {count:,} tags.")
    size = struct.calcsize(f"={entry_format}")
    next_bytes = struct.calcsize(f"={offset_format}")
    body = window.read(at + count_bytes, count * size + next_bytes)
    kinds, known = (_BIG_TYPES if is_big else _TYPES), set(Tag)
    entries = {}
    for number in range(count):
        tag, kind, values, inline = struct.unpack_from(f"{byte_order}{entry_format}", body, number * size)
        if tag not in known or kind not in kinds:
            continue
        is_inline = values * int(kinds[kind][1]) <= len(inline)
        place = at + count_bytes + number * size + size - len(inline)
        (pointer,) = struct.unpack(f"{byte_order}{offset_format}", inline)
        entries[tag] = _Entry(kinds[kind], values, place if is_inline else pointer)
    (following,) = struct.unpack_from(f"{byte_order}{offset_format}", body, count * size)
    return entries, following


def _directory(window: _Window, entries: Mapping[int, _Entry], byte_order: str) -> Directory:
    def numbers(tag: Tag) -> tuple[int, ...]:
        return _integers(window, entries.get(tag), byte_order)

    def number(tag: Tag, default: int = 0) -> int:
        return next(iter(numbers(tag)), default)

    is_tiled = Tag.TILE_WIDTH in entries
    height, width, bands = number(Tag.HEIGHT), number(Tag.WIDTH), number(Tag.BANDS, 1)
    if not (0 < height <= MAX_SIDE_PIXELS and 0 < width <= MAX_SIDE_PIXELS):
        raise DamagedCacheError(
            f"A picture of it is {width:,} x {height:,} pixels; a side has 1 to {MAX_SIDE_PIXELS:,}."
        )
    if not 0 < bands <= _MAX_BANDS:
        raise DamagedCacheError(f"A picture of it has {bands:,} bands; 1 to {_MAX_BANDS} can be read.")
    rows = number(Tag.TILE_HEIGHT) if is_tiled else min(number(Tag.ROWS_PER_STRIP, height), height)
    columns = number(Tag.TILE_WIDTH) if is_tiled else width
    if is_tiled and (rows % 16 or columns % 16):
        raise DamagedCacheError(f"A picture of it has tiles of {columns:,} x {rows:,} pixels, no multiples of 16.")
    if not (0 < rows <= MAX_SIDE_PIXELS and 0 < columns <= MAX_SIDE_PIXELS):
        raise DamagedCacheError(f"A picture of it has blocks of {columns:,} x {rows:,} pixels.")
    is_planar = number(Tag.PLANAR, 1) == 2 and bands > 1
    if -(-height // rows) * -(-width // columns) * (bands if is_planar else 1) > _MAX_BLOCKS:
        raise DamagedCacheError(f"A picture of it has more than {_MAX_BLOCKS:,} blocks.")
    bits, compression = numbers(Tag.BITS)[:bands] or (1,), number(Tag.COMPRESSION, 1)
    return Directory(
        shape=(height, width),
        block_shape=(rows, columns),
        is_tiled=is_tiled,
        bands=bands,
        bits=bits if len(bits) == bands else bits[:1] * bands,
        sample_format=_sample_format(numbers(Tag.SAMPLE_FORMAT)[:bands]),
        compression=compression,
        photometric=number(Tag.PHOTOMETRIC, 1),
        predictor=number(Tag.PREDICTOR, 1) if compression in _PREDICTED else 1,
        is_planar=is_planar,
        subfile_type=number(Tag.SUBFILE_TYPE),
        extra_samples=numbers(Tag.EXTRA_SAMPLES),
        byte_order=byte_order,
        _window=window,
        _entries=entries,
    ).with_merged_strips()


def _sample_format(stated: tuple[int, ...]) -> int:
    """Return the format of all samples: integers if it is not stated, `MIXED_FORMATS` if they differ."""
    if len(set(stated)) > 1:
        return MIXED_FORMATS
    return stated[0] if stated and stated[0] != _UNDEFINED else 1


def _integers(window: _Window, entry: _Entry | None, byte_order: str) -> tuple[int, ...]:
    """Return the integers of an entry; none if it is missing."""
    if entry is not None and entry.kind[0] not in "ui":
        raise DamagedCacheError("A tag of it is no integer.")
    return tuple(_values(window, entry, byte_order).tolist())


def _values(window: _Window, entry: _Entry | None, byte_order: str) -> NDArray[np.generic]:
    """Return the values of an entry; none if it is missing."""
    if entry is None:
        return np.empty(0, np.uint8)
    kind = np.dtype(f"{byte_order}{entry.kind}")
    size_bytes = entry.count * kind.itemsize
    if size_bytes > _MAX_VALUE_BYTES:
        raise DamagedCacheError(f"A tag of it has {counted(size_bytes, 'byte')}.")
    return np.frombuffer(window.read(entry.offset, size_bytes), kind)
