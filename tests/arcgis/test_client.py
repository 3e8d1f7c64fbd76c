"""The ArcGIS API for Python, as it comes from Esri, drives exports from the service to the file.

The client takes a `Connection` where its documentation says GIS: a GIS would first ask a portal on the internet.
"""

import json
import threading
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from arcgis.geometry import Polygon
from arcgis.gis._impl._con import Connection
from arcgis.layers import MapImageLayer
from arcgis.raster import ImageryLayer

TRIANGLE = Polygon(
    {
        "rings": [[[0, 0], [0, 5_000_000], [5_000_000, 5_000_000], [0, 0]]],
        "spatialReference": {"wkid": 102100, "latestWkid": 3857},
    }
)
SOUND = "The package is sound."


def connect(host, **credentials):
    return Connection(baseurl=f"{host}/arcgis", all_ssl=False, **credentials)


def imagery(host, **credentials):
    return ImageryLayer(f"{host}/arcgis/rest/services/World_Imagery/ImageServer", gis=connect(host, **credentials))


@pytest.fixture
def layer(stack):
    return imagery(stack["open"])


def errors(job):
    return [m["description"] for m in job["messages"] if m["type"] == "esriJobMessageTypeError"]


def tile_rows(package):
    """Return the names of the bundles of a package or dataset."""
    with zipfile.ZipFile(package) as archive:
        return [name for name in archive.namelist() if name.endswith(".bundle")]


def test_the_client_knows_a_tiled_image_service(layer):
    assert layer.properties.name == "World_Imagery"
    assert layer.properties.exportTilesAllowed is True
    assert layer.tiles is not None


def test_an_estimate_is_tiles_and_bytes(layer):
    assert layer.tiles.estimate_size(levels="0-4") == {
        "totalSize": pytest.approx(2_200_000, rel=0.1),
        "totalTilesToExport": 341,
    }


def test_an_export_of_everything(layer, check):
    (package,) = layer.tiles.export(tile_package=True, levels="0-3")

    assert Path(package).name == "World_Imagery.tpkx"
    assert check(package) == SOUND


@pytest.mark.parametrize(
    "extent", ["-10000000,0,0,5000000", {"xmin": -1e7, "ymin": 0, "xmax": 0, "ymax": 5e6}], ids=["text", "dict"]
)
def test_an_export_by_extent(layer, check, extent):
    (package,) = layer.tiles.export(tile_package=True, levels="0-3", extent=extent)

    assert check(package) == SOUND


def test_an_export_by_polygon(layer, check):
    (package,) = layer.tiles.export(tile_package=True, levels="1,3", aoi=TRIANGLE)

    assert check(package) == SOUND
    assert {Path(name).parent.name for name in tile_rows(package)} == {"L01", "L03"}


def test_an_export_by_scale(layer):
    (package,) = layer.tiles.export(tile_package=True, export_by="Scale", levels="147914381.897889,73957190.948944")

    assert {Path(name).parent.name for name in tile_rows(package)} == {"L02", "L03"}


def test_the_default_call_brings_a_cache_raster_dataset_as_one_zip(layer):
    (dataset,) = layer.tiles.export(levels="0-2")

    assert Path(dataset).name == "World_Imagery.zip"
    assert {Path(name).parent.name for name in tile_rows(dataset)} == {"L00", "L01", "L02"}


def test_too_many_tiles_come_back_as_a_failed_job_that_says_so(layer):
    job = layer.tiles.export(tile_package=True, levels="0-22")

    assert job["jobStatus"] == "esriJobFailed"
    assert errors(job)[0].startswith("ERROR 001564: Requested tile count(")


def test_a_mistake_in_the_request_is_raised_with_our_words(layer):
    with pytest.raises(Exception, match=r"levels: '0-99' cannot be used. It must list levels from 0 to 23"):
        layer.tiles.export(tile_package=True, levels="0-99")


def test_the_client_stops_waiting_for_an_export_that_is_cancelled(layer):
    """WHEN someone cancels it at the true address THEN the client, which does not know this status, gets a failure."""

    def cancel_when_submitted(response, *_, **__):
        if response.request.method == "POST" and response.url.endswith("/exportTiles"):
            url = f"{layer.url}/jobs/{response.json()['jobId']}/cancel"
            urlopen(Request(url, data=b"f=json")).close()

    layer._con._session._session.hooks["response"].append(cancel_when_submitted)
    found = {}
    export = threading.Thread(target=lambda: found.update(layer.tiles.export(tile_package=True, levels="0-7")))
    export.start()
    export.join(60)

    assert not export.is_alive()
    assert found["jobStatus"] == "esriJobFailed"
    assert "cancelled" in errors(found)[0]


def test_the_path_for_map_services_works_as_well(stack, check):
    """The client's other half sends True and False, other names, and polls by POST; it is tolerated."""
    url = f"{stack['open']}/arcgis/rest/services/World_Imagery/ImageServer"
    layer = MapImageLayer(url, gis=connect(stack["open"]))

    (package,) = layer.export_tiles(levels="0-2", storage_format="esriMapCacheStorageModeCompactV2")

    assert check(package) == SOUND


@pytest.mark.parametrize(
    "credentials",
    [
        lambda stack: {"token": stack["token"]},
        lambda stack: {"token": stack["token"], "legacy": True},
        lambda stack: {"api_key": stack["token"]},
        lambda stack: {"username": stack["key_name"], "password": stack["token"]},
    ],
    ids=["token", "token as a parameter", "API key", "user name and password"],
)
def test_a_key_opens_a_secured_stack(stack, check, credentials):
    layer = imagery(stack["secured"], **credentials(stack))

    assert layer.tiles.estimate_size(levels="0-2")["totalTilesToExport"] == 21
    (package,) = layer.tiles.export(tile_package=True, levels="0-2")
    assert check(package) == SOUND


def test_the_limit_of_the_key_is_the_limit_of_the_export(stack):
    layer = imagery(stack["secured"], token=stack["token"])

    assert layer.properties.maxExportTilesCount == 100
    assert "Requested tile count(341) exceeds the maximum allowed number of tiles(100)" in str(
        layer.tiles.export(tile_package=True, levels="0-4")
    )


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (lambda _: {}, r"Token Required[\s\S]*Error Code: 499"),
        (lambda _: {"token": "abc"}, r"Invalid Token[\s\S]*Error Code: 498"),
        (lambda stack: {"token": stack["other_token"]}, r"access is denied[\s\S]*Error Code: 403"),
    ],
    ids=["no token", "wrong token", "another service's token"],
)
def test_without_the_right_key_the_client_raises_and_does_not_hang(stack, credentials, words):
    with pytest.raises(Exception, match=words):
        _ = imagery(stack["secured"], **credentials(stack)).properties.name


def test_the_directory_tells_the_client_what_there_is(stack):
    with urlopen(f"{stack['open']}/arcgis/rest/services?f=json") as response:
        assert {"name": "World_Imagery", "type": "ImageServer"} in json.load(response)["services"]
