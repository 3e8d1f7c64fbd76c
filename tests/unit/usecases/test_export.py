"""A whole export, step by step, on in-memory ports."""

import io
import zipfile
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from exporttiles.domain.errors import ExportCancelledError, JobStateError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.bundles.v2 import bundle_path, read_index
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.package_check import check_package
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.packages.outputs import output_of
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, a_tile, an_extent, put_bundles, put_files
from tests.fakes import FakeWorkflow, a_runtime, memory, run_workflow

OUTPUTS = {
    ".tpkx": (True, StorageFormat.COMPACT_V2),
    ".tpk": (True, StorageFormat.COMPACT),
    ".zip": (False, StorageFormat.COMPACT_V2),
}


def submit(runtime, service, request):
    return runtime.submit_export(service, request, {"levels": "0-3", "f": "json"})


def package_of(runtime, job):
    return runtime.objects.read(job.package.key)


def tiles_of(package):
    """Return level, row, column -> bytes of every tile of a package."""
    tiles = {}
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for name in archive.namelist():
            if name.endswith(".bundle"):
                level, place = int(name[6:8]), name.rpartition("/R")[2].removesuffix(".bundle")
                row, column = (int(part, 16) for part in place.split("C"))
                body = archive.read(name)
                index = read_index(body)
                for r in range(PACKET_SIZE):
                    for c in range(PACKET_SIZE):
                        if size := index.size[r, c]:
                            at = index.offset[r, c]
                            tiles[level, row + r, column + c] = body[at : at + size]
    return tiles


@pytest.fixture(params=[put_files, put_bundles], ids=["files", "bundles"])
def world(request):
    """A world cache of levels 0-4 in either layout."""
    tiles = memory()
    request.param(tiles, 4)
    return tiles


def test_a_world_export_holds_every_tile_as_it_lies_in_the_cache(world):
    runtime, service = a_runtime(world), a_service(world)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(5))).job_id)

    assert job.status is JobStatus.SUCCEEDED
    assert tiles_of(package_of(runtime, job)) == {
        (level, row, column): a_tile(level, row, column)
        for level in range(5)
        for row in range(2**level)
        for column in range(2**level)
    }


def test_the_finished_package_is_sound(world):
    runtime, service = a_runtime(world), a_service(world)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(5))).job_id)

    package = io.BytesIO(package_of(runtime, job))
    assert check_package(package).findings == ()
    assert job.package.name == "World_Imagery.tpkx"
    assert job.package.size_bytes == len(package.getvalue())


def test_files_and_bundles_give_equal_packages():
    packages = []
    for put in (put_files, put_bundles):
        tiles = memory()
        put(tiles, 4)
        runtime, service = a_runtime(tiles), a_service(tiles)
        job = submit(runtime, service, a_request(service, range(5)))
        # The job's id is in iteminfo.json, so it must be the same for both.
        runtime.jobs.jobs["j1"] = replace(runtime.jobs.jobs.pop(job.job_id), job_id="j1")
        runtime.objects.write(JobKeys("j1").export, runtime.objects.read(JobKeys(job.job_id).export))
        packages.append(package_of(runtime, run_workflow(runtime, "j1")))

    assert packages[0] == packages[1]


def test_a_box_selects_its_tiles_and_no_others(world):
    runtime, service = a_runtime(world), a_service(world)
    request = a_request(service, (3,), extent=an_extent(0, 0, 45, 40))

    job = run_workflow(runtime, submit(runtime, service, request).job_id)

    assert set(tiles_of(package_of(runtime, job))) == {(3, 3, 4)}


def warnings_of(job):
    return [message.text for message in job.messages if message.kind is MessageKind.WARNING]


def test_tiles_that_do_not_exist_are_counted_in_a_warning():
    tiles = memory()
    put_files(tiles, 4)
    tiles.delete([f"World/4/{column}/3.jpg" for column in range(7)])
    runtime, service = a_runtime(tiles), a_service(tiles)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(5))).job_id)

    assert job.status is JobStatus.SUCCEEDED
    assert warnings_of(job) == ["Selected tiles that do not exist in the cache and are left out: 7."]


def test_levels_of_which_no_tile_exists_are_named_and_their_tiles_are_not_counted_in_the_warning(world):
    service = a_service(world)
    folders = [f"World/{name}{level}/" for name in ("", "L0") for level in (1, 3, 4)]
    world.delete([stored.key for folder in folders for stored in world.list(folder)])
    runtime = a_runtime(world)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(5))).job_id)

    assert warnings_of(job) == [
        "levels: The cache has no tiles of levels 3-4 in the selected area.",
        "The export holds no tiles of level 1, but of coarser and of finer levels.",
    ]
    assert job.delivery.missing_count == 4 + 64 + 256


def test_an_export_of_no_existing_tile_fails_and_says_so(world):
    runtime, service = a_runtime(world), a_service(world)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, (5,))).job_id)

    assert job.status is JobStatus.FAILED
    assert "None of the 1,024 selected tiles exists" in job.messages[-1].text
    assert list(runtime.objects.list("packages/")) == []


def test_more_tiles_than_allowed_fail_at_once_with_the_number_that_clients_look_for(world):
    runtime = a_runtime(world)
    service = replace(a_service(world), max_export_tiles_count=100)

    job = submit(runtime, service, a_request(service, range(5)))

    assert job.status is JobStatus.FAILED
    assert job.messages[-1].text == (
        "ERROR 001564: Requested tile count(341) exceeds the maximum allowed number of "
        "tiles(100) to be exported for service World_Imagery:ImageServer."
    )
    assert isinstance(workflow := runtime.submit_export.workflow, FakeWorkflow)
    assert workflow.started == []


def test_a_job_whose_steps_cannot_be_started_has_failed(world):
    runtime, service = a_runtime(world), a_service(world)

    class Refusing:
        def start(self, job):
            raise ConnectionError(job.job_id)

    with pytest.raises(ConnectionError) as refused:
        submit(
            replace(runtime, workflow=Refusing()),
            service,
            a_request(service, (0,)),
        )

    job = runtime.jobs.get(str(refused.value))
    assert job.status is JobStatus.FAILED
    assert "could not be started" in job.messages[-1].text


def test_an_area_outside_the_cache_fails_at_once(world):
    runtime = a_runtime(world)
    service = a_service(world)
    service = replace(service, full_extent=an_extent(0, 0, 10, 10).to(service.full_extent.spatial_reference))

    job = submit(runtime, service, a_request(service, (3,), extent=an_extent(100, 0, 110, 10)))

    assert job.status is JobStatus.FAILED
    assert "select no tile" in job.messages[-1].text
    assert "the area lies outside the service's full extent" in job.messages[-1].text


def test_an_area_beyond_the_origin_of_the_tiling_scheme_fails_and_says_so(world):
    runtime, service = a_runtime(world), a_service(world)
    scheme = replace(service.tiling_scheme, origin_x=0.0)
    service = replace(service, tiling_scheme=scheme)

    job = submit(runtime, service, a_request(service, (3,), extent=an_extent(-20, 0, -10, 10)))

    assert job.status is JobStatus.FAILED
    assert "left of the origin of its tiling scheme" in job.messages[-1].text


def test_a_kilometre_at_greenwich_is_exported_at_every_level(world):
    runtime, service = a_runtime(world), a_service(world)
    site = Extent(-500, 6710000, 500, 6711000, service.full_extent.spatial_reference)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(5), extent=site)).job_id)

    assert {level for level, _, _ in tiles_of(package_of(runtime, job))} == set(range(5))
    assert runtime.estimate_export(service, a_request(service, range(5), extent=site), {}).tile_count == job.tile_count


def test_a_worker_run_twice_writes_the_same_bytes_and_counts_once(world):
    runtime, service = a_runtime(world), a_service(world)
    job_id = submit(runtime, service, a_request(service, range(5))).job_id
    runtime.plan_export(job_id)
    item = WorkItem(job_id, 0, tuple(BundleIndex(level, 0, 0) for level in range(5)))

    runtime.export_tile_range(item)
    (fragment,) = runtime.objects.list(JobKeys(job_id).fragments)
    first = runtime.objects.read(fragment.key)
    runtime.export_tile_range(item)

    assert list(runtime.objects.list(JobKeys(job_id).fragments)) == [fragment]
    assert runtime.objects.read(fragment.key) == first
    assert runtime.jobs.get(job_id).percent == 100
    assert runtime.jobs.get(job_id).progress.done_work_items == 1


def test_a_tile_that_changes_between_two_attempts_does_not_break_the_package():
    tiles = memory()
    put_files(tiles, 2)
    runtime, service = a_runtime(tiles), a_service(tiles)
    job_id = submit(runtime, service, a_request(service, range(3))).job_id
    runtime.plan_export(job_id)
    item = WorkItem(job_id, 0, tuple(BundleIndex(level, 0, 0) for level in range(3)))
    runtime.export_tile_range(item)
    tiles.write("World/2/1/3.jpg", a_tile(9, 9, 9))

    job = run_workflow(runtime, job_id)

    assert check_package(io.BytesIO(package_of(runtime, job))).findings == ()
    assert tiles_of(package_of(runtime, job))[2, 3, 1] == a_tile(2, 3, 1)


def test_recompression_makes_the_package_smaller_and_says_what_it_saved(world):
    runtime, service = a_runtime(world), a_service(world)
    plain = run_workflow(runtime, submit(runtime, service, a_request(service, range(5))).job_id)
    small = run_workflow(runtime, submit(runtime, service, a_request(service, range(5), quality=40)).job_id)

    assert small.package.size_bytes < plain.package.size_bytes
    assert any(m.text.startswith("Recompressed to JPEG quality 40") for m in small.messages)
    plain_tiles, small_tiles = (tiles_of(package_of(runtime, job)) for job in (plain, small))
    assert plain_tiles.keys() == small_tiles.keys()
    assert all(len(small_tiles[place]) <= len(tile) for place, tile in plain_tiles.items())


def test_an_error_page_among_the_tiles_is_left_out_with_a_warning():
    tiles = memory()
    put_files(tiles, 2)
    tiles.write("World/2/1/3.jpg", b"<html>503</html>")
    runtime, service = a_runtime(tiles), a_service(tiles)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(3))).job_id)

    assert (2, 3, 1) not in tiles_of(package_of(runtime, job))
    assert [m.text for m in job.messages if m.kind is MessageKind.WARNING] == [
        "Selected tiles that cannot be used and are left out: 1 (level 2, row 3, column 1: a page in HTML or XML)."
    ]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(("width", "height"), [(200, 200), (512, 512), (256, 255)])
def test_a_tile_of_another_size_is_left_out_with_a_warning_and_the_rest_is_sound(output, width, height):
    tiles = memory()
    put_files(tiles, 3)
    body = io.BytesIO()
    Image.new("RGB", (width, height)).save(body, "JPEG")
    tiles.write("World/3/1/3.jpg", body.getvalue())
    runtime, service = a_runtime(tiles), a_service(tiles)
    tile_package, storage_format = OUTPUTS[output]
    request = replace(a_request(service, range(4)), tile_package=tile_package, storage_format=storage_format)

    job = run_workflow(runtime, submit(runtime, service, request).job_id)

    flaw = f"{width} x {height} pixels instead of 256 x 256"
    assert job.delivery is not None
    assert job.delivery.tile_count == 1 + 4 + 16 + 63
    assert [m.text for m in job.messages if m.kind is MessageKind.WARNING] == [
        f"Selected tiles that cannot be used and are left out: 1 (level 3, row 3, column 1: {flaw})."
    ]
    package = RangedFile.of(io.BytesIO(package_of(runtime, job)))
    assert output_of(service, request).check(package, Scope()).findings == ()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.sampled_from([64, 255, 256, 512]), max_size=7)
)
def test_only_tiles_of_the_size_of_the_scheme_are_packed(odd):
    tiles = memory()
    put_files(tiles, 3)
    for (row, column), side in odd.items():
        body = io.BytesIO()
        Image.new("RGB", (side, side)).save(body, "JPEG", quality=50 + row)
        tiles.write(f"World/3/{column}/{row}.jpg", body.getvalue())
    runtime, service = a_runtime(tiles), replace(a_service(tiles), tiling_scheme=WEB_MERCATOR_256)

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(4))).job_id)

    left_out = {(3, *place) for place, side in odd.items() if side != WEB_MERCATOR_256.tile_size}
    packed = tiles_of(package_of(runtime, job))
    assert left_out.isdisjoint(packed)
    assert len(packed) == 85 - len(left_out)


def test_a_truncated_bundle_loses_only_its_missing_tiles():
    tiles = memory()
    put_bundles(tiles, 3)
    runtime, service = a_runtime(tiles), a_service(tiles)
    key = f"World/{bundle_path(BundleIndex(3, 0, 0))}"
    tiles.write(key, tiles.read(key)[:-100])

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(4))).job_id)

    assert (3, 7, 7) not in tiles_of(package_of(runtime, job))
    assert (3, 7, 6) in tiles_of(package_of(runtime, job))
    assert [m.text for m in job.messages if m.kind is MessageKind.WARNING] == [
        (
            "Selected tiles that cannot be used and are left out: 1 "
            "(level 3, row 7, column 7: empty, or outside its bundle)."
        )
    ]


def test_a_bundle_without_its_index_fails_the_job_with_its_name():
    tiles = memory()
    put_bundles(tiles, 3)
    runtime, service = a_runtime(tiles), a_service(tiles)
    key = f"World/{bundle_path(BundleIndex(3, 0, 0))}"
    tiles.write(key, tiles.read(key)[:1000])

    job = run_workflow(runtime, submit(runtime, service, a_request(service, range(4))).job_id)

    assert job.status is JobStatus.FAILED
    assert (
        f"{key}: The bundle is cut off in its index: it has 1,000 bytes, and header and index take 131,136."
        in job.messages[-1].text
    )


def test_a_cancelled_job_stops_at_the_next_step_and_leaves_nothing(world):
    runtime, service = a_runtime(world), a_service(world)
    job_id = submit(runtime, service, a_request(service, range(5))).job_id
    runtime.plan_export(job_id)
    item = WorkItem(job_id, 0, (BundleIndex(0, 0, 0),))
    runtime.export_tile_range(item)

    runtime.cancel_export(job_id)

    with pytest.raises(ExportCancelledError):
        runtime.export_tile_range(item)
    job = run_workflow(runtime, job_id)
    assert job.status is JobStatus.CANCELLED
    assert list(runtime.objects.list(JobKeys(job_id).fragments)) == []


def test_a_job_that_has_ended_cannot_be_cancelled(world):
    runtime, service = a_runtime(world), a_service(world)
    job = run_workflow(runtime, submit(runtime, service, a_request(service, (0,))).job_id)

    with pytest.raises(JobStateError, match="Succeeded"):
        runtime.cancel_export(job.job_id)


def test_a_success_after_a_cancel_removes_the_package(world):
    runtime, service = a_runtime(world), a_service(world)
    job_id = submit(runtime, service, a_request(service, (0,))).job_id
    runtime.plan_export(job_id)
    runtime.export_tile_range(WorkItem(job_id, 0, (BundleIndex(0, 0, 0),)))
    packed = runtime.pack_tile_package(job_id)
    runtime.cancel_export(job_id)

    runtime.close_job.succeed(job_id, packed)

    assert runtime.jobs.get(job_id).status is JobStatus.CANCELLED
    assert list(runtime.objects.list("packages/")) == []


def test_more_than_parts_of_a_package_can_hold_is_refused_before_any_work_item_is_written(world):
    runtime, service = a_runtime(world), a_service(world)
    service = replace(service, cache=replace(service.cache, average_tile_bytes=6 * 2**30 // 256))

    job = run_workflow(runtime, submit(runtime, service, a_request(service, (4,))).job_id)

    assert job.status is JobStatus.FAILED
    assert "a part of about 6,443 MB; it may have 10,000 of at most 5,369 MB" in job.messages[-1].text
    assert JobKeys(job.job_id).work_items not in {stored.key for stored in runtime.objects.list("")}
