"""Checking Compact Cache V2 bundles.

Source: Esri/raster-tiles-compactcache, CompactCacheV2.md; header words, empty
slots and size prefixes as measured in files by ArcGIS.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.bundles.byte_ranges import coalesce, slice_records
from exporttiles.formats.bundles.v2 import (
    EMPTY_SLOT,
    HEADER,
    INDEX_BYTES,
    OFFSET_BYTE_COUNT,
    PACKAGE_RECORD_COUNT,
    SIZE_PREFIX_BYTES,
    USER_HEADER_BYTES,
    USER_HEADER_OFFSET,
    VERSION,
    TileIndex,
    parse_bundle_path,
    read_index,
)
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.tiles.image import image_size, sniff

_HEAD_BYTES = 1024  # of a tile: enough for its format, and mostly for its size in pixels
_RANGE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ExpectedTiles:
    """Properties that root.json or conf.xml states for the tiles of one bundle; None if unstated."""

    tile_format: TileFormat | None
    tile_size: int | None
    allowed: TileRange | None
    extent_name: str
    bundle_row: int
    bundle_column: int
    record_count: int = PACKAGE_RECORD_COUNT


def find_bundle(name: str, path: str, findings: Findings) -> BundleIndex | None:
    """Return the bundle of a file; add a finding and return None if the name is not that of a bundle.

    Args:
        name: of the file.
        path: of the same, below the folder of the levels.
        findings: a fault is added here.
    """
    try:
        return parse_bundle_path(path)
    except DamagedCacheError:
        text = (
            "It is not the path of a bundle: a folder L and the level, in two digits; R, row, C, column, in four "
            "hexadecimal digits or more, lower case, multiples of 128."
        )
        findings.add(name, text)
        return None


def check_bundle(
    head: bytes | memoryview, member: StoredMember, expected: ExpectedTiles, findings: Findings
) -> TileIndex | None:
    """Check header and index of a bundle.

    Args:
        head: its first `RECORDS_OFFSET` bytes, or all of it if there are fewer.
        member: where the bundle lies.
        expected: properties of the tiles.
        findings: faults are added here.

    Returns:
        Offsets and sizes of the tiles, all inside of the bundle; None if the index cannot be read.
    """
    try:
        index = read_index(head, file_size_bytes=member.size_bytes)
    except DamagedCacheError as error:
        findings.add(member.name, str(error))
        return None
    _check_header(member, head, index, expected.record_count, findings)
    _check_index(member.name, index, findings)
    check_place(member.name, index.size > 0, expected, findings)
    return index


def check_tiles(
    file: RangedFile, member: StoredMember, index: TileIndex, expected: ExpectedTiles, findings: Findings
) -> None:
    """Check encoding and size of the tiles.

    Args:
        file: the beginning of each tile is read, and short gaps between them.
        member: where the bundle lies in the file.
        index: of the bundle, all tiles inside of it.
        expected: properties of the tiles.
        findings: faults are added here.
    """
    rows, columns = np.nonzero(index.size)
    sizes = index.size[rows, columns]
    starts = index.offset[rows, columns] - SIZE_PREFIX_BYTES
    heads = read_records(file, member, starts, SIZE_PREFIX_BYTES + np.minimum(sizes, _HEAD_BYTES))
    for row, column, tile_size, head in zip(rows.tolist(), columns.tolist(), sizes.tolist(), heads, strict=True):
        place = f"Row {expected.bundle_row + row}, column {expected.bundle_column + column}"
        for text in _tile_faults(bytes(head), tile_size, expected):
            findings.add(member.name, f"{place}: {text}")


def read_records(
    file: RangedFile, member: StoredMember, offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Iterator[memoryview]:
    """Yield records of a bundle, in their order.

    Args:
        file: with the bundle.
        member: where the bundle lies in the file.
        offsets: (n) first bytes of the records in the bundle, ascending or not.
        sizes: (n) their lengths in bytes; all of them lie inside.
    """
    spans = coalesce(offsets, sizes, max_range_bytes=_RANGE_BYTES)
    bodies = list(file.ranges((member.offset + start, member.offset + stop) for start, stop in spans))
    yield from slice_records(spans, bodies, offsets, sizes)


def _check_header(
    member: StoredMember, data: bytes | memoryview, index: TileIndex, record_count: int, findings: Findings
) -> None:
    wanted = (
        ("version", VERSION),
        ("record count", record_count),
        ("maximum tile size", max(USER_HEADER_BYTES, int(index.size.max()))),
        ("offset byte count", OFFSET_BYTE_COUNT),
        ("slack space", 0),
        ("file size", member.size_bytes),
        ("user header offset", USER_HEADER_OFFSET),
        ("user header size", USER_HEADER_BYTES),
        ("word at byte 44", 3),
        ("word at byte 48", 0),
        ("word at byte 52", PACKET_SIZE * PACKET_SIZE),
        ("word at byte 56", 5),
        ("index size", INDEX_BYTES),
    )
    for found, (name, value) in zip(HEADER.unpack_from(data), wanted, strict=True):
        findings.require(found == value, member.name, f"The header has the {name} {found}; ArcGIS writes {value}.")


def _check_index(path: str, index: TileIndex, findings: Findings) -> None:
    there = index.size > 0
    findings.require(there.any(), path, "It holds no tiles.")
    odd = int((~there & (index.offset != EMPTY_SLOT)).sum())
    findings.require(not odd, path, f"{odd} empty slots of the index are not {EMPTY_SLOT}, as ArcGIS writes them.")
    starts = index.offset[there]
    order = np.argsort(starts)
    ends = np.maximum.accumulate(starts[order] + index.size[there][order])
    shared = int((starts[order][1:] - SIZE_PREFIX_BYTES < ends[:-1]).sum())
    findings.require(not shared, path, f"{shared} records overlap the record before them.")


def check_place(path: str, there: NDArray[np.bool_], expected: ExpectedTiles, findings: Findings) -> None:
    """Check that tiles lie within the full extent.

    Args:
        path: of the bundle.
        there: (128, 128) mask of the tiles that exist.
        expected: where they may be.
        findings: faults are added here.
    """
    allowed = expected.allowed
    if allowed is None:
        return
    rows, columns = np.nonzero(there)
    rows, columns = rows + expected.bundle_row, columns + expected.bundle_column
    inside = (rows >= allowed.row_start) & (rows < allowed.row_stop)
    inside &= (columns >= allowed.column_start) & (columns < allowed.column_stop)
    outside = int((~inside).sum())
    text = (
        f"{outside:,} of {counted(len(rows), 'tile')} {'lies' if outside == 1 else 'lie'} outside "
        f"{expected.extent_name}, where readers may not look."
    )
    findings.require(not outside, path, text)


def _tile_faults(head: bytes, tile_size: int, expected: ExpectedTiles) -> Iterator[str]:
    image = head[SIZE_PREFIX_BYTES:]
    (prefix,) = struct.unpack_from("<I", head)
    if prefix != tile_size:
        yield f"the size prefix is {prefix}, the size in the index {tile_size}."
    if expected.tile_format is not None and sniff(image) not in expected.tile_format.encodings:
        found = (sniff(image) or "no known image").upper()
        yield f"the tile is {found}, the package's format is {expected.tile_format}."
    pixels, side = image_size(image), expected.tile_size
    if pixels is not None and side is not None and pixels != (side, side):
        yield f"the tile has {pixels[1]} x {pixels[0]} pixels instead of {side} x {side}."
