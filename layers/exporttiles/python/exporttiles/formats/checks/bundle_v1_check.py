"""Checking Compact Cache V1 bundles: ``.bundle`` and ``.bundlx``.

Source: header words and empty slots as measured in files by ArcMap 10.3 and
ArcGIS Server 10.1.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.tiling import PACKET_SIZE
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.bundles.v1 import RECORDS_OFFSET, read_bundlx
from exporttiles.formats.bundles.v2 import SIZE_PREFIX_BYTES, TileIndex
from exporttiles.formats.checks.bundle_check import ExpectedTiles, check_place, check_tiles, read_records
from exporttiles.formats.checks.findings import Findings

_HEADER = struct.Struct("<4I3Q5I")
_OUTSIDE = "Row {}, column {}: the tile lies outside the bundle's records."


def check_bundle_v1(
    head: bytes | memoryview, member: StoredMember, bundlx: bytes, expected: ExpectedTiles, findings: Findings
) -> NDArray[np.int64] | None:
    """Check the header and the offsets of a bundle.

    Args:
        head: the first `HEADER_BYTES` of the ``.bundle``, or all of it if there are fewer.
        member: where the ``.bundle`` lies.
        bundlx: the whole ``.bundlx``.
        expected: properties of the tiles.
        findings: faults are added here.

    Returns:
        (128, 128) where the records begin in the ``.bundle``; 0 where there is
        no tile. None if the offsets cannot be read.
    """
    path = member.name
    try:
        offsets = read_bundlx(bundlx)
    except DamagedCacheError as error:
        findings.add(path, str(error))
        return None
    if not findings.require(member.size_bytes >= RECORDS_OFFSET, path, "It ends before its first record."):
        return None
    outside = (offsets > 0) & ((offsets < RECORDS_OFFSET) | (offsets + SIZE_PREFIX_BYTES > member.size_bytes))
    for row, column in np.argwhere(outside).tolist():
        findings.add(path, _OUTSIDE.format(expected.bundle_row + row, expected.bundle_column + column))
    there = (offsets > 0) & ~outside
    findings.require(there.any(), path, "It holds no tiles.")
    row, column = expected.bundle_row, expected.bundle_column
    wanted = (
        ("version", 3),
        ("record count", PACKET_SIZE * PACKET_SIZE),
        ("maximum tile size", None),
        ("offset byte count", 5),
        ("size of the length words", SIZE_PREFIX_BYTES * int(there.sum())),
        ("file size", member.size_bytes),
        ("user header offset", 40),
        ("user header size", 16),
        ("first row", row),
        ("last row", row + PACKET_SIZE - 1),
        ("first column", column),
        ("last column", column + PACKET_SIZE - 1),
    )
    for word, (name, value) in zip(_HEADER.unpack_from(head), wanted, strict=True):
        text = f"The header has the {name} {word}; ArcGIS writes {value}."
        findings.require(value is None or word == value, path, text)
    check_place(path, there, expected, findings)
    return np.where(there, offsets, 0)


def check_tiles_v1(
    file: RangedFile, member: StoredMember, offsets: NDArray[np.int64], expected: ExpectedTiles, findings: Findings
) -> None:
    """Check encoding and size of the tiles.

    Args:
        file: the size and the beginning of each tile are read.
        member: where the ``.bundle`` lies in the file.
        offsets: as `check_bundle_v1` returns them.
        expected: properties of the tiles.
        findings: faults are added here.
    """
    path, sizes = member.name, np.zeros(offsets.shape, np.int32)
    rows, columns = np.nonzero(offsets)
    starts = offsets[rows, columns]
    prefixes = read_records(file, member, starts, np.full(len(starts), SIZE_PREFIX_BYTES))
    for row, column, at, prefix in zip(rows.tolist(), columns.tolist(), starts.tolist(), prefixes, strict=True):
        size = int.from_bytes(prefix, "little")
        text = _OUTSIDE.format(expected.bundle_row + row, expected.bundle_column + column)
        if findings.require(at + SIZE_PREFIX_BYTES + size <= member.size_bytes, path, text):
            sizes[row, column] = size
    largest, stated = int(sizes.max()), _HEADER.unpack(file.read(member.offset, member.offset + _HEADER.size))[2]
    text = f"The header has the maximum tile size {stated}; ArcGIS writes {largest}."
    findings.require(stated == largest, path, text)
    index = TileIndex(offsets + SIZE_PREFIX_BYTES, sizes, file_size_bytes=member.size_bytes)
    check_tiles(file, member, index, expected, findings)
