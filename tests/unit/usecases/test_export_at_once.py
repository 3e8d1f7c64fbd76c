"""An export by one function equals that of the workflow."""

import pytest

from exporttiles.domain.errors import EmptyExportError, ExportCancelledError
from tests.builders import a_request, a_service, put_files
from tests.fakes import a_runtime, memory, run_workflow

WORLD = memory()
put_files(WORLD, 3)


def a_job(runtime, levels=range(4)):
    object.__setattr__(runtime.submit_export, "new_job_id", lambda: "j" + "0" * 32)
    service = a_service(WORLD)
    return runtime.submit_export(service, a_request(service, levels), {}).job_id


def test_the_package_is_that_of_the_workflow():
    at_once, by_steps = a_runtime(WORLD), a_runtime(WORLD)

    packed = at_once.export_at_once(a_job(at_once))

    job = run_workflow(by_steps, a_job(by_steps))
    assert at_once.objects.read(packed.key) == by_steps.objects.read(job.package.key)
    assert (packed.tile_count, packed.missing_count) == (85, 0)
    assert at_once.jobs.get(job.job_id).percent == 100


def test_a_job_that_is_not_wanted_any_more_is_not_begun():
    runtime = a_runtime(WORLD)
    job_id = a_job(runtime)
    runtime.cancel_export(job_id)

    with pytest.raises(ExportCancelledError):
        runtime.export_at_once(job_id)


def test_an_export_of_no_tile_is_an_error():
    runtime = a_runtime(WORLD)

    with pytest.raises(EmptyExportError):
        runtime.export_at_once(a_job(runtime, levels=(4,)))
