"""Cost of whole exports on AWS, from counted requests of in-memory ports."""

import io
import json
import math
from dataclasses import replace

import pytest
from PIL import Image

from exporttiles.adapters.process import METER
from exporttiles.domain.cost import Usage, bill
from exporttiles.domain.job import MessageKind
from exporttiles.domain.plan import worker_seconds
from exporttiles.domain.service import CacheLayout
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path, write_bundle
from exporttiles.messages.keys import VERIFICATION_NAME, JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.objects import ObjectStore
from tests.builders import a_request, a_service, put_bundles, put_files
from tests.fakes import a_runtime, memory, run_workflow

TILE_BYTES = 14_000  # what the plan believes; the tiles in memory are smaller
WORKER_GIGABYTES = 1769 / 1024
PACKER_SECONDS = 3
ACCEPTING_READS = 4  # of the API, which has no part in these tests
LEVELS = range(8)
TILES = (4**8 - 1) // 3


def a_plain_tile():
    body = io.BytesIO()
    Image.new("RGB", (256, 256), "green").save(body, "JPEG", quality=10)
    return body.getvalue()


def put_many_files(tiles: ObjectStore) -> None:
    tile = a_plain_tile()
    for level in LEVELS:
        for row in range(2**level):
            for column in range(2**level):
                tiles.write(f"World/{level}/{column}/{row}.jpg", tile)


def put_full_bundles(tiles: ObjectStore) -> None:
    tile = a_plain_tile()
    for level in LEVELS:
        found = {(row, column): tile for row in range(2**level) for column in range(2**level)}
        tiles.write(f"World/{bundle_path(BundleIndex(level, 0, 0))}", b"".join(write_bundle(found)))


def packed_from(put):
    """Return what was packed of a world of 21,845 tiles, and its service."""
    tiles = memory()
    put(tiles)
    runtime, service = a_runtime(tiles), a_service(tiles)
    service = replace(service, cache=replace(service.cache, average_tile_bytes=TILE_BYTES))
    job = runtime.submit_export(service, a_request(service, LEVELS), {})
    for item in json.loads(runtime.objects.read(runtime.plan_export(job.job_id).work_items_key)):
        runtime.export_tile_range(WorkItem.from_json(item))
    return runtime.pack_tile_package(job.job_id), service


@pytest.mark.slow
@pytest.mark.parametrize(
    ("put", "most_gets", "most_dollars"),
    [(put_full_bundles, 0.02, 0.003), (put_many_files, 1.01, 0.045)],
    ids=["bundles", "files"],
)
def test_a_hundred_thousand_tiles_cost_no_more_than_documented(put, most_gets, most_dollars):
    packed, service = packed_from(put)

    assert packed.tile_count == TILES
    assert packed.used.gets / TILES <= most_gets
    # Requests are those that were made; the time is that of a function's network, which memory has not.
    seconds = worker_seconds(
        TILES, TILES * TILE_BYTES, from_files=service.cache.layout is CacheLayout.FILES, recompressed=False
    )
    times = 100_000 / TILES
    used = Usage(
        gets=math.ceil(packed.used.gets * times),
        puts=math.ceil(packed.used.puts * times),
        gigabyte_seconds=(seconds * times + PACKER_SECONDS) * WORKER_GIGABYTES,
    )
    assert bill(used, math.ceil(packed.work_items * times), at_once=False).dollars <= most_dollars


@pytest.mark.parametrize("put", [put_files, put_bundles], ids=["files", "bundles"])
def test_a_finished_job_states_its_usage_and_cost(put):
    tiles = memory()
    put(tiles, 3)
    runtime, service = a_runtime(tiles), a_service(tiles)
    before = METER.snapshot()

    job = run_workflow(runtime, runtime.submit_export(service, a_request(service, range(4)), {}).job_id)

    told = [message.text for message in job.messages if message.kind is MessageKind.INFORMATIVE]
    (used,) = (text for text in told if text.startswith("Used: "))
    reads = int(used.split()[1].replace(",", ""))
    assert 85 * (put is put_files) <= reads <= (METER.snapshot() - before).gets + ACCEPTING_READS
    assert "in 5 function calls, 10 state transitions" in used
    assert f"Estimated AWS cost: ${job.delivery.cost_dollars:.4f}, without storage and download." in told


@pytest.mark.parametrize("put", [put_files, put_bundles], ids=["files", "bundles"])
def test_every_request_is_counted_once_those_of_planning_and_of_verification_too(put):
    tiles = memory()
    put(tiles, 3)
    runtime, service = a_runtime(tiles), a_service(tiles)
    job_id = runtime.submit_export(service, a_request(service, range(4)), {}).job_id
    items = json.loads(runtime.objects.read(runtime.plan_export(job_id).work_items_key))

    before = METER.snapshot()
    workers = sum((runtime.export_tile_range(WorkItem.from_json(item)).used for item in items), Usage())
    packed = runtime.pack_tile_package(job_id)
    made = METER.snapshot() - before + Usage(puts=1 if put is put_files else 0)  # level 3 was listed

    assert (packed.used.gets, packed.used.puts) == (made.gets, made.puts)
    verified = json.loads(runtime.objects.read(JobKeys(job_id).delivered(VERIFICATION_NAME)))
    assert 0 < verified["read"]["requests"] < packed.used.gets - workers.gets


def test_an_export_at_once_is_billed_as_one_function():
    tiles = memory()
    put_files(tiles, 3)
    runtime, service = a_runtime(tiles), a_service(tiles)
    job = runtime.submit_export(service, a_request(service, range(4)), {})

    runtime.close_job.succeed(job.job_id, runtime.export_at_once(job.job_id))

    assert any("in 3 function calls, 5 state transitions" in m.text for m in runtime.jobs.get(job.job_id).messages)
