"""Estimates: an exact count, a size within five per cent, and no tile reads."""

import json
import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from exporttiles.domain.export import Clip
from exporttiles.domain.job import JobStatus, Operation
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import CacheLayout
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.messages.export import Export
from exporttiles.rest.parameters import read_export_request
from exporttiles.usecases.workload import workload_of
from tests.builders import a_request, a_service, a_tile, an_extent, put_bundles, put_files
from tests.caches import CACHES, put_xyz
from tests.fakes import a_runtime, memory, run_workflow

BUNDLE_BYTES = 131_136


@pytest.mark.parametrize("put", [put_files, put_bundles])
@pytest.mark.parametrize("extent", [None, an_extent(-20, 10, 60, 70)], ids=["world", "box"])
def test_an_estimate_is_what_the_export_delivers(put, extent):
    tiles = memory()
    put(tiles, 4)
    runtime, service = a_runtime(tiles), a_service(tiles)
    request = a_request(service, range(5), extent=extent)

    estimated = runtime.estimate_export(service, request, {})

    exported = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)
    assert (estimated.status, estimated.operation) == (JobStatus.SUCCEEDED, Operation.ESTIMATE_EXPORT_TILES_SIZE)
    assert estimated.estimate.tile_count == exported.tile_count
    # The documents of a package weigh something in one as small as this.
    assert estimated.estimate.size_bytes == pytest.approx(exported.package.size_bytes, rel=0.05)


def test_an_estimate_knows_how_long_an_export_takes():
    """GIVEN 5 seconds around the work, THEN conversion and single files take longer than copying bundles."""
    tiles = memory()
    put_bundles(tiles, 7)
    runtime, service = a_runtime(tiles), a_service(tiles)
    files = replace(service, cache=replace(service.cache, layout=CacheLayout.FILES))
    request = a_request(service, range(8))

    works = [
        workload_of(
            Export(each, asked),
            21_845,
            21_845 * 15_000,
            item_count=20,
            clipped_count=0,
            max_concurrency=1,
            file_reads_per_second=5_500,
        )
        for each, asked in [(service, request), (files, request), (service, replace(request, compression_quality=50))]
    ]
    job = runtime.estimate_export(service, request, {})

    copied, read, recompressed = (round(work.duration_seconds) for work in works)
    assert (copied, read, recompressed) == (12, 26, 34)
    assert 5 <= job.estimate.seconds <= copied


def test_how_long_an_export_takes_is_not_known_before_its_clipped_tiles_are_counted():
    tiles = memory()
    put_files(tiles, 2)
    runtime, service = a_runtime(tiles), a_service(tiles)
    request = replace(a_request(service, (1, 2), extent=an_extent(-20, 10, 60, 70)), clip=Clip())

    assert runtime.estimate_export(service, request, {}).estimate.seconds is None


def test_an_estimate_without_tiles_says_why():
    tiles = memory()
    put_files(tiles, 2)
    runtime, service = a_runtime(tiles), a_service(tiles)
    service = replace(service, full_extent=an_extent(0, 0, 10, 10).to(service.full_extent.spatial_reference))

    job = runtime.estimate_export(service, a_request(service, (1,), extent=an_extent(100, 0, 110, 10)), {})

    assert job.estimate.tile_count == 0
    assert "No tile is selected: the area lies outside the service's full extent." in job.messages[-1].text


def sea_and_towns():
    """A world of levels 0-6 whose tiles differ in length by ten times, in patches and along a coast."""
    tile = a_tile(0, 0, 0)
    tiles = {}
    for level in range(7):
        for row in range(2**level):
            for column in range(2**level):
                x, y = column / 2**level, row / 2**level
                is_land = math.sin(9 * x) + math.cos(7 * y) > 0.3
                town = hash((level, row, column)) % 40_000 if is_land else 0
                tiles[level, row, column] = tile + bytes(town)
    return tiles


SEA_AND_TOWNS = sea_and_towns()
STAR = [[40 * math.sin(n * math.pi * 0.8), 30 + 40 * math.cos(n * math.pi * 0.8)] for n in range(6)]
AREAS = {
    "all levels": {"levels": "0-6"},
    "one level": {"levels": "6"},
    "coarse levels": {"levels": "0-4"},
    "box": {
        "levels": "2-6",
        "exportExtent": '{"xmin":-30,"ymin":-20,"xmax":40,"ymax":60,"spatialReference":{"wkid":4326}}',
    },
    "star": {
        "levels": "3-6",
        "areaOfInterest": json.dumps({"rings": [STAR], "spatialReference": {"wkid": 4326}}),
    },
}


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("layout", ["XYZ", "Compact V1", "Compact V2", "PMTiles"])
def test_an_estimate_is_within_five_per_cent_of_the_package(layout, area):
    tiles = memory()
    url = CACHES[layout](tiles, SEA_AND_TOWNS)
    runtime, service = a_runtime(tiles), a_service(tiles, url=url)
    parameters = AREAS[area] | {"tilePackage": "true"}
    request = read_export_request(parameters, service)

    estimated = runtime.estimate_export(service, request, parameters)

    exported = run_workflow(runtime, runtime.submit_export(service, request, parameters).job_id)
    assert exported.package.size_bytes > 1_000_000
    assert estimated.estimate.size_bytes == pytest.approx(exported.package.size_bytes, rel=0.05)


@pytest.mark.parametrize("storage_format", ["PMTiles", "MBTiles", "GeoPackage"])
def test_an_estimate_of_another_format_is_within_five_per_cent_if_no_tiles_are_equal(storage_format):
    tiles = memory()
    url = CACHES["XYZ"](tiles, {place: tile + repr(place).encode() for place, tile in SEA_AND_TOWNS.items()})
    runtime, service = a_runtime(tiles), a_service(tiles, url=url)
    parameters = {"levels": "0-6", "tilePackage": "true", "storageFormatType": storage_format}
    request = read_export_request(parameters, service)

    estimated = runtime.estimate_export(service, request, parameters)

    exported = run_workflow(runtime, runtime.submit_export(service, request, parameters).job_id)
    assert estimated.estimate.size_bytes == pytest.approx(exported.package.size_bytes, rel=0.05)


@pytest.mark.parametrize("tile_package", ["true", "false"])
@pytest.mark.parametrize("storage_format", ["Compact", "CompactV2"])
def test_an_estimate_of_one_tile_is_off_by_its_thumbnail_at_most(tile_package, storage_format):
    tiles = memory()
    put_files(tiles, 2)
    runtime, service = a_runtime(tiles), a_service(tiles)
    parameters = {"levels": "0", "tilePackage": tile_package, "storageFormatType": storage_format}
    request = read_export_request(parameters, service)

    estimated = runtime.estimate_export(service, request, parameters)

    exported = run_workflow(runtime, runtime.submit_export(service, request, parameters).job_id)
    thumbnail_bytes = 36_000 if tile_package == "true" else 2_000
    assert estimated.estimate.size_bytes == pytest.approx(exported.package.size_bytes, abs=thumbnail_bytes)


def test_a_cache_of_files_is_asked_for_each_file_up_to_a_number_and_for_a_sample_beyond():
    tiles = memory()
    put_xyz(tiles, SEA_AND_TOWNS)
    runtime, service = a_runtime(tiles), a_service(tiles)

    few = runtime.estimate_export(service, a_request(service, range(6)), {})
    many = runtime.estimate_export(service, a_request(service, range(7)), {})

    assert "measured from the length of every file" in few.messages[-1].text
    asked = int(re.search(r"a sample of ([0-9,]+) files in 7 of 7 bundles", many.messages[-1].text)[1].replace(",", ""))
    assert 3_000 < asked <= 4_096


def test_levels_without_tiles_are_counted_but_weigh_nothing():
    tiles = memory()
    put_bundles(tiles, 2)
    runtime, service = a_runtime(tiles), a_service(tiles)

    all_levels = runtime.estimate_export(service, a_request(service, range(6)), {}).estimate
    held = runtime.estimate_export(service, a_request(service, range(3)), {}).estimate
    none = runtime.estimate_export(service, a_request(service, (5,)), {}).estimate

    assert all_levels.tile_count == held.tile_count + 64 + 256 + 1024
    assert all_levels.size_bytes == held.size_bytes
    assert none.size_bytes == 0


@dataclass
class ManyTiles:
    """A cache too large to make: sizes differ by place, and one tile in ten is missing."""

    asked: int = 0

    def open(self, _cache):
        return self

    def find_bundles(self, _block, _tile_count, _limit):
        return None

    def tile_sizes(self, bundle, selected):
        self.asked += 1
        random = np.random.default_rng([bundle.level, bundle.row, bundle.column])
        mean = 5_000 + 20_000 * (bundle.row % 1280) / 1280
        sizes = random.normal(mean, mean / 4, selected.shape).clip(500)
        sizes[random.random(selected.shape) < 0.1] = 0
        return np.where(selected, sizes, 0).astype(np.int32)


@pytest.mark.parametrize("layout", [CacheLayout.FILES, CacheLayout.COMPACT_V2])
def test_a_large_area_is_sampled_and_the_message_says_so(layout):
    tiles, many = memory(), ManyTiles()
    put_files(tiles, 0)
    service = a_service(tiles)
    service = replace(service, max_level=12, cache=replace(service.cache, layout=layout))
    runtime = a_runtime(tiles)
    request = a_request(service, range(13))

    job = replace(runtime.estimate_export, sources=many)(service, request, {})

    asked = many.asked
    selection = TileSelection(WEB_MERCATOR_256, request.areas[0].area, service.full_extent)
    truth = 0
    for level in range(13):
        for bundle, _ in selection.bundles(level):
            sizes = many.tile_sizes(bundle, selection.mask(bundle))
            truth += BUNDLE_BYTES + int(sizes.sum()) + 4 * np.count_nonzero(sizes)
    assert job.estimate.tile_count == (4**13 - 1) // 3
    assert job.estimate.size_bytes == pytest.approx(truth, rel=0.05)
    assert asked == 256
    sample = "a sample of 4,096 files" if layout is CacheLayout.FILES else "a sample"
    assert f"{sample} in 256 of 1,372 bundles" in job.messages[-1].text


def test_a_world_at_every_level_is_estimated_from_the_mean_tile():
    tiles = memory()
    put_files(tiles, 1)
    service = replace(a_service(tiles), max_level=19)

    estimate_export = replace(a_runtime(tiles).estimate_export, sources=ManyTiles())
    job = estimate_export(service, a_request(service, range(20)), {})

    assert job.estimate.tile_count == (4**20 - 1) // 3
    assert job.estimate.size_bytes == job.estimate.tile_count * service.cache.average_tile_bytes
    assert "mean tile" in job.messages[-1].text


@pytest.mark.parametrize("put", [put_files, put_bundles], ids=["files", "bundles"])
def test_a_sparse_cache_is_estimated_from_the_tiles_that_exist(put):
    tiles = memory()
    put(tiles, 2)
    service = replace(a_service(tiles), max_level=19)
    runtime = a_runtime(tiles)

    sparse = runtime.estimate_export(service, a_request(service, range(20)), {}).estimate

    assert sparse.tile_count == (4**20 - 1) // 3
    assert sparse.size_bytes == runtime.estimate_export(service, a_request(service, range(3)), {}).estimate.size_bytes
