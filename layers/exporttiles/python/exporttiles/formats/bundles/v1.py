"""Compact Cache V1: the tiles of a bundle in one file, their offsets in another.

``.bundle``: a header of 60 bytes, one zero length word for each of the 16,384
slots, then the records: a size of 4 bytes and the image. ``.bundlx``: for each
slot 5 bytes, the offset of its record's size. Slots count down the columns;
an empty one points at its own zero length word, so that a reader without a
rule for empty slots finds a tile of 0 bytes. All integers are little-endian.

Source: files written by ArcMap 10.3 and ArcGIS Server 10.1; where those are
silent, MapProxy's `CompactCacheV1` and GeoWebCache. Esri publishes nothing.
"""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.bundles.names import USUAL_NAMES
from exporttiles.formats.bundles.v2 import (
    MAX_TILE_BYTES,
    SIZE_PREFIX_BYTES,
    records,
    require_known_header,
    row_major,
)

HEADER_BYTES = 60
RECORDS_OFFSET = HEADER_BYTES + PACKET_SIZE * PACKET_SIZE * SIZE_PREFIX_BYTES
BUNDLX_BYTES = 16 + PACKET_SIZE * PACKET_SIZE * 5 + 16

HEADER = struct.Struct("<4I3Q5I")
_BUNDLX_HEADER = struct.pack("<4I", 3, 16, PACKET_SIZE * PACKET_SIZE, 5)
_BUNDLX_FOOTER = struct.pack("<4I", 0, 16, 16, 0)
_EMPTY_OFFSETS = HEADER_BYTES + SIZE_PREFIX_BYTES * np.arange(PACKET_SIZE * PACKET_SIZE).reshape(PACKET_SIZE, -1).T
"""(128, 128) int64, row before column: where the length word of each slot lies."""


def bundlx_path(bundle: BundleIndex) -> str:
    """Return the path of the offsets, beside `v2.bundle_path`: ``L05/R0080C0100.bundlx``."""
    return USUAL_NAMES.offsets(bundle)


def write_bundle_v1(
    tiles: Mapping[tuple[int, int], bytes | memoryview],
) -> tuple[list[bytes | memoryview], bytes]:
    """Return the pieces of a ``.bundle``, to be written one after the other, and its ``.bundlx``.

    No tile is copied. Records stand in row-major order without gaps, so that
    equal tiles give equal bytes in whatever order they come.

    Args:
        tiles: row and column in the scheme -> encoded image; views are of
            single bytes.

    Raises:
        PackageError: there are no tiles, they belong to several bundles, or
            one is empty or longer than `MAX_TILE_BYTES`.
    """
    places, sizes, images = row_major(tiles)
    ends = RECORDS_OFFSET + np.cumsum(SIZE_PREFIX_BYTES + sizes)
    offsets = _EMPTY_OFFSETS.copy()
    offsets[tuple(places.T % PACKET_SIZE)] = ends - sizes - SIZE_PREFIX_BYTES
    row, column = (places[0] // PACKET_SIZE * PACKET_SIZE).tolist()
    header = HEADER.pack(*header_values((row, column), len(images), int(sizes.max()), int(ends[-1])).values())
    length_words = bytes(RECORDS_OFFSET - HEADER_BYTES)
    return [header + length_words, *records(sizes, images)], _bundlx(offsets)


def header_values(
    first_tile: tuple[int, int], tile_count: int, largest_tile_bytes: int, file_size_bytes: int
) -> dict[str, int]:
    """Return the values of a header by name, in order, as ArcGIS writes them.

    Args:
        first_tile: row and column of the top-left tile of the bundle.
        tile_count: tiles that exist.
        largest_tile_bytes: length of the longest of them.
        file_size_bytes: length of the ``.bundle``.
    """
    row, column = first_tile
    return {
        "version": 3,
        "record count": PACKET_SIZE * PACKET_SIZE,
        "maximum tile size": largest_tile_bytes,
        "offset byte count": 5,
        "size of the length words": SIZE_PREFIX_BYTES * tile_count,
        "file size": file_size_bytes,
        "user header offset": 40,
        "user header size": 16,
        "first row": row,
        "last row": row + PACKET_SIZE - 1,
        "first column": column,
        "last column": column + PACKET_SIZE - 1,
    }


def check_header(data: bytes | memoryview) -> None:
    """Check the header of a ``.bundle``.

    Args:
        data: the first `HEADER_BYTES` bytes of the file, or more.

    Raises:
        DamagedCacheError: it is not the header of such a bundle.
    """
    if len(data) < HEADER_BYTES:
        raise DamagedCacheError(f"The bundle is cut off in its header: it has {len(data)} of {HEADER_BYTES} bytes.")
    require_known_header(HEADER.unpack_from(data), header_values((0, 0), 0, 0, 0))


def read_bundlx(data: bytes | memoryview) -> NDArray[np.int64]:
    """Return where the records of a bundle begin, from its ``.bundlx``.

    Returns:
        (128, 128) offsets of the 4-byte sizes in the ``.bundle``, row before
        column from the top-left tile; 0 where the slot is empty. The records
        themselves are unchecked.

    Raises:
        DamagedCacheError: it is not a file of offsets.
    """
    if len(data) != BUNDLX_BYTES:
        differs = "shorter" if len(data) < BUNDLX_BYTES else "longer"
        raise DamagedCacheError(f"The file of offsets (.bundlx) is {differs} than {BUNDLX_BYTES:,} bytes.")
    if bytes(data[: len(_BUNDLX_HEADER)]) != _BUNDLX_HEADER:
        raise DamagedCacheError(
            f"The file of offsets (.bundlx) begins with {bytes(data[:16]).hex()} instead of {_BUNDLX_HEADER.hex()}."
        )
    slots = np.zeros((PACKET_SIZE * PACKET_SIZE, 8), np.uint8)
    slots[:, :5] = np.frombuffer(data, np.uint8, 5 * len(slots), len(_BUNDLX_HEADER)).reshape(-1, 5)
    offsets = slots.view("<i8").reshape(PACKET_SIZE, PACKET_SIZE).T.astype(np.int64)
    return np.where(offsets == _EMPTY_OFFSETS, 0, offsets)


def record_extents(offsets: NDArray[np.int64], file_size_bytes: int) -> NDArray[np.int64]:
    """Return the largest possible length of each record: up to the next one, or to the end of the file.

    The true length stands in the record itself; where records follow without
    gaps, as ArcGIS writes them, it is this one.

    Args:
        offsets: (128, 128) as `read_bundlx` returns them.
        file_size_bytes: true length of the ``.bundle``.

    Returns:
        (128, 128) bytes, size prefix and image; 0 where there is no record
        or it begins outside of the file.
    """
    starts = np.unique(np.append(offsets[offsets > 0], file_size_bytes))
    following = starts[np.minimum(np.searchsorted(starts, offsets, side="right"), len(starts) - 1)]
    extents = np.clip(np.minimum(following, file_size_bytes) - offsets, 0, SIZE_PREFIX_BYTES + MAX_TILE_BYTES)
    return np.where(offsets > 0, extents, 0)


def read_record(data: memoryview) -> memoryview | None:
    """Return the image of a record; bytes after the record are ignored.

    Returns:
        None if the size is 0: there is no tile. No bytes if the record is
        longer than the data, or the data too short for a size.
    """
    if len(data) < SIZE_PREFIX_BYTES:
        return data[:0]
    size = int.from_bytes(data[:SIZE_PREFIX_BYTES], "little")
    image = data[SIZE_PREFIX_BYTES : SIZE_PREFIX_BYTES + size]
    if not size:
        return None
    return image if len(image) == size else image[:0]


def _bundlx(offsets: NDArray[np.int64]) -> bytes:
    slots = np.ascontiguousarray(offsets.T, "<i8").reshape(-1, 1).view(np.uint8)
    return _BUNDLX_HEADER + slots[:, :5].tobytes() + _BUNDLX_FOOTER
