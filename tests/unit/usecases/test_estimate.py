"""Estimates: the count is exact, the size within five per cent, and no tile is read."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from exporttiles.domain.job import JobStatus, Operation
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import CacheLayout
from exporttiles.formats.tiling_schemes import WEB_MERCATOR_256
from tests.builders import a_request, a_service, an_extent, put_bundles, put_files
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

    def tile_sizes(self, bundle, selected):
        self.asked += 1
        random = np.random.default_rng([bundle.level, bundle.row, bundle.column])
        mean = 5_000 + 20_000 * (bundle.row % 1280) / 1280
        sizes = random.normal(mean, mean / 4, selected.shape).clip(500)
        sizes[random.random(selected.shape) < 0.1] = 0
        return np.where(selected, sizes, 0).astype(np.int32)


@pytest.mark.parametrize("layout", [CacheLayout.FILES, CacheLayout.COMPACT_V2])
def test_a_large_area_is_sampled_and_said_to_be(layout):
    tiles, many = memory(), ManyTiles()
    put_files(tiles, 0)
    service = a_service(tiles)
    service = replace(service, max_level=12, cache=replace(service.cache, layout=layout))
    runtime = a_runtime(tiles)
    request = a_request(service, range(13))

    job = replace(runtime.estimate_export, sources=many)(service, request, {})

    asked = many.asked
    selection = TileSelection(WEB_MERCATOR_256, request.area, service.full_extent)
    truth = 0
    for level in range(13):
        for bundle, _ in selection.bundles(level):
            sizes = many.tile_sizes(bundle, selection.mask(bundle))
            truth += BUNDLE_BYTES + int(sizes.sum()) + 4 * np.count_nonzero(sizes)
    assert job.estimate.tile_count == (4**13 - 1) // 3
    assert job.estimate.size_bytes == pytest.approx(truth, rel=0.05)
    assert asked == 256
    assert "a sample in 256 of 1,372 bundles" in job.messages[-1].text


def test_a_world_at_every_level_is_estimated_from_the_mean_tile():
    tiles = memory()
    put_files(tiles, 1)
    service = replace(a_service(tiles), max_level=19)

    job = a_runtime(tiles).estimate_export(service, a_request(service, range(20)), {})

    assert job.estimate.tile_count == (4**20 - 1) // 3
    assert job.estimate.size_bytes == job.estimate.tile_count * service.cache.average_tile_bytes
    assert "mean tile" in job.messages[-1].text
