"""Contract of tile sources: the same tiles in every layout, in memory and in S3 (moto)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pytest
from obstore.store import MemoryStore, S3Store
from PIL import Image

from exporttiles.adapters.archives import within
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.process import METER
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.archives.zip_reader import TAIL_BYTES
from exporttiles.formats.bundles.v1 import BUNDLX_BYTES, HEADER_BYTES
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET
from tests.builders import a_service
from tests.caches import CACHES, put_pmtiles, put_tpkx, put_v1, put_v2

PLACES = [(0, 0, 0), (1, 0, 1), (1, 1, 0)]
PLACES += [(7, row, column) for row in range(60, 63) for column in (50, 53, 127)]
PLACES += [(8, row, column) for row in (126, 127, 128) for column in (127, 128, 255)]
BUNDLES = sorted({BundleIndex.of_tile(*place) for place in PLACES})


def a_tile(place):
    """A small picture that no other tile equals: PNG in the last column of a bundle, else JPEG."""
    level, row, column = place
    body = BytesIO()
    picture = Image.new("RGB", (256, 256), (level * 20, row % 256, column % 256))
    picture.save(body, "PNG" if column % PACKET_SIZE == 127 else "JPEG")
    return body.getvalue() + b"%d/%d/%d" % place


TILES = {place: a_tile(place) for place in PLACES}


class CountingObjects:
    """A store that counts what is asked of it."""

    def __init__(self, objects):
        self.objects = objects
        self.requests = self.read_bytes = 0

    def _count(self, body):
        self.read_bytes += len(body)
        return body

    def read_start(self, key, size_bytes):
        self.requests += 1
        found, size = self.objects.read_start(key, size_bytes)
        return self._count(found), size

    def read_ranges(self, key, ranges, version=None):
        self.requests += len(ranges)
        return map(self._count, self.objects.read_ranges(key, ranges, version))

    def read_many(self, keys):
        self.requests += len(keys)
        return (body and self._count(body) for body in self.objects.read_many(keys))

    def sizes_bytes(self, keys):
        self.requests += len(keys)
        return self.objects.sizes_bytes(keys)


def around(bundle):
    """A mask of the tiles of a bundle, and as many that do not exist."""
    mask = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
    for level, row, column in PLACES:
        if BundleIndex.of_tile(level, row, column) == bundle:
            mask[row - bundle.row, column - bundle.column] = True
            mask[row - bundle.row, column - bundle.column - 5] = True
    return mask


def everything():
    return np.ones((PACKET_SIZE, PACKET_SIZE), np.bool_)


@pytest.fixture(params=["memory", "s3"])
def objects(request):
    if request.param == "memory":
        return ObstoreObjects(MemoryStore())
    options = {"region": "us-east-1", "access_key_id": "test", "secret_access_key": "test"}
    endpoint, bucket = request.getfixturevalue("s3_endpoint"), request.getfixturevalue("bucket")
    return ObstoreObjects(S3Store(bucket, endpoint=endpoint, client_options={"allow_http": True}, **options))


@pytest.fixture(params=CACHES)
def source(request, objects):
    """A reader of the tiles, opened as a published cache is."""
    url = CACHES[request.param](objects, TILES)
    cache = a_service(objects, url=url).cache
    return read_cache(within(objects, url.rpartition("/")[2]), cache)


def test_every_tile_is_read_as_it_was_stored(source):
    found = {
        (bundle.level, *place): bytes(tile)
        for bundle in BUNDLES
        for place, tile in source.read_bundle(bundle, around(bundle))
    }

    assert found == TILES


def test_only_selected_tiles_are_read(source):
    random = np.random.default_rng(2026)
    for bundle in BUNDLES:
        selected = around(bundle) & (random.random((PACKET_SIZE, PACKET_SIZE)) < 0.5)
        wanted = {
            (row, column): tile
            for (level, row, column), tile in TILES.items()
            if BundleIndex.of_tile(level, row, column) == bundle and selected[row - bundle.row, column - bundle.column]
        }

        assert {place: bytes(tile) for place, tile in source.read_bundle(bundle, selected)} == wanted


def test_an_empty_mask_reads_no_tiles(source):
    assert list(source.read_bundle(BundleIndex(7, 0, 0), ~everything())) == []
    assert source.tile_sizes(BundleIndex(7, 0, 0), ~everything()).sum() == 0


@pytest.mark.parametrize("bundle", [BundleIndex(8, 0, 256), BundleIndex(9, 128, 0), BundleIndex(23, 128, 128)])
def test_a_missing_bundle_has_no_tiles(source, bundle):
    few = ~everything()
    few[:3, :3] = True

    assert list(source.read_bundle(bundle, few)) == []
    assert source.tile_sizes(bundle, few).sum() == 0


def test_tiles_are_unmodified_if_they_exist_and_were_written_before(source):
    later, before = datetime.now(UTC) + timedelta(minutes=1), datetime.now(UTC) - timedelta(minutes=1)
    few = ~everything()
    few[:3, :3] = True
    exist = {
        (bundle.level, *place)
        for bundle in BUNDLES
        for place in bundle.places(source.unmodified_since(bundle, around(bundle), later))
    }

    assert exist == TILES.keys()
    assert not any(source.unmodified_since(bundle, around(bundle), before).any() for bundle in BUNDLES)
    assert not source.unmodified_since(BundleIndex(9, 128, 0), few, later).any()


def test_sizes_are_those_of_the_selected_tiles(source):
    for bundle in BUNDLES:
        selected = around(bundle)
        selected[:, 127] = False
        sizes = source.tile_sizes(bundle, selected)

        assert (sizes.shape, sizes.dtype) == (selected.shape, np.int32)
        assert {
            (bundle.level, bundle.row + row, bundle.column + column): int(sizes[row, column])
            for row, column in np.argwhere(sizes).tolist()
        } == {
            place: len(tile)
            for place, tile in TILES.items()
            if BundleIndex.of_tile(*place) == bundle and place[2] % PACKET_SIZE != 127
        }


# What exists

WIDE = TileRange(8, 0, 100 * PACKET_SIZE, 0, 100 * PACKET_SIZE)


def test_the_bundles_of_a_sparse_level_are_found_and_the_places_of_files(source):
    found = source.find_bundles(WIDE, WIDE.count, 1_000_000)

    assert sorted(found) == [bundle for bundle in BUNDLES if bundle.level == 8]
    for bundle, places in found.items():
        if places is not None:
            assert sorted(places) == [
                (row - bundle.row) * PACKET_SIZE + column - bundle.column
                for level, row, column in sorted(PLACES)
                if BundleIndex.of_tile(level, row, column) == bundle
            ]


def test_a_level_without_tiles_has_no_bundles(source):
    wide = replace(WIDE, level=6)

    assert source.find_bundles(wide, wide.count, 1_000_000) == {}


def test_bundles_outside_of_the_block_are_not_found(source):
    beside = replace(WIDE, row_start=2 * PACKET_SIZE)

    assert source.find_bundles(beside, beside.count, 1_000_000) == {}


def test_few_tiles_are_not_worth_a_listing(source):
    assert source.find_bundles(WIDE, 32, 1_000_000) is None


def test_a_level_that_has_a_quarter_of_what_is_wanted_is_not_sparse(source):
    requests = METER.snapshot()

    assert source.find_bundles(TileRange(8, 0, 256, 0, 256), 35, 1_000_000) is None
    assert (METER.snapshot() - requests).puts <= 1


def test_bundles_of_an_archive_with_many_leaf_directories_are_found():
    """Each tile in a bundle of its own, so that every leaf covers many."""
    random = np.random.default_rng(16)
    numbers = random.choice(512**2, 9_000, replace=False)
    tiles = {(16, *(PACKET_SIZE * at + 7 for at in divmod(number, 512))): b"x" for number in numbers.tolist()}
    objects = ObstoreObjects(MemoryStore())
    put_pmtiles(objects, tiles)
    source = read_cache(objects, TileCache("memory:///World.pmtiles", CacheLayout.PMTILES, "World.pmtiles", 1))

    found = source.find_bundles(TileRange(16, 0, 2**16, 0, 2**16), 4**16, 1_000_000)

    assert found.keys() == {BundleIndex.of_tile(*place) for place in tiles}


def test_a_level_of_more_than_the_limit_is_not_looked_through(source):
    assert source.find_bundles(WIDE, WIDE.count, 3) is None


# Few requests


@pytest.fixture(scope="module")
def full_bundle():
    """A bundle of level 7 without a hole: 16,384 tiles of about 2 kB."""
    random = np.random.default_rng(7)
    sizes = random.lognormal(7.4, 0.6, PACKET_SIZE**2).astype(int).tolist()
    noise = random.bytes(100_000)
    head = a_tile((7, 0, 0))[:300]
    return {(7, *divmod(slot, PACKET_SIZE)): head + noise[slot : slot + size] for slot, size in enumerate(sizes)}


def a_disc():
    """What a round area of interest selects of a bundle: about half of its tiles."""
    rows, columns = np.mgrid[:PACKET_SIZE, :PACKET_SIZE]
    return np.hypot(rows - 60, columns - 70) < 52


@pytest.mark.parametrize("put", [put_v1, put_v2, put_tpkx, put_pmtiles], ids=["V1", "V2", "tpkx", "PMTiles"])
@pytest.mark.parametrize("selected", [everything(), a_disc()], ids=["all", "disc"])
def test_a_bundle_needs_few_requests_and_few_bytes_too_many(full_bundle, put, selected):
    stored = ObstoreObjects(MemoryStore())
    url = put(stored, full_bundle)
    cache = a_service(stored, url=url).cache
    objects = CountingObjects(stored)
    source = read_cache(within(objects, url.rpartition("/")[2]), cache)

    tiles = dict(source.read_bundle(BundleIndex(7, 0, 0), selected))

    index_bytes = {CacheLayout.COMPACT_V1: BUNDLX_BYTES + HEADER_BYTES}.get(cache.layout, RECORDS_OFFSET)
    index_bytes += TAIL_BYTES if url.endswith(".tpkx") else 0
    wanted_bytes = sum(map(len, tiles.values()))
    assert len(tiles) == selected.sum()
    assert objects.requests <= 0.02 * len(tiles)
    assert objects.read_bytes - index_bytes <= 1.05 * wanted_bytes
