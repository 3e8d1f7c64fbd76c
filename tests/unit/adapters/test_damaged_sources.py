"""Damaged caches: a bad tile is left out, or the error names the object."""

import struct
from pathlib import Path

import numpy as np
import pytest
from pmtiles.tile import Entry, serialize_directory

from exporttiles.adapters.archives import within
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.tiles.image import sniff
from tests.builders import a_service, a_tile, put_files
from tests.caches import put_tpkx, put_v1, put_v2, put_xyz
from tests.fakes import memory

GOLDEN = Path(__file__).parents[2] / "golden"
WORLD = {(2, row, column): a_tile(2, row, column) for row in range(4) for column in range(4)}
BUNDLE = BundleIndex(2, 0, 0)
BUNDLE_KEY = "Layers/_alllayers/L02/R0000C0000.bundle"
ALL = np.ones((128, 128), np.bool_)


def opened(objects, url):
    cache = a_service(objects, url=url).cache
    return lambda: read_cache(within(objects, url.rpartition("/")[2]), cache)


def tiles_of(source, mask=ALL):
    return {place: bytes(tile) for place, tile in source.read_bundle(BUNDLE, mask)}


def changed(objects, key, change):
    objects.write(key, bytes(change(bytearray(objects.read(key)))))


@pytest.fixture(params=[put_v1, put_v2], ids=["V1", "V2"])
def bundles(request):
    objects = memory()
    return objects, opened(objects, request.param(objects, WORLD))


def test_a_truncated_bundle_loses_the_tiles_behind_its_end_alone(bundles):
    objects, source = bundles
    changed(objects, BUNDLE_KEY, lambda data: data[: -len(WORLD[2, 3, 3])])

    found = tiles_of(source())

    assert found.pop((3, 3)) == b""
    assert found == {place[1:]: tile for place, tile in WORLD.items() if place[1:] != (3, 3)}


@pytest.mark.parametrize("offset", [2**40 - 1, 60 + 65_536])
def test_an_offset_that_leads_nowhere_costs_that_tile(offset):
    objects = memory()
    source = opened(objects, put_v1(objects, WORLD))
    end = 16 + 5 * (128 * 1 + 1)  # row 1, column 1
    key = BUNDLE_KEY.replace(".bundle", ".bundlx")
    changed(objects, key, lambda data: data[:end] + struct.pack("<Q", offset)[:5] + data[end + 5 :])

    found = tiles_of(source())

    expected = {2**40 - 1: b""}.get(offset, WORLD[2, 0, 0])
    assert found[1, 1] == expected
    assert found[3, 3] == WORLD[2, 3, 3]


@pytest.mark.parametrize("entry", [4 | 9 << 40, 2**40 - 1 | 9 << 40])
def test_an_index_entry_that_points_outside_costs_that_tile(entry):
    objects = memory()
    source = opened(objects, put_v2(objects, WORLD))
    at = 64 + 8 * (128 * 1 + 1)
    changed(objects, BUNDLE_KEY, lambda data: data[:at] + struct.pack("<Q", entry) + data[at + 8 :])

    assert tiles_of(source())[1, 1] == b""
    assert source().tile_sizes(BUNDLE, ALL)[1, 1] == 0
    assert tiles_of(source())[3, 3] == WORLD[2, 3, 3]


@pytest.mark.parametrize("size", [0, 10, 59])
def test_a_bundle_too_short_for_its_header_is_named(bundles, size):
    objects, source = bundles
    changed(objects, BUNDLE_KEY, lambda data: data[:size])

    with pytest.raises(DamagedCacheError, match=rf"{BUNDLE_KEY}: .* is cut off .* it has {size} "):
        tiles_of(source())


def test_offsets_without_a_bundle_differ_from_a_bundle_without_offsets():
    objects = memory()
    source = opened(objects, put_v1(objects, WORLD))
    objects.delete([BUNDLE_KEY.replace(".bundle", ".bundlx")])

    with pytest.raises(DamagedCacheError, match=rf"{BUNDLE_KEY}: There is no .bundlx beside it"):
        tiles_of(source())


def test_slots_that_share_a_record_to_claim_more_than_memory_are_refused():
    objects = memory()
    source = opened(objects, put_v2(objects, {(2, 0, 0): a_tile(2, 0, 0), (2, 0, 1): bytes(2**20)}))

    def multiply(data):
        entry = bytes(data[72:80])
        return data[:64] + entry * 16_384 + data[64 + 8 * 16_384 :]

    changed(objects, BUNDLE_KEY, multiply)

    with pytest.raises(DamagedCacheError, match="claims tiles of 17,179,869,184 bytes"):
        tiles_of(source())


def test_the_damaged_record_of_esris_own_sample_is_no_picture():
    objects = memory()
    objects.write("L00/R0000C0000.bundle", (GOLDEN / "esri-usa/tile/L00/R0000C0000.bundle").read_bytes())
    source = read_cache(objects, TileCache("memory:///", CacheLayout.COMPACT_V2, "", 1))

    ((place, tile),) = source.read_bundle(BundleIndex(0, 0, 0), ALL)

    assert (place, sniff(tile)) == ((0, 0), None)


def test_files_of_no_bytes_and_of_too_many_come_as_no_bytes():
    objects = memory()
    put_files(objects, 2)
    source = opened(objects, "memory:///")
    objects.write("World/2/1/0.jpg", b"")
    objects.write("World/2/2/0.jpg", bytes(2**24))

    found = tiles_of(source(), np.indices((128, 128)).max(0) < 4)

    assert (found[0, 1], found[0, 2], found[0, 3]) == (b"", b"", WORLD[2, 0, 3])


# Archives


def test_a_member_without_its_local_header_is_named():
    objects = memory()
    source = opened(objects, put_tpkx(objects, WORLD))
    changed(objects, "World.tpkx", lambda data: b"xx" + data[2:])

    with pytest.raises(DamagedCacheError, match=r"World.tpkx: There is no local header of 'tile/L02"):
        tiles_of(source())


def test_an_archive_that_is_gone_is_named():
    with pytest.raises(DamagedCacheError, match=r"There is no archive World.tpkx"):
        list(within(memory(), "World.tpkx").list(""))


# PMTiles


def an_archive(root, leaves=b"", tiles=b"tile"):
    """A PMTiles archive of these directories."""
    packed = serialize_directory(root)
    sections, at = [], 127
    for body in (packed, b"", leaves, tiles):
        sections += [at, len(body)]
        at += len(body)
    header = struct.pack("<7sB11Q6B4i", b"PMTiles", 3, *sections, 0, 0, 0, 1, 2, 1, 2, 0, 5, *[0] * 4)
    objects = memory()
    objects.write("World.pmtiles", header.ljust(127, b"\0") + packed + leaves + tiles)
    return read_cache(objects, TileCache("memory:///World.pmtiles", CacheLayout.PMTILES, "World.pmtiles", 1))


def test_tiles_are_found_by_way_of_leaves():
    first = serialize_directory([Entry(5, 0, 2, 1)])
    second = serialize_directory([Entry(10, 2, 2, 2)])
    root = [Entry(5, 0, len(first), 0), Entry(10, len(first), len(second), 0)]

    found = tiles_of(an_archive(root, first + second, b"aabb"))

    assert sorted(found.values()) == [b"aa", b"bb", b"bb"]


def test_a_leaf_that_refers_to_itself_is_refused():
    leaf = serialize_directory([Entry(0, 0, 24, 0)])
    leaf = serialize_directory([Entry(0, 0, len(leaf), 0)])

    with pytest.raises(DamagedCacheError, match=r"World.pmtiles: Its leaf directories are more than 4 deep"):
        tiles_of(an_archive([Entry(0, 0, len(leaf), 0)], leaf))


def test_leaves_without_number_are_refused():
    leaf = serialize_directory([Entry(5, 0, 2, 1)])
    root = [Entry(number, 0, len(leaf), 0) for number in range(5 * 4**5)]
    source = an_archive(root, leaf)

    with pytest.raises(DamagedCacheError, match="over more than 512 leaf directories"):
        list(source.read_bundle(BundleIndex(5, 0, 0), ALL))


def test_leaves_below_leaves_count_together():
    below = serialize_directory([Entry(5, 0, 2, 1)])
    leaf = serialize_directory([Entry(5, 0, len(below), 0)])
    root = [Entry(341 + number, len(below), len(leaf), 0) for number in range(300)]
    source = an_archive(root, below + leaf)

    with pytest.raises(DamagedCacheError, match="over more than 512 leaf directories"):
        list(source.read_bundle(BundleIndex(5, 0, 0), ALL))


def test_a_leaf_outside_of_its_section_is_named():
    with pytest.raises(DamagedCacheError, match="A leaf directory at byte 900 lies outside of the 4"):
        tiles_of(an_archive([Entry(0, 900, 9, 0)], b"leaf"))


def test_a_tile_outside_of_its_section_costs_that_tile():
    found = tiles_of(an_archive([Entry(5, 0, 4, 1), Entry(6, 1, 4, 1), Entry(7, 0, 2**31, 1)]))

    assert sorted(found.values()) == [b"", b"", b"tile"]


def test_an_archive_that_is_gone_is_no_empty_cache():
    source = read_cache(memory(), TileCache("memory:///W.pmtiles", CacheLayout.PMTILES, "W.pmtiles", 1))

    with pytest.raises(SourceError, match=r"no archive W.pmtiles"):
        tiles_of(source)


def test_a_mixed_cache_of_files_asks_for_the_rarer_kind_only_where_the_other_is_missing():
    objects = memory()
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">2I5B", 256, 256, 8, 2, 0, 0, 0)
    url = put_xyz(objects, {**WORLD, (2, 3, 3): png})
    cache = a_service(objects, url=url).cache

    assert cache.extensions == ("jpg", "png")
    found = tiles_of(read_cache(objects, cache), np.indices((128, 128)).max(0) < 5)

    assert found == {place[1:]: tile for place, tile in {**WORLD, (2, 3, 3): png}.items()}
