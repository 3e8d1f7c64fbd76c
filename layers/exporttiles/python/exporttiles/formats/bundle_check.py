"""Checks a Compact Cache V2 bundle as ArcGIS writes it.

Source: Esri/raster-tiles-compactcache, CompactCacheV2.md; header words, empty
slots and size prefixes as measured in files by ArcGIS.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, TileRange
from exporttiles.formats.archive_check import StoredMember, read_at
from exporttiles.formats.bundle import (
    EMPTY_SLOT,
    HEADER,
    INDEX_BYTES,
    OFFSET_BYTE_COUNT,
    PACKAGE_RECORD_COUNT,
    RECORDS_OFFSET,
    SIZE_PREFIX_BYTES,
    USER_HEADER_BYTES,
    USER_HEADER_OFFSET,
    VERSION,
    TileIndex,
    read_index,
)
from exporttiles.formats.findings import Findings
from exporttiles.formats.tile_image import image_size, sniff

_HEAD_BYTES = 1024  # of a tile: its format, and mostly its size in pixels


@dataclass(frozen=True, slots=True)
class ExpectedTiles:
    """What root.json or conf.xml says of the tiles of one bundle; None where it says nothing."""

    tile_format: TileFormat | None
    tile_size: int | None
    allowed: TileRange | None
    bundle_row: int
    bundle_column: int
    record_count: int = PACKAGE_RECORD_COUNT


def check_bundle(file: BinaryIO, member: StoredMember, expected: ExpectedTiles, findings: Findings) -> int:
    """Note what is wrong with one bundle inside a file.

    Args:
        file: seekable; the index and the head of each tile are read.
        member: where the bundle lies in the file.
        expected: what the tiles should be.
        findings: faults are added here.

    Returns:
        How many tiles the index holds; 0 if it cannot be used.
    """
    path, size_bytes = member.name, member.size_bytes
    data = read_at(file, member.offset, min(RECORDS_OFFSET, size_bytes))
    try:
        index = read_index(data, file_size_bytes=size_bytes)
    except DamagedCacheError as error:
        findings.add(path, str(error))
        return 0
    _check_header(member, data, index, expected.record_count, findings)
    _check_index(path, index, findings)
    return check_tiles(file, member, index, expected, findings)


def check_tiles(
    file: BinaryIO, member: StoredMember, index: TileIndex, expected: ExpectedTiles, findings: Findings
) -> int:
    """Note tiles that are not what they should be, or not where; return how many there are.

    Args:
        file: seekable; the head of each tile is read.
        member: where the bundle lies in the file.
        index: where the tiles lie in the bundle, all of them inside.
        expected: what the tiles should be.
        findings: faults are added here.
    """
    path = member.name
    _check_place(path, index, expected, findings)
    rows, columns = np.nonzero(index.size)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        tile_size = int(index.size[row, column])
        start = member.offset + int(index.offset[row, column]) - SIZE_PREFIX_BYTES
        head = read_at(file, start, SIZE_PREFIX_BYTES + min(tile_size, _HEAD_BYTES))
        place = f"Row {expected.bundle_row + row}, column {expected.bundle_column + column}"
        for text in _tile_faults(head, tile_size, expected):
            findings.add(path, f"{place}: {text}")
    return len(rows)


def _check_header(member: StoredMember, data: bytes, index: TileIndex, record_count: int, findings: Findings) -> None:
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


def _check_place(path: str, index: TileIndex, expected: ExpectedTiles, findings: Findings) -> None:
    allowed = expected.allowed
    if allowed is None:
        return
    rows, columns = np.nonzero(index.size)
    rows, columns = rows + expected.bundle_row, columns + expected.bundle_column
    inside = (rows >= allowed.row_start) & (rows < allowed.row_stop)
    inside &= (columns >= allowed.column_start) & (columns < allowed.column_stop)
    outside = int((~inside).sum())
    text = f"{outside} of {len(rows)} tiles lie outside fullExtent, where readers do not look."
    findings.require(not outside, path, text)


def _tile_faults(head: bytes, tile_size: int, expected: ExpectedTiles) -> Iterator[str]:
    image = head[SIZE_PREFIX_BYTES:]
    (prefix,) = struct.unpack_from("<I", head)
    if prefix != tile_size:
        yield f"the size prefix is {prefix}, the size in the index {tile_size}."
    if expected.tile_format is not None and sniff(image) not in _encodings(expected.tile_format):
        found = (sniff(image) or "no known image").upper()
        yield f"the tile is {found}, the package's format is {expected.tile_format}."
    pixels, side = image_size(image), expected.tile_size
    if pixels is not None and side is not None and pixels != (side, side):
        yield f"the tile has {pixels[1]} x {pixels[0]} pixels instead of {side} x {side}."


def _encodings(tile_format: TileFormat) -> frozenset[str]:
    if tile_format is TileFormat.MIXED:
        return frozenset({"jpeg", "png"})
    if tile_format in {TileFormat.JPEG, TileFormat.LERC}:
        return frozenset({tile_format.value.lower()})
    return frozenset({"png"})
