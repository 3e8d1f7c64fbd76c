"""A batch over the API: many packages by an attribute, one job; run by the state machine file."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.events.announcements import announcements
from exporttiles.events.requests import REQUESTED, receive
from exporttiles.messages.batch import package_job_id
from exporttiles.messages.execution import execution_input, execution_name
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.workflow import Execution, ExecutionStatus
from functions.close_job import app as close_job
from functions.export_at_once import app as export_at_once
from functions.export_tile_range import app as export_tile_range
from functions.pack_tile_package import app as pack_tile_package
from functions.plan_export import app as plan_export
from functions.submit_package import app as submit_package
from tests.builders import a_service, put_files
from tests.chaos.machine import Machine, StepError
from tests.fakes import a_runtime, memory
from tests.functions.api_client import FILES, HOST, JOB, SERVICE, Client
from tests.functions.test_event_functions import schema
from tests.functions.test_workflow_functions import Context
from tests.unit.usecases.test_export import tiles_of

HANDLERS = {
    "SubmitPackage": submit_package.handler,
    "ExportAtOnce": export_at_once.handler,
    "PlanExport": plan_export.handler,
    "ExportTileRange": export_tile_range.handler,
    "PackTilePackage": pack_tile_package.handler,
    "CloseJob": close_job.handler,
}
DISTRICTS = {"North": (1, 1), "Süd/Ost": (100, -40), "Ost": (-100, 20)}
NAMES = ["North", "Süd_Ost", "Ost"]


def a_feature(value, x, y, size=40):
    ring = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
    return {"type": "Feature", "properties": {"NAME": value}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


FEATURES = [a_feature(value, *corner) for value, corner in DISTRICTS.items()]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
POLE = a_feature("Pole", 0, 86, 1)


class Batches(Client):
    """An API client, and the workflow that runs what it starts."""

    def submit(self, features=FEATURES, operation="exportTiles", **parameters):
        area = json.dumps({"type": "FeatureCollection", "features": features})
        given = {"levels": "0-3", "tilePackage": "true", "packageBy": "NAME", "areaOfInterest": area} | parameters
        return json.loads(self.send("POST", f"{SERVICE}/{operation}", body=urlencode(given | {"f": "json"}))["body"])

    def start(self, *features, **parameters):
        return self.submit(*features, **parameters)["jobId"]

    def run(self, batch_id, faults=()):
        """Run the execution of a batch. A fault is the name of a function and of the package in which it fails."""
        batch = self.runtime.jobs.get(batch_id)
        Machine(lambda name, payload: self.step(name, payload, faults), self.runtime.objects).run(
            execution_input(batch)
        )
        return self.runtime.jobs.get(batch_id)

    def step(self, name, payload, faults):
        if (name, self.package_of(payload)) in faults:
            raise StepError("SourceError", json.dumps({"errorMessage": "The store did not answer."}))
        try:
            return HANDLERS[name](payload, Context(), runtime=self.runtime)
        except Exception as error:
            raise StepError(type(error).__name__, json.dumps({"errorMessage": str(error)})) from error

    def package_of(self, payload):
        job_id = payload.get("job_id", "")
        return self.runtime.jobs.jobs[job_id].name if job_id in self.runtime.jobs.jobs else payload.get("name")

    def packages(self, batch_id):
        return self.json(f"{SERVICE}/jobs/{batch_id}/packages")["packages"]

    def document(self, batch_id):
        return self.json(f"{SERVICE}/exportTiles/jobs/{batch_id}")

    def descriptions(self, batch_id):
        return [message["description"] for message in self.document(batch_id)["messages"]]


def a_client():
    tiles = memory()
    put_files(tiles, 3)
    runtime = a_runtime(tiles)
    runtime.services.put(a_service(tiles))
    return Batches(runtime)


@pytest.fixture
def client():
    return a_client()


def package_of(batch_id, name):
    return package_job_id(batch_id, name)


def test_one_request_makes_a_package_for_each_value_and_one_job_reports_them(client):
    batch_id = client.start()
    assert client.started == [batch_id]
    assert "3 packages: 18 tiles of levels 0-3 are selected." in client.descriptions(batch_id)

    batch = client.run(batch_id)

    assert (batch.status, batch.progress.done_work_items, batch.percent) == (JobStatus.SUCCEEDED, 3, 100)
    document = client.document(batch_id)
    assert document["results"] == {"out_service_url": {"paramUrl": "results/out_service_url"}}
    assert document["packages"] == {"paramUrl": "packages"}
    said = client.descriptions(batch_id)
    assert any(text.startswith("3 of 3 packages are finished: ") for text in said)
    assert said[-1].startswith("Succeeded at ")


def test_clients_of_arcgis_download_every_package_from_the_result(client):
    batch_id = client.start()
    client.run(batch_id)

    url = client.json(f"{SERVICE}/exportTiles/jobs/{batch_id}/results/out_service_url")["value"]
    files = client.json(url.removeprefix(HOST))["files"]

    assert [file["name"] for file in files] == [f"{name}.tpkx" for name in NAMES]
    for file in files:
        assert file["url"] == f"{url}/{quote(file['name'])}"
        assert file["url"].isascii()
        for path in (file["url"].removeprefix(HOST), f"{url.removeprefix(HOST)}/{file['name']}"):  # encoded or not
            response = client.get(path)
            assert response["statusCode"] == 302
        key = response["headers"]["location"].removeprefix("https://packages.example/").removesuffix("?signed")
        assert key.endswith(f"/{file['name']}")
        head = client.send("HEAD", path)["headers"]
        assert int(head["content-length"]) == len(client.runtime.objects.read(key))


@pytest.mark.parametrize(
    ("parameters", "suffix"),
    [({"tilePackage": "false"}, ".zip"), ({"storageFormatType": "PMTiles"}, ".pmtiles")],
    ids=["dataset", "PMTiles"],
)
def test_a_batch_may_have_any_output(client, parameters, suffix):
    batch_id = client.start(**parameters)
    client.run(batch_id)

    files = client.json(FILES.replace(JOB, batch_id))["files"]
    assert [file["name"] for file in files] == [f"{name}{suffix}" for name in NAMES]
    assert all(client.get(file["url"].removeprefix(HOST))["statusCode"] == 302 for file in files)


def test_a_package_holds_the_tiles_of_its_features_alone(client):
    batch_id = client.start([a_feature("A", 1, 1), a_feature("B", 100, -40), a_feature("A", -100, 20)], levels="3")
    client.run(batch_id)

    jobs = [client.runtime.jobs.get(package_of(batch_id, name)) for name in "AB"]

    tiles = [set(tiles_of(client.runtime.objects.read(job.package.key))) for job in jobs]
    assert tiles[0] == {(3, 2, 1), (3, 2, 2), (3, 2, 4), (3, 3, 1), (3, 3, 2), (3, 3, 4)}
    assert tiles[1] == {(3, 4, 6), (3, 4, 7)}


def test_a_package_is_an_ordinary_job_with_its_own_verification_and_inputs_of_its_own(client):
    batch_id = client.start()
    client.run(batch_id)
    job = f"{SERVICE}/exportTiles/jobs/{package_of(batch_id, 'North')}"

    assert client.json(job)["jobStatus"] == "esriJobSucceeded"
    assert "verification" in client.json(job)["results"]
    assert client.json(f"{job}/inputs/levels")["value"] == "0-3"
    area = json.loads(client.json(f"{job}/inputs/area_of_interest")["value"])
    assert [feature["properties"]["NAME"] for part in area for feature in part["features"]] == ["North"]


def test_the_list_of_packages_grows_with_the_work(client):
    batch_id = client.start()

    waiting = client.packages(batch_id)
    client.run(batch_id, faults={("PlanExport", "Süd_Ost")})
    ended = client.packages(batch_id)

    assert [package["jobStatus"] for package in waiting] == ["esriJobWaiting"] * 3
    assert [(package["name"], package["value"]) for package in waiting] == list(zip(NAMES, DISTRICTS, strict=True))
    assert not any(package["url"] or package["jobUrl"] for package in waiting)
    assert [package["jobStatus"] for package in ended] == ["esriJobSucceeded", "esriJobFailed", "esriJobSucceeded"]
    assert ended[0]["url"].endswith(f"/{batch_id}/North.tpkx")
    assert ended[0]["size"] > 0
    assert ended[1]["reason"].startswith("The export failed: The store did not answer.")
    assert ended[1]["jobUrl"].endswith(package_of(batch_id, "Süd_Ost"))


def test_the_map_has_the_area_of_each_package_and_its_state(client):
    batch_id = client.start()
    waiting = client.json(f"{SERVICE}/jobs/{batch_id}/map")["areas"]
    client.run(batch_id, faults={("PlanExport", "Süd_Ost")})
    ended = client.json(f"{SERVICE}/jobs/{batch_id}/map")["areas"]

    assert {area["jobStatus"] for area in waiting} == {"esriJobWaiting"}
    assert [(area["name"], area["jobStatus"]) for area in ended] == list(
        zip(DISTRICTS, ["esriJobSucceeded", "esriJobFailed", "esriJobSucceeded"], strict=True)
    )


def test_the_page_lists_the_packages_without_a_script(client):
    batch_id = client.start()
    client.run(batch_id)

    job_page = client.get(f"{SERVICE}/jobs/{batch_id}", "f=html")["body"]
    assert f'href="{HOST}{SERVICE}/jobs/{batch_id}/packages?f=html"' in job_page
    page = client.get(f"{SERVICE}/jobs/{batch_id}/packages", "f=html")["body"]
    assert page.count(f"/{batch_id}/") >= 3
    assert "<h2>Süd/Ost</h2>" in page


def test_the_list_names_the_download_the_failure_and_what_waits(client):
    batch_id = client.start()
    waiting = client.get(f"{SERVICE}/jobs/{batch_id}/packages", "f=html")["body"]
    client.run(batch_id, {("PlanExport", "Süd_Ost")})
    ended = client.get(f"{SERVICE}/jobs/{batch_id}/packages", "f=html")["body"]

    assert waiting.count("Waiting to start") == len(DISTRICTS)
    assert ended.count(">Download ") == len(DISTRICTS) - 1
    assert "Failed</span>" in ended
    assert "The store did not answer." in ended


def test_values_and_messages_in_the_list_are_escaped(client):
    hostile = "<script>alert(1)</script>"
    batch_id = client.start([a_feature(hostile, 1, 1)])
    page = client.get(f"{SERVICE}/jobs/{batch_id}/packages", "f=html")["body"]

    assert hostile not in page
    assert escape(hostile) in page


def test_a_job_of_one_package_has_no_list(done):
    error = done.error(f"{SERVICE}/jobs/{JOB}/packages")

    assert error["details"] == ["The job is not a batch: it has one package."]


def test_a_package_that_fails_is_a_warning_of_a_batch_that_succeeds(client):
    batch_id = client.start()

    batch = client.run(batch_id, faults={("ExportTileRange", "Süd_Ost")})

    assert batch.status is JobStatus.SUCCEEDED
    warnings = [message.text for message in batch.messages if message.kind is MessageKind.WARNING]
    assert [text for text in warnings if text.startswith("Package Süd/Ost: The export failed: The store did not")]
    assert any(text.startswith("The others can be resumed until ") for text in client.descriptions(batch_id))
    files = client.json(f"{FILES.replace(JOB, batch_id)}")["files"]
    assert [file["name"] for file in files] == ["North.tpkx", "Ost.tpkx"]


def test_a_package_without_a_tile_fails_and_the_others_are_made(client):
    batch_id = client.start([*FEATURES, POLE])

    batch = client.run(batch_id)

    assert batch.status is JobStatus.SUCCEEDED
    assert batch.resumable_until is None
    assert client.packages(batch_id)[-1]["reason"].startswith("The area and levels select no tile of the service")
    assert any(text.startswith("Package Pole: The area and levels") for text in client.descriptions(batch_id))


def test_a_batch_without_any_package_fails(client):
    batch_id = client.start()

    batch = client.run(batch_id, faults={("PlanExport", name) for name in NAMES})

    assert (batch.status, batch.messages[-1].text) == (JobStatus.FAILED, "None of 3 packages could be made.")
    assert client.document(batch_id)["jobStatus"] == "esriJobFailed"


def test_a_package_that_cannot_even_be_submitted_does_not_stop_the_others(client):
    batch_id = client.start()

    batch = client.run(batch_id, faults={("SubmitPackage", "North")})

    assert batch.status is JobStatus.SUCCEEDED
    assert "Package North: It was not begun." in client.descriptions(batch_id)


def test_a_batch_is_resumed_and_makes_only_what_is_missing(client):
    batch_id = client.start()
    client.run(batch_id, faults={("ExportTileRange", "Süd_Ost"), ("SubmitPackage", "Ost")})
    first = client.runtime.jobs.get(package_of(batch_id, "North"))

    assert client.json(f"{SERVICE}/jobs/{batch_id}/resume")["jobStatus"] == "esriJobSubmitted"
    resumed = client.runtime.jobs.get(batch_id)
    assert (resumed.attempt, resumed.progress.done_work_items) == (2, 1)
    batch = client.run(batch_id)

    assert (batch.status, batch.resumable_until) == (JobStatus.SUCCEEDED, None)
    assert [package["jobStatus"] for package in client.packages(batch_id)] == ["esriJobSucceeded"] * 3
    jobs = [client.runtime.jobs.get(package_of(batch_id, name)) for name in NAMES]
    assert jobs[0] == first
    assert [job.attempt for job in jobs] == [1, 2, 1]
    assert {job.expires_at for job in jobs} == {batch.expires_at}


def test_a_batch_that_made_all_packages_cannot_be_resumed(client):
    batch_id = client.start()
    client.run(batch_id)

    error = client.error(f"{SERVICE}/jobs/{batch_id}/resume")

    assert error["details"] == [f"Job {batch_id} cannot be resumed: it is Succeeded."]


FAULTS = st.tuples(st.sampled_from(sorted(set(HANDLERS) - {"CloseJob"})), st.sampled_from(NAMES))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sets(FAULTS, max_size=4), max_size=3))
def test_whatever_fails_a_batch_says_so_delivers_the_rest_and_is_whole_once_nothing_fails(attempts):
    client = a_client()
    batch_id = client.start()

    for faults in [*attempts, set()]:
        batch = client.run(batch_id, faults)
        packages = client.runtime.list_packages(batch_id)
        made = {package.item.name for package in packages if package.is_finished}
        assert batch.status is (JobStatus.SUCCEEDED if made else JobStatus.FAILED)
        assert (batch.progress.done_work_items, batch.is_whole) == (len(made), len(made) == len(NAMES))
        assert (batch.resumable_until is None) == batch.is_whole
        for package in packages:
            assert bool(package.failure) == (package.item.name not in made)
            assert not package.failure or f"Package {package.item.value}: {package.failure}" in str(batch.messages)
        if batch.is_whole:
            return
        client.runtime.resume_export(batch_id)
    raise AssertionError("the batch is not whole")


def test_cancelling_a_batch_cancels_what_is_open_begins_nothing_and_keeps_what_is_finished(client):
    batch_id = client.start()

    def step(name, payload):
        if (name, client.package_of(payload)) == ("PlanExport", "Süd_Ost"):
            assert client.json(f"{SERVICE}/jobs/{batch_id}/cancel")["jobStatus"] == "esriJobCancelling"
        return client.step(name, payload, ())

    Machine(step, client.runtime.objects).run(execution_input(client.runtime.jobs.get(batch_id)))

    assert client.runtime.jobs.get(batch_id).status is JobStatus.CANCELLED
    assert [package["jobStatus"] for package in client.packages(batch_id)] == [
        "esriJobSucceeded",
        "esriJobCancelled",
        "esriJobWaiting",
    ]
    assert client.get(f"{FILES.replace(JOB, batch_id)}/North.tpkx")["statusCode"] == 302


def test_a_package_that_begins_while_its_batch_is_cancelled_is_cancelled_too(client):
    batch_id = client.start()
    item = json.loads(client.runtime.objects.read(JobKeys(batch_id).batch))[0]
    create = client.runtime.jobs.create

    def create_late(*arguments):
        client.runtime.cancel_export(batch_id)  # does not see the job yet
        return create(*arguments)

    client.runtime.jobs.create = create_late

    submit_package.handler(item, Context(), runtime=client.runtime)

    assert client.runtime.jobs.get(package_of(batch_id, "North")).status is JobStatus.CANCELLING


@pytest.mark.parametrize("function", ["SubmitPackage", "CloseJob"])
def test_a_step_that_is_called_twice_changes_nothing(client, function):
    batch_id = client.start()

    def step(name, payload):
        answer = client.step(name, payload, ())
        if name == function:
            assert client.step(name, payload, ()) == answer
        return answer

    Machine(step, client.runtime.objects).run(execution_input(client.runtime.jobs.get(batch_id)))

    batch = client.runtime.jobs.get(batch_id)
    assert (batch.status, batch.progress.done_work_items) == (JobStatus.SUCCEEDED, 3)
    assert [text for text in client.descriptions(batch_id) if text.startswith("Succeeded at")] != []
    assert {client.runtime.jobs.get(package_of(batch_id, name)).attempt for name in NAMES} == {1}


ENDS = {
    "timed out": (ExecutionStatus.TIMED_OUT, JobStatus.TIMED_OUT),
    "stopped": (ExecutionStatus.ABORTED, JobStatus.CANCELLED),
    "failed": (ExecutionStatus.FAILED, JobStatus.FAILED),
    "lost": (None, JobStatus.FAILED),
}


@pytest.mark.parametrize(("execution", "status"), ENDS.values(), ids=ENDS)
def test_the_watchman_closes_a_batch_whose_workflow_is_gone_and_cancels_its_open_packages(client, execution, status):
    batch_id = client.start()
    for item in json.loads(client.runtime.objects.read(JobKeys(batch_id).batch))[:2]:
        submit_package.handler(item, Context(), runtime=client.runtime)
    for name in NAMES[:2]:  # those of the packages go on
        client.runtime.workflow.start(client.runtime.jobs.get(package_of(batch_id, name)))
    client.runtime.workflow.executions.pop(execution_name(batch_id, 1))
    if execution:
        client.runtime.workflow.executions[execution_name(batch_id, 1)] = Execution(execution)
    client.runtime.clock.time += timedelta(hours=1)

    closed = client.runtime.watch_jobs().closed

    assert [job.job_id for job in closed] == [batch_id]
    batch = client.runtime.jobs.get(batch_id)
    assert batch.status is status
    assert {client.runtime.jobs.get(package_of(batch_id, name)).status for name in NAMES[:2]} == {JobStatus.CANCELLING}
    assert (batch.resumable_until is not None) == (status is not JobStatus.CANCELLED)


def test_packages_that_were_open_when_their_batch_timed_out_are_made_when_it_is_resumed(client):
    batch_id = client.start()
    item = json.loads(client.runtime.objects.read(JobKeys(batch_id).batch))[0]
    submit_package.handler(item, Context(), runtime=client.runtime)

    batch = client.runtime.close_job.stop(batch_id, timed_out=True)
    client.runtime.close_job.stop(package_of(batch_id, "North"), timed_out=False)  # Step Functions stops it, too

    assert batch.resumable_until is not None
    assert "Package North: It was not finished." in client.descriptions(batch_id)
    client.runtime.resume_export(batch_id)
    assert (client.run(batch_id).status, client.runtime.jobs.get(batch_id).is_whole) == (JobStatus.SUCCEEDED, True)


def test_packages_that_were_cancelled_with_their_batch_are_not_resumed(client):
    batch_id = client.start()
    item = json.loads(client.runtime.objects.read(JobKeys(batch_id).batch))[0]
    submit_package.handler(item, Context(), runtime=client.runtime)
    client.runtime.cancel_export(batch_id)

    client.runtime.close_job.stop(package_of(batch_id, "North"), timed_out=False)

    error = client.error(f"{SERVICE}/jobs/{package_of(batch_id, 'North')}/resume")
    assert error["details"] == [f"Job {package_of(batch_id, 'North')} cannot be resumed: it is Cancelled."]


def test_a_late_end_of_an_earlier_attempt_cancels_nothing(client):
    batch_id = client.start()
    client.run(batch_id, faults={("SubmitPackage", "North")})
    client.runtime.resume_export(batch_id)
    item = json.loads(client.runtime.objects.read(JobKeys(batch_id).batch))[0]
    submit_package.handler(item, Context(), runtime=client.runtime)

    assert client.runtime.close_job.stop(batch_id, 1, timed_out=True) is None

    assert client.runtime.jobs.get(package_of(batch_id, "North")).status is JobStatus.SUBMITTED
    assert client.runtime.jobs.get(batch_id).status is JobStatus.EXECUTING


def limited(client, **limits):
    submit = client.runtime.submit_export
    for name, value in limits.items():
        object.__setattr__(submit, name, value)


def test_a_batch_counts_as_one_open_export_and_with_the_sum_of_its_tiles(client):
    limited(client, max_open_jobs=2, max_tiles_per_day=35)

    batch_id = client.start()
    client.run(batch_id)  # its packages count no more
    assert "18 tiles are selected" in client.submit()["error"]["message"]

    limited(client, max_open_jobs=1, max_tiles_per_day=0)
    client.start()
    assert "1 export without an API key is unfinished" in client.submit()["error"]["message"]


def test_a_batch_that_selects_more_tiles_than_an_export_may_fails_at_once(client):
    client.runtime.services.put(replace(client.runtime.services.get("World_Imagery"), max_export_tiles_count=17))

    batch_id = client.start()

    assert client.started == []
    assert any("Requested tile count(18) exceeds the maximum" in text for text in client.descriptions(batch_id))
    assert "packages" not in client.document(batch_id)


def test_packages_are_counted_until_they_are_too_many(client):
    client.runtime.services.put(replace(client.runtime.services.get("World_Imagery"), max_export_tiles_count=9))

    said = client.descriptions(client.start())

    assert "packageBy: Only the first 2 of 3 packages were counted." in said
    assert any("Requested tile count(10) exceeds the maximum" in text for text in said)


def test_a_request_for_too_many_packages_is_refused(client):
    object.__setattr__(client.runtime, "settings", replace(client.runtime.settings, max_packages=2))

    said = client.submit()["error"]["message"]

    assert said == "packageBy: 'NAME' cannot be used. It has 3 values; one request makes at most 2 packages."


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"areaOfInterest": ""}, "packageBy: It names an attribute of areaOfInterest, which is missing."),
        (
            {"areaOfInterest": "", "exportExtent": "0,0,5000000,5000000"},
            "packageBy: It names an attribute of areaOfInterest, which is missing.",
        ),
        ({"packageBy": "Name"}, "packageBy: 'Name' cannot be used. The attributes of the features are: NAME."),
    ],
)
def test_a_batch_that_cannot_be_divided_is_refused(client, parameters, words):
    assert client.submit(**parameters)["error"]["message"] == words


def test_an_area_that_cannot_be_used_is_named_by_its_package(client):
    beyond = a_feature("Beyond", 0, 100)

    assert client.submit([beyond])["error"]["message"].startswith("areaOfInterest: Coordinates reach")
    point = {"type": "Feature", "properties": {"NAME": "P"}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
    assert client.submit([*FEATURES, point])["error"]["message"].startswith(
        "areaOfInterest: Package P: There is no polygon in it, only 1 Point."
    )


def test_a_repeated_request_with_a_client_token_finds_its_batch(client):
    token = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

    first, again = client.start(clientToken=token), client.start(clientToken=token)

    assert first == again
    assert client.started == [first]
    said = client.submit(FEATURES[:1], clientToken=token)["error"]["message"]
    assert "It was used for an export with other parameters" in said


def test_equal_packages_are_reused(client):
    object.__setattr__(client.runtime.reuse_package, "window", timedelta(hours=1))
    client.run(client.start())

    again = client.start()
    client.run(again)

    jobs = [client.runtime.jobs.get(package_of(again, name)) for name in NAMES]
    assert all(any("Answered with the package of an equal export" in m.text for m in job.messages) for job in jobs)
    assert all(client.get(f"{FILES.replace(JOB, again)}/{name}.tpkx")["statusCode"] == 302 for name in NAMES)
    assert client.runtime.jobs.get(again).progress.done_work_items == 3


def test_an_estimate_of_a_batch_is_that_of_its_packages_together(client):
    one = client.submit([FEATURES[0]], operation="estimateExportTilesSize", packageBy="")["jobId"]
    batch = client.submit([FEATURES[0], a_feature("Twin", *DISTRICTS["North"])], operation="estimateExportTilesSize")

    single, double = (client.runtime.jobs.get(job_id).estimate for job_id in (one, batch["jobId"]))

    assert double.tile_count == 2 * single.tile_count
    assert double.size_bytes == pytest.approx(2 * single.size_bytes, rel=0.3)
    assert client.started == []


def test_a_batch_whose_packages_have_not_changed_is_unchanged(client, monkeypatch):
    monkeypatch.setattr(client.runtime.sources.objects, "modified_at", lambda keys: (LONG_AGO for _ in keys))

    batch = client.run(client.start(since="2026-11-22"))

    assert (batch.status, batch.is_up_to_date) == (JobStatus.FAILED, True)
    assert batch.messages[-1].text == "Nothing to deliver: no package has a tile that has changed."


def test_events_announce_each_package_and_the_end_of_the_batch(client):
    batch_id = client.start()
    begun = client.runtime.jobs.get(batch_id)
    batch = client.run(batch_id, faults={("PlanExport", "Süd_Ost")})
    made = client.runtime.jobs.get(package_of(batch_id, "Ost"))

    (submitted,) = announcements(None, begun, HOST)
    (finished,) = announcements(begun, batch, HOST)
    (package,) = announcements(replace(made, status=JobStatus.EXECUTING), made, HOST)

    for event in (submitted, finished, package):
        schema("job_status_change").validate(event.detail)
    assert (finished.detail["status"], finished.detail["percent"]) == ("finished", 100)
    assert finished.detail["packages"] == {"count": 3, "url": f"{HOST}{SERVICE}/jobs/{batch_id}/packages"}
    assert (package.detail["batchId"], package.detail["name"]) == (batch_id, "Ost")
    assert package.detail["result"]["fileName"] == "Ost.tpkx"


def keep(client, count=1, **parameters):
    """Run a batch of a series, and return its id."""
    area = {"type": "FeatureCollection", "features": FEATURES}
    detail = {"service": "World_Imagery", "name": "districts", "keep": count, "packageBy": "NAME", "levels": "0-3"}
    detail |= {"areaOfInterest": area, "tilePackage": True} | parameters
    asked = {"detail-type": REQUESTED, "source": "office", "id": str(len(client.started)), "detail": detail}
    return receive(asked, client.runtime).job.job_id


def test_a_series_keeps_its_newest_batches_and_removes_the_others_with_all_of_their_packages(client):
    old, new = keep(client), keep(client)
    client.run(old)
    client.run(new)

    jobs = client.runtime.jobs
    assert [jobs.get(job_id).status for job_id in (old, new)] == [JobStatus.DELETED, JobStatus.SUCCEEDED]
    assert {jobs.get(package_of(old, name)).status for name in NAMES} == {JobStatus.DELETED}
    assert list(client.runtime.objects.list(f"packages/{package_of(old, 'North')}")) == []
    assert len(client.json(FILES.replace(JOB, new))["files"]) == 3


def test_the_list_of_a_kept_batch_lives_as_long_as_its_packages(client):
    batch_id = keep(client)
    client.run(batch_id)

    client.runtime.objects.delete([JobKeys(batch_id).batch])  # by the lifecycle of the bucket

    assert len(client.json(FILES.replace(JOB, batch_id))["files"]) == 3


def test_a_delta_never_refers_to_a_batch_that_lacks_a_package(client):
    whole, partial = keep(client, 9), keep(client, 9)
    client.run(whole)
    client.run(partial, faults={("PlanExport", "North")})

    delta = client.runtime.jobs.get(keep(client, 9, since="last"))
    refused = client.submit(since=partial)["error"]["message"]

    exports = [Export.from_json(client.runtime.objects.read(JobKeys(package_of(delta.job_id, "North")).export))]
    assert [each.request.since for each in exports] == [client.runtime.jobs.get(whole).submitted_at]
    assert refused.startswith(f"since: '{partial}' cannot be used. Some packages of this batch failed")
    assert client.start(since=whole)


def test_packages_expire_with_their_batch(client):
    batch_id = client.start()
    batch = client.run(batch_id)
    client.runtime.clock.time = batch.expires_at

    for job_id in (batch_id, *(package_of(batch_id, name) for name in NAMES)):
        with pytest.raises(JobNotFoundError):
            client.runtime.jobs.get(job_id)
