"""The three examples of Esri's documentation of exportTiles, verbatim."""

from exporttiles.rest.http import Request
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import HALF_WORLD, WORLD, a_service

EXAMPLE_ONE = (
    "tilePackage=true&exportExtent=&optimizeTilesForSize=true&compressionQuality=90&exportBy=levelId&levels=0-7"
    "&areaOfInterest=&f=json"
)
EXAMPLE_TWO = (
    "tilePackage=true&exportExtent=-13051380,4030276,-13037288,4041136&optimizeTilesForSize=true"
    "&compressionQuality=60&exportBy=levelId&levels=13-19&areaOfInterest=&f=json"
)
EXAMPLE_THREE = (
    "tilePackage=true&exportExtent=&optimizeTilesForSize=true&compressionQuality=60&exportBy=levelId&levels=13-19"
    '&areaOfInterest={"features":[{"geometry":{"rings":[[[-100,35],[-100,45],[-90,45],[-90,35],[-100,35]]]}}]},'
    '"spatialReference":{"wkid":4326}}}]}&f=json'
)


def read(query):
    request = Request("GET", "/", query)
    assert request.format() == "json"
    return read_export_request(request.parameters, a_service())


def test_example_one_exports_the_first_eight_levels_of_the_world():
    request = read(EXAMPLE_ONE)

    assert request.levels == (0, 1, 2, 3, 4, 5, 6, 7)
    assert request.areas[0].area.extent.sides == WORLD.sides
    assert (request.tile_package, request.compression_quality, request.warnings) == (True, 90, ())


def test_example_two_exports_an_extent_in_the_reference_of_the_service():
    request = read(EXAMPLE_TWO)

    assert request.levels == (13, 14, 15, 16, 17, 18, 19)
    assert request.areas[0].area.extent.sides == (-13051380, 4030276, -13037288, 4041136)
    assert (request.tile_package, request.compression_quality, request.warnings) == (True, 60, ())


def test_example_three_closes_its_object_early_and_is_still_ten_degrees_of_north_america():
    request = read(EXAMPLE_THREE)

    degree = HALF_WORLD / 180
    xmin, ymin, xmax, ymax = request.areas[0].area.extent.sides
    assert (round(xmin), round(xmax)) == (round(-100 * degree), round(-90 * degree))
    assert (round(ymin), round(ymax)) == (4163881, 5621521)
    assert request.levels == (13, 14, 15, 16, 17, 18, 19)
    (warning,) = request.warnings
    assert warning == (
        "areaOfInterest: It is not JSON, for its brackets do not match. It was read as if they did, "
        "with coordinates in WGS 84. Check the area."
    )
