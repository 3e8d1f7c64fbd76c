"""Writing PMTiles v3 archives: fragments with their own directories, joined without reading a tile.

An aligned block of 128 x 128 tiles is one run of positions on the Hilbert
curve. So fragments of whole bundles, written in the order of the curve, are
joined end to end, and their directories by adding offsets. Header and root
directory are padded to 16 KiB, metadata and leaf directories follow the tiles:
a fragment can be copied before they are known.

Source: protomaps/PMTiles, spec/v3/spec.md; the rules of `pmtiles verify` (protomaps/go-pmtiles).
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from zlib_ng.zlib_ng import crc32

from exporttiles.domain.errors import PackageError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.zip_writer import ZipMember
from exporttiles.formats.caches.pmtiles import (
    HEADER_BYTES,
    MAX_LEVEL,
    START_BYTES,
    Directory,
    PmtilesHeader,
    Section,
    first_id,
    read_directory,
    tile_ids,
    write_header,
)
from exporttiles.formats.packages.web_mercator import bounds, metadata, tile_extension

HEAD_BYTES = START_BYTES
"""Header and root directory, padded; the tiles begin here."""

_LEAF_ENTRIES = 4096
_MAX_REPORTED_BYTES = 2**31  # of a directory that a worker made
_FIRST_IDS = np.array([first_id(level) for level in range(MAX_LEVEL + 1)], np.int64)
_TILE_TYPES = {"jpg": "jpeg", "png": "png", "webp": "webp"}


class PmtilesFragment:
    """Tiles in the order of the curve, equal ones once, as they grow.

    Attributes:
        pieces: the different tiles.
        size_bytes: their total length.
        crc32: their checksum.
        members: none, as this is no archive of files.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        self.size_bytes = self.crc32 = 0
        self.members: list[tuple[ZipMember, int]] = []
        self._known: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._ids: list[NDArray[np.int64]] = []
        self._offsets: list[NDArray[np.int64]] = []
        self._sizes: list[NDArray[np.int64]] = []

    def add(self, bundle: BundleIndex, tiles: Mapping[tuple[int, int], bytes | memoryview]) -> None:
        """Append the tiles of a bundle, which follows those before it on the curve.

        Raises:
            PackageError: a tile lies outside of the square of Web Mercator.
        """
        places = np.array(list(tiles), np.int64).reshape(-1, 2)
        if places.max() >> bundle.level or places.min() < 0:
            raise PackageError(f"Level {bundle.level} has tiles outside of the square of Web Mercator.")
        ids = tile_ids(bundle.level, places[:, 0], places[:, 1])
        order = np.argsort(ids)
        bodies = list(tiles.values())
        spans = [self._place(bodies[number]) for number in order.tolist()]
        offsets, sizes = np.array(spans, np.int64).reshape(-1, 2).T
        self._ids.append(ids[order])
        self._offsets.append(offsets)
        self._sizes.append(sizes)

    def directory(self) -> bytes:
        """Return the directory, whose offsets count from the beginning of the fragment; b"" if it is empty."""
        if not self._ids:
            return b""
        ids, offsets, sizes = map(np.concatenate, (self._ids, self._offsets, self._sizes))
        return write_directory(_in_runs(ids, offsets, sizes))

    def _place(self, tile: bytes | memoryview) -> tuple[int, int]:
        """Return offset and size of a tile, which is appended unless an equal one is there."""
        size = len(tile)
        known = self._known.setdefault((crc32(tile), size), [])
        for offset, piece in known:
            if self.pieces[piece] == tile:
                return offset, size
        known.append((self.size_bytes, len(self.pieces)))
        self.pieces.append(tile)
        self.size_bytes += size
        self.crc32 = crc32(tile, self.crc32)
        return known[-1][0], size


def curve_order(bundles: Sequence[BundleIndex]) -> NDArray[np.intp]:
    """Return the positions (n) of bundles (n) in the order of the curve, by level."""
    places = np.array([(bundle.level, bundle.row, bundle.column) for bundle in bundles], np.int64).reshape(-1, 3)
    ids = np.zeros(len(places), np.int64)
    for level in np.unique(places[:, 0]).tolist():
        there = places[:, 0] == level
        ids[there] = tile_ids(level, places[there, 1], places[there, 2]) // PACKET_SIZE**2
    return np.lexsort((ids, places[:, 0]))


def join_directories(fragments: Iterable[tuple[bytes, int]]) -> Directory:
    """Return the directory of joined fragments, whose offsets count from the first one.

    Args:
        fragments: directory and size in bytes of each, in the order of the curve, at least one with tiles.

    Raises:
        PackageError: they are in another order, or there are none.
    """
    directories, start = [], 0
    for packed, size_bytes in fragments:
        if packed:
            found = read_directory(packed, "gzip", largest_bytes=_MAX_REPORTED_BYTES)
            np.add(found.offset, start, out=found.offset)
            directories.append(found)
        start += size_bytes
    if not directories:
        raise PackageError("There are no tiles.")
    columns = zip(*((each.tile_id, each.run_length, each.offset, each.size) for each in directories), strict=True)
    joined = Directory(*map(np.concatenate, columns))
    if (np.diff(joined.tile_id) < joined.run_length[:-1]).any():
        raise PackageError("The fragments are not in the order of the Hilbert curve.")
    return joined


def tile_counts(directory: Directory) -> dict[int, int]:
    """Return the number of tiles of each level, ascending; levels without any do not appear."""
    edges = np.searchsorted(directory.tile_id, _FIRST_IDS).tolist()
    spans = pairwise([*edges, len(directory.tile_id)])
    counts = [int(directory.run_length[start:stop].sum()) for start, stop in spans]
    return {level: count for level, count in enumerate(counts) if count}


def write_directory(directory: Directory) -> bytes:
    """Return a directory with at least one entry, as `read_directory` reads it, compressed with gzip."""
    ends = directory.offset + directory.size
    offsets = directory.offset + 1
    offsets[1:][directory.offset[1:] == ends[:-1]] = 0  # directly after the previous entry
    steps = np.diff(directory.tile_id, prepend=0)
    count = np.array([len(steps)], np.int64)
    return _packed(_to_varints(np.concatenate([count, steps, directory.run_length, directory.size, offsets])))


def write_archive(directory: Directory, tile_bytes: int, service: ImageService, extent: Extent) -> tuple[bytes, bytes]:
    """Return the `HEAD_BYTES` before the tiles, and the bytes after them.

    Args:
        directory: of all tiles, their offsets counted from the first one.
        tile_bytes: total length of the tiles.
        service: the cache that the tiles come from.
        extent: of the export, in Web Mercator.

    Raises:
        PackageError: there are too many tiles for a root directory of 16 KiB.
    """
    root, leaves = write_directories(directory)
    levels = list(tile_counts(directory))
    document = json.dumps(metadata(service, levels, extent), ensure_ascii=False, separators=(",", ":"))
    described = _packed(document.encode())
    tiles = Section(HEAD_BYTES, tile_bytes)
    after = HEAD_BYTES + tile_bytes
    header = PmtilesHeader(
        root=Section(HEADER_BYTES, len(root)),
        metadata=Section(after, len(described)),
        leaves=Section(after + len(described), len(leaves)),
        tiles=tiles,
        internal_compression="gzip",
        tile_compression="none",
        tile_type=_TILE_TYPES[tile_extension(service.tile_format)],
        min_level=levels[0],
        max_level=levels[-1],
        bounds=bounds(extent),
        tile_count=int(directory.run_length.sum()),
        entry_count=len(directory.tile_id),
        content_count=_content_count(directory),
        is_clustered=True,
        center_level=levels[0],
    )
    return (write_header(header) + root).ljust(HEAD_BYTES, b"\0"), described + leaves


def write_directories(directory: Directory) -> tuple[bytes, bytes]:
    """Return a root directory that fits into 16 KiB with the header, and the leaf directories.

    Raises:
        PackageError: it would not, however long the leaves are.
    """
    room = HEAD_BYTES - HEADER_BYTES
    count = len(directory.tile_id)
    # An entry takes more than a byte: more of them need not be tried.
    if count <= room and len(root := write_directory(directory)) <= room:
        return root, b""
    leaf_entries = _LEAF_ENTRIES
    while leaf_entries < 64 * count:
        leaves = [write_directory(_part(directory, at, at + leaf_entries)) for at in range(0, count, leaf_entries)]
        sizes = np.array([len(leaf) for leaf in leaves], np.int64)
        firsts = directory.tile_id[::leaf_entries]
        root = write_directory(Directory(firsts, np.zeros_like(sizes), np.cumsum(sizes) - sizes, sizes))
        if len(root) <= room:
            return root, b"".join(leaves)
        leaf_entries *= 2
    raise PackageError(f"The directory of {counted(count, 'entry', 'entries')} does not fit into {room:,} bytes.")


def _content_count(directory: Directory) -> int:
    """Return the number of different tiles, each of which lies behind all before it."""
    ends = np.maximum.accumulate(directory.offset + directory.size)
    return 1 + int((directory.offset[1:] >= ends[:-1]).sum())


def _part(directory: Directory, start: int, stop: int) -> Directory:
    columns = (directory.tile_id, directory.run_length, directory.offset, directory.size)
    return Directory(*(column[start:stop] for column in columns))


def _in_runs(ids: NDArray[np.int64], offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> Directory:
    """Return the directory of single tiles: neighbours of one level with the same bytes share an entry."""
    begins = np.ones(len(ids), np.bool_)
    levels = np.searchsorted(_FIRST_IDS, ids, side="right")
    begins[1:] = (np.diff(ids) != 1) | (np.diff(offsets) != 0) | (np.diff(levels) != 0)
    starts = np.flatnonzero(begins)
    run_length = np.diff(starts, append=len(ids)).astype(np.int64)
    if (np.diff(ids) <= 0).any():
        raise PackageError("The bundles are not in the order of the Hilbert curve.")
    return Directory(ids[starts], run_length, offsets[starts], sizes[starts])


def _to_varints(values: NDArray[np.int64]) -> bytes:
    """Return numbers from 0 in seven bits a byte, the lowest first."""
    lengths = np.ones(len(values), np.int64)
    rest = values >> 7
    while rest.any():
        lengths += rest > 0
        rest >>= 7
    ends = np.cumsum(lengths)
    octets = np.empty(int(ends[-1]), np.uint8)
    for place in range(int(lengths.max())):
        there = np.flatnonzero(lengths > place)
        more = (lengths[there] > place + 1).astype(np.int64) << 7
        octets[ends[there] - lengths[there] + place] = (values[there] >> 7 * place & 0x7F) | more
    return octets.tobytes()


def _packed(data: bytes) -> bytes:
    """Return bytes compressed with gzip, without a time: equal data give equal bytes."""
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(data) + packer.flush()
