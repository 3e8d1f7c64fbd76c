"""The tiles that an object of a cache holds, by its path."""

from dataclasses import replace

import pytest

from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.mosaic_files import MosaicFiles
from exporttiles.domain.service import CacheLayout, Mosaic, TileCache, TileFormat
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.formats.caches.paths import EveryTile, tiles_at
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

FILES = TileCache("s3://tiles/caches/World", CacheLayout.FILES, "{level}/{column}/{row}.jpg", 1)
BUNDLES = replace(FILES, layout=CacheLayout.COMPACT_V2, path_template="_alllayers/")
ARCHIVE = replace(FILES, url="s3://tiles/caches/World.tpkx", layout=CacheLayout.COMPACT_V2, path_template="tile/")
PMTILES = replace(
    FILES, url="s3://tiles/caches/World.pmtiles", layout=CacheLayout.PMTILES, path_template="World.pmtiles"
)
BUNDLE = BundleIndex(9, 128, 256).tile_range


def test_a_file_of_a_mosaic_holds_all_tiles_and_others_beside_it_none():
    files = MosaicFiles.of([RasterFile("a b.tif", ((0.0, 0.0, 1.0, 1.0),))], [OpenedFile("", 1, {})])
    mosaic = Mosaic(WEB_MERCATOR_256, TileFormat.MIXED, 80, files=files)
    cache = TileCache("s3://tiles/caches/orthos", CacheLayout.RASTERS, "", 1, mosaic=mosaic)

    assert tiles_at(cache, "s3://tiles/caches/orthos/a b.tif") == EveryTile()
    assert tiles_at(cache, "s3://tiles/caches/orthos/b.tif") is None


@pytest.mark.parametrize(
    ("cache", "path", "tiles"),
    [
        (FILES, "World/5/31/10.jpg", TileRange(5, 10, 11, 31, 32)),
        (FILES, "World/5/31/10.png", None),
        (FILES, "World2/5/31/10.jpg", None),
        (FILES, "World", None),
        (BUNDLES, "World/_alllayers/L09/R0080C0100.bundle", BUNDLE),
        (BUNDLES, "World/_alllayers/L09/R0080C0100.bundlx", BUNDLE),
        (BUNDLES, "World/_alllayers/L09/R0081C0100.bundle", None),
        (BUNDLES, "World/conf.xml", None),
        (ARCHIVE, "World.tpkx", EveryTile()),
        (ARCHIVE, "World.tpkx.old", None),
        (PMTILES, "World.pmtiles", EveryTile()),
    ],
)
def test_an_object_holds_a_tile_a_bundle_or_all(cache, path, tiles):
    assert tiles_at(cache, f"s3://tiles/caches/{path}") == tiles
    assert tiles_at(cache, f"s3://others/caches/{path}") is None
