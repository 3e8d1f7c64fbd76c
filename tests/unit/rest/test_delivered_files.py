"""Delivered files of a job over HTTP: a package, or the folders of a dataset."""

import json
from dataclasses import replace

import pytest

from exporttiles.domain.export import ESRI_FORMATS, StorageFormat
from exporttiles.rest.http import Request
from exporttiles.rest.routes import find_route, refuse, respond
from tests.builders import a_request
from tests.builders_rest import a_rest_runtime
from tests.fakes import run_workflow

HOST = "https://a.org"
SUFFIXES = {
    StorageFormat.COMPACT: "tpk",
    StorageFormat.COMPACT_V2: "tpkx",
    StorageFormat.PMTILES: "pmtiles",
    StorageFormat.MBTILES: "mbtiles",
    StorageFormat.GEOPACKAGE: "gpkg",
}
SERVICE = "World_Imagery"


class Site:
    """A finished job of two levels, and a client of its URLs."""

    def __init__(self, *, tile_package, storage_format=StorageFormat.COMPACT_V2, service=SERVICE):
        self.runtime = a_rest_runtime()
        service = self.runtime.services.get(service)
        request = replace(a_request(service, (0, 1)), tile_package=tile_package, storage_format=storage_format)
        self.job = run_workflow(self.runtime, self.runtime.submit_export(service, request, {}).job_id)
        self.url = f"{HOST}/arcgis/rest/directories/arcgisoutput/{service.name}_ImageServer/{self.job.job_id}"

    def ask(self, url, *, method="GET", query="", **headers):
        request = Request(method, url.removeprefix(HOST), query, {"host": "a.org", **headers})
        routed = find_route(request)
        try:
            return respond(routed, self.runtime)
        except Exception as error:  # noqa: BLE001, the function does so
            return refuse(routed, error)

    def json(self, url):
        return json.loads(self.ask(url).body)

    def tree(self, url):
        """Return the URL of each file below a URL, by path."""
        folder = self.json(url)
        found = {file["name"]: file["url"] for file in folder["files"]}
        for inner in folder["folders"]:
            found |= {f"{inner['name']}/{name}": address for name, address in self.tree(inner["url"]).items()}
        return found


@pytest.mark.parametrize("storage_format", sorted(ESRI_FORMATS))
@pytest.mark.parametrize("service", [SERVICE, "Survey/Ortho"])
def test_a_dataset_is_a_tree_with_one_zip_at_the_top(storage_format, service):
    site = Site(tile_package=False, storage_format=storage_format, service=service)
    name = service.rpartition("/")[2]

    top = site.json(site.url)

    assert top == {
        "files": [{"name": f"{name}.zip", "url": f"{site.url}/{name}.zip"}],
        "folders": [{"name": name, "url": f"{site.url}/{name}"}],
    }
    suffixes = ("bundle", "bundlx") if storage_format is StorageFormat.COMPACT else ("bundle",)
    assert set(site.tree(site.url)) == {
        f"{name}.zip",
        *(f"{name}/Layers/conf.{part}" for part in ("cdi", "properties", "xml")),
        *(f"{name}/Layers/_alllayers/L0{level}/R0000C0000.{suffix}" for level in (0, 1) for suffix in suffixes),
    }


def test_every_file_has_its_own_link_and_reports_its_length():
    site = Site(tile_package=False)

    for path, url in site.tree(site.url).items():
        key = f"packages/{site.job.job_id}/{path}"
        link, head = site.ask(url, query="f=json&token=x"), site.ask(url, method="HEAD")
        assert (link.status, link.headers["location"]) == (302, f"https://packages.example/{key}?signed")
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["content-length"]) == len(site.runtime.objects.read(key))


@pytest.mark.parametrize("storage_format", StorageFormat)
def test_a_package_is_one_file(storage_format):
    site = Site(tile_package=True, storage_format=storage_format)
    name = f"World_Imagery.{SUFFIXES[storage_format]}"

    assert site.json(site.url) == {"files": [{"name": name, "url": f"{site.url}/{name}"}], "folders": []}


def test_a_folder_is_a_page_for_a_browser():
    site = Site(tile_package=False)

    page = site.ask(f"{site.url}/World_Imagery/Layers/", accept="text/html,*/*")

    assert page.headers["content-type"].startswith("text/html")
    assert f'<a href="{site.url}/World_Imagery/Layers/conf.xml">'.encode() in page.body


@pytest.mark.parametrize(
    "path",
    [
        *("World_Imagery/conf.xml", "World_Imagery/Layers/_all", "World_Imagery/../World_Imagery.zip", "..", "../.."),
        *("World_Imagery/../../x", "World_Imagery%2FLayers", ".", "World_Imagery/./Layers", "..\\x"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_path_leads_out_of_the_folder_of_the_job(path, method):
    site = Site(tile_package=False)

    reply = site.ask(f"{site.url}/{path}", method=method)

    assert (reply.status, "location" in reply.headers) == (404, False)


def test_a_job_of_another_service_shows_no_files():
    site = Site(tile_package=False)

    for path in ("", "/World_Imagery.zip", "/World_Imagery/Layers"):
        url = site.url.replace("World_Imagery_ImageServer", "Survey/Ortho_ImageServer") + path
        assert "files" not in site.json(url)
