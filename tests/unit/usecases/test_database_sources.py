"""MBTiles and GeoPackages as sources: what the tables hold decides, and hostile files are refused by name."""

import os
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.main import main
from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.domain.job import MessageKind
from exporttiles.domain.service import CacheLayout, TileCache, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from exporttiles.usecases.inspection.readings import XYZ
from tests.builders import a_tile
from tests.fakes import memory
from tests.oracles.exports import by_sqlite
from tests.unit.usecases.test_export import tiles_of

PLACES = [(2, 1, 1), (2, 1, 2), (2, 2, 1), (3, 2, 2), (3, 5, 3)]
TILES = {place: a_tile(*place) for place in PLACES}
ALL = np.ones((PACKET_SIZE, PACKET_SIZE), np.bool_)
MERCATOR = 20037508.342789244


def fill(path, *statements, tiles=(), table="tiles"):
    """Run statements, and store tiles with rows as the table counts them."""
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        if tiles:
            rows = [(zoom, column, row, data) for (zoom, row, column), data in tiles.items()]
            columns = "zoom_level, tile_column, tile_row, tile_data"
            database.executemany(f"INSERT INTO {table} ({columns}) VALUES (?, ?, ?, ?)", rows)
        database.commit()
    return path


COLUMNS = "zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB"


def mbtiles(folder, tiles=TILES, *, from_bottom=True, **metadata):
    path = fill(
        folder / "World.mbtiles",
        "CREATE TABLE metadata (name TEXT, value TEXT)",
        *(f"INSERT INTO metadata VALUES ('{name}', '{value}')" for name, value in metadata.items()),
        f"CREATE TABLE tiles ({COLUMNS})",
    )
    flipped = {(zoom, 2**zoom - 1 - row, column): data for (zoom, row, column), data in tiles.items()}
    return fill(path, tiles=flipped if from_bottom else tiles)


def geopackage(folder, tiles=TILES, tables=("tiles",), changes=(), zooms=(0, 1, 2, 3)):
    path = fill(
        folder / "World.gpkg",
        "CREATE TABLE gpkg_spatial_ref_sys (srs_name, srs_id, organization, organization_coordsys_id, definition)",
        "INSERT INTO gpkg_spatial_ref_sys VALUES ('mercator', 3857, 'EPSG', 3857, 'undefined')",
        "CREATE TABLE gpkg_contents (table_name, data_type, min_x, min_y, max_x, max_y, srs_id)",
        "CREATE TABLE gpkg_tile_matrix_set (table_name, srs_id, min_x, min_y, max_x, max_y)",
        "CREATE TABLE gpkg_tile_matrix (table_name, zoom_level, matrix_width, matrix_height, tile_width, tile_height, "
        "pixel_x_size, pixel_y_size)",
    )
    for table in tables:
        box = f"{-MERCATOR}, {-MERCATOR}, {MERCATOR}, {MERCATOR}"
        matrices = [
            f"INSERT INTO gpkg_tile_matrix VALUES ('{table}', {zoom}, {2**zoom}, {2**zoom}, 256, 256, "
            f"{2 * MERCATOR / 256 / 2**zoom!r}, {2 * MERCATOR / 256 / 2**zoom!r})"
            for zoom in zooms
        ]
        fill(
            path,
            f"INSERT INTO gpkg_contents VALUES ('{table}', 'tiles', {box}, 3857)",
            f"INSERT INTO gpkg_tile_matrix_set VALUES ('{table}', 3857, {box})",
            *matrices,
            f'CREATE TABLE "{table}" ({COLUMNS})',
            tiles=tiles,
            table=f'"{table}"',
        )
    return fill(path, *changes)


def inspect(path, **options):
    return InspectCache(memory(), read_cache, WEB_MERCATOR_256, **options)("World", f"file://{path}")


def warnings(found):
    return [message.text for message in found.messages if message.kind is MessageKind.WARNING]


def read(service):
    """Return level, row, column -> tile of all bundles."""
    source, found = read_cache(memory(), service.cache), {}
    for level in range(service.min_level, service.max_level + 1):
        world = TileRange(level, 0, 2**level, 0, 2**level)
        for bundle in source.find_bundles(world, world.count, 10) or ():
            found |= {(level, *place): bytes(tile) for place, tile in source.read_bundle(bundle, ALL)}
    return found


@pytest.mark.parametrize("make", [mbtiles, geopackage])
def test_every_tile_is_read_at_its_place(tmp_path, make):
    found = inspect(make(tmp_path))

    assert read(found.service) == TILES
    assert (found.service.min_level, found.service.max_level) == (2, 3)
    assert found.service.tiling_scheme == WEB_MERCATOR_256
    assert found.service.tile_format is TileFormat.JPEG
    assert found.service.cache.layout is CacheLayout.DATABASE
    assert warnings(found) == []


@pytest.mark.parametrize("make", [mbtiles, geopackage])
@pytest.mark.parametrize("suffix", [".tpkx", ".mbtiles", ".gpkg", ".pmtiles", ".zip"])
def test_the_command_makes_every_output_of_them_and_leaves_them_as_they_are(tmp_path, make, suffix, capsys):
    (tmp_path / "in").mkdir()
    source, out = make(tmp_path / "in"), tmp_path / f"out{suffix}"
    before = source.read_bytes()

    assert main(["export", str(source), str(out)]) == 0, capsys.readouterr().err

    assert main(["check", str(out)]) == 0
    if suffix == ".tpkx":
        assert tiles_of(out.read_bytes()) == TILES
    if suffix in {".mbtiles", ".gpkg"}:
        assert by_sqlite(out, rows_from_bottom=suffix == ".mbtiles") == TILES
    assert source.read_bytes() == before
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_some_tiles_of_a_bundle_are_read_without_the_others(tmp_path):
    service = inspect(mbtiles(tmp_path)).service
    source, selected = read_cache(memory(), service.cache), np.zeros_like(ALL)
    selected[1, 2] = selected[2, 1] = selected[0, 0] = True
    bundle = BundleIndex(2, 0, 0)

    assert dict(source.read_bundle(bundle, selected)) == {(1, 2): TILES[2, 1, 2], (2, 1): TILES[2, 2, 1]}
    sizes = source.tile_sizes(bundle, selected)
    assert {place: int(sizes[place]) for place in zip(*sizes.nonzero(), strict=True)} == {
        (1, 2): len(TILES[2, 1, 2]),
        (2, 1): len(TILES[2, 2, 1]),
    }
    assert not list(source.read_bundle(BundleIndex(9, 128, 0), ALL))


def test_a_view_over_two_tables_is_read_as_mbutil_writes_it(tmp_path):
    path = mbtiles(tmp_path)
    fill(
        path,
        "CREATE TABLE images AS SELECT zoom_level || '/' || tile_column || '/' || tile_row AS tile_id, tile_data "
        "FROM tiles",
        "CREATE TABLE map AS SELECT zoom_level, tile_column, tile_row, "
        "zoom_level || '/' || tile_column || '/' || tile_row AS tile_id FROM tiles",
        "DROP TABLE tiles",
        "CREATE VIEW tiles AS SELECT map.zoom_level AS zoom_level, map.tile_column AS tile_column, "
        "map.tile_row AS tile_row, images.tile_data AS tile_data FROM map JOIN images ON images.tile_id = map.tile_id",
    )

    assert read(inspect(path).service) == TILES


# What the file says about itself


def test_the_attribution_of_mbtiles_is_the_copyright_notice_unless_the_user_gives_one(tmp_path, capsys):
    path, out = mbtiles(tmp_path, attribution="© Us", description="Roads"), tmp_path / "out.tpkx"

    assert inspect(path).service.copyright_text == "© Us"
    for options, words in (([], ("Roads", "© Us")), (["--copyright", "© Them"], ("Roads", "© Them"))):
        assert main(["export", str(path), str(out), "--force", *options]) == 0
        assert "Its attribution is the copyright notice, '© Us'. --copyright replaces it." in capsys.readouterr().out
        with zipfile.ZipFile(out) as archive:
            iteminfo = archive.read("iteminfo.json").decode()
        assert all(word in iteminfo for word in words)


def test_long_texts_of_metadata_are_cut(tmp_path):
    path = fill(mbtiles(tmp_path), "INSERT INTO metadata VALUES ('attribution', hex(zeroblob(1000000)))")

    assert len(inspect(path).service.copyright_text) == 10_000


def test_metadata_that_are_wrong_are_named_and_the_tiles_decide(tmp_path):
    path = mbtiles(tmp_path, format="png", minzoom="0", maxzoom="22", bounds="1,2,3")

    found = inspect(path)

    assert (found.service.min_level, found.service.max_level) == (2, 3)
    assert found.service.tile_format is TileFormat.JPEG
    assert warnings(found) == [
        "World.mbtiles: metadata: minzoom is '0'; the tiles begin or end with 2.",
        "World.mbtiles: metadata: maxzoom is '22'; the tiles begin or end with 3.",
        "World.mbtiles: metadata: The bounds '1,2,3' are no box in degrees, and are ignored.",
        "World.mbtiles: metadata: The format is 'png'; the tiles are JPEG.",
    ]


def test_bounds_that_leave_tiles_out_are_widened_with_a_warning(tmp_path):
    found = inspect(mbtiles(tmp_path, bounds="-90,10,-50,60"))

    assert any("lie outside of the extent" in text for text in warnings(found))
    for level, row, column in PLACES:
        range_of_all = found.service.tiling_scheme.tile_range(found.service.full_extent, level)
        assert range_of_all.row_start <= row < range_of_all.row_stop
        assert range_of_all.column_start <= column < range_of_all.column_stop


NORTH = {(3, row, column): a_tile(3, row, column) for row in (1, 2) for column in (1, 2)}
NORTH_BOUNDS = "-134.9,41.1,-45.1,79.1"


def test_rows_from_the_top_against_the_specification_are_refused_where_the_bounds_show_them(tmp_path):
    path = mbtiles(tmp_path, NORTH, from_bottom=False, bounds=NORTH_BOUNDS)

    with pytest.raises(DamagedCacheError, match=r"bounds .* rows count from the top; .*--rows-from-top"):
        inspect(path)
    assert read(inspect(path, order=replace(XYZ, is_from_bottom=False)).service) == NORTH
    upside_down = inspect(path, order=replace(XYZ, is_from_bottom=True)).service
    assert read(upside_down).keys() == {(3, 7 - row, column) for _, row, column in NORTH}


def test_several_layers_are_refused_until_one_is_chosen(tmp_path, capsys):
    path = geopackage(tmp_path, tables=("summer", "win ter"))

    with pytest.raises(DamagedCacheError, match=r"It has 2 layers of tiles: 'summer', 'win ter'\. Choose one"):
        inspect(path)
    with pytest.raises(
        DamagedCacheError, match=r"no layer of tiles 'spring' \(--layer\); there is 'summer', 'win ter'"
    ):
        inspect(path, layer="spring")
    assert read(inspect(path, layer="win ter").service) == TILES
    assert main(["export", str(path), str(tmp_path / "out.tpkx"), "--layer", "summer"]) == 0
    assert tiles_of((tmp_path / "out.tpkx").read_bytes()) == TILES
    capsys.readouterr()


def test_a_layer_of_another_source_is_a_warning(tmp_path, capsys):
    tile = tmp_path / "cache/2/1/1.jpg"
    tile.parent.mkdir(parents=True)
    tile.write_bytes(a_tile(2, 1, 1))

    assert main(["export", str(tmp_path / "cache"), str(tmp_path / "out.tpkx"), "--layer", "summer"]) == 0
    assert "Warning: --layer is not used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE gpkg_tile_matrix SET pixel_y_size = 2 * pixel_x_size", "Pixels of zoom level 0 are not square"),
        ("UPDATE gpkg_tile_matrix SET pixel_x_size = 9, pixel_y_size = 9", "Zoom level 1 is not finer than the one"),
        ("INSERT INTO gpkg_tile_matrix SELECT * FROM gpkg_tile_matrix", "Zoom level 0 is not finer than the one"),
        ("UPDATE gpkg_tile_matrix SET tile_height = 512", "Tiles of zoom level 0 are not square"),
        ("UPDATE gpkg_tile_matrix SET tile_height = 512, tile_width = 512 WHERE zoom_level = 1", "256 and 512 pixels"),
        ("UPDATE gpkg_tile_matrix SET pixel_x_size = 'x'", "a row that cannot be used"),
        ("UPDATE gpkg_tile_matrix SET pixel_x_size = 0, pixel_y_size = 0", "a row that cannot be used"),
        ("UPDATE gpkg_tile_matrix SET pixel_x_size = 9e999, pixel_y_size = 9e999", "a row that cannot be used"),
        ("UPDATE gpkg_tile_matrix SET matrix_height = 2 WHERE zoom_level = 3", "level 3 lie outside of its 8 columns"),
        ("DELETE FROM gpkg_tile_matrix WHERE zoom_level = 3", "gpkg_tile_matrix has no row for its tiles of zoom"),
        ("DELETE FROM gpkg_tile_matrix", "no pixels"),
        ("DELETE FROM gpkg_tile_matrix_set", "gpkg_tile_matrix_set must have one row"),
        ("UPDATE gpkg_tile_matrix_set SET min_x = NULL", "gpkg_tile_matrix_set must have one row for it, of numbers"),
        ("UPDATE gpkg_tile_matrix_set SET srs_id = 1", "has 0 rows for its srs_id 1"),
        ("UPDATE gpkg_spatial_ref_sys SET organization = 'NONE'", "Its spatial reference NONE 3857 .* is unknown"),
        ("UPDATE gpkg_spatial_ref_sys SET organization_coordsys_id = 29999", "Its spatial reference EPSG 29999 "),
        ("UPDATE gpkg_contents SET data_type = 'features'", "It holds no tiles, only features"),
        ("UPDATE gpkg_contents SET data_type = '2d-gridded-coverage'", "no tiles, only 2d-gridded-coverage"),
        ("DROP TABLE tiles", "The table 'tiles' is missing"),
        ("DROP TABLE gpkg_tile_matrix", "The table gpkg_tile_matrix is missing"),
        ("DELETE FROM tiles", "It holds no tiles"),
    ],
)
def test_a_geopackage_that_does_not_say_where_its_tiles_are_is_refused(tmp_path, change, why):
    path = geopackage(tmp_path, changes=[change])

    with pytest.raises(DamagedCacheError, match=f"^World.gpkg: .*{why}"):
        inspect(path)


def test_a_table_whose_name_is_stored_as_a_number_is_read_without_its_extent(tmp_path):
    path = geopackage(tmp_path, tables=("7",), changes=["UPDATE gpkg_contents SET table_name = 7"])

    assert read(inspect(path).service) == TILES


def test_contradictions_of_a_geopackage_are_named(tmp_path):
    wkt = WEB_MERCATOR_256.spatial_reference.crs.to_wkt("WKT1_GDAL").replace("'", "''")
    path = geopackage(
        tmp_path,
        changes=[
            f"UPDATE gpkg_spatial_ref_sys SET organization_coordsys_id = 3395, definition = '{wkt}'",
            "UPDATE gpkg_tile_matrix_set SET max_x = 1e8",
        ],
    )

    found = inspect(path)

    assert found.service.tiling_scheme.spatial_reference.wkid == 3395
    assert any("The spatial reference is EPSG:3395; its definition" in text for text in warnings(found))
    assert any("The tiles of zoom level 2 do not fill the box" in text for text in warnings(found))
    assert read(found.service) == TILES


# Tiles that are not pictures, and damage


@pytest.mark.parametrize(
    ("tile", "metadata", "why"),
    [
        (b"\x1f\x8b\x08\0\0\0\0\0", {"format": "pbf"}, r"vector tiles \(pbf\)"),
        (b"\x1f\x8b\x08\0\0\0\0\0", {"format": "png"}, "compressed with gzip, as vector tiles are"),
        (b"\x1a\x02", {"format": "pbf"}, r"vector tiles \(pbf\)"),
        (b"GIF89a", {}, "no images that are known"),
    ],
)
def test_tiles_that_are_not_pictures_are_refused_by_name(tmp_path, tile, metadata, why):
    path = mbtiles(tmp_path, dict.fromkeys(PLACES, tile), **metadata)

    with pytest.raises(DamagedCacheError, match=why):
        inspect(path)


@pytest.mark.parametrize("value", ["NULL", "x''", "'text'", "7", "zeroblob(20000000)"])
def test_a_tile_that_is_no_image_is_left_out_and_named(tmp_path, value, capsys):
    path = fill(mbtiles(tmp_path), f"UPDATE tiles SET tile_data = {value} WHERE zoom_level = 3 AND tile_column = 2")

    assert main(["export", str(path), str(tmp_path / "out.tpkx")]) == 0

    assert tiles_of((tmp_path / "out.tpkx").read_bytes()) == {
        place: tile for place, tile in TILES.items() if place != (3, 2, 2)
    }
    assert "left out: 1 (level 3, row 2, column 2: empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("INSERT INTO tiles SELECT * FROM tiles WHERE zoom_level = 3", "level 3, row 2 .* is there twice"),
        ("INSERT INTO tiles VALUES (3, 8, 0, x'00')", "level 3 lie outside of the world"),
        ("INSERT INTO tiles VALUES (3, 0, -1, x'00')", "level 3 lie outside of the world"),
        ("INSERT INTO tiles VALUES (31, 0, 0, x'00')", "level 31 lie outside of the world"),
        ("INSERT INTO tiles VALUES (3, 'x', 0, x'00')", "is no whole number"),
        ("INSERT INTO tiles VALUES (3, 1.5, 0, x'00')", "is no whole number"),
        ("INSERT INTO tiles VALUES (NULL, 0, 0, x'00')", "is no whole number"),
        ("INSERT INTO tiles VALUES (-1, 0, 0, x'00')", "is no whole number"),
        ("INSERT INTO tiles VALUES (9223372036854775807, 0, 0, x'00')", "lie outside of the world"),
        ("DELETE FROM tiles", "It holds no tiles"),
        ("DROP TABLE metadata", "neither the tables of MBTiles nor those of a GeoPackage"),
        ("ALTER TABLE tiles RENAME COLUMN tile_data TO data", "It cannot be read: no such column"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(tmp_path, statement, why):
    path = fill(mbtiles(tmp_path), statement)

    with pytest.raises(DamagedCacheError, match=f"World.mbtiles: .*{why}"):
        inspect(path)


RECURSIVE = (
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) "
    "SELECT 0 AS zoom_level, i AS tile_column, 0 AS tile_row, x'00' AS tile_data FROM n"
)
ROWS = "SELECT 0 AS zoom_level, 0 AS tile_column, 0 AS tile_row"


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (f"{ROWS}, load_extension('x') AS tile_data", "unsafe use of load_extension"),
        (f"{ROWS}, randomblob(1000000000) AS tile_data", "a function that is not allowed"),
        (f"{ROWS}, readfile('/etc/passwd') AS tile_data", "It cannot be read: no such function|not allowed"),
        (RECURSIVE, "recurses"),
        (
            "SELECT 8 AS zoom_level, b.x AS tile_column, c.x AS tile_row, x'00' AS tile_data FROM b, b AS c",
            "claims more",
        ),
        (f"{ROWS}, (SELECT count(*) FROM b, b AS c, b AS d, b AS e, b AS f) AS tile_data FROM b", "far more steps"),
    ],
)
def test_views_that_do_more_than_read_are_refused(tmp_path, view, why, monkeypatch):
    monkeypatch.setattr("exporttiles.formats.archives.untrusted_database.STEPS", 10**7)
    path = fill(mbtiles(tmp_path), "DROP TABLE tiles", "CREATE TABLE b (x)", f"CREATE VIEW tiles AS {view}")
    with closing(sqlite3.connect(path)) as database:
        database.executemany("INSERT INTO b VALUES (?)", [(number,) for number in range(200)])
        database.commit()

    with pytest.raises(DamagedCacheError, match=why):
        read(inspect(path).service)


@pytest.mark.parametrize(("suffix", "word"), [("-wal", "World.mbtiles-wal"), ("-journal", "World.mbtiles-journal")])
def test_changes_that_are_not_in_the_file_yet_are_not_passed_over(tmp_path, suffix, word):
    path = mbtiles(tmp_path)
    path.with_name(path.name + suffix).write_bytes(b"anything")

    with pytest.raises(DamagedCacheError, match=f"{word} holds changes that are not in the file yet"):
        inspect(path)


def test_a_file_that_is_changed_while_it_is_read_is_an_error(tmp_path):
    path = mbtiles(tmp_path)
    source = read_cache(memory(), inspect(path).service.cache)

    fill(path, "UPDATE tiles SET tile_data = x'00'")
    os.utime(path, ns=(1, 1))

    with pytest.raises(SourceError, match=r"World\.mbtiles was changed while it was read"):
        list(source.read_bundle(BundleIndex(2, 0, 0), ALL))


def test_tiles_are_as_old_as_the_file(tmp_path):
    path = mbtiles(tmp_path)
    written = datetime(2026, 5, 1, tzinfo=UTC)
    os.utime(path, (written.timestamp(), written.timestamp()))
    source, bundle = read_cache(memory(), inspect(path).service.cache), BundleIndex(2, 0, 0)

    assert not source.unmodified_since(bundle, ALL, written).any()
    assert source.unmodified_since(bundle, ALL, written + timedelta(seconds=1)).sum() == 3


@pytest.mark.parametrize("body", [b"", b"SQLite format 3\0", b"II*\0" + bytes(2000), b"<html>" * 400])
@pytest.mark.parametrize("name", ["World.mbtiles", "World.gpkg"])
def test_what_is_no_database_is_refused_and_never_stands_for_the_folder_around_it(tmp_path, name, body, capsys):
    (tmp_path / "2/1").mkdir(parents=True)
    (tmp_path / "2/1/1.jpg").write_bytes(a_tile(2, 1, 1))
    (tmp_path / name).write_bytes(body)

    assert main(["export", str(tmp_path / name), str(tmp_path / "out.tpkx")]) == 1

    assert f"{name}: It " in capsys.readouterr().err
    assert not (tmp_path / "out.tpkx").exists()


def test_a_database_in_a_store_is_read_from_a_disk_alone(tmp_path):
    with pytest.raises(SourceError, match="read from a folder of this machine only"):
        read_cache(memory(), TileCache("s3://bucket/World.mbtiles", CacheLayout.DATABASE, "tiles", 1))
    with pytest.raises(SourceError, match=r"World\.mbtiles: No such file"):
        read_cache(memory(), TileCache(f"file://{tmp_path}/World.mbtiles", CacheLayout.DATABASE, "tiles", 1))


def test_the_path_may_hold_any_character(tmp_path):
    folder = tmp_path / "a #?%41 b"
    folder.mkdir()

    assert read(inspect(mbtiles(folder)).service) == TILES
    assert main(["export", str(folder / "World.mbtiles"), str(folder / "out.tpkx")]) == 0
    assert main(["export", (folder / "World.mbtiles").as_uri(), str(folder / "out2.tpkx")]) == 0
    assert Path(folder, "out.tpkx").exists()
