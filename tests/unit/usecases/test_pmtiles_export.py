"""Exports to PMTiles: joined by the store, in order, from fragments of any size."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pmtiles.reader import MemorySource, all_tiles
from pmtiles.tile import TileType, deserialize_header

from exporttiles.domain import parts, plan
from exporttiles.domain.area import Area
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import Clip, StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import JobStatus
from exporttiles.domain.service import TileFormat
from exporttiles.formats.esri.tiling_schemes import WGS84_512
from exporttiles.messages.packed_package import PartlyPacked
from exporttiles.rest.parameters import read_export_request
from tests.builders import a_request, a_service, a_tile
from tests.builders_rest import a_service as a_world
from tests.caches import put_xyz
from tests.fakes import a_runtime, memory, run_workflow
from tests.unit.formats.test_pmtiles_writer import verify

WATER = a_tile(0, 0, 0)
PLACES = [(level, row, column) for level in range(4) for row in range(2**level) for column in range(2**level)]
PLACES += [(9, row, column) for row in (120, 127, 128, 250, 260, 384) for column in (5, 127, 128, 300, 301, 384)]
TILES = {place: WATER if sum(place) % 3 else a_tile(*place) for place in PLACES}
LEVELS = (0, 1, 2, 3, 9)


@pytest.fixture(scope="module")
def cache():
    objects = memory()
    url = put_xyz(objects, TILES)
    return objects, replace(a_service(objects, url=url), max_export_tiles_count=10**6)


def export(cache, run=run_workflow, **more):
    """Run an export; return its runtime and its job."""
    objects, service = cache
    runtime = a_runtime(objects)
    request = a_request(service, LEVELS, area=more.pop("area", None))
    request = replace(request, tile_package=True, storage_format=StorageFormat.PMTILES, **more)
    return runtime, run(runtime, runtime.submit_export(service, request, {}).job_id)


def archive_of(runtime, job):
    assert job.status is JobStatus.SUCCEEDED, job.messages
    return runtime.objects.read(job.package.key)


def tiles_of(archive):
    return {(level, row, column): body for (level, column, row), body in all_tiles(MemorySource(archive))}


@pytest.fixture(params=[(1, 1_000), (1, 4_000), (1, 100_000), (20_000, 6_000)], ids=str)
def _sizes(request, monkeypatch):
    """Aims of fragments and the least size of a part: large and small fragments follow each other."""
    target, least = request.param
    monkeypatch.setattr(plan, "FRAGMENT_TARGET_BYTES", target)
    monkeypatch.setattr(parts, "MIN_PART_BYTES", least)


@pytest.mark.usefixtures("_sizes")
def test_every_tile_is_in_the_archive_whatever_the_sizes_of_its_fragments(cache):
    runtime, job = export(cache)

    archive = archive_of(runtime, job)

    assert job.package.name.endswith(".pmtiles")
    verify(archive)
    assert tiles_of(archive) == TILES


@pytest.mark.usefixtures("_sizes")
def test_a_second_run_makes_the_same_bytes(cache):
    assert archive_of(*export(cache)) == archive_of(*export(cache))


def test_a_packer_that_has_no_time_goes_on_where_it_stopped(cache, monkeypatch):
    monkeypatch.setattr(plan, "FRAGMENT_TARGET_BYTES", 1)
    monkeypatch.setattr(parts, "MIN_PART_BYTES", 1_000)
    whole = archive_of(*export(cache))
    calls = 0

    def run(runtime, job_id):
        nonlocal calls
        go_on = runtime.pack_tile_package.go_on

        def in_steps(job_id, before, remaining_seconds):
            nonlocal calls
            calls += 1
            return go_on(job_id, before, lambda: 0.0 if calls < 4 else remaining_seconds())

        monkeypatch.setattr(type(runtime.pack_tile_package), "go_on", lambda _, *arguments: in_steps(*arguments))
        return run_workflow(runtime, job_id)

    assert archive_of(*export(cache, run)) == whole
    assert calls >= 4
    assert PartlyPacked().packers == 0


def test_a_delta_may_be_one(cache):
    runtime, job = export(cache, since=datetime(2000, 1, 1, tzinfo=UTC))
    assert tiles_of(archive_of(runtime, job)) == TILES


def test_clipped_archives_of_jpeg_tiles_are_called_png_so_that_transparency_is_expected(cache):
    _, service = cache
    box = Extent(1_000_000.0, 5_000_000.0, 1_300_000.0, 5_300_000.0, service.full_extent.spatial_reference)

    runtime, job = export(cache, area=Area.from_extent(box), clip=Clip(None))

    archive = archive_of(runtime, job)
    verify(archive)
    assert deserialize_header(archive[:127])["tile_type"] is TileType.PNG
    assert {tile[:4] for tile in tiles_of(archive).values()} == {b"\x89PNG"}


def test_a_name_of_the_package_keeps_the_suffix(cache):
    _, job = export(cache, package_name="District 7")

    assert job.package.name == "District 7.pmtiles"


def request_of(service, **parameters):
    return read_export_request({"tilePackage": "true", "storageFormatType": "pmtiles", **parameters}, service)


def test_the_storage_format_is_read_in_any_case_of_letters():
    assert request_of(a_world()).storage_format is StorageFormat.PMTILES


@pytest.mark.parametrize(
    ("change", "parameters", "words"),
    [
        (
            {"tiling_scheme": WGS84_512},
            {},
            "storageFormatType: 'PMTiles' cannot be used. PMTiles holds the tiles of Web Mercator alone, but its",
        ),
        (
            {"tiling_scheme": WGS84_512},
            {},
            "It must be one of esriMapCacheStorageModeCompact, esri",
        ),
        ({"tile_format": TileFormat.LERC}, {}, "PMTiles holds pictures; the tiles of this service are LERC."),
        ({}, {"tilePackage": "false"}, "tilePackage: 'false' cannot be used. PMTiles is one file: it must be true."),
    ],
    ids=["another grid", "what is legal", "elevation", "a dataset"],
)
def test_what_pmtiles_cannot_hold_is_refused_with_what_is_legal(change, parameters, words):
    with pytest.raises(InvalidParameterError) as refused:
        request_of(replace(a_world(), **change), **parameters)
    assert words in str(refused.value)
