"""Caches of WebP tiles: exported byte for byte to the formats that hold them, and converted on request."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pmtiles.reader import MemorySource, all_tiles
from pmtiles.tile import TileType, deserialize_header

from exporttiles.domain.area import Area
from exporttiles.domain.export import CONVERSIONS, CONVERTED_QUALITY, Clip, StorageFormat
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.service import TileFormat
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.database_check import check_database
from exporttiles.formats.tiles.codec import estimate_jpeg_quality
from exporttiles.formats.tiles.image import sniff
from exporttiles.messages.export import Export
from tests.builders import WEB_MERCATOR, a_request, a_service, a_tile
from tests.caches import put_pmtiles, put_xyz
from tests.fakes import a_runtime, memory, run_workflow
from tests.oracles.exports import by_sqlite
from tests.unit.formats.test_pmtiles_writer import verify
from tests.unit.usecases.test_outputs import OUTPUTS, files_of, tiles_of

PLACES = [(level, row, column) for level in range(4) for row in range(2**level) for column in range(2**level)]


def a_webp(place, **options):
    body = BytesIO()
    Image.open(BytesIO(a_tile(*place))).save(body, "WEBP", method=0, **options)
    return body.getvalue()


TILES = {place: a_webp(place, quality=60, lossless=sum(place) % 2 == 0) for place in PLACES}


def export(tiles, storage_format, put=put_xyz, **changes):
    """Run an export of a cache; return its runtime and its job."""
    objects = memory()
    service = a_service(objects, url=put(objects, tiles))
    assert service.tile_format is TileFormat.WEBP
    runtime = a_runtime(objects)
    asked = {"tile_package": True, "storage_format": storage_format} | changes
    request = replace(a_request(service, range(4), area=asked.pop("area", None)), **asked)
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


def pixels(tile):
    return np.asarray(Image.open(BytesIO(tile)).convert("RGBA"))


def half_transparent(tile):
    picture = Image.open(BytesIO(tile)).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 128, 256))
    body = BytesIO()
    picture.save(body, "WEBP", lossless=True, method=0)
    return body.getvalue()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("target", CONVERSIONS)
def test_converted_tiles_are_in_every_package_of_arcgis(output, target):
    tile_package, storage_format = OUTPUTS[output]
    tiles = {place: half_transparent(tile) if place[2] % 2 else tile for place, tile in TILES.items()}

    runtime, job = export(tiles, storage_format, tile_package=tile_package, tile_format=target)

    found = tiles_of(files_of(runtime, job))
    assert found.keys() == tiles.keys()
    is_png = {place: sniff(tile) == "png" for place, tile in found.items()}
    assert is_png == {
        place: target is TileFormat.PNG or (target is TileFormat.MIXED and place[2] % 2 == 1) for place in tiles
    }
    for place, tile in found.items():
        if is_png[place]:
            np.testing.assert_array_equal(pixels(tile), pixels(tiles[place]))
        else:
            assert estimate_jpeg_quality(tile) == CONVERTED_QUALITY
    documents = {
        name: body for name, body in files_of(runtime, job).items() if name.endswith(("root.json", "conf.xml"))
    }
    assert all(target.encode() in body for body in documents.values())
    assert not [message for message in job.messages if message.kind is MessageKind.WARNING]


@pytest.mark.parametrize("target", CONVERSIONS)
def test_converted_tiles_are_clipped(target):
    area = Area.from_rings([[[(0, 0), (0, 1e7), (1.1e7, 1e7), (1.1e7, 0)]]], WEB_MERCATOR)

    runtime, job = export(TILES, StorageFormat.COMPACT_V2, tile_format=target, area=area, clip=Clip())

    found = tiles_of(files_of(runtime, job))
    inside = {place for place, tile in found.items() if (pixels(tile)[..., 3] == 255).all()}
    assert (3, 3, 4) in inside
    assert all(sniff(tile) == "png" for place, tile in found.items() if place not in inside)
    assert {sniff(found[place]) for place in inside} == {"png" if target is TileFormat.PNG else "jpeg"}


def test_a_tile_that_cannot_be_converted_is_left_out_and_named():
    whole = a_webp((3, 2, 2), lossless=True)

    runtime, job = export(
        TILES | {(3, 2, 2): whole[:60] + b"\xff" * len(whole[60:])},
        StorageFormat.COMPACT_V2,
        tile_format=TileFormat.JPEG,
    )

    assert tiles_of(files_of(runtime, job)).keys() == TILES.keys() - {(3, 2, 2)}
    (warning,) = [message.text for message in job.messages if message.kind is MessageKind.WARNING]
    assert warning.startswith("Selected tiles that cannot be used and are left out: 1 (level 3, row 2, column 2: ")


def test_an_estimate_measures_converted_tiles_by_a_sample():
    objects = memory()
    tiles = {place: a_webp(place, quality=60) for place in PLACES}
    service, runtime = a_service(objects, url=put_xyz(objects, tiles)), a_runtime(objects)
    request = replace(a_request(service, range(4)), tile_package=True)

    converted = replace(request, tile_format=TileFormat.PNG)
    job = runtime.estimate_export(service, converted, {})
    made = run_workflow(runtime, runtime.submit_export(service, converted, {}).job_id)

    assert job.messages[-1].text.endswith(" Their size as PNG is estimated from a few of them.")
    assert job.estimate.size_bytes == pytest.approx(made.package.size_bytes, rel=0.2)
    assert runtime.estimate_export(service, request, {}).estimate.size_bytes < job.estimate.size_bytes / 2


def test_a_conversion_comes_back_from_the_document_of_the_export():
    objects = memory()
    service = a_service(objects, url=put_xyz(objects, TILES))
    for target in (None, *CONVERSIONS):
        export = Export(service, replace(a_request(service, (0,)), tile_format=target))
        assert Export.from_json(export.to_json()).request.tile_format is target
