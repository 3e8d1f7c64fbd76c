"""Exports that leave out tiles without contents: they are counted, and not missing."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import Image

from exporttiles.domain.area import Area
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import LAST, Blank, Clip
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.service import TileFormat
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.packages.outputs import output_of
from exporttiles.messages.export import Export
from exporttiles.messages.keys import VERIFICATION_NAME, JobKeys
from tests.builders import WEB_MERCATOR, a_request, a_service, a_tile, put_files
from tests.fakes import a_runtime, memory, run_workflow
from tests.functions.test_event_functions import schema
from tests.unit.usecases.test_export import OUTPUTS, package_of, tiles_of


def a_png(color, mode="RGBA"):
    body = BytesIO()
    Image.new(mode, (256, 256), color).save(body, "PNG")
    return body.getvalue()


CLEAR, BLUE = a_png((0, 0, 0, 0)), a_png((0, 0, 255), "RGB")


@pytest.fixture
def cache():
    """A MIXED cache of levels 0-2 with two transparent tiles, a blue one, and one missing."""
    tiles = memory()
    put_files(tiles, 2)
    tiles.write("World/2/0/0.jpg", CLEAR)
    tiles.write("World/2/1/0.jpg", CLEAR)
    tiles.write("World/2/2/0.jpg", BLUE)
    tiles.delete(["World/2/3/0.jpg"])
    return tiles


def run(objects, **changes):
    runtime, service = a_runtime(objects), replace(a_service(objects), tile_format=TileFormat.MIXED)
    request = a_request(service, changes.pop("levels", range(3)), area=changes.pop("area", None))
    request = replace(request, **changes)
    return runtime, service, request, run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)


def texts(job, kind):
    return [message.text for message in job.messages if message.kind is kind]


@pytest.mark.parametrize(
    ("skipped", "count", "said"),
    [
        (Blank.TRANSPARENT, 2, "2 blank tiles were left out."),
        (Blank.ONE_COLOR, 3, "3 tiles of one color were left out."),
    ],
)
def test_tiles_without_contents_are_left_out_and_counted_and_are_not_missing(cache, skipped, count, said):
    runtime, _, _, job = run(cache, skipped=skipped)

    found = tiles_of(package_of(runtime, job))
    assert len(found) == job.delivery.tile_count == 21 - 1 - count
    assert not {CLEAR, BLUE}.intersection(found.values()) - ({BLUE} if skipped is Blank.TRANSPARENT else set())
    assert job.delivery.missing_count == 1
    assert said in texts(job, MessageKind.INFORMATIVE)
    assert texts(job, MessageKind.WARNING) == ["Selected tiles that do not exist in the cache and are left out: 1."]


def test_they_are_kept_unless_the_request_leaves_them_out(cache):
    runtime, _, _, job = run(cache)

    assert tiles_of(package_of(runtime, job))[2, 0, 0] == CLEAR


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_check_finds_no_fault_and_verification_counts_them(cache, suffix):
    tile_package, storage_format = OUTPUTS[suffix]

    runtime, service, request, job = run(
        cache, skipped=Blank.TRANSPARENT, tile_package=tile_package, storage_format=storage_format
    )

    package = package_of(runtime, job)
    file = RangedFile(len(package), lambda spans: (memoryview(package)[start:stop] for start, stop in spans))
    report = output_of(service, request).check(file, Scope())
    verification = json.loads(runtime.objects.read(JobKeys(job.job_id).delivered(VERIFICATION_NAME)))
    schema("verification").validate(verification)
    assert (report.damage, report.remarks) == ((), ())
    assert (verification["tiles"]["skipped"], verification["tiles"]["missing"]["count"]) == (2, 1)


def test_an_export_of_blank_tiles_alone_fails_and_says_so(cache):
    _, _, _, job = run(cache, skipped=Blank.TRANSPARENT, levels=(2,), area=corner())

    assert job.status is JobStatus.FAILED
    said = " ".join(texts(job, MessageKind.ERROR))
    assert "skipBlank: 1 blank tile was left out. No other selected tile exists." in said


def corner():
    """Return an area in the first tile of level 2."""
    return Area.from_rings([[[(-2e7, 2e7), (-1.9e7, 2e7), (-1.9e7, 1.9e7)]]], WEB_MERCATOR)


def test_tiles_that_clipping_empties_are_blank(cache):
    sliver = Area.from_rings([[[(1, 1), (1, 9e6), (1 + 3 * 40_000, 9e6), (1 + 3 * 40_000, 1)]]], WEB_MERCATOR)

    runtime, _, _, job = run(cache, skipped=Blank.TRANSPARENT, clip=Clip(), area=sliver)

    assert sorted(tiles_of(package_of(runtime, job))) == [(0, 0, 0), (1, 0, 1), (2, 1, 2)]


def test_a_level_of_blank_tiles_alone_has_tiles(cache):
    _, _, _, job = run(cache, skipped=Blank.TRANSPARENT, area=corner())

    assert texts(job, MessageKind.WARNING) == []


@pytest.mark.parametrize("since", [{"since": datetime(2020, 1, 1, tzinfo=UTC)}, {"since_job": LAST}])
def test_a_delta_cannot_leave_them_out(cache, since):
    with pytest.raises(InvalidParameterError, match=r"skipBlank: .* readers would keep the older one"):
        run(cache, skipped=Blank.TRANSPARENT, **since)


def test_the_choice_comes_back_from_the_document_of_the_export(cache):
    service = a_service(cache)
    for skipped in (None, *Blank):
        export = Export(service, replace(a_request(service, (0,)), skipped=skipped))
        assert Export.from_json(export.to_json()).request.skipped is skipped


def test_equal_bytes_of_imagery_are_no_reason_to_leave_a_tile_out(cache):
    cache.write("World/2/0/1.jpg", a_tile(2, 3, 3))

    runtime, _, _, job = run(cache, skipped=Blank.ONE_COLOR)

    assert tiles_of(package_of(runtime, job))[2, 1, 0] == a_tile(2, 3, 3)
