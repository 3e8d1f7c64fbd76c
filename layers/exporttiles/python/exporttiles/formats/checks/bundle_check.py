"""Checking Compact Cache V2 bundles.

Source: Esri/raster-tiles-compactcache, CompactCacheV2.md; header words, empty
slots and size prefixes as measured in files by ArcGIS.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import BundleIndex, TileRange, TilingScheme
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.bundles.byte_ranges import coalesce, slice_records
from exporttiles.formats.bundles.v2 import (
    EMPTY_SLOT,
    HEADER,
    PACKAGE_RECORD_COUNT,
    RECORDS_OFFSET,
    SIZE_PREFIX_BYTES,
    TileIndex,
    header_values,
    parse_bundle_path,
    read_index,
)
from exporttiles.formats.checks.checked_files import CheckedFiles
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.tiles.image import image_size, sniff

TILE_HEAD_BYTES = 1024
"""Bytes of a tile that are read: enough for its format, and mostly for its size in pixels."""

_RANGE_BYTES = 2**20
_ROUNDING_PIXELS = 0.01  # tiles may have been selected with other roundings; less than EDGE_PIXELS

PlacedBundle = tuple[BundleIndex, StoredMember]
"""A bundle, and where its file lies."""


@dataclass(frozen=True, slots=True)
class ExpectedTiles:
    """Properties of the tiles that root.json or conf.xml states; None if unstated.

    Attributes:
        allowed: level -> tiles that the full extent touches; at other levels tiles may lie anywhere.
        extent_name: of the full extent, for findings.
        record_count: that the headers of bundles should have.
    """

    tile_format: TileFormat | None
    tile_size: int | None
    allowed: Mapping[int, TileRange]
    extent_name: str
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


def touched_tiles(
    scheme: TilingScheme, extent: Extent, levels: Iterable[int], document: str, findings: Findings
) -> dict[int, TileRange]:
    """Return the tiles that an extent touches, or nearly: an export may hold any of them.

    Args:
        scheme: of the tiles.
        extent: the full extent.
        levels: those with bundles; levels that the scheme does not have are left out of the result.
        document: that states the scheme.
        findings: faults are added here.
    """
    found = {}
    for level in sorted(set(levels)):
        try:
            found[level] = _touched_tiles(scheme, extent, level)
        except (InvalidParameterError, ValueError, OverflowError):
            findings.add(document, f"There are tiles of level {level}, for which the tiling scheme has no place.")
    return found


def _touched_tiles(scheme: TilingScheme, extent: Extent, level: int) -> TileRange:
    slack, span = _ROUNDING_PIXELS * scheme.lod(level).resolution, scheme.tile_span(level)
    xmin, ymin, xmax, ymax = extent.sides
    nearly = scheme.tile_range(
        Extent(xmin - slack, ymin - slack, xmax + slack, ymax + slack, extent.spatial_reference), level
    )
    top, bottom = (scheme.origin_y - ymax) / span, (scheme.origin_y - ymin) / span
    left, right = (xmin - scheme.origin_x) / span, (xmax - scheme.origin_x) / span
    return TileRange(
        level,
        min(nearly.row_start, math.floor(top)),
        max(nearly.row_stop, math.ceil(bottom)),
        min(nearly.column_start, math.floor(left)),
        max(nearly.column_stop, math.ceil(right)),
    )


def check_bundles(files: CheckedFiles, bundles: Sequence[PlacedBundle], expected: ExpectedTiles) -> Counter[int]:
    """Check bundles, and their tiles if the scope includes them; return the number of tiles of each level."""
    tile_counts: Counter[int] = Counter()
    heads = files.heads((member for _, member in bundles), RECORDS_OFFSET)
    for (bundle, member), head in zip(bundles, heads, strict=True):
        try:
            index = read_index(head, file_size_bytes=member.size_bytes)
        except DamagedCacheError as error:
            files.damage.add(member.name, str(error))
            continue
        wanted = header_values(expected.record_count, int(index.size.max()), member.size_bytes)
        check_header(member.name, HEADER.unpack_from(head), wanted, files.damage)
        _check_index(member.name, index, files.damage)
        check_place(member.name, bundle, index.size > 0, expected, files.damage)
        if files.scope.tiles:
            check_tiles(files, (bundle, member), index, expected)
        tile_counts[bundle.level] += int(np.count_nonzero(index.size))
    return tile_counts


def check_header(path: str, found: Sequence[int], wanted: Mapping[str, int], findings: Findings) -> None:
    """Compare the header of a bundle with the one that ArcGIS writes.

    Args:
        path: of the bundle.
        found: the values of its header.
        wanted: the values that ArcGIS writes, by name.
        findings: faults are added here.
    """
    for value, (name, written) in zip(found, wanted.items(), strict=True):
        findings.require(value == written, path, f"The header has the {name} {value}; ArcGIS writes {written}.")


def check_place(
    path: str, bundle: BundleIndex, there: NDArray[np.bool_], expected: ExpectedTiles, findings: Findings
) -> None:
    """Check that tiles lie within the full extent.

    Args:
        path: of the bundle.
        bundle: which it is.
        there: (128, 128) mask of the tiles that exist.
        expected: where they may be.
        findings: faults are added here.
    """
    allowed = expected.allowed.get(bundle.level, bundle.tile_range).intersection(bundle.tile_range)
    count = int(there.sum())
    outside = count - (int(there[bundle.slices(allowed)].sum()) if allowed.count else 0)
    text = (
        f"{outside:,} of {counted(count, 'tile')} {'lies' if outside == 1 else 'lie'} outside "
        f"{expected.extent_name}, where readers may not look."
    )
    findings.require(not outside, path, text)


def check_tiles(files: CheckedFiles, placed: PlacedBundle, index: TileIndex, expected: ExpectedTiles) -> None:
    """Check encoding and size of the tiles of a bundle.

    Args:
        files: the beginning of each tile is read, and short gaps between them; faults are added here.
        placed: the bundle.
        index: of the bundle, all tiles inside of it.
        expected: properties of the tiles.
    """
    bundle, member = placed
    rows, columns = np.nonzero(index.size)
    sizes = index.size[rows, columns]
    starts = index.offset[rows, columns] - SIZE_PREFIX_BYTES
    heads = read_records(files.file, member.offset, starts, SIZE_PREFIX_BYTES + np.minimum(sizes, TILE_HEAD_BYTES))
    for row, column, tile_size, head in zip(rows.tolist(), columns.tolist(), sizes.tolist(), heads, strict=True):
        for text in _tile_faults(bytes(head), tile_size, expected):
            files.damage.add(member.name, f"Row {bundle.row + row}, column {bundle.column + column}: {text}")


def read_records(
    file: RangedFile, start: int, offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> list[memoryview]:
    """Return records, or their beginnings, in the order of their offsets.

    Args:
        file: that holds them.
        start: the byte of the file from which offsets count.
        offsets: (n) first bytes of the records, ascending or not.
        sizes: (n) their lengths in bytes; all of them lie inside.
    """
    spans = coalesce(offsets, sizes, max_range_bytes=_RANGE_BYTES)
    bodies = file.ranges((start + first, start + stop) for first, stop in spans)
    return slice_records(spans, bodies, offsets, sizes)


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


def _tile_faults(head: bytes, tile_size: int, expected: ExpectedTiles) -> Iterator[str]:
    image = head[SIZE_PREFIX_BYTES:]
    (prefix,) = struct.unpack_from("<I", head)
    if prefix != tile_size:
        yield f"the size prefix is {prefix}, the size in the index {tile_size}."
    encoding = sniff(image)
    if expected.tile_format is not None and encoding not in expected.tile_format.encodings:
        found = encoding.upper() if encoding else "in an unknown format"
        yield f"the tile is {found}; the package's format is {expected.tile_format}."
    pixels, side = image_size(image), expected.tile_size
    if pixels is not None and side is not None and pixels != (side, side):
        yield f"the tile has {pixels[1]} x {pixels[0]} pixels instead of {side} x {side}."
