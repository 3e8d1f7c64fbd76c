"""Compact Cache V1 bundles."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import DamagedCacheError, PackageError
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v1 import (
    BUNDLX_BYTES,
    RECORDS_OFFSET,
    bundlx_path,
    read_bundlx,
    read_record,
    record_extents,
    write_bundle_v1,
)
from exporttiles.formats.tiles.image import sniff

STATES = Path(__file__).parents[2] / "golden/states_filled.tpk"
LEVELS = range(5)

slots = st.tuples(st.integers(0, 127), st.integers(0, 127))
images = st.binary(min_size=1, max_size=40)


def joined(tiles):
    pieces, bundlx = write_bundle_v1(tiles)
    return b"".join(pieces), bundlx


def tiles_of(bundle, bundlx):
    """Row and column in the bundle -> image, by way of the reader."""
    offsets = read_bundlx(bundlx)
    extents = record_extents(offsets, len(bundle))
    return {
        (row, column): bytes(read_record(memoryview(bundle)[offsets[row, column] :][: extents[row, column]]))
        for row, column in np.argwhere(offsets).tolist()
    }


def states(level):
    """The two files of a level of a package written by ArcMap 10.3."""
    with zipfile.ZipFile(STATES) as package:
        path = f"v101/Layers/_alllayers/L{level:02d}/R0000C0000"
        return package.read(f"{path}.bundle"), package.read(f"{path}.bundlx")


def test_the_offsets_lie_beside_the_bundle():
    assert bundlx_path(BundleIndex(17, 0x10000, 0x1FF80)) == "L17/R10000C1ff80.bundlx"


@pytest.mark.parametrize("level", LEVELS)
def test_a_bundle_by_arcmap_is_written_again_byte_for_byte(level):
    assert joined(tiles_of(*states(level))) == states(level)


def test_the_tiles_of_a_bundle_by_arcmap_are_found():
    tiles = tiles_of(*states(3))

    assert {place: len(image) for place, image in tiles.items()} == {
        (2, 1): 3339,
        (2, 2): 2311,
        (3, 1): 3505,
        (3, 2): 3284,
    }
    assert {sniff(image) for image in tiles.values()} == {"png"}


def test_slots_count_down_the_columns():
    _, bundlx = joined({(2, 1): b"tile"})

    assert bundlx[16 + 5 * 130 :][:5] == RECORDS_OFFSET.to_bytes(5, "little")
    assert bundlx[16 + 5 * 129 :][:5] == (60 + 4 * 129).to_bytes(5, "little")


def test_the_header_states_the_largest_tile_the_file_size_and_the_place_of_the_bundle():
    bundle, _ = joined({(0x100, 0x80): b"tile", (0x17F, 0xFF): b"larger"})

    assert struct.unpack_from("<4I3Q5I", bundle) == (
        *(3, 16_384, 6, 5, 8, len(bundle), 40, 16),
        *(0x100, 0x17F, 0x80, 0xFF),
    )


def test_no_tile_is_copied():
    image = memoryview(b"tile")

    assert write_bundle_v1({(0, 0): image})[0][2] is image


@given(st.dictionaries(slots, images, min_size=1, max_size=8), st.integers(0, 1000), st.integers(0, 1000))
def test_written_tiles_are_read_again(tiles, bundle_row, bundle_column):
    placed = {(128 * bundle_row + row, 128 * bundle_column + column): image for (row, column), image in tiles.items()}

    assert tiles_of(*joined(placed)) == tiles


def test_tiles_of_two_bundles_are_refused():
    with pytest.raises(PackageError, match="belong to several bundles"):
        write_bundle_v1({(127, 0): b"a", (128, 0): b"b"})


def test_offset_zero_is_an_empty_slot():
    _, bundlx = joined({(0, 0): b"tile"})

    assert read_bundlx(bundlx[:16] + bytes(5) + bundlx[21:]).max() == 0


def test_records_in_any_order_with_gaps_and_shared_are_read():
    bundle, bundlx = joined({(0, 0): b"aa", (1, 0): b"bbb"})
    first, second = bundlx[16:21], bundlx[21:26]
    bundle += b"gap!" + b"\1\0\0\0c"
    third = (len(bundle) - 5).to_bytes(5, "little")

    tiles = tiles_of(bundle, bundlx[:16] + second + first + third + third + bundlx[36:])

    assert tiles == {(0, 0): b"bbb", (1, 0): b"aa", (2, 0): b"c", (3, 0): b"c"}


def test_a_record_outside_of_the_file_has_no_extent():
    bundle, bundlx = joined({(0, 0): b"aa", (1, 0): b"bbb"})
    offsets = read_bundlx(bundlx[:16] + b"\xff" * 5 + bundlx[21:])

    extents = record_extents(offsets, len(bundle))

    assert np.argwhere(extents).tolist() == [[1, 0]]


@pytest.mark.parametrize("size", [3, 0xFFFFFFFF])
def test_a_record_longer_than_its_place_yields_no_bytes(size):
    assert read_record(memoryview(size.to_bytes(4, "little") + b"aa")) == b""


def test_a_record_of_no_bytes_is_no_tile():
    assert read_record(memoryview(bytes(9))) is None


@pytest.mark.parametrize("size", [0, 15, BUNDLX_BYTES - 1, BUNDLX_BYTES + 1])
def test_offsets_of_another_length_are_named(size):
    with pytest.raises(DamagedCacheError, match=r"(shorter|longer) than 81,952 bytes"):
        read_bundlx(joined({(0, 0): b"tile"})[1].ljust(size, b"\0")[:size])


def test_offsets_with_another_header_are_named():
    with pytest.raises(DamagedCacheError, match="begins with 0000"):
        read_bundlx(bytes(BUNDLX_BYTES))
