"""PMTiles v3: tile ids, directories and headers."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.tile import Entry, serialize_directory, zxy_to_tileid

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.caches.pmtiles import (
    MAX_DIRECTORY_BYTES,
    MAX_LEVEL,
    read_directory,
    read_header,
    tile_ids,
    tiles_at,
)

entries = st.lists(
    st.tuples(
        st.integers(1, 2**40), st.integers(0, 2**40), st.integers(1, 2**32 - 1), st.integers(0, 2**20), st.booleans()
    ),
    min_size=1,
    max_size=40,
)


@given(st.integers(0, MAX_LEVEL).flatmap(lambda level: st.tuples(st.just(level), *[st.integers(0, 2**level - 1)] * 2)))
def test_positions_are_those_of_the_pmtiles_library(place):
    level, row, column = place

    assert tile_ids(level, [row], [column]).tolist() == [zxy_to_tileid(level, column, row)]


@given(st.integers(0, MAX_LEVEL).flatmap(lambda level: st.tuples(st.just(level), *[st.integers(0, 2**level - 1)] * 2)))
def test_a_position_leads_back_to_its_tile(place):
    level, row, column = place

    rows, columns = tiles_at(level, tile_ids(level, [row], [column]))

    assert (rows.tolist(), columns.tolist()) == ([row], [column])


def test_the_tiles_of_a_bundle_are_neighbours_on_the_curve():
    rows, columns = np.mgrid[256:384, 128:256]

    found = np.sort(tile_ids(9, rows.ravel(), columns.ravel()))

    assert found[-1] - found[0] == 128 * 128 - 1


@given(entries)
def test_a_directory_is_read_as_the_pmtiles_library_wrote_it(steps):
    written, tile_id, end = [], 0, 0
    for step, offset, size, run_length, is_next in steps:
        tile_id += step
        written.append(Entry(tile_id, end if is_next and end else offset, size, run_length))
        end = written[-1].offset + size

    directory = read_directory(serialize_directory(written), "gzip")

    found = zip(directory.tile_id, directory.offset, directory.size, directory.run_length, strict=True)
    assert [tuple(map(int, entry)) for entry in found] == [
        (entry.tile_id, entry.offset, entry.length, entry.run_length) for entry in written
    ]


def test_a_run_is_found_in_all_its_tiles_and_a_leaf_in_all_that_follow():
    directory = read_directory(serialize_directory([Entry(5, 0, 9, 3), Entry(20, 9, 9, 0)]), "gzip")

    assert directory.find(np.array([4, 5, 7, 8, 19, 20, 99])).tolist() == [-1, 0, 0, -1, -1, 1, 1]


@pytest.mark.parametrize(
    ("data", "compression", "why"),
    [
        (b"", "none", "ends inside of a number"),
        (b"\0", "none", "claims 0 entries"),
        (b"\xff\xff\xff\xff\x7f", "none", "claims 34359738367 entries and has 1"),
        (b"\x01" + b"\x80" * 11 + b"\x01" + b"\1\1\1", "none", "more than 64 bits"),
        (b"\x01\1\1\1\0", "none", "no offset"),
        (b"\x01\1\1\0\1", "none", "no bytes"),
        (b"\x02\1\0\1\1\1\1\1\1", "none", "twice"),
        (b"\x01" + b"\xff" * 9 + b"\x01" + b"\1\1\1", "none", "too large"),
        (b"\x01\1\1\1\x80", "none", "ends inside of a number"),
        (b"no gzip", "gzip", "cannot be unpacked"),
        (gzip.compress(b"\x01\1\1\1\1", mtime=0)[:-9], "gzip", "cut short"),
        (gzip.compress(bytes(MAX_DIRECTORY_BYTES + 1), mtime=0), "gzip", "longer than"),
        (b"", "zstd", "compressed with zstd"),
    ],
)
def test_a_damaged_directory_is_named(data, compression, why):
    with pytest.raises(DamagedCacheError, match=why):
        read_directory(data, compression)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_directory_or_damaged(data):
    try:
        directory = read_directory(data, "none")
    except DamagedCacheError:
        return
    assert (directory.size > 0).all()
    assert (directory.tile_id >= 0).all()


@given(st.binary(min_size=120, max_size=130))
def test_any_bytes_are_a_header_or_damaged(data):
    try:
        header = read_header(b"PMTiles\3" + data, 64)
    except DamagedCacheError:
        return
    assert header.tiles.offset + header.tiles.size_bytes <= 64


def test_the_largest_directory_takes_a_bounded_amount_of_memory():
    count = (MAX_DIRECTORY_BYTES - 8) // 4
    number = bytes([count & 127 | 128, count >> 7 & 127 | 128, count >> 14])
    packed = gzip.compress(number + b"\1" * (4 * count))
    tracemalloc.start()

    directory = read_directory(packed, "gzip")

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(directory.tile_id) == count > 1_000_000
    assert len(packed) < 20_000
    assert peak_bytes < 300 * 2**20  # the function of the API has 1 GB
