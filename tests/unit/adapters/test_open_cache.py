"""Opening a cache by its address: a folder, or an archive in it."""

from pathlib import Path

import numpy as np
import pytest

from exporttiles.adapters.archives import open_cache
from exporttiles.adapters.object_stores import PATIENCE
from exporttiles.adapters.tile_sources import TileCaches, read_cache
from exporttiles.domain.errors import SourceDeniedError
from exporttiles.domain.service import CacheLayout, TileCache, TileFormat
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.tiles.image import sniff
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.caches import put_pmtiles
from tests.fakes import memory

GOLDEN = Path(__file__).parents[2] / "golden"
ALL = np.ones((128, 128), np.bool_)


@pytest.fixture(autouse=True)
def _emulator(monkeypatch):
    """Only an emulator reads folders of this machine."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")


def published(url):
    return InspectCache(open_cache(url), read_cache, WEB_MERCATOR_256)("World", url).service


@pytest.mark.parametrize(
    ("path", "level", "count"), [("states_filled.tpk", 3, 4), ("arcgis-pro", 0, 2), ("esri-usa", 2, 4)]
)
def test_a_real_cache_on_disk_is_published_and_read(path, level, count):
    service = published((GOLDEN / path).as_uri())

    tiles = dict(TileCaches(PATIENCE, ()).open(service.cache).read_bundle(BundleIndex(level, 0, 0), ALL))

    assert len(tiles) == count
    assert {sniff(tile) for tile in tiles.values()} == {"png"}


def test_a_pmtiles_archive_among_other_files_is_opened_by_its_own_address(tmp_path):
    objects, tile = memory(), b"\xff\xd8\xff tile"
    put_pmtiles(objects, {(0, 0, 0): tile})
    (tmp_path / "World.pmtiles").write_bytes(objects.read("World.pmtiles"))
    (tmp_path / "Other.pmtiles").write_bytes(b"")

    service = published((tmp_path / "World.pmtiles").as_uri())

    assert service.tile_format is TileFormat.JPEG
    assert dict(TileCaches(PATIENCE, ()).open(service.cache).read_bundle(BundleIndex(0, 0, 0), ALL)) == {(0, 0): tile}


def replaceable(tmp_path, name="World.pmtiles"):
    """Return a function that puts an archive of one tile at an address, and publishes it."""

    def put(tile):
        objects = memory()
        put_pmtiles(objects, {(0, 0, 0): tile})
        (tmp_path / name).write_bytes(objects.read("World.pmtiles"))
        return published((tmp_path / name).as_uri()).cache

    return put


def test_the_directory_of_an_archive_is_kept_until_the_archive_is_replaced(tmp_path):
    sources, put = TileCaches(PATIENCE, ()), replaceable(tmp_path)
    cache = put(b"\xff\xd8\xff tile")
    first = sources.open(cache)

    assert sources.open(cache) is first

    replaced = put(b"\xff\xd8\xff another tile, which is longer")
    for known in (cache, replaced):
        (tile,) = dict(sources.open(known).read_bundle(BundleIndex(0, 0, 0), ALL)).values()
        assert bytes(tile) == b"\xff\xd8\xff another tile, which is longer"


def test_few_directories_are_kept(tmp_path):
    sources = TileCaches(PATIENCE, ())
    caches = [replaceable(tmp_path, f"{name}.pmtiles")(b"\xff\xd8\xff tile") for name in "abc"]
    first, *_ = [sources.open(cache) for cache in caches]

    assert sources.open(caches[-1]) is sources.open(caches[-1])
    assert sources.open(caches[0]) is not first


@pytest.mark.parametrize(
    "url",
    [
        "s3://other/caches/World",
        "s3://tiles@other/World",
        "s3://tiles:80/World",
        "s3://tiles.other/World",
        "s3:///tiles/World",
        "s3a://tiles/World",
        "https://tiles.s3.us-east-1.amazonaws.com/World",
        "",
    ],
)
def test_a_cache_outside_of_the_buckets_of_the_stack_is_refused(url):
    sources = TileCaches(PATIENCE, {"tiles", "more-tiles"})

    with pytest.raises(SourceDeniedError, match=r"^CacheBuckets: The tiles lie at '") as refused:
        sources.open(TileCache(url, CacheLayout.FILES, "{level}/{row}/{column}.jpg", 1))
    assert url in str(refused.value)


def test_a_stack_on_aws_reads_no_folder_of_its_functions(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ENDPOINT_URL")

    with pytest.raises(SourceDeniedError, match="in none of the buckets"):
        TileCaches(PATIENCE, {"tiles"}).open(TileCache(tmp_path.as_uri(), CacheLayout.FILES, "{level}.jpg", 1))


@pytest.mark.parametrize("bucket", ["tiles", "more-tiles"])
def test_a_cache_in_a_bucket_of_the_stack_is_opened(bucket):
    sources = TileCaches(PATIENCE, {"tiles", "more-tiles"})

    assert sources.open(TileCache(f"s3://{bucket}/World", CacheLayout.FILES, "{level}/{row}/{column}.jpg", 1))
