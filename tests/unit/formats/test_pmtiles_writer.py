"""Writing PMTiles v3: the `pmtiles` library reads every tile."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.reader import MemorySource, Reader, all_tiles
from pmtiles.tile import deserialize_directory, deserialize_header

from exporttiles.domain.errors import PackageError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.caches.pmtiles import Directory, first_id, read_directory
from exporttiles.formats.packages.pmtiles import (
    HEAD_BYTES,
    PmtilesFragment,
    curve_order,
    join_directories,
    tile_counts,
    write_archive,
    write_directories,
    write_directory,
)
from tests.builders_rest import a_service

SERVICE = replace(
    a_service(), tile_format=TileFormat.JPEG, title="Wörld", copyright_text="© Us", description="All of it"
)
EXTENT = Extent(-20037508.3, -1e6, 20037508.3, 20037508.3, SERVICE.tiling_scheme.spatial_reference)


def archive_of(tiles, group=2, service=SERVICE):
    """Return the archive of tiles by place, joined from fragments of some bundles each."""
    bundles = {}
    for (level, row, column), tile in tiles.items():
        bundles.setdefault(BundleIndex.of_tile(level, row, column), {})[row, column] = tile
    names = list(bundles)
    in_order = [names[number] for number in curve_order(names).tolist()]
    fragments = []
    for start in range(0, len(in_order), group):
        fragment = PmtilesFragment()
        for bundle in in_order[start : start + group]:
            fragment.add(bundle, bundles[bundle])
        fragments.append(fragment)
    directory = join_directories((fragment.directory(), fragment.size_bytes) for fragment in fragments)
    body = b"".join(piece for fragment in fragments for piece in fragment.pieces)
    head, tail = write_archive(directory, len(body), service, EXTENT)
    return head + body + tail


def found_in(archive):
    return {(level, row, column): body for (level, column, row), body in all_tiles(MemorySource(archive))}


def verify(archive):
    """Hold the rules of `pmtiles verify` (protomaps/go-pmtiles, verify.go)."""
    header = deserialize_header(archive[:127])
    sections = [header[f"{name}_length"] for name in ("metadata", "leaf_directory", "tile_data")]
    assert len(archive) == 16384 + sum(sections)
    assert 127 + header["root_length"] <= 16384
    entries = []
    for entry in deserialize_directory(archive[header["root_offset"] :][: header["root_length"]]):
        if entry.run_length:
            entries.append(entry)
        else:
            start = header["leaf_directory_offset"] + entry.offset
            entries += deserialize_directory(archive[start : start + entry.length])
    end, seen = 0, set()
    for entry in entries:
        if entry.offset not in seen:
            assert entry.offset == end
            end += entry.length
            seen.add(entry.offset)
    assert end == header["tile_data_length"]
    ids = [entry.tile_id for entry in entries]
    assert ids == sorted(set(ids))
    assert header["addressed_tiles_count"] == sum(entry.run_length for entry in entries)
    assert header["tile_entries_count"] == len(entries)
    assert header["tile_contents_count"] == len(seen)
    assert header["clustered"]
    assert first_id(header["min_zoom"]) <= ids[0] < first_id(header["min_zoom"] + 1)
    assert first_id(header["max_zoom"]) <= ids[-1] < first_id(header["max_zoom"] + 1)
    assert header["min_zoom"] <= header["center_zoom"] <= header["max_zoom"]
    assert header["min_lon_e7"] < header["max_lon_e7"]
    assert header["min_lat_e7"] < header["max_lat_e7"]


places = st.integers(0, 12).flatmap(lambda level: st.tuples(st.just(level), *[st.integers(0, 2**level - 1)] * 2))


@given(st.dictionaries(places, st.sampled_from([b"blue", b"green", b"a larger tile"]), min_size=1, max_size=60))
def test_joined_fragments_of_any_tiles_are_read_back_equal_clustered_and_in_order(tiles):
    archive = archive_of(tiles)

    verify(archive)
    assert found_in(archive) == tiles


def test_equal_tiles_of_a_fragment_are_stored_once_and_runs_share_an_entry():
    tiles = {(8, row, column): b"water" for row in range(128) for column in range(128)} | {(8, 5, 5): b"island"}

    archive = archive_of(tiles)

    header = deserialize_header(archive[:127])
    assert header["tile_data_length"] == len(b"waterisland")
    assert (header["addressed_tiles_count"], header["tile_entries_count"]) == (128 * 128, 3)
    assert found_in(archive) == tiles


def test_a_run_ends_with_its_level():
    tiles = {(0, 0, 0): b"same", (1, 0, 0): b"same", (1, 1, 0): b"same"}

    assert deserialize_header(archive_of(tiles)[:127])["tile_entries_count"] == 2


def test_metadata_and_header_tell_name_attribution_bounds_and_zooms():
    reader = Reader(MemorySource(archive_of({(3, 1, 1): b"one", (5, 2, 2): b"two"})))

    assert reader.metadata() == {
        "name": "Wörld",
        "format": "jpg",
        "bounds": "-179.9999996,-8.9465739,179.9999996,85.0511287",
        "center": "0.0000000,38.0522774,3",
        "minzoom": "3",
        "maxzoom": "5",
        "attribution": "© Us",
        "description": "All of it",
        "type": "baselayer",
        "version": "1",
    }
    header = reader.header()
    assert header["tile_type"].name == "JPEG"
    assert (header["min_lon_e7"], header["max_lat_e7"]) == (-1799999996, 850511287)
    assert (header["center_lon_e7"], header["center_lat_e7"], header["center_zoom"]) == (0, 380522774, 3)


def test_the_root_directory_stays_within_16_kib_by_longer_leaves(monkeypatch):
    monkeypatch.setattr("exporttiles.formats.packages.pmtiles._LEAF_ENTRIES", 2)
    size = np.arange(1, 30_001) % 997 + 1
    directory = Directory(np.cumsum(size), np.ones_like(size), np.cumsum(size) - size, size)

    root, leaves = write_directories(directory)

    assert len(root) <= HEAD_BYTES - 127
    listed = deserialize_directory(root)
    entries = [entry for leaf in listed for entry in deserialize_directory(leaves[leaf.offset :][: leaf.length])]
    assert [entry.offset for entry in entries] == directory.offset.tolist()


@given(
    st.lists(
        st.tuples(st.integers(1, 2**40), st.integers(0, 2**20), st.integers(0, 2**40), st.integers(1, 2**32 - 1)),
        min_size=1,
        max_size=40,
    )
)
def test_a_written_directory_is_read_back_by_both_readers(rows):
    steps, run_length, offset, size = np.array(rows, np.int64).T
    written = Directory(np.cumsum(steps), run_length, offset, size)

    packed = write_directory(written)

    found = read_directory(packed, "gzip")
    columns = [found.tile_id, found.run_length, found.offset, found.size]
    assert [column.tolist() for column in columns] == [
        np.cumsum(steps).tolist(),
        *(column.tolist() for column in (run_length, offset, size)),
    ]
    assert [(entry.tile_id, entry.offset) for entry in deserialize_directory(packed)] == list(
        zip(written.tile_id.tolist(), written.offset.tolist(), strict=True)
    )


def test_bundles_out_of_order_are_refused():
    fragment = PmtilesFragment()
    fragment.add(BundleIndex(8, 128, 0), {(128, 0): b"second"})
    fragment.add(BundleIndex(8, 0, 0), {(0, 0): b"first"})

    with pytest.raises(PackageError, match="order of the Hilbert curve"):
        fragment.directory()


def test_fragments_out_of_order_are_refused():
    directories = [write_directory(Directory(*np.array([[at], [2], [0], [9]]))) for at in (5, 6)]

    with pytest.raises(PackageError, match="order of the Hilbert curve"):
        join_directories((packed, 9) for packed in directories)


def test_tiles_are_counted_by_level():
    directory = Directory(*np.array([[0, 1, 21], [1, 4, 3], [0, 9, 18], [9, 9, 9]]))

    assert tile_counts(directory) == {0: 1, 1: 4, 3: 3}


def test_equal_tiles_make_equal_archives():
    tiles = {(4, row, 3): bytes([row]) for row in range(16)}

    assert archive_of(tiles) == archive_of(dict(reversed(tiles.items())))
