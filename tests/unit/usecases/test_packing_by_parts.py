"""Packing over several invocations: nothing is lost, whenever one of them is killed."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from exporttiles.adapters import s3_packages
from exporttiles.adapters.s3_packages import S3Packages
from exporttiles.domain import parts, plan
from exporttiles.domain.cost import bill
from exporttiles.domain.errors import DamagedPackageError, SourceError
from exporttiles.domain.job import JobStatus
from exporttiles.messages.documents import read_document
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.packed_package import PartlyPacked
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, put_files
from tests.chaos.multipart import MemoryS3, Pages
from tests.fakes import FakeSources, a_runtime, memory

TILES = memory()
put_files(TILES, 4)
JOB_ID = "j" + "0" * 32
KEYS = JobKeys(JOB_ID)


class Killed(BaseException):
    """The process is gone."""


class DyingS3:
    """S3 in memory. Counts the copies of each part, and kills the process that sends a request.

    Attributes:
        copies: part number -> how often it was copied.
        dies_at: number of the request that kills, counted from 0; -1 for none.
        is_late: the request is carried out, but its response is lost.
    """

    def __init__(self, s3):
        self.s3 = s3
        self.copies = Counter()
        self.requests = 0
        self.dies_at = -1
        self.is_late = False

    def __getattr__(self, name):
        found = getattr(self.s3, name)
        return partial(self._request, name, found) if callable(found) else found

    def get_paginator(self, operation):
        return Pages(getattr(self, operation))

    def _request(self, name, act, **options):
        dies = self.requests == self.dies_at
        self.requests += 1
        if dies and not self.is_late:
            raise Killed
        answer = act(**options)
        if name == "upload_part_copy":
            self.copies[options["PartNumber"]] += 1
        if dies:
            raise Killed
        return answer


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Copy a part of each bundle, one after the other."""
    monkeypatch.setattr(plan, "FRAGMENT_TARGET_BYTES", 1)
    monkeypatch.setattr(parts, "MIN_PART_BYTES", 1_000)
    for name in ("COPIERS", "_WRITERS"):
        monkeypatch.setattr(s3_packages, name, 1)


def exported():
    """Return a runtime with a job whose work items are exported, and its S3."""
    runtime, service = a_runtime(TILES), a_service(TILES)
    s3 = DyingS3(MemoryS3(runtime.objects))
    runtime = replace(runtime, packages=S3Packages(s3, "packages", 60))
    object.__setattr__(runtime.submit_export, "new_job_id", lambda: JOB_ID)
    runtime.submit_export(service, a_request(service, range(5)), {})
    runtime.plan_export(JOB_ID)
    for item in read_document(runtime.objects.read(KEYS.work_items)):
        runtime.export_tile_range(WorkItem.from_json(item))
    return runtime, s3


def pack(runtime, remaining_seconds=0.0):
    """Pack in as many invocations as it takes; return the package and their number."""
    packed, calls = PartlyPacked(), 0
    while isinstance(packed, PartlyPacked):
        packed, calls = runtime.pack_tile_package.go_on(JOB_ID, packed, lambda: remaining_seconds), calls + 1
    return packed, calls


@pytest.fixture(scope="module")
def whole():
    """The package that one invocation makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "FRAGMENT_TARGET_BYTES", 1)
        patch.setattr(parts, "MIN_PART_BYTES", 1_000)
        runtime, _ = exported()
        return runtime.objects.read(runtime.pack_tile_package(JOB_ID).key)


def test_a_package_of_many_invocations_equals_that_of_one(whole):
    runtime, s3 = exported()

    packed, calls = pack(runtime)

    assert runtime.objects.read(packed.key) == whole
    assert calls == packed.packers == 5 + 1 + 1  # a part each, the tail, and completing it
    assert set(s3.copies.values()) == {1}


def test_the_usage_of_all_invocations_is_billed():
    (at_once, _), (by_parts, _) = (pack(exported()[0], seconds) for seconds in (900.0, 0.0))

    assert (at_once.packers, by_parts.packers) == (1, 7)
    assert by_parts.used.puts == at_once.used.puts + 6  # each asks which parts there are
    assert bill(by_parts.used, 5, at_once=False, packers=7).transitions == 8 + 2 * 5 + 2 * 6


@pytest.mark.parametrize("is_late", [False, True], ids=["before the request", "after it"])
@pytest.mark.parametrize("remaining_seconds", [0.0, 900.0], ids=["a part a call", "all in one call"])
def test_wherever_a_packer_is_killed_the_package_is_whole_and_only_the_part_on_its_way_is_copied_twice(
    whole, remaining_seconds, is_late
):
    for dies_at in range(100):
        runtime, s3 = exported()
        s3.dies_at, s3.is_late = dies_at, is_late
        try:
            packed, _ = pack(runtime, remaining_seconds)
        except Killed:
            packed, _ = pack(runtime, remaining_seconds)
        assert runtime.objects.read(packed.key) == whole
        assert sum(s3.copies.values()) <= 5 + 1
        if s3.requests <= dies_at:  # there was no such request: all have been tried
            break
    assert 8 < dies_at < 99


def test_two_packers_share_one_upload(whole):
    runtime, s3 = exported()

    class Racing(S3Packages):
        """Another packer begins while this one does."""

        def begin(self, key):
            upload_id = super().begin(key)
            runtime.pack_tile_package.go_on(JOB_ID, PartlyPacked(), lambda: 0.0)
            return upload_id

    first = replace(runtime, packages=Racing(s3, "packages", 60))
    packed = first.pack_tile_package(JOB_ID)

    assert runtime.objects.read(packed.key) == whole
    assert set(s3.copies.values()) == {1}
    assert s3.uploads == {}


def test_a_package_that_came_out_damaged_is_packed_from_its_beginning(whole, monkeypatch):
    runtime, s3 = exported()
    compare = S3Packages._compare

    def damaged(_self, _key, _crc32):
        monkeypatch.setattr(S3Packages, "_compare", compare)
        raise DamagedPackageError("S3 has another checksum.")

    monkeypatch.setattr(S3Packages, "_compare", damaged)
    with pytest.raises(DamagedPackageError):
        pack(runtime)

    assert runtime.objects.read(pack(runtime)[0].key) == whole
    assert set(s3.copies.values()) == {2}


def test_an_upload_that_somebody_aborted_is_begun_again(whole):
    runtime, _ = exported()
    runtime.pack_tile_package.go_on(JOB_ID, PartlyPacked(), lambda: 0.0)
    runtime.packages.abort_uploads("")

    with pytest.raises(SourceError, match="upload of the package was ended"):
        pack(runtime)
    assert runtime.objects.read(pack(runtime)[0].key) == whole


def test_an_upload_is_ended_with_its_job_and_not_before():
    runtime, s3 = exported()
    runtime.pack_tile_package.go_on(JOB_ID, PartlyPacked(), lambda: 0.0)

    assert runtime.delete_orphans(JOB_ID).upload_count == 0
    assert len(s3.uploads) == 1
    runtime.close_job.stop(JOB_ID, timed_out=True)

    assert runtime.jobs.get(JOB_ID).status is JobStatus.TIMED_OUT
    assert s3.uploads == {}


def test_documents_are_those_of_the_first_invocation_even_if_a_tile_has_changed_since(whole):
    tiles = memory()
    put_files(tiles, 4)
    runtime, _ = exported()
    runtime = replace(runtime, sources=FakeSources(tiles))
    runtime.pack_tile_package.go_on(JOB_ID, PartlyPacked(), lambda: 0.0)
    for stored in list(tiles.list("World/")):
        tiles.write(stored.key, tiles.read("World/0/0/0.jpg"))

    assert runtime.objects.read(pack(runtime)[0].key) == whole
