"""Checks a Compact Cache V1 bundle, ``.bundle`` and ``.bundlx``, as ArcGIS writes it.

Source: header words and empty slots as measured in files by ArcMap 10.3 and
ArcGIS Server 10.1.
"""

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.tiling import PACKET_SIZE
from exporttiles.formats.archive_check import StoredMember, read_at
from exporttiles.formats.bundle import SIZE_PREFIX_BYTES, TileIndex
from exporttiles.formats.bundle_check import ExpectedTiles, check_tiles
from exporttiles.formats.bundle_v1 import RECORDS_OFFSET, read_bundlx
from exporttiles.formats.findings import Findings

_HEADER = struct.Struct("<4I3Q5I")


def check_bundle_v1(
    file: BinaryIO, member: StoredMember, bundlx: bytes, expected: ExpectedTiles, findings: Findings
) -> int:
    """Note what is wrong with one bundle inside a file.

    Args:
        file: seekable; the size and the head of each tile are read.
        member: where the ``.bundle`` lies in the file.
        bundlx: the whole ``.bundlx``.
        expected: what the tiles should be.
        findings: faults are added here.

    Returns:
        How many tiles it holds; 0 if it cannot be used.
    """
    path = member.name
    try:
        offsets = read_bundlx(bundlx)
    except DamagedCacheError as error:
        findings.add(path, str(error))
        return 0
    if not findings.require(member.size_bytes >= RECORDS_OFFSET, path, "It ends before its first record."):
        return 0
    sizes = np.zeros(offsets.shape, np.int32)
    for row, column in np.argwhere(offsets).tolist():
        at = int(offsets[row, column])
        prefix = read_at(file, member.offset + at, SIZE_PREFIX_BYTES)
        size = int.from_bytes(prefix, "little")
        place = f"Row {expected.bundle_row + row}, column {expected.bundle_column + column}"
        inside = at >= RECORDS_OFFSET and at + SIZE_PREFIX_BYTES + size <= member.size_bytes
        if findings.require(inside, path, f"{place}: the tile lies outside the bundle's records."):
            sizes[row, column] = size
    _check_header(file, member, sizes, expected, findings)
    findings.require(sizes.any(), path, "It holds no tiles.")
    index = TileIndex(offsets + SIZE_PREFIX_BYTES, sizes, file_size_bytes=member.size_bytes)
    return check_tiles(file, member, index, expected, findings)


def _check_header(
    file: BinaryIO, member: StoredMember, sizes: NDArray[np.int32], expected: ExpectedTiles, findings: Findings
) -> None:
    row, column = expected.bundle_row, expected.bundle_column
    wanted = (
        ("version", 3),
        ("record count", PACKET_SIZE * PACKET_SIZE),
        ("maximum tile size", int(sizes.max())),
        ("offset byte count", 5),
        ("size of the length words", SIZE_PREFIX_BYTES * int((sizes > 0).sum())),
        ("file size", member.size_bytes),
        ("user header offset", 40),
        ("user header size", 16),
        ("first row", row),
        ("last row", row + PACKET_SIZE - 1),
        ("first column", column),
        ("last column", column + PACKET_SIZE - 1),
    )
    found = _HEADER.unpack(read_at(file, member.offset, _HEADER.size))
    for word, (name, value) in zip(found, wanted, strict=True):
        text = f"The header has the {name} {word}; ArcGIS writes {value}."
        findings.require(word == value, member.name, text)
