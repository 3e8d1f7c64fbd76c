"""Steps and ends of a job in any order, any number of times: one correct end, no orphaned objects."""

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.domain.errors import ExportCancelledError, ExportTilesError
from exporttiles.domain.job import RESUMABLE, SUCCESSORS, JobStatus, MessageKind
from exporttiles.messages.execution import Failure
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, put_files
from tests.fakes import a_runtime, memory
from tests.unit.usecases.test_export import submit

TILES = memory()
put_files(TILES, 1)


class Export:
    """A job, and everybody who may do something about it."""

    def __init__(self):
        self.runtime = a_runtime(TILES)
        service = a_service(TILES)
        self.job_id = submit(self.runtime, service, a_request(service, range(2))).job_id
        self.keys = JobKeys(self.job_id)
        self.packed = {}
        self.is_cancel_accepted = False

    def plan(self):
        self.runtime.plan_export(self.job_id)

    def work(self):
        for item in json.loads(self.runtime.objects.read(self.keys.work_items)):
            self.runtime.export_tile_range(WorkItem.from_json(item))

    def pack(self):
        self.packed[self.job.attempt] = self.runtime.pack_tile_package(self.job_id)

    def succeed(self, attempt=None):
        attempt = attempt or self.job.attempt
        if attempt in self.packed:
            self.runtime.close_job.succeed(self.job_id, self.packed[attempt], attempt)

    def fail(self, attempt=None):
        self.runtime.close_job.fail(self.job_id, Failure("SourceError", "Why."), attempt or self.job.attempt)

    def abort(self, attempt=None):
        self.runtime.close_job.stop(self.job_id, attempt or self.job.attempt, timed_out=False)

    def time_out(self, attempt=None):
        self.runtime.close_job.stop(self.job_id, attempt or self.job.attempt, timed_out=True)

    def resume(self):
        self.runtime.resume_export(self.job_id)

    def cancel(self):
        self.runtime.cancel_export(self.job_id)
        self.is_cancel_accepted = True

    def do(self, step, *attempt):
        with suppress(ExportTilesError, KeyError):
            getattr(self, step)(*attempt)
        return self.job

    @property
    def job(self):
        return self.runtime.jobs.get(self.job_id)

    def left(self, prefix):
        return [stored.key for stored in self.runtime.objects.list(prefix)]


STEPS = ("plan", "work", "pack", "succeed", "fail", "abort", "time_out", "cancel")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([*STEPS, "plan", "work", "pack"]), max_size=12), st.sampled_from(["fail", "abort"]))
def test_in_any_order_of_events_a_job_has_one_end_that_is_true(steps, last):
    export = Export()
    before = export.job
    for step in [*steps, last]:
        now = export.do(step)
        assert now.status is before.status or now.status in SUCCESSORS[before.status]
        assert now.progress.done_tile_count <= now.tile_count
        if before.status.is_final:
            assert now == before
        before = now

    assert before.status.is_final
    if export.is_cancel_accepted:
        assert before.status is JobStatus.CANCELLED
    if before.status is JobStatus.SUCCEEDED:
        assert before.package.key in export.left(export.keys.packages)
        assert before.progress.done_tile_count == before.tile_count
    else:
        assert export.left(export.keys.packages) == []
        assert [m.kind for m in before.messages].count(MessageKind.ERROR) == 1
    if not before.is_resumable(export.runtime.clock.time):
        assert export.left(export.keys.fragments) == []


ENDS = ("succeed", "fail", "abort", "time_out")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*STEPS, "plan", "work", "pack", "resume", "resume"]),
            st.tuples(st.sampled_from(ENDS), st.integers(1, 3)),
        ),
        max_size=16,
    )
)
def test_only_the_end_of_the_current_attempt_counts(steps):
    export = Export()
    for step in ["plan", "work", "pack", "time_out", "resume", *steps]:
        before, packages = export.job, export.left(export.keys.packages)
        now = export.do(*step) if isinstance(step, tuple) else export.do(step)
        assert now.attempt == before.attempt + (step == "resume" and now != before)
        if isinstance(step, tuple) and step[1] != before.attempt:
            assert now == before
            assert before.status.is_final or export.left(export.keys.packages) == packages
        if step == "resume" and now != before:
            assert (before.status in RESUMABLE, now.status) == (True, JobStatus.SUBMITTED)
            assert packages == []
        if now.status is JobStatus.SUCCEEDED:
            assert now.package.key in export.left(export.keys.packages)


def test_a_close_that_was_killed_half_way_is_finished_by_the_next():
    export = Export()
    for step in ("plan", "work", "pack"):
        export.do(step)
    fragments = {key: export.runtime.objects.read(key) for key in export.left(export.keys.fragments)}
    export.do("succeed")
    for key, body in fragments.items():
        export.runtime.objects.write(key, body)  # as if nothing had been removed

    export.do("succeed")

    assert export.left(export.keys.fragments) == []
    assert export.job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("end", ["cancel", "abort"])
def test_late_output_of_a_worker_is_deleted(end):
    export = Export()
    export.do("plan")
    write = export.runtime.objects.write

    def end_first(key, body):
        export.do(end)
        export.do("abort")
        write(key, body)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(export.runtime.objects), "write", lambda _, key, body: end_first(key, body))
        with pytest.raises(ExportCancelledError):
            export.work()

    assert export.job.status is JobStatus.CANCELLED
    assert export.left(export.keys.fragments) == []


def test_a_worker_with_many_bundles_stops_between_two_of_them():
    export = Export()
    export.do("plan")
    (item,) = json.loads(export.runtime.objects.read(export.keys.work_items))
    read, seen = export.runtime.sources.open, []

    class Slow:
        def __init__(self, source):
            self.source = source

        def read_bundle(self, bundle, selected):
            seen.append(bundle)
            export.runtime.clock.time += timedelta(seconds=6)
            export.do("cancel")
            return self.source.read_bundle(bundle, selected)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(export.runtime.sources), "open", lambda _, cache: Slow(read(cache)))
        with pytest.raises(ExportCancelledError):
            export.runtime.export_tile_range(WorkItem.from_json(item))

    assert len(seen) == 1 < len(item["bundles"])
    assert export.left(export.keys.fragments) == []
