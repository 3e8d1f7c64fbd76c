"""Documents of services, the catalog and the server."""

from dataclasses import replace

import pytest

from exporttiles.domain.service import ServiceType, TileFormat
from exporttiles.formats.esri.tiling_schemes import WGS84_512
from exporttiles.rest.service_documents import catalog_document, info_document, service_document
from tests.builders_rest import HALF_WORLD, a_service


def image_document(service):
    return service_document(service, ServiceType.IMAGE)


def test_a_service_looks_like_an_image_service_with_a_tile_cache():
    document = image_document(a_service(description="Imagery"))

    assert document["name"] == "World_Imagery"
    assert document["currentVersion"] >= 10.9
    assert document["exportTilesAllowed"] is document["exportTileCacheCompactV2Allowed"] is True
    assert document["maxExportTilesCount"] == 100_000
    assert document["singleFusedMapCache"] is True
    assert document["capabilities"].split(",") == ["Image", "TilesOnly", "Tilemap"]
    assert document["spatialReference"] == {"wkid": 102100, "latestWkid": 3857}
    assert document["fullExtent"]["xmax"] == HALF_WORLD
    assert document["extent"] == document["initialExtent"] == document["fullExtent"]
    assert (document["bandCount"], document["pixelType"]) == (3, "U8")
    assert document["storageInfo"] == {"storageFormat": "esriMapCacheStorageModeCompactV2", "packetSize": 128}


@pytest.mark.parametrize(
    ("change", "extensions"),
    [
        ({}, ["PMTiles", "MBTiles", "GeoPackage"]),
        ({"tiling_scheme": WGS84_512}, ["GeoPackage"]),
        ({"tile_format": TileFormat.LERC}, []),
    ],
    ids=["Web Mercator", "another grid", "elevation"],
)
def test_the_document_lists_what_the_service_can_be_exported_to(change, extensions):
    document = image_document(replace(a_service(), **change))

    assert document["exportStorageFormatTypes"] == [
        "esriMapCacheStorageModeCompact",
        "esriMapCacheStorageModeCompactV2",
        *extensions,
    ]


@pytest.mark.parametrize("service_type", ServiceType)
def test_a_webp_service_states_its_format_and_offers_no_tile_package(service_type):
    service = a_service(tile_format=TileFormat.WEBP, compression_quality=0)

    document = service_document(service, service_type)

    assert document["tileInfo"]["format"] == "WEBP"
    assert document["exportStorageFormatTypes"] == ["PMTiles", "MBTiles", "GeoPackage"]
    assert (document["exportTilesAllowed"], document["exportTileCacheCompactV2Allowed"]) == (True, False)


def test_the_document_has_the_whole_tiling_scheme_and_the_range_of_levels_with_tiles():
    document = image_document(a_service(min_level=5, max_level=7))

    info = document["tileInfo"]
    assert (info["rows"], info["cols"], info["format"], info["compressionQuality"]) == (256, 256, "JPEG", 95)
    assert len(info["lods"]) == 24
    assert (document["minLOD"], document["maxLOD"]) == (5, 7)
    assert (document["minScale"], document["maxScale"]) == (info["lods"][5]["scale"], info["lods"][7]["scale"])


def test_a_lerc_cache_is_elevation():
    document = image_document(a_service(tile_format=TileFormat.LERC, compression_quality=0))

    assert (document["cacheType"], document["pixelType"], document["bandCount"]) == ("Elevation", "F32", 1)
    assert document["serviceDataType"] == "esriImageServiceDataTypeElevation"


def test_a_map_service_describes_the_same_cache_with_the_members_of_map_services():
    service = a_service(description="Imagery")
    document, image = service_document(service, ServiceType.MAP), image_document(service)

    assert (document["mapName"], document["layers"], document["tables"]) == ("Layers", [], [])
    assert document["capabilities"].split(",") == ["Map", "TilesOnly", "Tilemap"]
    assert document["supportsDynamicLayers"] is False
    assert document["units"] == "esriMeters"
    assert document["documentInfo"]["Title"] == "World_Imagery"
    of_images = {"extent", "cacheType", "serviceDataType", "pixelType", "bandCount", "hasMultidimensions"}
    assert not of_images & document.keys()
    shared = {name: value for name, value in image.items() if name in document and name != "capabilities"}
    assert shared == {name: document[name] for name in shared}
    assert {"tileInfo", "storageInfo", "exportTilesAllowed", "maxExportTilesCount", "minLOD", "maxLOD"} <= shared.keys()


def test_folders_are_listed_in_the_root_only():
    names = ["A", "F/B", "F/C", "G/D"]

    assert catalog_document(names)["folders"] == ["F", "G"]
    assert {service["name"] for service in catalog_document(names)["services"]} == {"A"}
    assert {service["name"] for service in catalog_document(names, "F")["services"]} == {"F/B", "F/C"}
    assert catalog_document(names, "F")["folders"] == []


def test_each_service_is_listed_as_image_and_as_map():
    types = [(service["name"], service["type"]) for service in catalog_document(["A"])["services"]]

    assert types == [("A", "ImageServer"), ("A", "MapServer")]


def test_server_info_says_whether_and_where_to_get_a_token():
    assert info_document(None)["authInfo"] == {"isTokenBasedSecurity": False}
    assert info_document("https://a.org/generateToken")["authInfo"] == {
        "isTokenBasedSecurity": True,
        "tokenServicesUrl": "https://a.org/generateToken",
    }
