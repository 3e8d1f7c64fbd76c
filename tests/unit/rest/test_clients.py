"""Submissions in the form that each client sends."""

import pytest

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import StorageFormat
from exporttiles.rest.http import Request
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import WORLD, a_service

FORM = {"content-type": "application/x-www-form-urlencoded"}
RINGS = "%22rings%22%3A%5B%5B%5B0%2C0%5D%2C%5B0%2C9%5D%2C%5B9%2C9%5D%2C%5B0%2C0%5D%5D%5D"
ENVELOPE = "%22xmin%22%3A0%2C%22ymin%22%3A0%2C%22xmax%22%3A9%2C%22ymax%22%3A9"
MERCATOR = "%22spatialReference%22%3A%7B%22wkid%22%3A102100%2C%22latestWkid%22%3A3857%7D"


def post(body):
    return read_export_request(Request("POST", "/", headers=FORM, body=body).parameters, a_service())


def get(query):
    return read_export_request(Request("GET", "/", query).parameters, a_service())


def test_python_arcgis_imagery_tile_manager_by_default():
    request = post(
        "f=json&tilePackage=false&optimizeTilesForSize=true&compressionQuality=75&exportBy=LevelID&levels=0-2"
    )

    assert (request.levels, request.compression_quality) == ((0, 1, 2), 75)
    assert (request.tile_package, request.storage_format) == (False, StorageFormat.COMPACT_V2)
    assert request.areas[0].area.extent.sides == WORLD.sides


def test_python_arcgis_imagery_tile_manager_with_a_polygon():
    request = post(f"f=json&tilePackage=true&exportBy=LevelID&levels=0-2&areaOfInterest=%7B{RINGS}%2C+{MERCATOR}%7D")

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_python_arcgis_imagery_tile_manager_with_an_extent_as_a_dict():
    request = post(
        "f=json&tilePackage=true&exportBy=LevelID&levels=3"
        "&exportExtent=%7B%22xmin%22%3A+0%2C+%22ymin%22%3A+0%2C+%22xmax%22%3A+9%2C+%22ymax%22%3A+9%7D"
    )

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_python_arcgis_map_image_layer():
    request = get(
        "f=json&tilePackage=True&exportExtent=DEFAULT&optimizeTilesForSize=False&compressionQuality=0"
        "&exportBy=levelId&levels=1-2&storageFormat=esriMapCacheStorageModeCompactV2"
    )

    assert (request.tile_package, request.compression_quality, request.levels) == (True, None, (1, 2))


def test_python_arcgis_map_image_layer_mangles_an_area_given_as_a_dict():
    with pytest.raises(InvalidParameterError, match=r"^areaOfInterest: 'features' cannot be used\. It is not JSON"):
        get("f=json&tilePackage=True&levels=1-2&areaOfInterest=features")


def test_python_feature_set_to_json():
    request = post(
        "f=json&tilePackage=true&levels=1&areaOfInterest=%7B%22features%22%3A+%5B%7B%22geometry%22%3A+%7B"
        f"{RINGS}%7D%2C+%22attributes%22%3A+%7B%22OBJECTID%22%3A+1%7D%7D%5D%2C+%22objectIdFieldName%22%3A+%22OBJECTID"
        f"%22%2C+%22fields%22%3A+%5B%5D%2C+{MERCATOR}%7D"
    )

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_esri_map_area_packaging_tool():
    request = post(f"exportBy=LevelID&levels=0%2C1%2C2&tilePackage=True&polygon=%7B{RINGS}%2C{MERCATOR}%7D&f=json")

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)
    assert (request.tile_package, request.levels) == (True, (0, 1, 2))


def test_esri_tile_package_kreator_with_a_polygon():
    request = get(
        "tilePackage=true&exportBy=LevelID&levels=0-3&useToken=false&exportExtent=DEFAULT&f=pjson"
        "&areaOfInterest=%7B%22geometryType%22%3A%22esriGeometryPolygon%22%2C%22features%22%3A%5B%7B%22geometry%22%3A"
        f"%7B{RINGS}%2C{MERCATOR}%7D%7D%5D%7D"
    )

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_esri_tile_package_kreator_with_an_envelope():
    request = get(
        "tilePackage=true&exportBy=LevelID&levels=0-3&f=pjson"
        f"&exportExtent=%7B%22xmin%22%3A0%2C%22ymin%22%3A0%2C%22xmax%22%3A9%2C%22ymax%22%3A9%2C{MERCATOR}%7D"
    )

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_esri_arcrest_with_a_polygon():
    request = get(
        "f=json&tilePackage=true&exportExtent=DEFAULTEXTENT&optimizeTilesForSize=false&compressionQuality=0"
        f"&exportBy=LevelID&levels=1-2&areaOfInterest=%7B%22features%22%3A+%5B%7B{RINGS}%2C{MERCATOR}%7D%5D%7D"
    )

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_arcgis_server_services_directory_form():
    request = get(
        "storageFormatType=Compact&tilePackage=false&exportExtent=DEFAULT&optimizeTilesForSize=false"
        "&compressionQuality=&exportBy=levelId&levels=0-6&polygon=&areaOfInterest=&f=json"
    )

    assert (request.storage_format, request.levels) == (StorageFormat.COMPACT, tuple(range(7)))


def test_r_arcgistiles():
    request = post(
        "storageFormatType=esriMapCacheStorageModeCompactV2&tilePackage=true&exportBy=levelId&levels=0%2C+1%2C+2"
        f"&areaOfInterest=%7B{RINGS}%2C{MERCATOR}%7D&f=json"
    )

    assert (request.levels, request.areas[0].area.extent.sides) == ((0, 1, 2), (0, 0, 9, 9))


def test_eris_offline_scene_exporter():
    request = get(
        "f=json&storageFormatType=esriMapCacheStorageModeCompactV2&tilePackage=true&optimizeTilesForSize=false"
        "&exportBy=LevelID&levels=0-5&areaOfInterest=%7B%22features%22%3A%5B%7B%22geometry%22%3A%7B"
        f"{RINGS}%2C{MERCATOR}%7D%7D%5D%2C{MERCATOR}%7D"
    )

    assert (request.compression_quality, request.areas[0].area.extent.sides) == (None, (0, 0, 9, 9))


def test_python_arcgis_imagery_tile_manager_without_levels_asks_for_all_that_hold_tiles():
    request = post("f=json&tilePackage=true&optimizeTilesForSize=true&compressionQuality=75&exportBy=LevelID")

    assert request.levels == tuple(range(20))


def test_python_arcgis_vector_tile_layer():
    request = get(
        "f=json&exportBy=levelId&storageFormatType=Compact&tilePackage=False&exportExtent=DEFAULT"
        "&optimizeTilesForSize=False&createItem=False&levels=0-3"
    )

    assert (request.storage_format, request.tile_package, request.levels) == (
        StorageFormat.COMPACT,
        False,
        (0, 1, 2, 3),
    )


def test_esri_map_area_packaging_tool_of_servers_before_10_7_with_a_quality():
    request = post(
        f"exportBy=LevelID&levels=0%2C1&tilePackage=True&exportExtent=%7B{ENVELOPE}%2C{MERCATOR}%7D"
        "&compressionQuality=60&optimizeTilesForSize=True&token=abc&f=json"
    )

    assert (request.compression_quality, request.areas[0].area.extent.sides) == (60, (0, 0, 9, 9))


def test_esri_tile_package_kreator_estimates_first():
    request = get(
        f"tilePackage=true&exportBy=LevelID&levels=0-3&useToken=true&token=abc&f=pjson"
        f"&exportExtent=%7B{ENVELOPE}%2C{MERCATOR}%7D"
    )

    assert (request.tile_package, request.levels) == (True, (0, 1, 2, 3))


def test_esri_arcrest_estimate():
    request = get("f=json&tilePackage=False&exportExtent=DEFAULTEXTENT&exportBy=LevelID&levels=0-2")

    assert (request.tile_package, request.areas[0].area.extent.sides) == (False, WORLD.sides)


def test_r_arcgistiles_with_an_envelope():
    request = post(
        "storageFormatType=esriMapCacheStorageModeCompact&tilePackage=true&exportBy=levelId&levels=0%2C+1%2C+2"
        f"&exportExtent=%7B{ENVELOPE}%2C{MERCATOR}%7D&f=json"
    )

    assert (request.storage_format, request.areas[0].area.extent.sides) == (StorageFormat.COMPACT, (0, 0, 9, 9))


@pytest.mark.parametrize(
    "area",
    [
        f"exportExtent=%7B{ENVELOPE}%2C{MERCATOR}%7D",
        f"areaOfInterest=%7B%22features%22%3A%5B%7B%22geometry%22%3A%7B{RINGS}%2C{MERCATOR}%7D%7D%5D%7D",
        f"areaOfInterest=%7B{RINGS}%2C{MERCATOR}%7D",
    ],
    ids=["envelope", "polygon in a feature set", "polygon"],
)
def test_arcgis_maps_sdks(area):
    """Their wire form is not documented: these are the ones that their parameters can become."""
    request = post(
        f"f=json&exportBy=LevelID&levels=0%2C1%2C2&tilePackage=true&{area}"
        "&storageFormatType=esriMapCacheStorageModeCompactV2&compressionQuality="
    )

    assert (request.levels, request.areas[0].area.extent.sides) == ((0, 1, 2), (0, 0, 9, 9))


def test_arcgis_online_names_the_extent_differently():
    request = get("f=json&tilePackage=true&levels=1-3&extent=0%2C0%2C9%2C9&createItem=false")

    assert request.areas[0].area.extent.sides == (0, 0, 9, 9)


def test_other_parameters_of_clients_are_ignored():
    request = post("token=abc&useToken=true&returnMessages=true&_ts=1700000000&f=json&tilePackage=true&levels=0-2")

    assert (request.tile_package, request.levels, request.warnings) == (True, (0, 1, 2), ())
