"""Deltas: exports of the tiles that have changed since a time or an earlier job."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from obstore.store import LocalStore

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.area import Area
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import ExportArea
from exporttiles.domain.job import JobStatus
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.messages.keys import CHANGES_NAME, JobKeys
from tests.builders import a_request, a_service, put_bundles, put_files
from tests.fakes import a_runtime, run_workflow
from tests.functions.test_event_functions import schema
from tests.unit.usecases.test_export import package_of, tiles_of

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)
LONG_AGO = (NOW - timedelta(days=30)).timestamp()


class Cache:
    """A cache of levels 0-3 in a folder, long ago written."""

    def __init__(self, folder, put):
        self.folder = folder
        self.objects = ObstoreObjects(LocalStore(folder))
        put(self.objects, 3)
        for path in folder.rglob("*.*"):
            os.utime(path, (LONG_AGO, LONG_AGO))
        self.runtime, self.service = a_runtime(self.objects), a_service(self.objects)

    def change(self, *keys, at=SINCE + timedelta(hours=1)):
        for key in keys:
            os.utime(self.folder / key, (at.timestamp(), at.timestamp()))

    def export(self, **changes):
        request = replace(a_request(self.service, range(4)), **{"since": SINCE} | changes)
        return run_workflow(self.runtime, self.runtime.submit_export(self.service, request, {}).job_id)


@pytest.fixture
def files(tmp_path):
    return Cache(tmp_path, put_files)


@pytest.fixture
def bundles(tmp_path):
    return Cache(tmp_path, put_bundles)


def texts(job):
    return " ".join(message.text for message in job.messages)


def test_a_delta_of_files_holds_the_tiles_that_changed(files):
    files.change("World/3/5/2.jpg", "World/3/6/2.jpg", "World/1/0/0.jpg")

    job = files.export()

    assert tiles_of(package_of(files.runtime, job)).keys() == {(3, 2, 5), (3, 2, 6), (1, 0, 0)}
    assert (job.delivery.tile_count, job.delivery.missing_count, job.delivery.up_to_date_count) == (3, 0, 82)
    assert "82 tiles have not changed since 2026-11-22 18:00:00 UTC and are left out" in texts(job)


def test_a_delta_of_bundles_holds_whole_bundles(bundles):
    bundles.change(f"World/{bundle_path(BundleIndex(2, 0, 0))}")

    job = bundles.export()

    assert {level for level, _, _ in tiles_of(package_of(bundles.runtime, job))} == {2}
    assert (job.delivery.tile_count, job.delivery.up_to_date_count) == (16, 69)


def test_tiles_written_in_the_same_second_count_as_modified(files):
    files.change("World/0/0/0.jpg", at=SINCE)

    assert files.export(since=SINCE + timedelta(microseconds=900_000)).delivery.tile_count == 1


def test_counts_add_up_with_tiles_that_are_missing_or_flawed(files):
    (files.folder / "World/3/0/0.jpg").unlink()
    (files.folder / "World/3/1/0.jpg").write_bytes(b"<html>")
    files.change("World/3/1/0.jpg", "World/3/2/0.jpg")

    job = files.export()

    told = job.delivery
    assert (told.tile_count, told.missing_count, told.up_to_date_count, job.tile_count) == (1, 1, 82, 85)
    assert "cannot be used and are left out: 1" in texts(job)


def test_the_tiles_of_a_delta_are_listed_beside_it(files):
    files.change("World/3/5/2.jpg", "World/3/6/2.jpg")

    job = files.export()
    listed = json.loads(files.runtime.objects.read(JobKeys(job.job_id).delivered(CHANGES_NAME)))

    schema("changes").validate(listed)
    assert listed == {
        "service": "World_Imagery",
        "since": "2026-11-22T18:00:00Z",
        "changed": [{"level": 3, "rows": [2, 3], "columns": [5, 7], "tiles": 2}],
    }
    assert files.runtime.browse_job.files(job).files == (job.package.name, CHANGES_NAME)


def test_an_export_without_since_has_no_list(files):
    job = files.export(since=None)

    assert (job.delivery.tile_count, job.delivery.up_to_date_count) == (85, None)
    assert files.runtime.browse_job.files(job).files == (job.package.name,)


def test_a_delta_without_changes_ends_without_a_package_and_says_so(files):
    job = files.export()

    assert (job.status, job.package, job.is_up_to_date) == (JobStatus.FAILED, None, True)
    assert "none of the tiles that exist has changed since 2026-11-22 18:00:00 UTC" in texts(job)
    assert job.delivery.up_to_date_count == 85
    assert list(files.runtime.objects.list(JobKeys(job.job_id).packages)) == []


def test_an_export_where_nothing_exists_is_still_empty(files):
    for path in files.folder.rglob("*.jpg"):
        path.unlink()

    job = files.export()

    assert (job.status, job.is_up_to_date) == (JobStatus.FAILED, False)
    assert "None of the 85 selected tiles exists" in texts(job)


def test_an_earlier_job_stands_for_the_time_when_it_was_submitted(files):
    earlier = files.export(since=None)
    files.change("World/0/0/0.jpg", at=earlier.submitted_at)

    assert files.export(since=None, since_job=earlier.job_id).delivery.tile_count == 1


def test_an_earlier_job_must_have_succeeded_for_the_same_service_and_owner(files):
    failed = files.export()
    other = files.export(since=None)
    files.runtime.jobs.jobs[other.job_id] = replace(other, owner="someone else")

    for job_id in (failed.job_id, other.job_id, "j" + "0" * 32):
        with pytest.raises(InvalidParameterError, match="the id of an export of this service that succeeded"):
            files.export(since=None, since_job=job_id)


def test_a_time_that_has_not_come_is_refused(files):
    with pytest.raises(InvalidParameterError, match="must lie in the past"):
        files.export(since=NOW + timedelta(days=1))


def test_an_estimate_says_that_it_ignores_modification_times(files):
    request = replace(a_request(files.service, range(4)), since=SINCE)

    assert "only an export compares times" in texts(files.runtime.estimate_export(files.service, request, {}))


def test_a_delta_of_several_areas_has_the_changed_tiles_of_each_at_its_levels(files):
    upper, lower = (Area.from_extent(WEB_MERCATOR_256.tile_extent(1, row, 0)) for row in (0, 1))
    areas = (ExportArea(upper, (1, 2)), ExportArea(lower, (2, 3)))
    files.change("World/1/0/0.jpg", "World/2/0/1.jpg", "World/2/0/3.jpg", "World/3/0/0.jpg", "World/3/0/7.jpg")

    job = files.export(areas=areas)

    assert tiles_of(package_of(files.runtime, job)).keys() == {(1, 0, 0), (2, 1, 0), (2, 3, 0), (3, 7, 0)}
    assert job.delivery.up_to_date_count == job.tile_count - 4
