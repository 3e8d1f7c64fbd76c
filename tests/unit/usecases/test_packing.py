"""Fragments and packer: a joined package equals one written in one piece."""

import io
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.domain import parts, plan
from exporttiles.domain.errors import AreaError, PackageError
from exporttiles.domain.tiling import BundleIndex
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, put_files
from tests.fakes import FakePackages, a_runtime, memory, run_workflow
from tests.unit.usecases.test_export import package_of, submit

TILES = memory()
put_files(TILES, 4)
JOB_ID = "j" + "0" * 32


def export(levels=range(5), **limits):
    """Run an export under one job id, with limits of parts and fragments made small."""
    runtime, service = a_runtime(TILES), a_service(TILES)
    object.__setattr__(runtime.submit_export, "new_job_id", lambda: JOB_ID)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            for module in (parts, plan):
                patch.setattr(module, name, value, raising=False)
            patch.setattr("exporttiles.usecases.pack_tile_package." + name, value, raising=False)
        submit(runtime, service, a_request(service, levels))
        return runtime, run_workflow(runtime, JOB_ID)


def members(package):
    """Return the members of a package, in the order in which its directory lists them."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    fragment_bytes=st.integers(1, 8_000_000),
    part_bytes=st.integers(1, 4_000_000),
)
def test_however_the_work_is_cut_the_members_are_the_same(fragment_bytes, part_bytes):
    whole = members(package_of(*export()))

    runtime, job = export(FRAGMENT_TARGET_BYTES=fragment_bytes, MIN_PART_BYTES=part_bytes)

    assert members(package_of(runtime, job)) == whole


@pytest.mark.parametrize(
    "limits", [{}, {"FRAGMENT_TARGET_BYTES": 1, "MIN_PART_BYTES": 200_000}], ids=["small", "large"]
)
def test_a_package_lists_its_documents_first_and_then_its_bundles_by_level(limits):
    """As ArcGIS lists them, wherever their bytes lie in a large package."""
    names = list(members(package_of(*export(**limits))))

    assert names == [
        *("iteminfo.json", "root.json", "thumbnail.png"),
        *(f"tile/L{level:02d}/R0000C0000.bundle" for level in range(5)),
    ]


def test_large_fragments_are_copied_and_only_the_rest_goes_through_memory():
    runtime, job = export(FRAGMENT_TARGET_BYTES=1, MIN_PART_BYTES=200_000)

    assert isinstance(runtime.packages, FakePackages)
    assert runtime.packages.written_bytes < job.package.size_bytes / 2


def test_the_same_export_gives_the_same_bytes():
    first, second = (package_of(*export()) for _ in range(2))

    assert first == second


def test_a_work_item_without_a_report_is_no_package():
    runtime, service = a_runtime(TILES), a_service(TILES)
    job_id = submit(runtime, service, a_request(service, range(3))).job_id
    runtime.plan_export(job_id)

    with pytest.raises(PackageError, match="Work item 0 of 1 left no report"):
        runtime.pack_tile_package(job_id)


def test_reports_must_add_up_to_the_selected_tiles():
    runtime, service = a_runtime(TILES), a_service(TILES)
    job_id = submit(runtime, service, a_request(service, range(3))).job_id
    runtime.plan_export(job_id)
    runtime.export_tile_range(WorkItem(job_id, 0, (BundleIndex(0, 0, 0), BundleIndex(1, 0, 0))))

    with pytest.raises(PackageError, match="5 tiles were looked for, but 21 are selected"):
        runtime.pack_tile_package(job_id)


def test_an_export_that_cannot_end_in_time_is_refused_before_any_work():
    runtime, service = a_runtime(TILES), a_service(TILES)
    runtime = replace(runtime, settings=replace(runtime.settings, export_timeout=timedelta()))
    job_id = submit(runtime, service, a_request(service, range(3))).job_id

    with pytest.raises(AreaError, match="ExportTimeoutSeconds"):
        runtime.plan_export(job_id)

    assert runtime.jobs.get(job_id).progress.work_items == 0
