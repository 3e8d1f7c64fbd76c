"""Exports to MBTiles and GeoPackages: written in one go from the bundles of all fragments."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from exporttiles.domain import parts, plan
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import JobStatus
from exporttiles.domain.service import TileFormat
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.database_check import check_database
from exporttiles.formats.esri.tiling_schemes import WGS84_512
from exporttiles.rest.parameters import read_export_request
from tests.builders import a_request, a_service, a_tile
from tests.builders_rest import a_service as a_world
from tests.caches import put_xyz
from tests.fakes import a_runtime, memory, run_workflow
from tests.oracles.exports import by_sqlite

MBTILES, GEOPACKAGE = StorageFormat.MBTILES, StorageFormat.GEOPACKAGE
PLACES = [(level, row, column) for level in range(4) for row in range(2**level) for column in range(2**level)]
PLACES += [(9, row, column) for row in (120, 127, 128, 250) for column in (5, 127, 128, 300)]
WATER = a_tile(0, 0, 0)
TILES = {place: WATER if sum(place) % 3 else a_tile(*place) for place in PLACES}
both = pytest.mark.parametrize("storage_format", [MBTILES, GEOPACKAGE])


@pytest.fixture(scope="module")
def cache():
    objects = memory()
    url = put_xyz(objects, TILES)
    return objects, replace(a_service(objects, url=url), max_export_tiles_count=10**6)


@pytest.fixture(autouse=True)
def _many_fragments(monkeypatch):
    monkeypatch.setattr(plan, "FRAGMENT_TARGET_BYTES", 1)


def export(cache, storage_format, run=run_workflow, limit=None):
    """Run an export; return its runtime and its job."""
    objects, service = cache
    runtime = a_runtime(objects)
    if limit:
        runtime = replace(runtime, settings=replace(runtime.settings, max_database_bytes=limit))
    request = replace(a_request(service, (0, 1, 2, 3, 9)), tile_package=True, storage_format=storage_format)
    return runtime, run(runtime, runtime.submit_export(service, request, {}).job_id)


def package_of(runtime, job):
    assert job.status is JobStatus.SUCCEEDED, job.messages
    return runtime.objects.read(job.package.key)


@both
def test_every_tile_is_in_the_file_and_no_other(tmp_path, cache, storage_format):
    runtime, job = export(cache, storage_format)

    path = tmp_path / job.package.name
    path.write_bytes(package_of(runtime, job))

    assert by_sqlite(path, rows_from_bottom=storage_format is MBTILES) == TILES
    assert [finding.text for finding in check_database(path, Scope()).damage] == []


def test_equal_tiles_of_all_fragments_are_stored_once_in_mbtiles(tmp_path, cache):
    runtime, job = export(cache, MBTILES)

    path = tmp_path / job.package.name
    path.write_bytes(package_of(runtime, job))

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM images").fetchone() == (len({*TILES.values()}),)


@both
def test_a_second_run_makes_the_same_bytes(cache, storage_format):
    assert package_of(*export(cache, storage_format)) == package_of(*export(cache, storage_format))


@both
def test_a_packer_that_has_no_time_goes_on_where_it_stopped(cache, monkeypatch, storage_format):
    monkeypatch.setattr(parts, "MIN_PART_BYTES", 10_000)
    monkeypatch.setattr(parts, "WRITTEN_PART_BYTES", 50_000)
    monkeypatch.setattr("exporttiles.usecases.pack_tile_package.WRITTEN_PART_BYTES", 50_000)
    whole = package_of(*export(cache, storage_format))
    calls = 0

    def run(runtime, job_id):
        go_on = runtime.pack_tile_package.go_on

        def in_steps(_, job_id, before, remaining_seconds):
            nonlocal calls
            calls += 1
            return go_on(job_id, before, lambda: 0.0 if calls < 4 else remaining_seconds())

        monkeypatch.setattr(type(runtime.pack_tile_package), "go_on", in_steps)
        return run_workflow(runtime, job_id)

    assert package_of(*export(cache, storage_format, run)) == whole
    assert calls >= 4


@both
def test_a_file_beyond_the_limit_is_refused_when_planned_with_what_has_none(cache, storage_format):
    _, job = export(cache, storage_format, limit=100_000)

    assert job.status is JobStatus.FAILED
    assert "file would be larger than 0.0001 GB, the most that is written here." in job.messages[-1].text
    assert "Export it as PMTiles or a tile package, which may be of any size" in job.messages[-1].text


@both
def test_a_file_that_grows_beyond_the_limit_fails_with_the_same_words(cache, storage_format):
    objects, service = cache
    small = replace(service, cache=replace(service.cache, average_tile_bytes=1))

    runtime, job = export((objects, small), storage_format, limit=100_000)

    assert job.status is JobStatus.FAILED
    assert "file would be larger than 0.0001 GB" in job.messages[-1].text
    assert list(runtime.objects.list("packages/")) == []


@pytest.mark.parametrize(
    ("change", "storage_format", "words"),
    [
        ({"tiling_scheme": WGS84_512}, "MBTiles", "MBTiles holds the tiles of Web Mercator alone"),
        ({"tiling_scheme": WGS84_512}, "MBTiles", "esriMapCacheStorageModeCompactV2, GeoPackage."),
        ({"tile_format": TileFormat.LERC}, "MBTiles", "MBTiles holds pictures; the tiles of this service are LERC."),
        ({"tile_format": TileFormat.LERC}, "GeoPackage", "GeoPackage holds pictures"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_what_is_legal(change, storage_format, words):
    parameters = {"tilePackage": "true", "storageFormatType": storage_format}

    with pytest.raises(InvalidParameterError) as refused:
        read_export_request(parameters, replace(a_world(), **change))

    assert words in str(refused.value)


def test_any_tiling_scheme_goes_into_a_geopackage():
    parameters = {"tilePackage": "true", "storageFormatType": "geopackage"}

    request = read_export_request(parameters, replace(a_world(), tiling_scheme=WGS84_512))

    assert request.storage_format is GEOPACKAGE
