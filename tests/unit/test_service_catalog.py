"""Published services: writing, finding and listing them, and invalid names."""

from dataclasses import replace

import pytest

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.domain.errors import DamagedCacheError, InvalidParameterError, ServiceNotFoundError
from tests.builders import a_service, put_files
from tests.fakes import memory


@pytest.fixture
def tiles():
    tiles = memory()
    put_files(tiles, 1)
    return tiles


def test_a_published_service_is_found_as_it_was_published(tiles):
    catalog = ServiceCatalog(tiles)
    services = [a_service(tiles, name=name) for name in ("World", "Maps/World")]

    for service in services:
        catalog.put(service)

    assert [catalog.get(service.name) for service in services] == services
    assert catalog.names() == ["Maps/World", "World"]


NO_NAMES = [
    "",
    "/",
    "World/",
    "../secret",
    "a/b/c",
    "World\n",
    "Wörld",
    "a" * 200,
    "World.json",
    "%2e%2e/World",
    "a\\b",
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_could_climb_out_of_the_catalog_finds_nothing(tiles, name):
    with pytest.raises(ServiceNotFoundError):
        ServiceCatalog(tiles).get(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_service_is_published_under_such_a_name(tiles, name):
    service = replace(a_service(tiles), name=name)

    with pytest.raises(InvalidParameterError, match="It must be Name or Folder/Name"):
        ServiceCatalog(tiles).put(service)

    assert not list(tiles.list("services/"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"name": "World"}', "tileInfo"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"tileInfo": {"rows": 1, "cols": 1, "spatialReference": []}}', "spatialReference '\\[]' is not an object"),
        (
            b'{"tileInfo": {"rows": 1e999, "cols": 1e999, "spatialReference": {"wkid": 1e999}}}',
            "wkid 'Infinity' is not a number",
        ),
    ],
)
def test_a_descriptor_that_was_damaged_says_which_and_what_is_wrong(tiles, body, reason):
    tiles.write("services/World.json", body)

    with pytest.raises(DamagedCacheError, match=f"services/World.json: .*{reason}"):
        ServiceCatalog(tiles).get("World")
