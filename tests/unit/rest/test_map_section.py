"""The map on the page of a service: what the script of the page receives."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import ServiceType, TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.rest.apps import apps_for
from exporttiles.rest.map_section import map_section
from exporttiles.rest.service_documents import service_document
from tests.builders_rest import a_service

HOSTILE = "\"><script>alert(1)</script>'"


class Section(HTMLParser):
    def __init__(self, service):
        super().__init__()
        self.data, self.names, self.scripts = None, set(), 0
        self.feed(map_section(service, service_document(service, ServiceType.IMAGE)))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.scripts += tag == "script"
        self.names.add(attributes.get("name"))
        if "data-map" in attributes:
            self.data = json.loads(attributes["data-map"])


def in_reference(wkid):
    service = a_service()
    reference = SpatialReference(wkid, wkid)
    extent = replace(service.full_extent, spatial_reference=reference)
    return replace(
        service, tiling_scheme=replace(service.tiling_scheme, spatial_reference=reference), full_extent=extent
    )


def test_every_storage_format_has_apps():
    assert apps_for(StorageFormat).keys() == {*StorageFormat}


def test_only_apps_that_can_read_the_service_are_offered():
    assert apps_for(["GeoPackage"]) == {StorageFormat.GEOPACKAGE: "QGIS, QField (GeoPackage)"}


def test_the_script_receives_the_service_document():
    assert Section(a_service()).data["service"] == json.loads(
        json.dumps(service_document(a_service(), ServiceType.IMAGE))
    )


@pytest.mark.parametrize(
    ("wkid", "name"), [(2056, "CH1903+ / LV95"), (3413, "WGS 84 / NSIDC Sea Ice Polar Stereographic North")]
)
def test_a_reference_that_the_map_does_not_know_is_described(wkid, name):
    assert Section(in_reference(wkid)).data["projection"]["name"] == name


@pytest.mark.parametrize("wkid", [3857, 102100, 4326])
def test_a_reference_that_the_map_knows_is_not(wkid):
    assert Section(in_reference(wkid)).data["projection"] is None


@pytest.mark.parametrize(
    ("tile_format", "quality", "is_offered"),
    [
        (TileFormat.JPEG, 90, True),
        (TileFormat.MIXED, 0, True),
        (TileFormat.JPEG, 75, False),
        (TileFormat.PNG32, 0, False),
    ],
)
def test_smaller_pictures_are_offered_where_recompression_makes_them(tile_format, quality, is_offered):
    service = replace(a_service(), tile_format=tile_format, compression_quality=quality)

    assert ("quality" in Section(service).names) is is_offered


def test_heights_are_said_to_stay_invisible():
    service = replace(a_service(), tile_format=TileFormat.LERC)

    section = map_section(service, service_document(service, ServiceType.IMAGE))

    assert "the map here stays empty" in section


def test_texts_of_the_operator_are_data():
    section = Section(replace(a_service(), title=HOSTILE, description=HOSTILE, copyright_text=HOSTILE))

    assert not section.scripts
    assert section.data["service"]["copyrightText"] == HOSTILE
