"""Compact Cache V2 bundles."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import DamagedCacheError, PackageError
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import (
    DATASET_RECORD_COUNT,
    FIRST_TILE_OFFSET,
    MAX_TILE_BYTES,
    RECORDS_OFFSET,
    bundle_path,
    parse_bundle_path,
    read_index,
    write_bundle,
)
from exporttiles.formats.tiles.image import sniff

GOLDEN = Path(__file__).parents[2] / "golden"
PRO_L00 = GOLDEN / "arcgis-pro/tile/L00/R0000C0000.bundle"
USA_L02 = GOLDEN / "esri-usa/tile/L02/R0000C0000.bundle"

slots = st.tuples(st.integers(0, 127), st.integers(0, 127))
images = st.binary(min_size=1, max_size=40)


def joined(tiles, **options):
    return b"".join(write_bundle(tiles, **options))


def tiles_of(data):
    """Row and column in the bundle -> image, by way of the reader."""
    index = read_index(data, file_size_bytes=len(data))
    return {
        (row, column): data[index.offset[row, column] :][: index.size[row, column]]
        for row, column in np.argwhere(index.size).tolist()
    }


# Names


@pytest.mark.parametrize(
    ("bundle", "path"),
    [
        (BundleIndex(5, 128, 256), "L05/R0080C0100.bundle"),
        (BundleIndex(0, 0, 0), "L00/R0000C0000.bundle"),
        (BundleIndex(17, 0x10000, 0x1FF80), "L17/R10000C1ff80.bundle"),
        (BundleIndex(13, 0x0A80, 0x0C00), "L13/R0a80C0c00.bundle"),
    ],
)
def test_a_bundle_is_named_by_its_level_and_its_first_tile_in_lower_case_hexadecimal(bundle, path):
    assert bundle_path(bundle) == path
    assert parse_bundle_path(path) == bundle


@pytest.mark.parametrize(
    "path",
    [
        "L5/R0080C0100.bundle",
        "L05/R0080c0100.bundle",
        "L05/R00A0C0100.bundle",
        "L05/R0081C0100.bundle",
        "L05/R00080C0100.bundle",
        "L005/R0080C0100.bundle",
        "L05/R80C100.bundle",
        "L05/R0080C0100.bundlx",
        "L05/R0080C0100.bundle.done",
        "L05/R0080C0100.bundle\n",
        "R0080C0100.bundle",
        "../L05/R0080C0100.bundle",
        "L\u0660\u0665/R0080C0100.bundle",
        "",
    ],
)
def test_any_other_spelling_is_no_bundle(path):
    with pytest.raises(DamagedCacheError, match="is not the path of a bundle"):
        parse_bundle_path(path)


# Writing


def test_the_header_is_as_arcgis_writes_it():
    data = joined({(0, 0): b"tile"})

    assert data[:64] == bytes.fromhex(
        "03000000 00000000 14000200 05000000 0000000000000000"
        + len(data).to_bytes(8, "little").hex()
        + "2800000000000000 14000200 03000000 00000000 00400000 05000000 00000200"
    )


@pytest.mark.parametrize("path", [PRO_L00, USA_L02], ids=["ArcGIS Pro", "ArcGIS Server"])
def test_a_bundle_by_arcgis_is_written_again_byte_for_byte(path):
    data = path.read_bytes()

    assert joined(tiles_of(data)) == data


def test_a_tile_longer_than_the_index_is_the_maximum_tile_size():
    data = joined({(0, 0): bytes(131_093), (0, 1): b"tile"})

    assert struct.unpack_from("<I", data, 8) == (131_093,)


def test_a_cache_raster_dataset_counts_its_slots_as_the_specification_says():
    package, dataset = joined({(0, 0): b"tile"}), joined({(0, 0): b"tile"}, record_count=DATASET_RECORD_COUNT)

    assert dataset[4:8] == (16_384).to_bytes(4, "little")
    assert dataset[:4] + dataset[8:] == package[:4] + package[8:]


def test_an_index_entry_is_five_bytes_of_offset_and_three_of_size():
    data = joined({(128, 256): bytes(7364), (129, 256): bytes(255_975)})

    assert data[64:72].hex() == "4400020000c41c00"
    assert data[64 + 1024 : 64 + 1032].hex() == "0c1d020000e7e703"
    assert data[72:80].hex() == "0400000000000000"


def test_no_tile_is_copied():
    image = memoryview(b"tile")

    assert write_bundle({(0, 0): image})[2] is image


@given(st.dictionaries(slots, images, min_size=1, max_size=8), st.integers(0, 1000), st.integers(0, 1000))
def test_written_tiles_are_read_again(tiles, bundle_row, bundle_column):
    placed = {(128 * bundle_row + row, 128 * bundle_column + column): image for (row, column), image in tiles.items()}

    assert tiles_of(joined(placed)) == tiles


@given(st.dictionaries(slots, images, min_size=1, max_size=8), st.randoms())
def test_equal_tiles_give_equal_bytes_in_whatever_order_they_come(tiles, random):
    places = list(tiles)
    random.shuffle(places)

    assert joined({place: tiles[place] for place in places}) == joined(tiles)


def test_records_stand_in_row_major_order_without_gaps():
    data = joined({(1, 0): b"c", (0, 127): b"bb", (0, 3): b"aaa"})

    assert data[RECORDS_OFFSET:] == b"\3\0\0\0aaa" + b"\2\0\0\0bb" + b"\1\0\0\0c"


@pytest.mark.parametrize(
    ("tiles", "why"),
    [
        ({}, "at least one tile"),
        ({(127, 0): b"a", (128, 0): b"b"}, "belong to several bundles"),
        ({(0, 127): b"a", (0, 128): b"b"}, "belong to several bundles"),
        ({(-1, 0): b"a"}, "belong to several bundles"),
        ({(3, 4): b""}, "row 3, column 4 has 0 bytes"),
        ({(3, 4): bytes(MAX_TILE_BYTES + 1)}, "row 3, column 4 has 16,777,216 bytes"),
    ],
)
def test_tiles_that_do_not_fit_a_bundle_are_refused(tiles, why):
    with pytest.raises(PackageError, match=why):
        write_bundle(tiles)


def test_the_largest_tile_fits():
    data = joined({(127, 127): bytes(MAX_TILE_BYTES)})

    assert read_index(data, file_size_bytes=len(data)).size[127, 127] == MAX_TILE_BYTES


# Reading


def test_the_tiles_of_a_bundle_by_arcgis_are_found():
    tiles = tiles_of(PRO_L00.read_bytes())

    assert {place: len(image) for place, image in tiles.items()} == {(0, 0): 7364, (1, 0): 999}
    assert {sniff(image) for image in tiles.values()} == {"png"}


def test_the_index_is_enough_to_find_the_tiles():
    data = PRO_L00.read_bytes()

    index = read_index(data[:RECORDS_OFFSET])

    assert index.offset.shape == index.size.shape == (128, 128)
    assert (index.offset.dtype, index.size.dtype) == (np.int64, np.int32)
    assert index.offset[0, 0] == FIRST_TILE_OFFSET


def test_headers_as_the_specification_has_them_are_read():
    data = bytearray(joined({(0, 0): b"tile"}, record_count=16_384))
    struct.pack_into("<I", data, 8, 4)
    struct.pack_into("<I", data, 48, 16)

    assert tiles_of(bytes(data)) == {(0, 0): b"tile"}


def test_an_empty_slot_may_hold_any_offset():
    data = bytearray(joined({(0, 0): b"tile"}))
    data[72:80] = bytes(8)

    assert tiles_of(bytes(data)) == {(0, 0): b"tile"}


def test_gaps_shared_records_and_any_order_are_read():
    data = bytearray(joined({(0, 0): b"aa", (0, 1): b"bbb"})) + b"gap!" + b"\1\0\0\0c"
    data[64:72], data[72:80] = data[72:80], data[64:72]
    struct.pack_into("<Q", data, 80, (len(data) - 1) | 1 << 40)
    data[88:96] = data[80:88]

    assert tiles_of(bytes(data)) == {(0, 0): b"bbb", (0, 1): b"aa", (0, 2): b"c", (0, 3): b"c"}


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (0, "version"),
        (12, "offset byte count"),
        (32, "user header offset"),
        (36, "user header offset"),
        (60, "index size"),
    ],
)
def test_a_wrong_word_in_the_header_is_named(at, name):
    data = bytearray(joined({(0, 0): b"tile"}))
    data[at] ^= 0xFF

    with pytest.raises(DamagedCacheError, match=f"the {name} "):
        read_index(bytes(data))


def test_a_file_too_short_for_an_index_is_named():
    with pytest.raises(
        DamagedCacheError, match="cut off in its index: it has 64 bytes, and header and index take 131,136"
    ):
        read_index(bytes(64))


@pytest.mark.parametrize("offset", [0, 4, FIRST_TILE_OFFSET - 1, 2**40 - 1])
def test_a_tile_outside_the_file_is_named(offset):
    data = bytearray(joined({(0, 0): b"tile"}))
    struct.pack_into("<Q", data, 64 + 8 * (128 * 5 + 7), offset | 9 << 40)

    with pytest.raises(
        DamagedCacheError, match=f"1 tile .* row 5, column 7 of the bundle: .* {offset:,} to {offset + 9:,} of"
    ):
        read_index(bytes(data), file_size_bytes=len(data))


def test_a_truncated_bundle_is_recognised_by_its_length():
    data = joined({(0, 0): b"tile", (1, 1): b"last"})[:-1]

    with pytest.raises(DamagedCacheError, match="row 1, column 1"):
        read_index(data, file_size_bytes=len(data))
