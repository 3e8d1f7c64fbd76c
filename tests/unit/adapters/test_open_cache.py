"""Opening a cache by its address: a folder, or an archive in it."""

from pathlib import Path

import numpy as np
import pytest

from exporttiles.adapters.archives import open_cache
from exporttiles.adapters.tile_sources import TileCaches, read_cache
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.tiles.image import sniff
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.caches import put_pmtiles
from tests.fakes import memory

GOLDEN = Path(__file__).parents[2] / "golden"
ALL = np.ones((128, 128), np.bool_)


def published(url):
    return InspectCache(open_cache(url), read_cache, WEB_MERCATOR_256)("World", url).service


@pytest.mark.parametrize(
    ("path", "level", "count"), [("states_filled.tpk", 3, 4), ("arcgis-pro", 0, 2), ("esri-usa", 2, 4)]
)
def test_a_real_cache_on_disk_is_published_and_read(path, level, count):
    service = published((GOLDEN / path).as_uri())

    tiles = dict(TileCaches().open(service.cache).read_bundle(BundleIndex(level, 0, 0), ALL))

    assert len(tiles) == count
    assert {sniff(tile) for tile in tiles.values()} == {"png"}


def test_a_pmtiles_archive_among_other_files_is_opened_by_its_own_address(tmp_path):
    objects, tile = memory(), b"\xff\xd8\xff tile"
    put_pmtiles(objects, {(0, 0, 0): tile})
    (tmp_path / "World.pmtiles").write_bytes(objects.read("World.pmtiles"))
    (tmp_path / "Other.pmtiles").write_bytes(b"")

    service = published((tmp_path / "World.pmtiles").as_uri())

    assert service.tile_format is TileFormat.JPEG
    assert dict(TileCaches().open(service.cache).read_bundle(BundleIndex(0, 0, 0), ALL)) == {(0, 0): tile}


def replaceable(tmp_path, name="World.pmtiles"):
    """Return what puts an archive of one tile at an address, and publishes it."""

    def put(tile):
        objects = memory()
        put_pmtiles(objects, {(0, 0, 0): tile})
        (tmp_path / name).write_bytes(objects.read("World.pmtiles"))
        return published((tmp_path / name).as_uri()).cache

    return put


def test_the_directory_of_an_archive_is_kept_until_the_archive_is_replaced(tmp_path):
    sources, put = TileCaches(), replaceable(tmp_path)
    cache = put(b"\xff\xd8\xff tile")
    first = sources.open(cache)

    assert sources.open(cache) is first

    replaced = put(b"\xff\xd8\xff another tile, which is longer")
    for known in (cache, replaced):
        (tile,) = dict(sources.open(known).read_bundle(BundleIndex(0, 0, 0), ALL)).values()
        assert bytes(tile) == b"\xff\xd8\xff another tile, which is longer"


def test_few_directories_are_kept(tmp_path):
    sources = TileCaches()
    caches = [replaceable(tmp_path, f"{name}.pmtiles")(b"\xff\xd8\xff tile") for name in "abc"]
    first, *_ = [sources.open(cache) for cache in caches]

    assert sources.open(caches[-1]) is sources.open(caches[-1])
    assert sources.open(caches[0]) is not first
