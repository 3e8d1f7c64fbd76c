"""Sparse caches: work grows with the existing tiles, not with the box around them."""

import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exporttiles.adapters.process import METER
from exporttiles.domain.area import Area
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import JobStatus
from exporttiles.domain.plan import MAX_BUNDLES
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import BundleIndex
from exporttiles.messages.documents import read_document
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from tests.builders import WEB_MERCATOR, a_request, a_service
from tests.caches import CACHES, put_tpkx, put_v2, put_xyz
from tests.fakes import a_runtime, memory, run_workflow
from tests.unit.usecases.test_export import tiles_of

LEVELS = range(15)
HALF = 20037508.342787
WORLD = Extent(-HALF, -HALF, HALF, HALF, WEB_MERCATOR)


def plain():
    body = BytesIO()
    Image.new("RGB", (256, 256), "green").save(body, "JPEG")
    return body.getvalue()


PLAIN = plain()


def tiles_at(places):
    return {place: PLAIN + b"%d/%d/%d" % place for place in places}


def a_cache(layout, places):
    """Return a store with tiles in a layout, and their service, of which the whole world may be exported."""
    tiles = memory()
    url = CACHES[layout](tiles, tiles_at(places))
    if layout == "PMTiles":
        box = memory()
        put_xyz(box, tiles_at(places))
        service = a_service(box)
        service = replace(service, cache=TileCache(url, CacheLayout.PMTILES, "World.pmtiles", 1000))
    else:
        service = a_service(tiles, url=url)
    return tiles, replace(service, full_extent=WORLD, max_export_tiles_count=sys.maxsize)


def submit(runtime, service, levels=LEVELS, **changes):
    request = replace(a_request(service, levels, area=changes.pop("area", None)), **changes)
    return runtime.submit_export(service, request, {}).job_id


def selected(service, area, place):
    bundle = BundleIndex.of_tile(*place)
    mask = TileSelection(service.tiling_scheme, area, service.full_extent).mask(bundle)
    return bool(mask[place[1] - bundle.row, place[2] - bundle.column])


sparse_places = st.lists(
    st.sampled_from(LEVELS).flatmap(lambda level: st.tuples(st.just(level), *[st.integers(0, 2**level - 1)] * 2)),
    min_size=1,
    max_size=8,
    unique=True,
)
sides = st.floats(-HALF, HALF)
triangles = st.tuples(sides, sides, st.floats(1e5, HALF), st.floats(1e5, HALF)).map(
    lambda at: Area.from_rings([[[(at[0], at[1]), (at[0] + at[2], at[1]), (at[0], at[1] + at[3])]]], WEB_MERCATOR)
)


@pytest.mark.parametrize("layout", CACHES)
@settings(max_examples=12, deadline=None)
@given(places=sparse_places, area=st.one_of(st.none(), triangles))
def test_a_package_holds_the_selected_tiles_that_exist_and_requests_go_by_these(layout, places, area):
    tiles, service = a_cache(layout, places)
    runtime, area = a_runtime(tiles), area or Area.from_extent(WORLD)
    expected = {place: tile for place, tile in tiles_at(places).items() if selected(service, area, place)}

    before = METER.snapshot()
    job_id = submit(runtime, service, area=area)
    job = run_workflow(runtime, job_id) if not runtime.jobs.get(job_id).status.is_final else runtime.jobs.get(job_id)
    used = METER.snapshot() - before

    assert job.status is (JobStatus.SUCCEEDED if expected else JobStatus.FAILED)
    if expected:
        assert tiles_of(runtime.objects.read(job.package.key)) == expected
        assert job.delivery.missing_count == job.tile_count - len(expected)
        assert job.percent == 100
    # Up to 32 bundles or files of a level are looked for without a listing.
    assert used.gets + used.puts <= 40 * len(LEVELS) + 20 * len(places)


def test_a_bundle_with_few_files_is_not_searched_for_the_others():
    tiles, service = a_cache("XYZ", [(9, 5, 7), (9, 300, 400)])
    runtime = a_runtime(tiles)
    before = METER.snapshot()

    job = run_workflow(runtime, submit(runtime, service, (9,)))

    assert (job.delivery.tile_count, job.delivery.missing_count) == (2, 4**9 - 2)
    assert (METER.snapshot() - before).gets < 30


@pytest.mark.parametrize("layout", ["XYZ", "Compact V2", "tpkx", "PMTiles"])
def test_the_limit_of_bundles_counts_those_that_exist(layout):
    levels = (14, 23) if layout != "PMTiles" else (14, 22)
    tiles, service = a_cache(layout, [(level, 2**level // 2, 5) for level in levels])
    runtime = a_runtime(tiles)

    job = run_workflow(runtime, submit(runtime, service, levels))

    assert job.tile_count > MAX_BUNDLES * 128 * 128
    assert job.delivery.tile_count == 2


def test_the_planner_fails_an_export_of_which_no_tile_exists():
    tiles, service = a_cache("XYZ", [(9, 5, 7)])
    runtime = a_runtime(tiles)

    job = run_workflow(runtime, submit(runtime, service, (8, 10, 11)))

    assert job.status is JobStatus.FAILED
    assert (
        "None of the 5,308,416 selected tiles exists in the cache, which has tiles of the levels"
        in job.messages[-1].text
    )
    assert not list(runtime.objects.list(f"{JobKeys(job.job_id).prefix}reports/"))


def test_tiles_that_are_written_after_the_cache_was_published_are_exported():
    tiles, service = a_cache("Compact V2", [(12, 5, 7)])
    put_v2(tiles, tiles_at([(12, 4000, 3000), (14, 9, 9)]))
    runtime = a_runtime(tiles)

    job = run_workflow(runtime, submit(runtime, service))

    assert job.delivery.tile_count == 3


def test_work_items_count_the_tiles_that_do_not_exist_so_that_progress_goes_from_0_to_100(monkeypatch):
    monkeypatch.setattr("exporttiles.domain.plan.FRAGMENT_TARGET_BYTES", 1)
    tiles, service = a_cache("Compact V2", [(12, 128 * number, 900 * number) for number in range(4)])
    runtime = a_runtime(tiles)
    job_id = submit(runtime, service)

    items = read_document(runtime.objects.read(runtime.plan_export(job_id).work_items_key))
    percents = [runtime.jobs.get(job_id).percent]
    for item in items:
        runtime.export_tile_range(WorkItem.from_json(item))
        percents.append(runtime.jobs.get(job_id).percent)

    assert (percents[0], percents[-1]) == (0, 100)
    assert all(later > earlier for earlier, later in pairwise(percents))
    assert runtime.pack_tile_package(job_id).missing_count == runtime.jobs.get(job_id).tile_count - 4


def test_a_delta_of_a_sparse_cache_asks_for_the_times_of_tiles_that_exist():
    tiles, service = a_cache("XYZ", [(9, 5, 7), (9, 300, 400)])
    runtime = a_runtime(tiles)
    before = METER.snapshot()

    job_id = submit(runtime, service, (9,), since=runtime.clock.now().replace(year=2020))
    job = run_workflow(runtime, job_id)

    assert (job.delivery.tile_count, job.delivery.up_to_date_count) == (2, 0)
    assert (METER.snapshot() - before).gets < 40


def test_a_sparse_export_that_failed_goes_on_where_it_stopped():
    tiles, service = a_cache("XYZ", [(9, 5, 7), (9, 300, 400)])
    runtime = a_runtime(tiles)
    job_id = submit(runtime, service, (9,))
    runtime.plan_export(job_id)
    runtime.close_job.stop(job_id, timed_out=True)
    runtime.resume_export(job_id)

    job = run_workflow(runtime, job_id)

    assert (job.status, job.delivery.tile_count) == (JobStatus.SUCCEEDED, 2)


@pytest.mark.parametrize("put", [put_xyz, put_v2, put_tpkx])
def test_the_thumbnail_of_a_sparse_cache_shows_a_tile(put):
    tiles = memory()
    url = put(tiles, tiles_at([(12, 500, 7)]))
    service = replace(a_service(tiles, url=url), full_extent=WORLD, max_export_tiles_count=sys.maxsize)
    runtime = a_runtime(tiles)
    job = run_workflow(runtime, submit(runtime, service, (12,)))

    with zipfile.ZipFile(BytesIO(runtime.objects.read(job.package.key))) as package:
        (name,) = [name for name in package.namelist() if name.endswith("thumbnail.png")]
        colours = Image.open(package.open(name)).convert("RGB").getcolors(100_000)
    assert any(red < 10 and blue < 10 and 110 < green < 140 for _, (red, green, blue) in colours)
