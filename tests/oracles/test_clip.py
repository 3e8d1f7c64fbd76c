"""Packages clipped to an area: GDAL draws exactly the pixels that it finds in the area itself."""

import zipfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely.geometry import Point, Polygon

from exporttiles.cli.main import main
from exporttiles.domain.area import Area
from exporttiles.domain.export import Clip
from exporttiles.domain.service import TileFormat
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.tiles.image import sniff
from tests.oracles.build_package import a_tile
from tests.oracles.exports import OUTPUTS, a_cache, decoded, export
from tests.oracles.test_matrix import READERS

SCHEME, LEVEL = WEB_MERCATOR_256, 8
ROWS, COLUMNS = range(125, 131), range(126, 133)  # across the border of two bundles
TILES = {
    (LEVEL, row, column): a_tile((LEVEL, row, column), image_format="JPEG", mode="RGB")
    for row in ROWS
    for column in COLUMNS
}
TOP_LEFT = SCHEME.tile_extent(LEVEL, ROWS[0], COLUMNS[0])
SPAN = SCHEME.tile_span(LEVEL)


def to_map(x, y):
    """Convert tiles from the top left to map units."""
    return TOP_LEFT.xmin + x * SPAN, TOP_LEFT.ymax - y * SPAN


LAKE = Polygon([to_map(2.3, 2.1), to_map(3.9, 2.4), to_map(3.1, 3.7)])
DISTRICT = Point(to_map(3.4, 2.9)).buffer(2.6 * SPAN, quad_segs=40).difference(LAKE)
ISLAND = Polygon([to_map(5.9, 0.2), to_map(6.7, 0.3), to_map(6.2, 0.9)])
AREA = Area.from_rings(
    [[list(ring.coords) for ring in (shape.exterior, *shape.interiors)] for shape in (DISTRICT, ISLAND)],
    SCHEME.spatial_reference,
)


def drawn_by_gdal(path):
    """Return the block of tiles as GDAL draws it, and a mask of the pixels that GDAL finds in the area."""
    with rasterio.open(path, EXTENT_SOURCE="TILING_SCHEME") as dataset:
        window = Window(COLUMNS[0] * 256, ROWS[0] * 256, len(COLUMNS) * 256, len(ROWS) * 256)
        picture = dataset.read(window=window)
    transform = Affine(SPAN / 256, 0, TOP_LEFT.xmin, 0, -SPAN / 256, TOP_LEFT.ymax)
    return picture, rasterize([DISTRICT, ISLAND], picture.shape[1:], transform=transform).astype(np.bool_)


def the_whole():
    """Return the block of tiles in the cache."""
    return np.concatenate(
        [np.concatenate([decoded(TILES[LEVEL, row, column]) for column in COLUMNS], axis=2) for row in ROWS], axis=1
    )


@pytest.mark.parametrize("output", ["tpkx", "dataset V2"])
def test_gdal_draws_the_pixels_that_it_finds_in_the_area(tmp_path, output):
    objects, service = a_cache(SCHEME, TILES, tile_format=TileFormat.JPEG, quality=90)

    path = export(objects, service, [LEVEL], output, tmp_path, area=AREA, clip=Clip())

    path = path if output == "tpkx" else path.with_suffix("") / "Layers" / "conf.xml"
    picture, inside = drawn_by_gdal(path)
    np.testing.assert_array_equal(picture[3] > 0, inside)
    # GDAL and Pillow may decode a JPEG differently by a step.
    np.testing.assert_allclose(picture[:3, inside].astype(int), the_whole()[:3, inside], atol=3)


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_reader_finds_equal_tiles_inside_and_png_at_the_edge(tmp_path, output):
    objects, service = a_cache(SCHEME, TILES, tile_format=TileFormat.JPEG, quality=90)

    path = export(objects, service, [LEVEL], output, tmp_path, area=AREA, clip=Clip())

    found = READERS[output](path, TILES)
    whole = {place for place, tile in found.items() if tile == TILES[place]}
    assert {sniff(found[place]) for place in found.keys() - whole} == {"png"}
    assert whole
    assert main(["check", str(path)]) == 0


def test_the_command_clips_to_the_polygons_of_a_file(tmp_path):
    cache, area = tmp_path / "cache", tmp_path / "area.json"
    for (level, row, column), tile in TILES.items():
        path = cache / f"{level}/{column}/{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tile)
    area.write_text(
        '{"rings": %s, "spatialReference": {"wkid": 3857}}'
        % [[list(point) for point in ring.coords] for ring in (DISTRICT.exterior, *DISTRICT.interiors, ISLAND.exterior)]
    )

    command = ["export", str(cache), "--area", str(area), "--clip"]
    assert main([*command, str(tmp_path / "out.tpkx")]) == 0
    assert main([*command, str(tmp_path / "red.tpkx"), "--clip-color", "255,0,0"]) == 0

    clear, inside = drawn_by_gdal(tmp_path / "out.tpkx")
    np.testing.assert_array_equal(clear[3] > 0, inside)
    red, _ = drawn_by_gdal(tmp_path / "red.tpkx")
    outside = ~inside & red.any(axis=0)  # missing tiles are black
    assert np.median(red[0, outside]) >= 250
    assert np.median(red[1:3, outside]) <= 5
    with zipfile.ZipFile(tmp_path / "out.tpkx") as package:
        assert b'"format":"MIXED"' in package.read("root.json")
