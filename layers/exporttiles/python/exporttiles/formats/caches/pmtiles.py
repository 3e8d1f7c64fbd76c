"""The header and directories of PMTiles v3 archives.

A header of 127 bytes names the directories. A directory lists tiles by their
position on a Hilbert curve through all zooms; runs of equal tiles share an
entry, and an entry without a run is another directory, a leaf.

Source: protomaps/PMTiles, spec/v3/spec.md.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted

HEADER_BYTES = 127
START_BYTES = 16_384
"""Header and root directory are never longer together."""

MAX_DIRECTORY_BYTES = 4 * 2**20
"""Limit of an uncompressed directory, ten times what writers make. Reading takes fifty times as much memory."""

MAX_LEVEL = 31
"""Positions on finer levels do not fit 64 bits."""

_HEADER = struct.Struct("<7sB11Q6B4iB2i")
_MAX_VARINT_BYTES = 10
_COMPRESSIONS = ("unknown", "none", "gzip", "brotli", "zstd")
_TILE_TYPES = ("unknown", "mvt", "png", "jpeg", "webp", "avif", "mlt")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the archive, in bytes from its beginning."""

    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PmtilesHeader:
    """Fields of the header.

    Attributes:
        root, metadata: directory and JSON document.
        leaves, tiles: the sections that directories count from.
        internal_compression, tile_compression: ``none``, ``gzip`` and so on.
        tile_type: ``png``, ``jpeg``, ``mvt`` and so on.
        min_level, max_level: zooms that hold tiles, both included; writers may be wrong.
        bounds: west, south, east and north of the tiles, in degrees; likewise.
        tile_count, entry_count, content_count: tiles, entries of tiles, and different
            offsets in them; 0 if unknown.
        is_clustered: the tiles lie in the order of their positions, equal ones where the first of them is.
        center_level: zoom at which viewers begin.
    """

    root: Section
    metadata: Section
    leaves: Section
    tiles: Section
    internal_compression: str
    tile_compression: str
    tile_type: str
    min_level: int
    max_level: int
    bounds: tuple[float, float, float, float]
    tile_count: int = 0
    entry_count: int = 0
    content_count: int = 0
    is_clustered: bool = False
    center_level: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """The entries of a directory, by rising position.

    Attributes:
        tile_id: (n) int64, position of the first tile.
        run_length: (n) int64, tiles that share the bytes; 0 for a leaf.
        offset: (n) int64, in the section of tiles, or of leaves.
        size: (n) int64, bytes.
    """

    tile_id: NDArray[np.int64]
    run_length: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def find(self, tile_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the entry (m) for each tile (m), or for the leaf that may have it; -1 where there is none."""
        entry = np.searchsorted(self.tile_id, tile_ids, side="right") - 1
        run_length = self.run_length[entry]
        is_in = (run_length == 0) | (tile_ids - self.tile_id[entry] < run_length)
        return np.where((entry >= 0) & is_in, entry, -1)


def read_header(data: bytes | memoryview, file_size_bytes: int) -> PmtilesHeader:
    """Return the header of an archive.

    Args:
        data: the first `HEADER_BYTES` bytes of the file, or more.
        file_size_bytes: length of the file.

    Raises:
        DamagedCacheError: it is not a PMTiles archive of version 3, or a section
            of it lies outside of the file.
    """
    if len(data) < HEADER_BYTES or bytes(data[:7]) != b"PMTiles":
        raise DamagedCacheError("It is not a PMTiles archive.")
    if data[7] != 3:
        raise DamagedCacheError(f"It is a PMTiles archive of version {data[7]}; only version 3 can be read.")
    fields = _HEADER.unpack_from(data)
    root, metadata, leaves, tiles = (Section(*fields[at : at + 2]) for at in (2, 4, 6, 8))
    for name, section in (("root directory", root), ("leaf directories", leaves), ("tiles", tiles)):
        if section.offset + section.size_bytes > file_size_bytes:
            raise DamagedCacheError(
                f"Its {name} reach to byte {section.offset + section.size_bytes} of {file_size_bytes}."
            )
    is_clustered, internal, tile_compression, tile_type, min_level, max_level = fields[13:19]
    west, south, east, north = (side / 1e7 for side in fields[19:23])
    return PmtilesHeader(
        root,
        metadata,
        leaves,
        tiles,
        internal_compression=_name(_COMPRESSIONS, internal),
        tile_compression=_name(_COMPRESSIONS, tile_compression),
        tile_type=_name(_TILE_TYPES, tile_type),
        min_level=min_level,
        max_level=max_level,
        bounds=(west, south, east, north),
        tile_count=fields[10],
        entry_count=fields[11],
        content_count=fields[12],
        is_clustered=is_clustered == 1,
        center_level=fields[23],
    )


def write_header(header: PmtilesHeader) -> bytes:
    """Return the header of an archive; the centre is that of the bounds."""
    sections = (header.root, header.metadata, header.leaves, header.tiles)
    west, south, east, north = (round(side * 1e7) for side in header.bounds)
    return _HEADER.pack(
        b"PMTiles",
        3,
        *(number for section in sections for number in (section.offset, section.size_bytes)),
        header.tile_count,
        header.entry_count,
        header.content_count,
        header.is_clustered,
        _COMPRESSIONS.index(header.internal_compression),
        _COMPRESSIONS.index(header.tile_compression),
        _TILE_TYPES.index(header.tile_type),
        header.min_level,
        header.max_level,
        *(west, south, east, north),
        header.center_level,
        *((west + east) // 2, (south + north) // 2),
    )


def read_directory(
    data: bytes | memoryview, compression: str, *, largest_bytes: int = MAX_DIRECTORY_BYTES
) -> Directory:
    """Return the entries of a directory.

    Args:
        data: as it lies in the archive.
        compression: `PmtilesHeader.internal_compression`.
        largest_bytes: limit of the uncompressed directory.

    Raises:
        DamagedCacheError: it cannot be unpacked or is not a directory.
    """
    values = _varints(unpack(data, compression, largest_bytes))
    count = int(values[0]) if len(values) else 0
    if not count or len(values) != 1 + 4 * count:
        raise DamagedCacheError(f"A directory claims {count} entries and has {len(values)} numbers.")
    steps, run_length, size, stated = values[1:].reshape(4, count)
    tile_id = np.cumsum(steps)
    if values.min() < 0 or values.max() >= 2**62 or size.max() >= 2**32 or tile_id.min() < 0:
        raise DamagedCacheError("A directory holds numbers that are too large.")
    if (steps[1:] == 0).any() or not (size > 0).all():
        raise DamagedCacheError("A directory lists a tile twice, or one of no bytes.")
    # An offset of 0 means directly after the previous entry.
    follows = stated == 0
    if follows[0]:
        raise DamagedCacheError("The first entry of a directory has no offset.")
    ends = np.cumsum(size)
    anchor = np.maximum.accumulate(np.where(follows, 0, np.arange(count)))
    offset = stated[anchor] - 1 + (ends - size) - (ends - size)[anchor]
    return Directory(tile_id, run_length, offset, size)


def first_id(level: int) -> int:
    """Return the position of the first tile of a level."""
    return ((1 << 2 * level) - 1) // 3


def tile_ids(level: int, rows: ArrayLike, columns: ArrayLike) -> NDArray[np.int64]:
    """Return the positions (n) of tiles on the Hilbert curve through all levels.

    Args:
        level: 0 to `MAX_LEVEL`.
        rows: (n) from the top, below 2^level.
        columns: (n) from the left, below 2^level.
    """
    y, x = np.array(rows, np.int64), np.array(columns, np.int64)
    position = np.full(x.shape, first_id(level), np.int64)
    for bit in reversed(range(level)):
        side = np.int64(1 << bit)
        right, lower = x & side, y & side
        position += ((3 * right) ^ lower) << bit
        # Within an upper quadrant the curve runs with its axes swapped, on the right from the other end.
        is_upper = lower == 0
        is_flipped = is_upper & (right > 0)
        x, y = np.where(is_flipped, side - 1 - x, x), np.where(is_flipped, side - 1 - y, y)
        x, y = np.where(is_upper, y, x), np.where(is_upper, x, y)
    return position


def tiles_at(level: int, tile_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows (n) and columns (n) of tiles of a level; the inverse of `tile_ids`."""
    position = tile_ids - first_id(level)
    y, x = np.zeros_like(position), np.zeros_like(position)
    for bit in range(level):
        side = np.int64(1 << bit)
        quadrant = position >> 2 * bit & 3
        is_right, is_lower = quadrant >= 2, (quadrant == 1) | (quadrant == 2)
        is_flipped = is_right & ~is_lower
        x, y = np.where(is_flipped, side - 1 - x, x), np.where(is_flipped, side - 1 - y, y)
        x, y = np.where(is_lower, x, y), np.where(is_lower, y, x)
        x, y = x + side * is_right, y + side * is_lower
    return y, x


def unpack(data: bytes | memoryview, compression: str, largest_bytes: int = MAX_DIRECTORY_BYTES) -> bytes:
    """Return an uncompressed directory, or the metadata.

    Raises:
        DamagedCacheError: the compression is another than none or gzip, or the
            bytes are damaged or too long.
    """
    if compression not in {"none", "gzip"}:
        raise DamagedCacheError(f"Its directories are compressed with {compression}; none and gzip can be read.")
    if compression == "none":
        return bytes(data)
    try:
        unpacker = zlib.decompressobj(wbits=31)
        unpacked = unpacker.decompress(data, largest_bytes + 1)
    except zlib.error as error:
        raise DamagedCacheError(f"A directory cannot be unpacked: {error}.") from error
    if len(unpacked) > largest_bytes:
        raise DamagedCacheError(f"A directory is longer than {counted(largest_bytes, 'byte')}.")
    if not unpacker.eof:
        raise DamagedCacheError("A directory is cut short.")
    return unpacked


def _varints(data: bytes) -> NDArray[np.int64]:
    """Decode varints: seven bits in each byte, the lowest first."""
    octets = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(octets < 0x80)
    if not len(last) or last[-1] != len(octets) - 1:
        raise DamagedCacheError("A directory ends inside of a number.")
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > _MAX_VARINT_BYTES:
        raise DamagedCacheError("A directory holds a number of more than 64 bits.")
    shift = 7 * (np.arange(len(octets)) - np.repeat(first, lengths))
    bits = (octets & 0x7F).astype(np.uint64) << shift.astype(np.uint64)
    return np.add.reduceat(bits, first).astype(np.int64)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"number {number}"
