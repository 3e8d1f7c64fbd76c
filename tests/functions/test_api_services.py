"""Resources of services: the catalog, tiles and tile maps."""

import base64

import pytest

from tests.builders import a_tile
from tests.functions.api_client import MAP_SERVICE, SERVICE


@pytest.mark.parametrize("service", [SERVICE, MAP_SERVICE])
def test_a_tile_is_sent_unchanged(done, service):
    response = done.get(f"{service}/tile/3/1/2", "")

    assert response["statusCode"] == 200
    assert base64.b64decode(response["body"]) == a_tile(3, 1, 2)
    assert response["isBase64Encoded"] is True
    assert response["headers"]["content-type"] == "image/jpeg"
    assert response["headers"]["cache-control"] == "public, max-age=86400"
    etag = response["headers"]["etag"]
    assert done.get(f"{SERVICE}/tile/3/1/2", headers={"if-none-match": etag})["statusCode"] == 304


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\4\0\0\0WEBP", "image/webp"),
        (b"Lerc2 ", "application/octet-stream"),
    ],
)
def test_a_tile_has_the_media_type_of_its_bytes(client, body, media_type):
    client.runtime.browse_service.sources.objects.write("World/3/2/1.jpg", body)

    assert client.get(f"{SERVICE}/tile/3/1/2", "")["headers"]["content-type"] == media_type


@pytest.mark.parametrize("tail", ["3/8/3", "9/0/0", "99/0/0", "3/999999999/0"])
def test_a_missing_tile_is_a_real_404(done, tail):
    assert done.get(f"{SERVICE}/tile/{tail}")["statusCode"] == 404
    assert done.get("/arcgis/rest/services/None/ImageServer/tile/0/0/0")["statusCode"] == 404


def test_a_tilemap_lists_the_existing_tiles(done):
    assert done.json(f"{SERVICE}/tilemap/3/6/6/4/2") == {
        "valid": True,
        "adjusted": False,
        "location": {"left": 6, "top": 6, "width": 4, "height": 2},
        "data": [1, 1, 0, 0, 1, 1, 0, 0],
    }


def test_a_tilemap_ends_where_its_first_bundle_ends(done):
    tilemap = done.json(f"{SERVICE}/tilemap/9/120/250/64/999999999")

    assert tilemap["adjusted"] is True
    assert tilemap["location"] == {"left": 250, "top": 120, "width": 6, "height": 8}
    assert len(tilemap["data"]) == 48


@pytest.mark.parametrize("tail", ["3/0/0/0/5", "99/0/0/1/1"])
def test_an_empty_tilemap_is_refused(done, tail):
    assert done.error(f"{SERVICE}/tilemap/{tail}")["code"] == 400


def test_services_are_listed_by_folder(client):
    root = client.json("/arcgis/rest/services")
    assert client.json("/arcgis/rest") == root

    assert root["folders"] == ["Survey"]
    assert {"name": "World_Imagery", "type": "ImageServer"} in root["services"]
    survey = client.json("/arcgis/rest/services/Survey")
    both = [{"name": "Survey/Ortho", "type": service_type} for service_type in ("ImageServer", "MapServer")]
    assert (survey["folders"], survey["services"]) == ([], both)
    assert client.error("/arcgis/rest/services/Nothing")["code"] == 404


def test_an_unknown_service_is_refused(client):
    error = client.error("/arcgis/rest/services/Nothing/ImageServer/exportTiles")

    assert (error["code"], error["message"]) == (404, "There is no image service 'Nothing'.")


def test_a_service_that_forbids_exports_refuses_them(client):
    closed = "/arcgis/rest/services/Closed/ImageServer"

    service = client.json(closed)
    assert service["exportTilesAllowed"] is service["exportTileCacheCompactV2Allowed"] is False
    error = client.error(f"{closed}/exportTiles", "f=json&tilePackage=true&levels=0")
    assert error["message"] == "The service Closed does not allow its tiles to be exported."
