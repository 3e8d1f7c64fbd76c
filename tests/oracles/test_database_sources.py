"""MBTiles and GeoPackages by GDAL and MapProxy, and by us in any grid, are read as these programs read them."""

from io import BytesIO

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from mapproxy.cache.geopackage import GeopackageCache
from mapproxy.cache.mbtiles import MBTilesCache
from mapproxy.cache.tile import Tile
from mapproxy.grid.tile_grid import tile_grid
from mapproxy.image import ImageResult
from mapproxy.image.opts import ImageOptions
from PIL import Image
from rasterio.transform import from_origin

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.main import main
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.fakes import memory
from tests.oracles.build_package import a_tile
from tests.oracles.exports import decoded
from tests.oracles.test_databases import GRIDS, a_geopackage
from tests.oracles.test_grids import INSET_PIXELS
from tests.unit.usecases.test_database_sources import read

MERCATOR = 20037508.342789244
SHIFTED = 16
"""Difference of neighboring pixels in an overview or JPEG of the map; that of neighboring tiles is much larger."""


def service_of(path):
    return InspectCache(memory(), read_cache, WEB_MERCATOR_256)("World", f"file://{path}").service


@pytest.mark.parametrize("scheme", GRIDS.values(), ids=GRIDS)
def test_every_tile_of_a_geopackage_is_read_at_its_place_in_any_grid(tmp_path, scheme):
    first = scheme.lods[0].level
    below = [scheme.tile_range(scheme.tile_extent(first, 0, 0), level) for level in range(first, first + 4)]
    tiles = {
        place: a_tile(place, size=scheme.tile_size)
        for place in [(each.level, each.row_stop - 1, each.column_stop - 1) for each in below]
    }

    service = service_of(a_geopackage(tmp_path / "World.gpkg", tiles, scheme))

    assert read(service) == tiles
    found = service.tiling_scheme
    assert found.spatial_reference.is_same_as(scheme.spatial_reference)
    for place in tiles:
        np.testing.assert_allclose(
            found.tile_extent(*place).sides, scheme.tile_extent(*place).sides, atol=scheme.lod(place[0]).resolution / 50
        )


def a_raster(path, crs="EPSG:32632", left=500_000, top=5_200_000):
    y, x = np.mgrid[:700, :900]
    pixels = np.stack([x * 255 // 899, y * 255 // 699, (x + y) * 255 // 1598]).astype(np.uint8)
    grid = from_origin(left, top, 10, 10)
    with rasterio.open(path, "w", "GTiff", 900, 700, 3, crs, grid, "uint8") as dataset:
        dataset.write(pixels)
    return path


BY_GDAL = {
    "GeoPackage in UTM": (".gpkg", {"driver": "GPKG", "TILE_FORMAT": "PNG"}),
    "GeoPackage in UTM, 512 pixels": (".gpkg", {"driver": "GPKG", "TILE_FORMAT": "PNG", "BLOCKSIZE": "512"}),
    "GeoPackage in Web Mercator": (
        ".gpkg",
        {"driver": "GPKG", "TILE_FORMAT": "PNG", "TILING_SCHEME": "GoogleMapsCompatible"},
    ),
    "MBTiles": (".mbtiles", {"driver": "MBTILES", "TILE_FORMAT": "PNG"}),
    "MBTiles of JPEG": (".mbtiles", {"driver": "MBTILES", "TILE_FORMAT": "JPEG"}),
}


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio does not yet
@pytest.mark.parametrize(("suffix", "options"), BY_GDAL.values(), ids=BY_GDAL)
def test_gdal_draws_the_tiles_where_they_are_read_in_its_own_file_and_in_ours(tmp_path, suffix, options):
    raster, source, out = a_raster(tmp_path / "map.tif"), tmp_path / f"map{suffix}", tmp_path / f"out{suffix}"
    rasterio.shutil.copy(raster, source, **options)
    with rasterio.open(source, "r+") as dataset:
        dataset.build_overviews([2, 4])

    assert main(["export", str(source), str(out)]) == 0
    service = service_of(source)
    tiles = read(service)

    assert len({level for level, _, _ in tiles}) == 3
    assert read(service_of(out)) == tiles
    for path in (source, out):
        assert differences(path, service, tiles) == []


def differences(path, service, tiles):
    """Return the places in tiles at which GDAL shows another color, up to a shift of its overviews by a pixel."""
    scheme, wrong = service.tiling_scheme, []
    last = scheme.tile_size - 1 - INSET_PIXELS
    with rasterio.open(path) as dataset:
        overview_count = len(dataset.overviews(1))
    for place, tile in tiles.items():
        finer, picture = service.max_level - place[0], decoded(tile).astype(int)
        if finer > overview_count:
            continue  # GDAL has no overview of less than a tile
        box, step = scheme.tile_extent(*place), scheme.lod(place[0]).resolution
        with rasterio.open(path, **({"overview_level": finer - 1} if finer else {})) as dataset:
            for row, column in ((INSET_PIXELS, INSET_PIXELS), (INSET_PIXELS, last), (last, INSET_PIXELS), (last, last)):
                x, y = box.xmin + (column + 0.5) * step, box.ymax - (row + 0.5) * step
                left, bottom, right, top = dataset.bounds
                if picture[3, row, column] and left < x < right and bottom < y < top:
                    (found,) = dataset.sample([(x, y)], indexes=[1, 2, 3])
                    most = SHIFTED if finer or tile.startswith(b"\xff\xd8") else 0  # decoders of JPEG differ, too
                    if np.abs(found - picture[:3, row, column]).max() > most:
                        wrong.append((place, row, column))
    return wrong


def mapproxy_tile(place):
    level, row, column = place
    picture = Image.new("RGB", (256, 256), (20 * level, 30 * row, 30 * column))
    return ImageResult(picture, image_opts=ImageOptions(format="image/png"))


@pytest.mark.filterwarnings("ignore:calling un-configured base_config")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its lock files open
@pytest.mark.parametrize("kind", ["mbtiles", "gpkg"])
def test_what_mapproxy_wrote_is_read_as_mapproxy_reads_it(tmp_path, kind):
    path = tmp_path / f"cache.{kind}"
    sides = [-MERCATOR, -MERCATOR, MERCATOR, MERCATOR]
    grid = tile_grid(srs="EPSG:3857", origin="ul", bbox=sides)
    cache = MBTilesCache(str(path)) if kind == "mbtiles" else GeopackageCache(str(path), grid, "tiles")
    places = [(2, 1, 1), (2, 1, 2), (3, 2, 2), (3, 5, 3)]

    def at(place):
        level, row, column = place
        return column, (2**level - 1 - row if kind == "mbtiles" else row), level

    for place in places:
        cache.store_tile(Tile(at(place), mapproxy_tile(place)))
    stored = {}
    for place in places:
        tile = Tile(at(place))
        assert cache.load_tile(tile)
        stored[place] = tile.image_result_buffer().read()
    cache.cleanup()

    found = read(service_of(path))

    assert found == stored
    for (level, row, column), tile in found.items():
        assert Image.open(BytesIO(tile)).convert("RGB").getpixel((9, 9)) == (20 * level, 30 * row, 30 * column)
