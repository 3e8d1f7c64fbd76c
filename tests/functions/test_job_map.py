"""The area of a job and its progress, on its page and for the map there."""

import base64
import gzip
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from exporttiles.domain.job import JobStatus, Progress
from exporttiles.domain.tiling import BundleIndex
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from tests.builders_rest import a_job
from tests.fakes import run_workflow
from tests.functions.api_client import JOB, SERVICE

SQUARE = [[[0, 0], [0, 40], [40, 40], [40, 0], [0, 0]]]
LINE = {"areaOfInterest": '{"type":"LineString","coordinates":[[0,0],[10,0]]}', "bufferDistance": "100000"}
TWO_AREAS = {
    "overviewLevels": "0-1",
    "areas": json.dumps([{"name": "A", "levels": "2-3", "areaOfInterest": {"type": "Polygon", "coordinates": SQUARE}}]),
}


def start(client, operation="exportTiles", **parameters):
    query = urlencode({"f": "json", "tilePackage": "true", "levels": "0-3"} | parameters)
    return client.json(f"{SERVICE}/{operation}", query)["jobId"]


def map_of(client, job_id):
    return client.json(f"{SERVICE}/jobs/{job_id}/map")


def bounds(area):
    points = [point for polygon in area["polygons"] for ring in polygon for point in ring]
    return [*map(min, zip(*points, strict=True)), *map(max, zip(*points, strict=True))]


def test_the_area_of_an_export_is_that_of_its_tiles_with_its_buffer(client):
    job_id = start(client, **LINE)
    waiting = map_of(client, job_id)
    run_workflow(client.runtime, job_id)
    done = map_of(client, job_id)

    (area,) = done["areas"]
    assert bounds(area) == pytest.approx([-1e5, -1e5, 1_113_195 + 1e5, 1e5], abs=2000)
    assert (area["levels"], area["jobStatus"]) == ("levels 0-3", "esriJobSucceeded")
    assert waiting["areas"][0]["jobStatus"] == "esriJobSubmitted"
    assert (done["levels"], done["done"]) == ([], [])
    assert done["service"]["tileInfo"]["cols"] == 256
    assert done["hasTiles"] is True


@pytest.mark.parametrize(
    ("operation", "levels", "status"),
    [("estimateExportTilesSize", "0-3", "esriJobSucceeded"), ("exportTiles", "0-19", "esriJobFailed")],
)
def test_estimates_and_refused_exports_have_an_area_too(client, operation, levels, status):
    (area,) = map_of(client, start(client, operation, levels=levels))["areas"]

    assert area["jobStatus"] == status
    assert len(area["polygons"]) == 1


def test_a_long_map_is_sent_compressed_and_is_not_longer_than_a_phone_can_take(client):
    squares = [[[[x, y], [x, y + 0.2], [x + 0.2, y + 0.2], [x, y]]] for x in range(-90, 90) for y in range(-27, 28)]
    area = json.dumps({"type": "MultiPolygon", "coordinates": squares})
    path = f"{SERVICE}/jobs/{start(client, areaOfInterest=area)}/map"

    response = client.get(path, "f=json", headers={"accept-encoding": "gzip"})

    body = base64.b64decode(response["body"])
    assert response["headers"]["content-encoding"] == "gzip"
    assert len(body) < 300_000
    assert len(json.loads(gzip.decompress(body))["areas"][0]["polygons"]) == len(squares)


def test_each_area_comes_with_its_levels(client):
    parameters = {**TWO_AREAS, "levels": ""}

    assert [area["levels"] for area in map_of(client, start(client, **parameters))["areas"]] == [
        "levels 2-3",
        "levels 0-1",
    ]


def execute_partly(client, status=JobStatus.EXECUTING):
    """Return a job of three work items, of which the first and the last are finished."""
    job_id = start(client)
    bundles = [
        [BundleIndex(8, 0, 0)],
        [BundleIndex(8, 0, 128), BundleIndex(9, 0, 0)],
        [BundleIndex(9, 0, 128), BundleIndex(9, 0, 256), BundleIndex(9, 128, 256)],
    ]
    items = [WorkItem(job_id, number, tuple(indexes)).to_json() for number, indexes in enumerate(bundles)]
    objects, keys = client.runtime.objects, JobKeys(job_id)
    objects.write(keys.work_items, json.dumps(items).encode())
    for number in (0, 2):
        objects.write(keys.report(number), b"{}")
    job = client.runtime.jobs.jobs[job_id]
    client.runtime.jobs.jobs[job_id] = replace(job, status=status, progress=Progress(3, 2, 10, 1000))
    return job_id


@pytest.mark.parametrize("status", [JobStatus.EXECUTING, JobStatus.FAILED, JobStatus.CANCELLED])
def test_the_finished_bundles_are_those_of_finished_work_items(client, status):
    found = map_of(client, execute_partly(client, status))

    assert found["levels"] == [{"level": 8, "blocks": 2, "done": 1}, {"level": 9, "blocks": 4, "done": 3}]
    assert found["done"] == [
        {"level": 9, "rowStart": 0, "rowStop": 128, "columnStart": 128, "columnStop": 384},
        {"level": 9, "rowStart": 128, "rowStop": 256, "columnStart": 256, "columnStop": 384},
    ]


def test_a_plan_that_is_gone_leaves_the_area(client):
    job_id = execute_partly(client)
    client.runtime.objects.delete([JobKeys(job_id).work_items])

    found = map_of(client, job_id)

    assert (found["levels"], found["done"]) == ([], [])
    assert len(found["areas"]) == 1


def test_levels_and_bounds_are_words_without_a_script(client):
    job_id = execute_partly(client)
    page = client.get(f"{SERVICE}/jobs/{job_id}", "f=html")["body"]
    in_words = client.get(f"{SERVICE}/jobs/{job_id}/map", "f=html")["body"]

    assert f'/jobs/{job_id}/map?f=html">Area and levels</a></p></noscript>' in page
    assert "<td>levels 0-3</td><td>from -85.0511, -180.0000 to 85.0511, 180.0000</td>" in in_words
    assert "<td>9</td><td>4</td><td>3</td>" in in_words


def test_a_job_outlives_its_service_and_its_stored_area(client):
    job_id = start(client)
    client.runtime.services.delete("World_Imagery")
    outlined = map_of(client, job_id)
    client.runtime.objects.delete([JobKeys(job_id).export])

    assert outlined["hasTiles"] is False
    assert client.get(f"{SERVICE}/jobs/{job_id}", "f=html")["statusCode"] == 200
    assert client.error(f"{SERVICE}/jobs/{job_id}/map")["message"] == "The area of the job is no longer stored."


def test_the_page_says_how_much_time_is_left_once_that_is_known(client):
    before = a_job(JobStatus.EXECUTING)
    client.put(before)
    unknown = client.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]
    client.put(replace(before, progressed_at=before.submitted_at + timedelta(minutes=30)))  # 102 of 341 tiles
    known = client.get(f"{SERVICE}/jobs/{JOB}", "f=html")["body"]

    assert "102 of 341 tiles, 45 kB</p>" in unknown
    assert "102 of 341 tiles, 45 kB. About 1 hour left.</p>" in known
