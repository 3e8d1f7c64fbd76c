"""Published services: written, found, listed; and names that are none."""

import pytest

from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.domain.errors import DamagedCacheError, ServiceNotFoundError
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


@pytest.mark.parametrize(
    "name",
    ["", "/", "World/", "../secret", "a/b/c", "World\n", "Wörld", "a" * 200, "World.json", "%2e%2e/World", "a\\b"],
)
def test_a_name_that_could_climb_out_of_the_catalog_finds_nothing(tiles, name):
    with pytest.raises(ServiceNotFoundError):
        ServiceCatalog(tiles).get(name)


def test_a_descriptor_that_was_damaged_says_what_is_wrong(tiles):
    tiles.write("services/World.json", b'{"name": "World"}')

    with pytest.raises(DamagedCacheError, match="tileInfo"):
        ServiceCatalog(tiles).get("World")
