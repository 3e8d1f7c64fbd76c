"""Independent readers find every tile of MBTiles and GeoPackages: GDAL by pixels, MapProxy by bytes."""

import sqlite3
from contextlib import closing
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapproxy.cache.geopackage import GeopackageCache
from mapproxy.cache.mbtiles import MBTilesCache
from mapproxy.cache.tile import Tile
from mapproxy.grid.tile_grid import tile_grid
from PIL import Image

from exporttiles.domain.errors import PackageError
from exporttiles.domain.service import TileFormat
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from exporttiles.formats.packages.geopackage import TileMatrixSet, write_geopackage
from exporttiles.formats.packages.mbtiles import write_mbtiles
from exporttiles.formats.packages.web_mercator import metadata
from tests.oracles.build_package import a_service, a_tile, extent_of
from tests.oracles.test_grids import a_scheme, is_shown

GB = 10**9
PLACES = [(7, 63, 64), (8, 126, 127), (8, 127, 127), (8, 127, 128), (8, 128, 127), (8, 128, 128), (9, 254, 257)]
LAMBERT = (-35_597_500, 48_953_100)
GRIDS = {
    "Web Mercator": WEB_MERCATOR_256,
    "degrees, 512 pixels": WGS84_512,
    "national, powers of two": a_scheme(2154, LAMBERT, [66.1459656252646 * 2.0**-n for n in range(8)]),
    "national, scales in steps of 2 and 2.5": a_scheme(
        2056, (2_420_000, 1_350_000), [500, 250, 100, 50, 20, 10, 5, 2.5]
    ),
    "no common box": a_scheme(2056, (2_420_000, 1_350_000), [4000, 3333.333, 2750.123, 1000]),
    "feet, from level 3": a_scheme(2263, (0, 1_000_000), [8.0 * 2.0**-n for n in range(6)], first_level=3),
}


def rows(tiles):
    return ((*place, tile) for place, tile in tiles.items())


def an_mbtiles(path, tiles, service=None, most=GB):
    service = service or a_service()
    levels = sorted({level for level, _, _ in tiles})
    write_mbtiles(path, rows(tiles), metadata(service, levels, extent_of(WEB_MERCATOR_256, tiles)), max_bytes=most)
    return path


def a_geopackage(path, tiles, scheme=WEB_MERCATOR_256, most=GB, **service):
    levels = sorted({level for level, _, _ in tiles})
    service = a_service(scheme=scheme, **service)
    write_geopackage(path, rows(tiles), service, levels, extent_of(scheme, tiles), max_bytes=most)
    return path


def is_intact(path):
    with closing(sqlite3.connect(path)) as database:
        return (
            database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            and not database.execute("PRAGMA foreign_key_check").fetchall()
        )


def from_mapproxy(cache, tiles, flip):
    found = {}
    for level, row, column in tiles:
        tile = Tile((column, 2**level - 1 - row if flip else row, level))
        if cache.load_tile(tile):
            found[level, row, column] = tile.image_result_buffer().read()
    return found


def test_gdal_draws_every_tile_of_mbtiles_at_its_place(tmp_path):
    tiles = {place: a_tile(place) for place in PLACES}

    path = an_mbtiles(tmp_path / "World.mbtiles", tiles)

    assert is_intact(path)
    assert is_shown(path, WEB_MERCATOR_256, tiles)


def a_webp(place):
    body = BytesIO()
    Image.open(BytesIO(a_tile(place))).save(body, "WEBP", lossless=True)
    return body.getvalue()


def test_gdal_draws_every_webp_tile_at_its_place(tmp_path):
    tiles = {place: a_webp(place) for place in PLACES}

    mbtiles = an_mbtiles(tmp_path / "World.mbtiles", tiles, a_service(tile_format=TileFormat.WEBP))
    geopackage = a_geopackage(tmp_path / "World.gpkg", tiles, tile_format=TileFormat.WEBP)

    assert is_intact(mbtiles)
    assert is_shown(mbtiles, WEB_MERCATOR_256, tiles)
    assert is_intact(geopackage)
    assert is_shown(geopackage, WEB_MERCATOR_256, tiles)


def test_mapproxy_finds_every_tile_of_mbtiles_and_no_other(tmp_path):
    tiles = {place: a_tile(place) for place in PLACES}

    cache = MBTilesCache(str(an_mbtiles(tmp_path / "World.mbtiles", tiles)))

    around = {*tiles, (7, 64, 63), (8, 126, 128)}
    assert from_mapproxy(cache, around, flip=True) == tiles


def test_equal_tiles_of_mbtiles_are_stored_once(tmp_path):
    water = a_tile((0, 0, 0))
    tiles = {(8, row, column): water for row in range(16) for column in range(16)} | {(8, 20, 20): a_tile((8, 20, 20))}

    path = an_mbtiles(tmp_path / "World.mbtiles", tiles)

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM images").fetchone() == (2,)
        assert database.execute("SELECT count(*) FROM tiles").fetchone() == (257,)
        found = database.execute("SELECT zoom_level, tile_row, tile_column, tile_data FROM tiles").fetchall()
    assert {(level, 2**level - 1 - row, column): tile for level, row, column, tile in found} == tiles


def test_the_metadata_of_mbtiles_are_those_of_the_specification(tmp_path):
    path = an_mbtiles(tmp_path / "W.mbtiles", {(1, 0, 0): a_tile((1, 0, 0))}, a_service(copyright_text="© Us"))

    with closing(sqlite3.connect(path)) as database:
        found = dict(database.execute("SELECT name, value FROM metadata").fetchall())
    assert found == {
        "name": "World",
        "format": "png",
        "bounds": "-180.0000000,0.0000000,0.0000000,85.0511288",
        "center": "-90.0000000,42.5255644,1",
        "minzoom": "1",
        "maxzoom": "1",
        "attribution": "© Us",
        "type": "baselayer",
        "version": "1",
    }


@pytest.mark.parametrize("scheme", GRIDS.values(), ids=GRIDS)
def test_gdal_draws_every_tile_of_a_geopackage_at_its_place_in_any_grid(tmp_path, scheme):
    first = scheme.lods[0].level
    below = [scheme.tile_range(scheme.tile_extent(first, 0, 0), level) for level in range(first, first + 4)]
    places = [(each.level, each.row_stop - 1, each.column_stop - 1) for each in below]
    tiles = {place: a_tile(place, size=scheme.tile_size) for place in places}

    path = a_geopackage(tmp_path / "World.gpkg", tiles, scheme)

    assert is_intact(path)
    assert is_shown(path, scheme, tiles)


@pytest.mark.filterwarnings("ignore:calling un-configured base_config")
def test_mapproxy_finds_every_tile_of_a_geopackage(tmp_path):
    tiles = {place: a_tile(place) for place in PLACES}
    path = a_geopackage(tmp_path / "World.gpkg", tiles)

    grid = tile_grid(
        srs="EPSG:3857", origin="ul", bbox=[-20037508.342787, -20037508.342787, 20037508.342787, 20037508.342787]
    )
    cache = GeopackageCache(str(path), grid, "tiles")

    assert from_mapproxy(cache, tiles, flip=False) == tiles


def test_jpeg_and_transparent_png_are_drawn_from_one_file(tmp_path):
    tiles = {
        (8, 126, 127): a_tile((8, 126, 127)),
        (8, 126, 126): a_tile((8, 126, 126), image_format="JPEG", mode="RGB"),
    }
    for path in (
        an_mbtiles(tmp_path / "World.mbtiles", tiles, a_service(tile_format=TileFormat.MIXED)),
        a_geopackage(tmp_path / "World.gpkg", tiles),
    ):
        assert is_shown(path, WEB_MERCATOR_256, tiles), path


@pytest.mark.parametrize("write", [an_mbtiles, a_geopackage])
def test_equal_tiles_make_equal_files(tmp_path, write):
    tiles = {place: a_tile(place) for place in PLACES}

    one, other = write(tmp_path / "one.db", tiles), write(tmp_path / "other.db", tiles)

    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("write", [an_mbtiles, a_geopackage])
def test_a_file_beyond_the_limit_is_refused_with_pmtiles_as_the_way_out(tmp_path, write):
    tiles = {(6, row, column): bytes([row]) * 5000 + bytes([column]) for row in range(8) for column in range(8)}

    with pytest.raises(PackageError, match=r"larger than 0.0002 GB.* as PMTiles"):
        write(tmp_path / "World.mbtiles", tiles, most=200_000)


@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512])
@given(data=st.data())
def test_tiles_of_every_level_fill_the_box_of_a_geopackage(scheme, data):
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, scheme.lods[-1].level)] * 2)))
    row, column = data.draw(st.tuples(*[st.integers(0, 2**high - 1)] * 2))
    grid = TileMatrixSet.of(scheme, [low, high], scheme.tile_extent(high, row // 2, column))

    for level in grid.levels:
        columns, rows = grid.matrix(level)
        span = scheme.tile_span(level)
        assert grid.is_exact
        assert (columns * span, rows * span) == pytest.approx((grid.width, grid.height), rel=1e-6, abs=0.06 * span)
        assert (columns, rows) == (round(grid.width / span), round(grid.height / span))


def test_a_grid_without_a_common_box_is_known_as_inexact():
    scheme = a_scheme(2056, (2_420_000, 1_350_000), [4000.0, 3333.333, 2750.123])
    extent = scheme.tile_extent(0, 0, 0)

    assert not TileMatrixSet.of(scheme, [0, 2], extent).is_exact
    assert TileMatrixSet.of(WEB_MERCATOR_256, [0, 5], WEB_MERCATOR_256.tile_extent(5, 9, 9)).is_exact
