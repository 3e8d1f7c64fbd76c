"""Checking PMTiles, MBTiles and GeoPackages: sound files have no findings, each fault has one."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from exporttiles.cli.main import main
from exporttiles.domain.service import TileFormat
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.database_check import check_database
from exporttiles.formats.checks.pmtiles_check import check_pmtiles
from exporttiles.formats.packages.geopackage import write_geopackage
from exporttiles.formats.packages.mbtiles import write_mbtiles
from exporttiles.formats.packages.web_mercator import metadata
from tests.builders import a_tile
from tests.builders_rest import a_service
from tests.caches import put_pmtiles
from tests.fakes import memory
from tests.unit.formats.test_pmtiles_writer import EXTENT, archive_of

ALL = Scope()
TILES = {(level, row, column): a_tile(level, row, column) for level in (2, 3) for row in (1, 2) for column in (1, 2)}


def check_bytes(archive, scope=ALL):
    report = check_pmtiles(RangedFile.of(BytesIO(archive)), "", scope)
    return [finding.text for finding in report.findings], dict(report.tile_counts)


def check_file(path, scope=ALL):
    report = check_database(path, scope)
    return [finding.text for finding in report.findings], dict(report.tile_counts)


@pytest.fixture
def mbtiles(tmp_path):
    path = tmp_path / "World.mbtiles"
    rows = ((*place, tile) for place, tile in TILES.items())
    write_mbtiles(path, rows, metadata(a_service(), [2, 3], EXTENT) | {"format": "jpg"}, max_bytes=10**9)
    return path


@pytest.fixture
def geopackage(tmp_path):
    path = tmp_path / "World.gpkg"
    write_geopackage(
        path, ((*place, tile) for place, tile in TILES.items()), a_service(), [2, 3], EXTENT, max_bytes=10**9
    )
    return path


def change(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_a_sound_archive_has_no_findings_and_its_tiles_are_counted():
    assert check_bytes(archive_of(TILES)) == ([], {2: 4, 3: 4})


def test_an_archive_by_the_library_is_sound_but_for_what_its_header_leaves_open():
    objects = memory()
    put_pmtiles(objects, TILES)

    found, counts = check_bytes(objects.read("World.pmtiles"))

    assert counts == {2: 4, 3: 4}
    assert found == [
        "The centre's zoom 0 is not among the zooms 2-3.",
        "Its header says that tiles are of the type unknown.",
    ]


def put(archive, offset, value, size=8):
    return archive[:offset] + value.to_bytes(size, "little") + archive[offset + size :]


@pytest.mark.parametrize(
    ("offset", "value", "size", "text"),
    [
        (72, 9, 8, "Its header counts 9 addressed tiles; it has 8."),
        (80, 9, 8, "Its header counts 9 tile entries; it has 8."),
        (88, 9, 8, "Its header counts 9 tile contents; it has 8."),
        (98, 2, 1, "Its header says that tiles are compressed with gzip."),
        (100, 1, 1, "Its min zoom is 1; tiles are there for 2."),
        (101, 4, 1, "Its max zoom is 4; tiles are there for 3."),
        (110, 2**32 - 1_800_000_000, 4, "have no area"),
        (24, 1, 8, "It is not JSON."),
        (8, 128, 8, "A directory cannot be unpacked"),
        (56, 2**50, 8, "reach to byte"),
        (7, 2, 1, "version 2"),
    ],
)
def test_a_fault_in_the_header_is_found(offset, value, size, text):
    found, _ = check_bytes(put(archive_of(TILES), offset, value, size))

    assert any(text in finding for finding in found), found


def test_a_tile_that_is_no_picture_is_found_by_its_place():
    tiles = TILES | {(3, 2, 2): b"<html>not here</html>"}

    found, _ = check_bytes(archive_of(tiles))

    assert "Level 3, row 2, column 2: the tile is UNKNOWN, which viewers do not show." in found


def test_tiles_are_not_looked_at_for_the_structure_alone():
    tiles = TILES | {(3, 2, 2): b"<html>not here</html>"}

    assert check_bytes(archive_of(tiles), Scope(contents=(), tiles=False)) == ([], {2: 4, 3: 4})


def test_a_file_of_another_kind_is_named():
    assert check_bytes(b"PK\3\4" + bytes(200))[0] == ["It is a zip archive, not a PMTiles archive."]
    assert check_bytes(b"")[0] == ["It is not a PMTiles archive."]


def test_sound_databases_have_no_findings(mbtiles, geopackage):
    assert check_file(mbtiles) == ([], {2: 4, 3: 4})
    assert check_file(geopackage) == ([], {2: 4, 3: 4})


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DELETE FROM metadata WHERE name = 'format'", "It has no row 'format', which is required."),
        ("UPDATE metadata SET value = 'pbf' WHERE name = 'format'", "The format is 'pbf'"),
        ("UPDATE metadata SET value = '5,5,1,1' WHERE name = 'bounds'", "are no box"),
        ("UPDATE metadata SET value = '9' WHERE name = 'maxzoom'", "maxzoom is '9'; tiles are there for 3."),
        ("UPDATE map SET tile_column = 99 WHERE tile_id = 1", "lie outside of its 4 columns and 4 rows"),
        ("UPDATE map SET zoom_level = 99 WHERE tile_id = 1", "There is no place for 1 tile of zoom 99."),
        ("UPDATE map SET tile_row = 'x' WHERE tile_id = 1", "is not a whole number"),
        ("UPDATE images SET tile_data = x'00' WHERE tile_id = 1", "the tile is UNKNOWN; expected is jpeg."),
        ("UPDATE images SET tile_data = NULL WHERE tile_id = 1", "the tile is UNKNOWN; expected is jpeg."),
        ("DELETE FROM images", "It holds no tiles."),
        ("DROP VIEW tiles", "neither the tables of MBTiles nor of a GeoPackage"),
    ],
)
def test_a_fault_of_mbtiles_is_found(mbtiles, statement, text):
    change(mbtiles, statement)

    found, _ = check_file(mbtiles)

    assert any(text in finding for finding in found), found


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("PRAGMA application_id = 1", "not that of a GeoPackage"),
        ("DROP TABLE gpkg_tile_matrix", "The table is missing."),
        ("DELETE FROM gpkg_tile_matrix_set", "It has 0 rows in gpkg_tile_matrix_set instead of 1."),
        ("UPDATE gpkg_contents SET srs_id = 7", "Its spatial reference 7 is not among gpkg_spatial_ref_sys."),
        ("UPDATE gpkg_tile_matrix SET pixel_x_size = 1 WHERE zoom_level = 3", "zoom level 3 do not fill the box"),
        ("UPDATE gpkg_tile_matrix SET pixel_x_size = 'x'", "values that are not numbers"),
        ("DELETE FROM gpkg_tile_matrix WHERE zoom_level = 3", "There is no place for 4 tiles of zoom 3."),
        ("UPDATE gpkg_tile_matrix SET tile_width = 512, pixel_x_size = pixel_x_size / 2", "instead of 512 x 256"),
        ("UPDATE tiles SET tile_row = -1 WHERE id = 1", "lie outside"),
        ("DELETE FROM tiles", "It holds no tiles."),
    ],
)
def test_a_fault_of_a_geopackage_is_found(geopackage, statement, text):
    change(geopackage, statement)

    found, _ = check_file(geopackage)

    assert any(text in finding for finding in found), found


def webp(**options):
    body = BytesIO()
    Image.effect_noise((256, 256), 60).convert("RGB").save(body, "WEBP", **options)
    return body.getvalue()


WEBP = replace(a_service(), tile_format=TileFormat.WEBP, compression_quality=0)
WEBP_TILES = {place: webp(quality=40 + number) for number, place in enumerate(TILES)}
CUT_SHORT = "the tile is WEBP, cut short or with a damaged header."
CUT = WEBP_TILES | {(3, 2, 2): webp()[:-1]}


def webp_mbtiles(path, tiles):
    write_mbtiles(
        path, ((*place, tile) for place, tile in tiles.items()), metadata(WEBP, [2, 3], EXTENT), max_bytes=10**9
    )
    return path


def webp_geopackage(path, tiles):
    rows = ((*place, tile) for place, tile in tiles.items())
    write_geopackage(path, rows, WEBP, [2, 3], EXTENT, max_bytes=10**9)
    return path


def test_sound_files_of_webp_have_no_findings(tmp_path):
    assert check_bytes(archive_of(WEBP_TILES, service=WEBP)) == ([], {2: 4, 3: 4})
    assert check_file(webp_mbtiles(tmp_path / "a.mbtiles", WEBP_TILES)) == ([], {2: 4, 3: 4})
    assert check_file(webp_geopackage(tmp_path / "a.gpkg", WEBP_TILES)) == ([], {2: 4, 3: 4})


def test_a_webp_tile_that_is_cut_is_found_by_its_place(tmp_path):
    assert check_bytes(archive_of(CUT, service=WEBP))[0] == [f"Level 3, row 2, column 2: {CUT_SHORT}"]
    place = "Zoom level 3, column 2, row"
    assert check_file(webp_mbtiles(tmp_path / "a.mbtiles", CUT))[0] == [f"{place} 5: {CUT_SHORT}"]
    assert check_file(webp_geopackage(tmp_path / "a.gpkg", CUT))[0] == [f"{place} 2: {CUT_SHORT}"]


def test_webp_in_a_geopackage_that_does_not_register_it_is_found(tmp_path):
    path = webp_geopackage(tmp_path / "a.gpkg", WEBP_TILES)

    change(path, "DELETE FROM gpkg_extensions")
    assert check_file(path)[0] == ["It does not register gpkg_webp for the WebP tiles of tiles."]
    change(path, "DROP TABLE gpkg_extensions")
    assert check_file(path)[0] == ["It does not register gpkg_webp for the WebP tiles of tiles."]


def test_webp_beside_other_tiles_is_found(tmp_path):
    mixed = WEBP_TILES | {(3, 2, 2): a_tile(3, 2, 2)}

    (found,) = check_bytes(archive_of(mixed, service=WEBP))[0]
    assert found == "Level 3, row 2, column 2: the tile is JPEG; the header of the archive says WEBP."
    (found,) = check_bytes(archive_of(TILES | {(3, 2, 2): webp()}))[0]
    assert found == "Level 3, row 2, column 2: the tile is WEBP; the header of the archive says JPEG."
    (found,) = check_file(webp_mbtiles(tmp_path / "a.mbtiles", mixed))[0]
    assert found == "Zoom level 3, column 2, row 5: the tile is JPEG; expected is webp."


def test_a_tile_that_is_there_twice_is_found(tmp_path):
    path = tmp_path / "twice.mbtiles"
    change(
        path, "CREATE TABLE metadata (name, value)", "CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)"
    )
    change(path, *["INSERT INTO tiles VALUES (1, 0, 0, x'00')"] * 2)

    assert "Tiles of zoom level 1 are there more than once." in check_file(path)[0]


def test_damaged_pages_are_found(mbtiles):
    body = mbtiles.read_bytes()
    mbtiles.write_bytes(body[: len(body) // 2])

    assert check_file(mbtiles)[0]


def test_a_name_that_does_not_fit_is_a_finding(mbtiles):
    path = mbtiles.rename(mbtiles.with_suffix(".gpkg"))

    assert check_file(path)[0] == ["Its name ends in '.gpkg'; readers want .mbtiles, which it is."]


def test_what_is_no_database_is_refused_in_words(tmp_path):
    path = tmp_path / "World.mbtiles"
    path.write_bytes(b"no database at all, but long enough for a header" * 40)

    assert check_file(path)[0] == ["It is not an SQLite database."]


def test_a_view_that_never_ends_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("exporttiles.formats.archives.untrusted_database.STEPS", 10**7)
    path = tmp_path / "endless.mbtiles"
    rows = ", ".join(f"({number})" for number in range(300))
    change(path, "CREATE TABLE metadata (name, value)", "CREATE TABLE n (i)", f"INSERT INTO n VALUES {rows}")
    endless = "SELECT 0 AS zoom_level, n.i AS tile_column, 0 AS tile_row, x'00' AS tile_data FROM n"
    change(path, f"CREATE VIEW tiles AS {endless}, n AS m, n AS o, n AS p, n AS q")

    assert check_file(path)[0][-1].startswith("Reading its tables takes far more steps")


def test_a_view_that_recurses_is_not_run(tmp_path):
    path = tmp_path / "endless.mbtiles"
    endless = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT 0 AS zoom_level, i AS tile_column"
    change(path, "CREATE TABLE metadata (name, value)")
    change(path, f"CREATE VIEW tiles AS {endless}, 0 AS tile_row, x'00' AS tile_data FROM n")

    assert check_file(path)[0][-1].startswith("One of its views recurses")


def test_the_command_checks_each_by_its_contents(tmp_path, mbtiles, geopackage, capsys):
    archive = tmp_path / "World.pmtiles"
    archive.write_bytes(archive_of(TILES))

    for path in (archive, mbtiles, geopackage):
        assert main(["check", str(path)]) == 0
        assert "level  3:         4 tiles" in capsys.readouterr().out


def test_the_command_names_a_file_by_what_it_is(tmp_path, mbtiles, capsys):
    archive = tmp_path / "World.zip"
    archive.write_bytes(archive_of(TILES))

    assert main(["check", str(archive)]) == 1
    assert "readers want .pmtiles, which it is." in capsys.readouterr().out
    assert main(["check", str(mbtiles.rename(tmp_path / "World.tpkx"))]) == 1
    assert "readers want .mbtiles, which it is." in capsys.readouterr().out


def test_a_database_in_a_store_is_refused_in_words(mbtiles, capsys, monkeypatch):
    objects = memory()
    objects.write("World.mbtiles", mbtiles.read_bytes())
    monkeypatch.setattr("exporttiles.cli.check.open_store", lambda _: objects)

    assert main(["check", "s3://bucket/World.mbtiles"]) == 2
    assert "PACKAGE: It is an SQLite database, which is checked on this machine alone." in capsys.readouterr().err
