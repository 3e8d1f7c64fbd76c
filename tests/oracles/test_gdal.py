"""GDAL draws our packages as the tiles are: every pixel, at every level."""

from io import BytesIO

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window

from exporttiles.domain.service import TileFormat
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.oracles.build_package import MARKER_PIXELS, a_service, a_tile, build_package

BORDER = [(8, row, column) for row in (127, 128) for column in (127, 128)]
DEEP = [(17, 0x10000 + row, 0x1FF7F + column) for row in (0, 1) for column in (0, 1)]
CASES = {
    "the first levels": (WEB_MERCATOR_256, [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 3, 1), (3, 0, 7), (3, 7, 0)]),
    "across the border of bundles, minLOD > 0": (WEB_MERCATOR_256, [(7, 63, 64), *BORDER, (9, 254, 257)]),
    "one level alone": (WEB_MERCATOR_256, BORDER),
    "names of five digits": (WEB_MERCATOR_256, [(16, 0x8000, 0xFFC0), *DEEP]),
    "degrees, 512 pixels": (
        WGS84_512,
        [(2, 0, 0), (2, 1, 3), (9, 127, 127), (9, 128, 127), (9, 127, 128), (10, 255, 256)],
    ),
}


def drawn(path, scheme, place, max_level):
    """One tile as GDAL draws it: (bands, rows, columns) of bytes."""
    level, row, column = place
    overview = {} if level == max_level else {"overview_level": max_level - level - 1}
    side = scheme.tile_size
    with rasterio.open(path, EXTENT_SOURCE="TILING_SCHEME", **overview) as dataset:
        return dataset.read(window=Window(column * side, row * side, side, side))


def decoded(data, mode="RGBA"):
    return np.moveaxis(np.asarray(Image.open(BytesIO(data)).convert(mode)), 2, 0)


def saved(tmp_path, service, tiles):
    path = tmp_path / "package.tpkx"
    path.write_bytes(build_package(service, tiles))
    return path


@pytest.mark.parametrize(("scheme", "places"), CASES.values(), ids=CASES)
def test_every_tile_is_drawn_where_it_lies(tmp_path, scheme, places):
    tiles = {place: a_tile(place, size=scheme.tile_size) for place in places}
    path = saved(tmp_path, a_service(scheme=scheme), tiles)

    for place, tile in tiles.items():
        np.testing.assert_array_equal(drawn(path, scheme, place, max(places)[0]), decoded(tile), str(place))


def test_jpeg_and_transparent_png_are_drawn_from_one_bundle(tmp_path):
    jpeg, png = BORDER[0], (8, 126, 127)
    tiles = {jpeg: a_tile(jpeg, image_format="JPEG", mode="RGB"), png: a_tile(png)}
    path = saved(tmp_path, a_service(tile_format=TileFormat.MIXED, quality=90), tiles)

    np.testing.assert_array_equal(drawn(path, WEB_MERCATOR_256, png, 8), decoded(tiles[png]))
    # Two decoders of JPEG may differ in the last bit.
    np.testing.assert_allclose(
        drawn(path, WEB_MERCATOR_256, jpeg, 8).astype(int), decoded(tiles[jpeg]).astype(int), atol=1
    )


def test_jpeg_tiles_are_drawn_in_three_bands(tmp_path):
    tiles = {place: a_tile(place, image_format="JPEG", mode="RGB") for place in BORDER}
    path = saved(tmp_path, a_service(tile_format=TileFormat.JPEG, quality=90), tiles)

    for place, tile in tiles.items():
        found = drawn(path, WEB_MERCATOR_256, place, 8)
        assert found.shape == (3, 256, 256)
        np.testing.assert_allclose(found.astype(int), decoded(tile, "RGB").astype(int), atol=1)


def test_the_package_covers_the_ground_that_its_extent_tells(tmp_path):
    path = saved(tmp_path, a_service(), {place: a_tile(place) for place in BORDER})
    north_west, south_east = WEB_MERCATOR_256.tile_extent(*BORDER[0]), WEB_MERCATOR_256.tile_extent(*BORDER[3])

    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 3857
        assert dataset.shape == (512, 512)
        assert dataset.res == pytest.approx((611.49622628138, 611.49622628138))
        assert tuple(dataset.bounds) == pytest.approx(
            (north_west.xmin, south_east.ymin, south_east.xmax, north_west.ymax)
        )
        row, column = dataset.index(north_west.xmin + 1, north_west.ymax - 1)
        assert (row, column) == (0, 0)
        corner = dataset.read(window=Window(0, 0, MARKER_PIXELS, MARKER_PIXELS))
        assert (corner == 255).all()


def test_missing_tiles_are_empty(tmp_path):
    path = saved(tmp_path, a_service(), {BORDER[0]: a_tile(BORDER[0]), BORDER[3]: a_tile(BORDER[3])})

    assert not drawn(path, WEB_MERCATOR_256, BORDER[1], 8).any()
