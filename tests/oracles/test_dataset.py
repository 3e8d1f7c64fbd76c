"""Cache raster datasets: GDAL draws them, MapProxy finds every tile, in every scheme."""

import numpy as np
import pytest
import rasterio

from exporttiles.domain.service import TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.oracles.build_package import a_tile
from tests.oracles.exports import a_cache, by_gdal, by_mapproxy, decoded, export, neighbours

NZTM = TilingScheme(
    SpatialReference(wkid=2193, latest_wkid=2193),
    origin_x=-4020900,  # west of 0 and north of 0: GDAL takes the grid to end at the opposite corner
    origin_y=19998100,
    tile_size=256,
    dpi=96,
    lods=tuple(LevelOfDetail(level, 8960 / 2**level, 8960 / 2**level * 96 * 39.37) for level in range(14)),
)
BORDER = [(8, row, column) for row in (127, 128) for column in (127, 128)]
CASES = {
    "the first levels": (WEB_MERCATOR_256, [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 3, 1), (3, 0, 7)]),
    "across the border of bundles, without level 0": (WEB_MERCATOR_256, [(7, 63, 64), *BORDER, (9, 254, 257)]),
    "one level alone": (WEB_MERCATOR_256, BORDER),
    "names of five digits": (WEB_MERCATOR_256, [(16, 0x8000, 0xFFC0), (17, 0x10000, 0x1FF80)]),
    "sparse, with levels missing": (WEB_MERCATOR_256, [(2, 1, 1), (6, 20, 31), (6, 25, 20), (9, 200, 200)]),
    "degrees, 512 pixels": (WGS84_512, [(6, 15, 15), (9, 127, 127), (9, 128, 128), (10, 255, 256)]),
    "New Zealand": (NZTM, [(3, 4, 2), (5, 17, 11), (8, 127, 127), (8, 128, 128)]),
}
ARCHIVES = ["tpkx", "tpk", "dataset V2", "dataset V1"]
FOLDERS = {"tpkx": "tile", "tpk": "v101/Layers/_alllayers"}


@pytest.mark.parametrize(("scheme", "places"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("output", ARCHIVES)
def test_mapproxy_finds_every_tile_of_every_scheme(tmp_path, output, scheme, places):
    tiles = {place: a_tile(place, size=scheme.tile_size) for place in places}
    objects, service = a_cache(scheme, tiles)

    export(objects, service, [level for level, _, _ in places], output, tmp_path)

    folder = tmp_path / FOLDERS.get(output, "World/Layers/_alllayers")
    version = 1 if output in {"tpk", "dataset V1"} else 2
    assert by_mapproxy(folder, neighbours(places), version=version) == tiles


@pytest.mark.parametrize(("scheme", "places"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("output", ["tpkx", "dataset V2"])
def test_gdal_draws_every_tile_where_it_lies(tmp_path, output, scheme, places):
    tiles = {place: a_tile(place, size=scheme.tile_size) for place in places}
    objects, service = a_cache(scheme, tiles)

    path = export(objects, service, [level for level, _, _ in places], output, tmp_path)

    options = {"EXTENT_SOURCE": "TILING_SCHEME"}
    if output == "dataset V2":
        path, options = tmp_path / "World/Layers/conf.xml", {}
    for place, tile in tiles.items():
        drawn = by_gdal(path, place, max(places)[0], tile_size=scheme.tile_size, **options)
        np.testing.assert_array_equal(drawn, decoded(tile), str(place))


@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512, NZTM])
def test_gdal_knows_where_on_earth_it_is(tmp_path, scheme):
    place = (8, 127, 127)
    objects, service = a_cache(scheme, {place: a_tile(place, size=scheme.tile_size)})
    export(objects, service, (8,), "dataset V2", tmp_path)

    with rasterio.open(tmp_path / "World/Layers/conf.xml") as dataset:
        assert dataset.crs.to_wkt().endswith(f'AUTHORITY["EPSG","{scheme.spatial_reference.latest_wkid}"]]')
        assert dataset.res == pytest.approx((scheme.lod(8).resolution,) * 2)
        assert (dataset.transform.c, dataset.transform.f) == pytest.approx((scheme.origin_x, scheme.origin_y))


def test_gdal_opens_the_zip_as_it_is(tmp_path):
    tiles = {place: a_tile(place) for place in BORDER}
    objects, service = a_cache(WEB_MERCATOR_256, tiles)
    path = export(objects, service, (8,), "dataset V2", tmp_path)

    for place, tile in tiles.items():
        drawn = by_gdal(f"/vsizip/{{{path}}}/World/Layers/conf.xml", place, 8)
        np.testing.assert_array_equal(drawn, decoded(tile))


def test_gdal_draws_jpeg_and_transparent_png_from_one_bundle(tmp_path):
    jpeg, png = BORDER[0], BORDER[1]
    tiles = {jpeg: a_tile(jpeg, image_format="JPEG", mode="RGB"), png: a_tile(png)}
    objects, service = a_cache(WEB_MERCATOR_256, tiles, tile_format=TileFormat.MIXED, quality=90)
    export(objects, service, (8,), "dataset V2", tmp_path)
    conf = tmp_path / "World/Layers/conf.xml"

    np.testing.assert_array_equal(by_gdal(conf, png, 8), decoded(tiles[png]))
    # Two decoders of JPEG may differ in the last bit.
    np.testing.assert_allclose(by_gdal(conf, jpeg, 8).astype(int), decoded(tiles[jpeg]).astype(int), atol=1)
