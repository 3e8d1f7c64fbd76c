"""Checking Compact Cache V1 bundles: ``.bundle`` and ``.bundlx``.

Source: header words and empty slots as measured in files by ArcMap 10.3 and
ArcGIS Server 10.1.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.archives.ranged_file import StoredMember
from exporttiles.formats.bundles.v1 import (
    BUNDLX_BYTES,
    HEADER,
    HEADER_BYTES,
    RECORDS_OFFSET,
    header_values,
    read_bundlx,
)
from exporttiles.formats.bundles.v2 import SIZE_PREFIX_BYTES, TileIndex
from exporttiles.formats.checks.bundle_check import (
    ExpectedTiles,
    PlacedBundle,
    check_header,
    check_place,
    check_tiles,
    read_records,
)
from exporttiles.formats.checks.checked_files import CheckedFiles


def check_bundles_v1(
    files: CheckedFiles, bundles: Sequence[PlacedBundle], offset_files: Sequence[StoredMember], expected: ExpectedTiles
) -> Counter[int]:
    """Check bundles, and their tiles if the scope includes them; return the number of tiles of each level.

    Args:
        files: that hold them; faults are added here.
        bundles: the ``.bundle`` files.
        offset_files: the ``.bundlx`` of each.
        expected: properties of the tiles.
    """
    tile_counts: Counter[int] = Counter()
    heads = files.heads((member for _, member in bundles), HEADER_BYTES)
    bodies = files.heads(offset_files, BUNDLX_BYTES + 1)
    for (bundle, member), head, bundlx in zip(bundles, heads, bodies, strict=True):
        try:
            offsets = read_bundlx(bundlx)
        except DamagedCacheError as error:
            files.damage.add(member.name, str(error))
            continue
        if not files.damage.require(
            member.size_bytes >= RECORDS_OFFSET, member.name, "It ends before its first record."
        ):
            continue
        outside = (offsets > 0) & ((offsets < RECORDS_OFFSET) | (offsets + SIZE_PREFIX_BYTES > member.size_bytes))
        for place in np.argwhere(outside).tolist():
            files.damage.add(member.name, _outside(bundle, place))
        offsets[outside] = 0
        count = int(np.count_nonzero(offsets))
        files.damage.require(count, member.name, "It holds no tiles.")
        header = HEADER.unpack_from(head)
        largest_tile_bytes = header[2]  # compared when the tiles are read
        wanted = header_values((bundle.row, bundle.column), count, largest_tile_bytes, member.size_bytes)
        check_header(member.name, header, wanted, files.damage)
        check_place(member.name, bundle, offsets > 0, expected, files.damage)
        if files.scope.tiles:
            index = _read_sizes(files, (bundle, member), offsets)
            largest = int(index.size.max())
            text = f"The header has the maximum tile size {largest_tile_bytes}; ArcGIS writes {largest}."
            files.damage.require(largest_tile_bytes == largest, member.name, text)
            check_tiles(files, (bundle, member), index, expected)
        tile_counts[bundle.level] += count
    return tile_counts


def _read_sizes(files: CheckedFiles, placed: PlacedBundle, offsets: NDArray[np.int64]) -> TileIndex:
    """Return the index of a bundle from the sizes before its tiles; without the tiles that reach beyond its end."""
    bundle, member = placed
    sizes = np.zeros(offsets.shape, np.int32)
    rows, columns = np.nonzero(offsets)
    starts = offsets[rows, columns]
    prefixes = read_records(files.file, member.offset, starts, np.full(len(starts), SIZE_PREFIX_BYTES))
    for row, column, at, prefix in zip(rows.tolist(), columns.tolist(), starts.tolist(), prefixes, strict=True):
        size = int.from_bytes(prefix, "little")
        is_inside = at + SIZE_PREFIX_BYTES + size <= member.size_bytes
        if files.damage.require(is_inside, member.name, _outside(bundle, (row, column))):
            sizes[row, column] = size
    return TileIndex(offsets + SIZE_PREFIX_BYTES, sizes)


def _outside(bundle: BundleIndex, place: Sequence[int]) -> str:
    row, column = place
    return f"Row {bundle.row + row}, column {bundle.column + column}: the tile lies outside the bundle's records."
