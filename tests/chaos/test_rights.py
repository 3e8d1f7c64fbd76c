"""Every call that a function makes is allowed by its role, and every right of a role is needed by some call."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

import pytest

from exporttiles.adapters.json_folders import ApiKeys, ServiceCatalog, Subscriptions
from exporttiles.domain.api_key import ApiKey, key_id_of, token_of
from exporttiles.domain.job import JobStatus, job_id_of
from exporttiles.domain.subscription import Subscription
from exporttiles.messages.execution import Failure, execution_input
from exporttiles.messages.keys import JobKeys
from functions.announce_job import app as announce_job
from functions.receive_imagery import app as receive_imagery
from functions.request_export import app as request_export
from tests.builders_rest import a_service
from tests.chaos.faults import KINDS, LATE_END, Fault, Kind
from tests.chaos.machine import Machine
from tests.chaos.runs import CACHES, HANDLERS, JOB_ID, KEYS, SCENARIOS, World, small_parts
from tests.functions.api_client import SERVICE, Client
from tests.functions.test_workflow_functions import Context, event
from tests.workflow.test_security import STATEMENTS, allowed, listed, of_type, text_of

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning")

TOKEN = token_of(bytes(32))
BEARER = {"x-esri-authorization": f"Bearer {TOKEN}"}
EXTENT = json.dumps({"xmin": -2.8, "ymin": -2.8, "xmax": 2.8, "ymax": 2.8, "spatialReference": {"wkid": 4326}})
PROCESSES = {"Request": "RequestExport"}  # whose function has another name
OF_EVENT_SOURCES = {  # Lambda polls with the role of the function
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:SendMessage",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}


def a_world(cache="files", output="tpkx", **settings):
    world = World((cache, output, "side by side"))
    world.settings = replace(world.settings, **settings)
    ApiKeys(world.tiles).put(ApiKey(key_id_of(TOKEN), "survey", ("*",), 10**9, world.clock.time + timedelta(days=9)))
    return world


def exported(world, **request):
    """Export, and return the same world."""
    with small_parts():
        world.request(**request)
        world.execute()
    return world


def exports():
    """Make packages of every kind from every kind of cache."""
    for scenario in SCENARIOS:
        yield exported(World(scenario))


def ended_meanwhile():
    """End the job before a write, so that functions take back what they wrote too late."""
    for scenario in SCENARIOS:
        for function in ("ExportTileRange", "PackTilePackage", "ExportAtOnce"):
            for call, first in (("objects.write", 0), ("objects.write", 1), ("s3.complete_multipart_upload", 0)):
                world = World(scenario, [Fault(Kind("ended", f"{function}/{call}", before=_end), first, 1)])
                close = world.calm_runtime("CloseJob").close_job
                world.chaos.actions["end"] = partial(close.stop, JOB_ID, timed_out=False)
                yield exported(world)


def resumed():
    """Resume an export of which a finished part is gone."""
    refused = next(kind for kind in KINDS if kind.name == "upload: throttled")
    for scenario in SCENARIOS:
        world = exported(World(scenario, [Fault(refused, 0, 99)]))
        if world.job().status is JobStatus.FAILED:
            fragments = [each.key for each in world.objects.list(KEYS.fragments) if not each.key.endswith(".json")]
            world.objects.delete(fragments[:1])
            with small_parts():
                world.resume(Fault(LATE_END, 0, 0))
            yield world


def failing_uploads():
    """Let S3 refuse parts, so that uploads are aborted."""
    refused = next(kind for kind in KINDS if kind.name == "upload: throttled")
    for scenario in SCENARIOS:
        yield exported(World(scenario, [Fault(refused, 1, 99)]))


def plans():
    """Plan levels of so many tiles that the planner asks the cache where some are."""
    for cache in CACHES:
        world = a_world(cache)
        services = ServiceCatalog(world.tiles)
        services.put(replace(services.get("World_Imagery"), max_export_tiles_count=10**8))
        world.request(levels="0-2,17")
        world.invoke("PlanExport", {"job_id": JOB_ID})
        yield world


def series():
    """Make a package of a series that is a delta since the one before."""
    world = exported(a_world("bundles"), keep=1, since="last", name="district")
    # A job may succeed between the look of the watchman and his closing it.
    world.calm_runtime("WatchJobs").close_job.fail(JOB_ID, Failure("", "late"))
    yield world


def neglected():
    """Let the watchman start, stop and sweep."""
    world = a_world()
    world.request()
    world.workflow.executions.clear()  # it was refused
    world.clock.time += timedelta(minutes=6)
    world.calm_runtime("WatchJobs").watch_jobs()
    world.clock.time += timedelta(days=2)
    world.calm_runtime("WatchJobs").watch_jobs()
    for folder in ("jobs", "packages"):
        for function in ("CloseJob", "WatchJobs"):
            world.s3.create_multipart_upload(Key=f"{folder}/{JOB_ID}/fragments/0")
            runtime = world.calm_runtime(function)
            runtime.packages.abort_uploads(folder)
    world.clock.time += timedelta(days=2)  # too late to resume it
    for prefix in (KEYS.fragments, KEYS.packages):
        world.objects.write(f"{prefix}0", b"")  # by a worker that nobody waited for
    world.calm_runtime("WatchJobs").delete_orphans(JOB_ID)
    yield world


def reuse():
    """Let a package answer equal requests."""
    world = exported(a_world("bundles", reuse_window=timedelta(hours=1)))
    world.request(event_id="2")
    detail = {"f": "json", "exportExtent": EXTENT, "levels": "0-2,8", "tilePackage": "true"}
    Client(world.calm_runtime("Api")).get(f"{SERVICE}/exportTiles", urlencode(detail))
    yield world


def api():
    """Use the API with a key: browse, export, look at the job, download, cancel."""
    world = exported(a_world("files", "dataset", token_security=True), key="survey")
    client = Client(world.calm_runtime("Api"))
    for path in ("/arcgis/rest/services", SERVICE, f"{SERVICE}/tile/0/0/0", f"{SERVICE}/tilemap/8/0/0/8/8"):
        client.get(path, headers=BEARER)
    query = "f=json&levels=0-2&tilePackage=true"
    client.get(f"{SERVICE}/estimateExportTilesSize", query, headers=BEARER)
    submitted = client.json(f"{SERVICE}/exportTiles", query, headers=BEARER)
    client.get(f"{SERVICE}/jobs/{submitted['jobId']}/cancel", headers=BEARER)
    job = f"{SERVICE}/jobs/{JOB_ID}"
    for path in (job, f"{job}/results/out_service_url", f"{job}/inputs/levels"):
        client.get(path, headers=BEARER)
    folder = f"/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{JOB_ID}"
    files = client.json(folder, headers=BEARER)["files"]
    assert client.get(f"{folder}/{files[0]['name']}", headers=BEARER)["statusCode"] == 302
    yield world


def batches():
    """Make batches over the API and by event, list and download their packages, cancel one, and lose one."""
    world = a_world("bundles", reuse_window=timedelta(hours=1))
    client = Client(world.calm_runtime("Api"))
    polygons = [(-2.8, -2.8), (-1, -1), (0.5, 0.5)]
    features = [
        {
            "type": "Feature",
            "properties": {"NAME": name},
            "geometry": {"type": "Polygon", "coordinates": [[[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1], [x, y]]]},
        }
        for name, (x, y) in zip("ABC", polygons, strict=True)
    ]
    asked = {"packageBy": "NAME", "levels": "0-2,8", "tilePackage": "true"}
    query = urlencode(asked | {"f": "json", "areaOfInterest": json.dumps({"features": features})})

    def run(job):
        step = lambda name, payload: HANDLERS[name](payload, Context(), runtime=world.calm_runtime(name))  # noqa: E731
        Machine(step, world.objects).run(execution_input(job))

    with small_parts():
        for _ in range(2):  # the second is answered with the packages of the first
            batch_id = client.json(f"{SERVICE}/exportTiles", query)["jobId"]
            run(client.runtime.jobs.get(batch_id))
        folder = f"/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{batch_id}"
        for path in (f"{SERVICE}/jobs/{batch_id}/packages", folder):
            client.get(path)
        assert client.get(f"{folder}/A.tpkx")["statusCode"] == 302
        for number in range(2):  # a series keeps one of them
            world.request(event_id=f"batch {number}", areaOfInterest={"features": features}, keep=1, name="x", **asked)
            batch_id = job_id_of("chaos", f"batch {number}")
            run(world.calm_runtime("Api").jobs.get(batch_id))
            world.objects.delete([JobKeys(batch_id).batch])  # by the lifecycle of the bucket
    batch_id = client.json(f"{SERVICE}/exportTiles", query)["jobId"]
    client.get(f"{SERVICE}/jobs/{batch_id}/cancel")
    world.workflow.executions.clear()
    world.clock.time += timedelta(hours=1)
    world.calm_runtime("WatchJobs").watch_jobs()
    yield world


def inbox():
    """Deliver a request file, and one that is refused."""
    world = a_world(max_open_jobs=20)
    dropped = event("request_export.file_dropped")
    detail = json.loads(dropped["Records"][0]["body"])["detail"]["object"]
    for body in ({"service": "World_Imagery", "levels": "0-1"}, {"service": "Nowhere"}):
        world.inbox.files[detail["key"], detail["version-id"]] = json.dumps(body).encode()
        request_export.handler(dropped, Context(), runtime=world.calm_runtime("Request"))
    yield world


def imagery():
    """Hear of a new tile of a cache to which an export has subscribed."""
    world = a_world()
    cache = replace(
        a_service().cache, url="s3://exporttiles-tiles/caches/World", path_template="{level}/{column}/{row}.jpg"
    )
    ServiceCatalog(world.tiles).put(a_service(cache=cache))
    request = json.dumps({"service": "World_Imagery", "levels": "0-5", "tilePackage": True})
    Subscriptions(world.tiles).put(Subscription("district", timedelta(minutes=1), request))
    receive_imagery.handler(event("receive_imagery"), Context(), runtime=world.calm_runtime("ReceiveImagery"))
    yield world


def announcements():
    """Announce the changes of a job."""
    world = a_world()
    announce_job.handler(event("announce_job"), Context(), runtime=world.calm_runtime("AnnounceJob"))
    yield world


def _end(chaos, _process, _operation):
    chaos.actions["end"]()


STORIES = [
    *(exports, ended_meanwhile, resumed, failing_uploads, plans, series, neglected, reuse),
    *(api, batches, inbox, imagery, announcements),
]


@pytest.fixture(scope="module")
def used():
    """The rights that the functions need in all that they do."""
    rights = set()
    for story in STORIES:
        for world in story():
            world.release("resume")
            rights |= world.chaos.rights | world.calm.rights
    return {(f"{PROCESSES.get(name, name)}FunctionRole", action, resource) for name, action, resource in rights}


def test_no_function_makes_a_call_that_its_role_does_not_allow(used):
    assert sorted(need for need in used if not allowed(*need)) == []


@pytest.mark.parametrize("function", of_type("AWS::Lambda::Function"))
def test_no_role_allows_what_no_call_of_its_function_needs(used, function):
    role = f"{function}Role"
    spare = {
        (statement["Sid"], action, text_of(resource))
        for name, statement in STATEMENTS
        if name == role and statement["Effect"] == "Allow"
        for action in set(listed(statement["Action"])) - OF_EVENT_SOURCES
        for resource in listed(statement["Resource"])
        if not any(
            (role, action) == need[:2] and re.fullmatch(re.escape(text_of(resource)).replace(r"\*", ".*"), need[2])
            for need in used
        )
    }

    assert spare == set()
