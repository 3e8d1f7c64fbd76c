"""Caches of WebP tiles: exported byte for byte to the formats that hold them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image
from pmtiles.reader import MemorySource, all_tiles
from pmtiles.tile import TileType, deserialize_header

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.service import TileFormat
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.database_check import check_database
from tests.builders import a_request, a_service, a_tile
from tests.caches import put_pmtiles, put_xyz
from tests.fakes import a_runtime, memory, run_workflow
from tests.oracles.exports import by_sqlite
from tests.unit.formats.test_pmtiles_writer import verify

PLACES = [(level, row, column) for level in range(4) for row in range(2**level) for column in range(2**level)]


def a_webp(place, **options):
    body = BytesIO()
    Image.open(BytesIO(a_tile(*place))).save(body, "WEBP", method=0, **options)
    return body.getvalue()


TILES = {place: a_webp(place, quality=60, lossless=sum(place) % 2 == 0) for place in PLACES}


def export(tiles, storage_format, put=put_xyz):
    """Run an export of a cache; return its runtime and its job."""
    objects = memory()
    service = a_service(objects, url=put(objects, tiles))
    assert service.tile_format is TileFormat.WEBP
    runtime = a_runtime(objects)
    request = replace(a_request(service, range(4)), tile_package=True, storage_format=storage_format)
    return runtime, run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)


def package_of(runtime, job):
    assert job.status is JobStatus.SUCCEEDED, job.messages
    return runtime.objects.read(job.package.key)


@pytest.mark.parametrize("put", [put_xyz, put_pmtiles])
def test_every_tile_is_in_an_archive_that_says_webp(put):
    archive = package_of(*export(TILES, StorageFormat.PMTILES, put))

    verify(archive)
    assert deserialize_header(archive[:127])["tile_type"] is TileType.WEBP
    assert {(level, row, column): tile for (level, column, row), tile in all_tiles(MemorySource(archive))} == TILES


def test_every_tile_is_in_mbtiles_that_say_webp(tmp_path):
    path = tmp_path / "World.mbtiles"
    path.write_bytes(package_of(*export(TILES, StorageFormat.MBTILES)))

    assert by_sqlite(path, rows_from_bottom=True) == TILES
    assert check_database(path, Scope()).findings == ()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT value FROM metadata WHERE name = 'format'").fetchall() == [("webp",)]


def test_every_tile_is_in_a_geopackage_that_registers_webp(tmp_path):
    path = tmp_path / "World.gpkg"
    path.write_bytes(package_of(*export(TILES, StorageFormat.GEOPACKAGE)))

    assert by_sqlite(path, rows_from_bottom=False) == TILES
    assert check_database(path, Scope()).findings == ()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM gpkg_extensions").fetchall() == [
            (
                "tiles",
                "tile_data",
                "gpkg_webp",
                "http://www.geopackage.org/spec130/#extension_tiles_webp",
                "read-write",
            )
        ]


def small(place):
    body = BytesIO()
    Image.open(BytesIO(a_tile(*place))).resize((128, 128)).save(body, "WEBP")
    return body.getvalue()


@pytest.mark.parametrize(
    ("broken", "flaw"),
    [
        (TILES[3, 2, 2][:-1], "WEBP, cut short or with a damaged header"),
        (TILES[3, 2, 2][:40], "WEBP, cut short or with a damaged header"),
        (TILES[3, 2, 2][:12], "WEBP, cut short or with a damaged header"),
        (TILES[3, 2, 2][:12] + b"JUNK" + TILES[3, 2, 2][16:], "WEBP, cut short or with a damaged header"),
        (small((3, 2, 2)), "128 x 128 pixels instead of 256 x 256"),
        (a_tile(3, 2, 2), "JPEG, in a cache of WEBP"),
        (b"<html>503</html>", "a page in HTML or XML"),
    ],
    ids=["cut", "cut in its header", "nothing but its name", "unknown chunk", "small", "JPEG", "page"],
)
def test_a_tile_that_is_no_whole_webp_of_the_size_of_the_others_is_left_out_with_the_reason(broken, flaw):
    objects = memory()
    url = put_xyz(objects, TILES)
    service = a_service(objects, url=url)
    objects.write("World/3/2/2.webp", broken)
    runtime = a_runtime(objects)
    request = replace(a_request(service, range(4)), tile_package=True, storage_format=StorageFormat.PMTILES)

    job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)

    archive = package_of(runtime, job)
    found = {(level, row, column): tile for (level, column, row), tile in all_tiles(MemorySource(archive))}
    assert found == {place: tile for place, tile in TILES.items() if place != (3, 2, 2)}
    warnings = [message.text for message in job.messages if message.kind is MessageKind.WARNING]
    assert any(f"level 3, row 2, column 2: {flaw}" in text for text in warnings), warnings
