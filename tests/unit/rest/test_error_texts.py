"""Code and text of every error that a client can receive.

A golden file holds the texts, so that a review sees each change. Set
UPDATE_GOLDEN=1 to write it anew.
"""

import inspect
import json
import os
from pathlib import Path

import pytest

from exporttiles.domain import errors as domain_errors
from exporttiles.domain.job import JobStatus
from exporttiles.domain.service import TileFormat
from exporttiles.rest import errors as rest_errors
from exporttiles.rest.errors import code_of, error_document
from exporttiles.rest.http import Request
from exporttiles.rest.routes import find_route, refuse, respond
from tests.builders_rest import a_job, a_rest_runtime, a_service

GOLDEN = Path("tests/golden/error_texts.txt")
SERVICE = "/arcgis/rest/services/World_Imagery/ImageServer"
EXPORT = f"{SERVICE}/exportTiles"
WEBP_SERVICE = "/arcgis/rest/services/WebP/ImageServer"
JOB = a_job().job_id

REQUESTS = {
    "unknown address": ("/arcgis/info", ""),
    "unknown folder": ("/arcgis/rest/services/Nothing", ""),
    "unknown service": ("/arcgis/rest/services/Nothing/ImageServer", ""),
    "unknown job": (f"{SERVICE}/jobs/j0", ""),
    "unknown result": (f"{SERVICE}/jobs/{JOB}/results/other", ""),
    "unknown input": (f"{SERVICE}/jobs/{JOB}/inputs/other", ""),
    "unknown tile": (f"{SERVICE}/tile/9/0/0", ""),
    "unknown file": (f"/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{JOB}/other", ""),
    "unknown format": (SERVICE, "f=xml"),
    "JSONP": (SERVICE, "callback=x"),
    "tile map of nothing": (f"{SERVICE}/tilemap/0/0/0/0/1", ""),
    "tile map of an unknown level": (f"{SERVICE}/tilemap/24/0/0/1/1", ""),
    "cancel of a finished job": (f"{SERVICE}/jobs/{JOB}/cancel", ""),
    "resume of a finished job": (f"{SERVICE}/jobs/{JOB}/resume", ""),
    "export not allowed": ("/arcgis/rest/services/Closed/ImageServer/exportTiles", "levels=0"),
    "storage format": (EXPORT, "storageFormatType=Exploded"),
    "boolean": (EXPORT, "tilePackage=perhaps"),
    "quality": (EXPORT, "optimizeTilesForSize=true&compressionQuality=101"),
    "clip without an area": (EXPORT, "clip=true"),
    "color of a clip": (EXPORT, "exportExtent=0,0,1,1&clip=true&clipColor=white"),
    "color without a clip": (EXPORT, "clipColor=255,255,255"),
    "tile package of WebP": (f"{WEBP_SERVICE}/exportTiles", "tilePackage=true"),
    "dataset of WebP": (f"{WEBP_SERVICE}/exportTiles", "storageFormatType=Compact"),
    "clip of WebP": (f"{WEBP_SERVICE}/exportTiles", "exportExtent=0,0,1,1&clip=true"),
    "blank tiles of WebP": (f"{WEBP_SERVICE}/exportTiles", "skipBlank=true"),
    "delta without blank tiles": (EXPORT, "since=2026-01-01&skipOneColor=true"),
    "criterion": (EXPORT, "exportBy=zoom"),
    "level": (EXPORT, "levels=0-99"),
    "scale": (EXPORT, "exportBy=Scale&levels=400000000"),
    "extent of three numbers": (EXPORT, "exportExtent=1,2,3"),
    "extent that is no JSON": (EXPORT, 'exportExtent={"xmin":1'),
    "empty extent": (EXPORT, "exportExtent=1,1,1,1"),
    "extent beyond the world": (EXPORT, "exportExtent=1e9,1e9,2e9,2e9"),
    "area that is no JSON": (EXPORT, 'areaOfInterest={"rings":[[[0,0],[0 1]]]}'),
    "area cut off": (EXPORT, 'areaOfInterest={"rings":[[[-100,35],[-100,4'),
    "area nested too deep": (EXPORT, "areaOfInterest=" + "[" * 100_000),
    "area with NaN": (EXPORT, 'areaOfInterest={"rings":[[[NaN,0]]]}'),
    "area that is a point": (EXPORT, 'polygon={"x":1,"y":2}'),
    "buffer of nothing": (EXPORT, "bufferDistance=500"),
    "buffer of no distance": (EXPORT, 'bufferDistance=0&areaOfInterest={"x":1,"y":2}'),
    "buffer of another unit": (EXPORT, 'bufferDistance=5&bufferUnit=parsec&areaOfInterest={"x":1,"y":2}'),
    "unit of no buffer": (EXPORT, "bufferUnit=km"),
    "tiles that are none": (EXPORT, "tiles=3/8/0"),
    "tiles beside an area": (EXPORT, "tiles=3/4/2&exportExtent=0,0,9,9"),
    "areas without a list": (EXPORT, 'areas={"levels":"8-14"}'),
    "areas with a level that does not exist": (EXPORT, 'areas=[{"exportExtent":"0,0,9,9","levels":"8-99"}]'),
    "areas with another member": (EXPORT, 'areas=[{"exportExtent":"0,0,9,9","level":"8"}]'),
    "areas without an area": (EXPORT, 'areas=[{"levels":"8"}]'),
    "areas beside levels": (EXPORT, 'areas=[{"exportExtent":"0,0,9,9"}]&levels=8'),
    "overview of no area": (EXPORT, "overviewLevels=0-7"),
    "buffer of a line that is none": (EXPORT, 'bufferDistance=500&areaOfInterest={"paths":[[0,0],[1,1]]}'),
    "area without polygons": (EXPORT, 'areaOfInterest={"features":[]}'),
    "area that is a line": (EXPORT, 'areaOfInterest={"rings":[[[0,0],[1,1],[2,2]]]}'),
    "unknown spatial reference": (
        EXPORT,
        'areaOfInterest={"rings":[[[0,0],[0,1],[1,1]]],"spatialReference":{"wkid":1}}',
    ),
    "spatial reference of heights": (
        EXPORT,
        'areaOfInterest={"rings":[[[0,0],[0,1],[1,1]]],"spatialReference":{"wkid":5773}}',
    ),
    "too many parameters": (EXPORT, "&".join(f"a{number}=1" for number in range(300))),
}


def text_of(runtime, path, query):
    runtime.jobs.jobs[JOB] = a_job(JobStatus.SUCCEEDED)
    query = query if "f=" in query else f"f=json&{query}"
    routed = find_route(Request("GET", path, query, {"host": "a.org"}))
    with pytest.raises(domain_errors.RequestError) as raised:
        respond(routed, runtime)
    error = json.loads(refuse(routed, raised.value).body)["error"]
    return f"{error['code']} {' | '.join([error['message'], *error['details']])}"


def test_the_text_of_every_error_is_in_the_golden_file():
    runtime = a_rest_runtime()
    runtime.services.put(a_service("WebP", tile_format=TileFormat.WEBP))
    found = "".join(f"{name}\n    {text_of(runtime, *request)}\n" for name, request in REQUESTS.items())

    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def classes():
    for module in (domain_errors, rest_errors):
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, domain_errors.ExportTilesError) and found is not domain_errors.InvalidParameterError:
                yield found


@pytest.mark.parametrize("error_class", sorted(set(classes()), key=lambda found: found.__name__))
def test_request_errors_are_4xx_with_their_text_and_all_others_are_500_without_it(error_class):
    error = error_class("what happened")
    document = error_document(error)["error"]

    if isinstance(error, domain_errors.RequestError):
        assert code_of(error) in (400, 403, 404, 413, 429, 498, 499)
        assert "what happened" in (document["message"], *document["details"])
    else:
        assert (document["code"], document["details"]) == (500, [])
        assert "the log has the reason" in document["message"]
        assert "what happened" not in document["message"]


def test_an_unreadable_source_is_answered_with_what_its_owner_can_do_but_not_with_the_name_of_the_file():
    error = domain_errors.SourceError("There is no file secret/mosaic/1.tif.")

    message = error_document(error)["error"]["message"]

    assert "if a file was removed on purpose, publish the service again" in message
    assert "secret" not in message


def test_no_other_error_contains_the_words_that_make_clients_sign_in():
    words = GOLDEN.read_text(encoding="utf-8").lower()

    assert "invalid token" not in words
    assert "token required" not in words
