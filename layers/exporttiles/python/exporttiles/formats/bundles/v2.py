"""Compact Cache V2 bundles: 128 by 128 tiles of one level in one file.

A header of 64 bytes, a tile index of 128 x 128 entries of 8 bytes, then the
records: a size of 4 bytes and the image. All integers are little-endian.

Source: Esri/raster-tiles-compactcache, CompactCacheV2.md; header words and
empty slots as ArcGIS Pro and ArcGIS Server write them.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError, PackageError
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.domain.wording import counted
from exporttiles.formats.bundles.names import USUAL_NAMES

HEADER_BYTES = 64
INDEX_BYTES = PACKET_SIZE * PACKET_SIZE * 8
RECORDS_OFFSET = HEADER_BYTES + INDEX_BYTES
"""Offset of the first record. These first bytes are enough to find every tile."""

SIZE_PREFIX_BYTES = 4
FIRST_TILE_OFFSET = RECORDS_OFFSET + SIZE_PREFIX_BYTES
EMPTY_SLOT = 4
"""Index entry of a missing tile: offset 4, size 0."""

MAX_TILE_BYTES = (1 << 24) - 1
PACKAGE_RECORD_COUNT = 0
"""Record count in packages: ArcGIS writes 0, and has refused other headers."""

DATASET_RECORD_COUNT = PACKET_SIZE * PACKET_SIZE
"""Record count in cache raster datasets, as the specification says: GDAL up to
3.10 reads a dataset with 0 as all zeros, without an error."""

HEADER = struct.Struct("<4I3Q6I")
_USER_HEADER_BYTES = 20 + INDEX_BYTES
_DISTINCTIVE = frozenset({"version", "offset byte count", "user header offset", "index size"})
_OFFSET_BITS = 40
_PATH = re.compile(r"L([0-9]{2,3})/R([0-9a-f]{4,15})C([0-9a-f]{4,15})\.bundle", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class TileIndex:
    """Offsets and sizes of the tiles of a bundle.

    Attributes:
        offset: (128, 128) int64, row before column, from the bundle's top-left
            tile; the first image byte, 4 past the record's size prefix.
        size: (128, 128) int32, bytes of the image; 0 where there is no tile.
    """

    offset: NDArray[np.int64]
    size: NDArray[np.int32]

    def outside(self, file_size_bytes: int) -> NDArray[np.bool_]:
        """Return a (128, 128) mask of the tiles that lie outside of the file, or inside of its index."""
        is_outside = (self.offset < FIRST_TILE_OFFSET) | (self.offset + self.size > file_size_bytes)
        return is_outside & (self.size > 0)


def bundle_path(bundle: BundleIndex) -> str:
    """Return the path below the folder of the level folders, ``L05/R0080C0100.bundle``."""
    return USUAL_NAMES.bundle(bundle)


def parse_bundle_path(path: str) -> BundleIndex:
    """Return the bundle that a path names; the inverse of `bundle_path`.

    Raises:
        DamagedCacheError: it is not the path of a bundle.
    """
    match = _PATH.fullmatch(path)  # four times as fast as `BundleNames.parse`: a package may have a million bundles
    if match:
        bundle = BundleIndex(int(match[1]), int(match[2], 16), int(match[3], 16))
        on_grid = bundle.row % PACKET_SIZE == 0 and bundle.column % PACKET_SIZE == 0
        if on_grid and bundle_path(bundle) == path:
            return bundle
    raise DamagedCacheError(f"'{path[:80]}' is not the path of a bundle, like L05/R0080C0100.bundle.")


def write_bundle(
    tiles: Mapping[tuple[int, int], bytes | memoryview],
    *,
    record_count: int = PACKAGE_RECORD_COUNT,
) -> list[bytes | memoryview]:
    """Return the pieces of a bundle, to be written one after the other.

    No tile is copied. Records stand in row-major order without gaps, so that
    equal tiles give equal bytes in whatever order they come.

    Args:
        tiles: row and column in the scheme -> encoded image; views are of
            single bytes.
        record_count: see `PACKAGE_RECORD_COUNT`, `DATASET_RECORD_COUNT`.

    Raises:
        PackageError: there are no tiles, they belong to several bundles, or
            one is empty or longer than `MAX_TILE_BYTES`.
    """
    places, sizes, images = row_major(tiles)
    ends = RECORDS_OFFSET + np.cumsum(SIZE_PREFIX_BYTES + sizes)
    index = np.full((PACKET_SIZE, PACKET_SIZE), EMPTY_SLOT, "<u8")
    index[tuple(places.T % PACKET_SIZE)] = ends - sizes | sizes << _OFFSET_BITS
    header = HEADER.pack(*header_values(record_count, int(sizes.max()), int(ends[-1])).values())
    return [header + index.tobytes(), *records(sizes, images)]


def header_values(record_count: int, largest_tile_bytes: int, file_size_bytes: int) -> dict[str, int]:
    """Return the values of a header by their names in the specification, in order, as ArcGIS writes them."""
    return {
        "version": 3,
        "record count": record_count,
        "maximum tile size": max(_USER_HEADER_BYTES, largest_tile_bytes),  # the index counts as a tile for ArcGIS
        "offset byte count": 5,
        "slack space": 0,  # there are no gaps
        "file size": file_size_bytes,
        "user header offset": 40,
        "user header size": _USER_HEADER_BYTES,
        # Four constants of older versions of the format.
        "word at byte 44": 3,
        "word at byte 48": 0,
        "word at byte 52": PACKET_SIZE * PACKET_SIZE,
        "word at byte 56": 5,
        "index size": INDEX_BYTES,
    }


def row_major(
    tiles: Mapping[tuple[int, int], bytes | memoryview],
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[bytes | memoryview]]:
    """Return the places (n, 2), the sizes in bytes (n) and the images of a bundle's tiles, row by row.

    Raises:
        PackageError: there are no tiles, they belong to several bundles, or
            one is empty or longer than `MAX_TILE_BYTES`.
    """
    places = np.fromiter(chain.from_iterable(tiles), np.int64, 2 * len(tiles)).reshape(-1, 2)
    sizes = np.fromiter(map(len, tiles.values()), np.int64, len(tiles))
    _require_writable(places, sizes)
    order = np.lexsort((places[:, 1], places[:, 0]))
    images = list(tiles.values())
    return places[order], sizes[order], [images[number] for number in order.tolist()]


def records(sizes: NDArray[np.int64], images: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """Return the pieces of the records: the size prefix and the image of each tile in turn."""
    prefixes = memoryview(sizes.astype("<u4").tobytes())
    pieces: list[bytes | memoryview] = [b""] * (2 * len(images))
    pieces[0::2] = [prefixes[at : at + SIZE_PREFIX_BYTES] for at in range(0, len(prefixes), SIZE_PREFIX_BYTES)]
    pieces[1::2] = images
    return pieces


def read_index(data: bytes | memoryview, *, file_size_bytes: int | None = None) -> TileIndex:
    """Return the tile index from the beginning of a bundle.

    Headers as ArcGIS and as the specification write them are both read;
    records may stand in any order, with gaps, or be shared.

    Args:
        data: the first `RECORDS_OFFSET` bytes of the file, or more.
        file_size_bytes: true length of the file, to check the entries by;
            None leaves them unchecked, for `TileIndex.outside`.

    Raises:
        DamagedCacheError: it is not a bundle, or a tile lies outside the file.
    """
    if len(data) < RECORDS_OFFSET:
        raise DamagedCacheError(
            f"The bundle is cut off in its index: it has {counted(len(data), 'byte')}, and header and index take "
            f"{RECORDS_OFFSET:,}."
        )
    require_known_header(HEADER.unpack_from(data), header_values(0, 0, 0))
    entries = np.frombuffer(data, "<u8", PACKET_SIZE * PACKET_SIZE, HEADER_BYTES)
    offset = (entries & ((1 << _OFFSET_BITS) - 1)).astype(np.int64)
    size = (entries >> _OFFSET_BITS).astype(np.int32)
    shape = (PACKET_SIZE, PACKET_SIZE)
    index = TileIndex(offset.reshape(shape), size.reshape(shape))
    if file_size_bytes is not None:
        _require_inside(index, file_size_bytes)
    return index


def require_known_header(found: Sequence[int], known: Mapping[str, int]) -> None:
    """Compare a header with the values by which a bundle is recognised; writers differ in the others.

    Args:
        found: the values of the header.
        known: the values that it should have, by name.

    Raises:
        DamagedCacheError: one of them differs.
    """
    for value, (name, wanted) in zip(found, known.items(), strict=True):
        if name in _DISTINCTIVE and value != wanted:
            raise DamagedCacheError(f"The bundle's header has the {name} {value} instead of {wanted}.")


def _require_inside(index: TileIndex, file_size_bytes: int) -> None:
    outside = np.argwhere(index.outside(file_size_bytes))
    if len(outside):
        row, column = outside[0].tolist()
        start = int(index.offset[row, column])
        stop = start + int(index.size[row, column])
        raise DamagedCacheError(
            f"{counted(len(outside), 'tile lies', 'tiles lie')} outside the bundle's records, "
            f"the first in row {row}, column {column} of the bundle: its index names the bytes {start:,} to {stop:,} "
            f"of a file of {counted(file_size_bytes, 'byte')}."
        )


def _require_writable(places: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    if not len(sizes):
        raise PackageError("A bundle needs at least one tile.")
    bundles = places // PACKET_SIZE
    if places.min() < 0 or (bundles != bundles[0]).any():
        raise PackageError("The tiles belong to several bundles.")
    wrong = (sizes == 0) | (sizes > MAX_TILE_BYTES)
    if wrong.any():
        row, column = places[wrong][0].tolist()
        size = int(sizes[wrong][0])
        raise PackageError(
            f"The tile in row {row}, column {column} has {counted(size, 'byte')}; it must have 1 to {MAX_TILE_BYTES:,}."
        )
