"""The parameters `areas` and `overviewLevels`."""

import json

import mercantile
import pytest

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError, InvalidParameterError, RequestError
from exporttiles.domain.extent import Extent
from exporttiles.formats.esri.tiling_schemes import WGS84_512
from exporttiles.rest.export_areas import AREAS_LIMIT
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import WORLD, a_service

SERVICE = a_service()
COUNTY = {"type": "Polygon", "coordinates": [[[8, 47], [9, 47], [9, 48], [8, 48], [8, 47]]]}
TRACK = {"paths": [[[8.1, 47.1], [8.2, 47.2]]], "spatialReference": {"wkid": 4326}}
AREAS = [
    {"areaOfInterest": COUNTY, "levels": "8-10", "name": "County"},
    {"areaOfInterest": TRACK, "levels": 12, "bufferDistance": 500},
    {"exportExtent": {"xmin": 8, "ymin": 47, "xmax": 8.5, "ymax": 47.5, "spatialReference": {"wkid": 4326}}},
]


def read(areas=None, service=SERVICE, **parameters):
    if areas is not None:
        parameters["areas"] = areas if isinstance(areas, str) else json.dumps(areas)
    return read_export_request(parameters, service)


def alone(**parameters):
    """The one area of a request without `areas`."""
    (found,) = read(**{name: v if isinstance(v, str) else json.dumps(v) for name, v in parameters.items()}).areas
    return found.area.extent.sides, found.levels


def test_each_area_is_read_as_if_it_were_the_only_one():
    request = read(AREAS)

    assert [(each.area.extent.sides, each.levels) for each in request.areas] == [
        alone(areaOfInterest=COUNTY, levels="8-10"),
        alone(areaOfInterest=TRACK, levels="12", bufferDistance="500"),
        alone(exportExtent=AREAS[2]["exportExtent"]),
    ]
    assert [each.name for each in request.areas] == ["areas[0] (County)", "areas[1]", "areas[2]"]
    assert request.levels == tuple(range(20))
    assert request.notes == ("areas[1].areaOfInterest: 1 line was buffered by 500 m.",)


def test_members_may_be_text_as_in_a_query():
    as_text = [{name: v if isinstance(v, str) else json.dumps(v) for name, v in area.items()} for area in AREAS]

    assert [each.levels for each in read(as_text).areas] == [each.levels for each in read(AREAS).areas]


def test_levels_of_areas_may_be_scales():
    assert read([{"areaOfInterest": COUNTY, "levels": "577791"}], exportBy="Scale").levels == (10,)


def test_an_overview_is_the_full_extent_of_the_service_beside_any_area():
    for parameters in ({"areas": AREAS}, {"areaOfInterest": json.dumps(COUNTY)}, {"exportExtent": "0,0,9,9"}):
        *others, overview = read(**parameters, overviewLevels="0-3").areas
        assert len(others) == (3 if "areas" in parameters else 1)
        assert (overview.area.extent.sides, overview.levels, overview.name) == (
            WORLD.sides,
            (0, 1, 2, 3),
            "overviewLevels",
        )


def test_an_overview_without_an_area_is_refused():
    with pytest.raises(InvalidParameterError, match=r"overviewLevels: '0-3' .* an area, which is missing"):
        read(overviewLevels="0-3", levels="4")


def test_a_level_of_the_overview_that_does_not_exist_is_refused():
    with pytest.raises(InvalidParameterError, match=r"overviewLevels: '0-99' cannot be used. It must list levels"):
        read(overviewLevels="0-99", exportExtent="0,0,9,9")


@pytest.mark.parametrize(
    ("name", "value"),
    [("areaOfInterest", json.dumps(COUNTY)), ("extent", "0,0,9,9"), ("levels", "3"), ("bufferDistance", "5")],
)
def test_parameters_of_a_single_area_beside_areas_are_refused(name, value):
    with pytest.raises(InvalidParameterError, match=rf"^{name}: .* With areas, it must be a member of each area"):
        read(AREAS, **{name: value})


@pytest.mark.parametrize(
    ("element", "words"),
    [
        ({"areaOfInterest": COUNTY, "levels": "8-99"}, r"areas\[1\]\.levels: '8-99' cannot be used"),
        ({"areaOfInterest": TRACK}, r"areas\[1\]\.areaOfInterest: .* need a bufferDistance"),
        ({"areaOfInterest": {"rings": 5}}, r"areas\[1\]\.areaOfInterest: .*'rings' is not a list"),
        ({"areaOfInterest": TRACK, "bufferDistance": "0.1"}, r"areas\[1\]\.bufferDistance: '0.1' cannot be used"),
        ({"areaOfInterest": COUNTY, "bufferUnit": "km"}, r"areas\[1\]\.bufferUnit: 'km' cannot be used"),
        ({"exportExtent": "9,9,0,0"}, r"areas\[1\]\.exportExtent: xmin"),
        ({"exportExtent": "0,0,9,9", "bufferDistance": 5}, r"areas\[1\]\.bufferDistance: "),
        ({"levels": "3"}, r"areas\[1\]\.areaOfInterest: It is missing: an area needs it, exportExtent or tiles"),
        ({"area": COUNTY}, r"areas\[1\]: 'area' cannot be used. There is no such member. The members of an area are"),
        ({"areaOfInterest": COUNTY, "name": "a" * 61}, r"areas\[1\]\.name: "),
        ({"areaOfInterest": COUNTY, "name": "a\nb"}, r"areas\[1\]\.name: "),
        ("County", r"areas\[1\]: 'County' cannot be used. The members of an area are"),
    ],
)
def test_a_fault_in_an_area_names_its_place(element, words):
    with pytest.raises(RequestError, match=f"^{words}"):
        read([AREAS[0], element])


@pytest.mark.parametrize("value", ["", " ", "[]", "{}", json.dumps(COUNTY), "5", "[", '["', "[" * 5000])
def test_no_list_of_areas_is_refused_unless_it_is_empty(value):
    if not value.strip():
        assert len(read(value).areas) == 1
        return
    with pytest.raises(InvalidParameterError, match=r"^areas: .* It must be a list of areas with their levels as JSON"):
        read(value)


@pytest.mark.parametrize("depth", [300, 490, 900])
def test_an_area_that_is_nested_deeply_is_refused(depth):
    with pytest.raises(RequestError, match=r"^areas(\[0\])?"):
        read(f'[{{"areaOfInterest":{"[" * depth}{"]" * depth}}}]')


def test_the_number_of_areas_is_limited():
    assert len(read([AREAS[0]] * AREAS_LIMIT).areas) == AREAS_LIMIT
    with pytest.raises(InvalidParameterError, match=rf"areas: .* It has 21 areas; {AREAS_LIMIT} are allowed"):
        read([AREAS[0]] * (AREAS_LIMIT + 1))


def test_the_vertices_of_all_areas_are_limited_together():
    ring = [[8 + number / 1e6, 47 + (number % 2)] for number in range(90_000)]
    area = {"areaOfInterest": {"rings": [ring], "spatialReference": {"wkid": 4326}}, "levels": "3"}
    service = a_service(tiling_scheme=WGS84_512)

    assert len(read([area] * 3, service).areas) == 3
    with pytest.raises(AreaError, match=r"areas: They have 360,000 vertices and more together; 300,000 are allowed"):
        read([area] * 4, service)


def test_warnings_name_the_area_they_are_about():
    two = [{"areaOfInterest": [COUNTY, TRACK]}, {"exportExtent": "5,5,9,9"}]

    first, second = read(two).warnings

    assert first.startswith("areas[0].areaOfInterest: Left out")
    assert second.startswith("areas[1].exportExtent: The coordinates look like degrees")


def test_areas_can_be_clipped_to():
    assert read(AREAS, clip="true").clip


def sides_of(tiles, service=SERVICE):
    return [
        Extent(*box, WORLD.spatial_reference).to(service.tiling_scheme.spatial_reference).sides
        for box in (mercantile.xy_bounds(*tile) for tile in tiles)
    ]


@pytest.mark.parametrize("service", [SERVICE, a_service(tiling_scheme=WGS84_512)], ids=["metres", "degrees"])
@pytest.mark.parametrize("text", ["3/4/2, 021", '["3/4/2","021"]', "120,3/1/2", "120,120,021"])
def test_tiles_are_areas_of_web_mercator_by_address_or_quadkey(text, service):
    (found,) = read(service=service, tiles=text, levels="3").areas

    expected = sides_of([(4, 2, 3), (1, 2, 3)], service)
    boxes = {Area((polygon,), WORLD.spatial_reference).extent.sides for polygon in found.area.polygons}
    assert [pytest.approx(sides) for sides in sorted(boxes)] == sorted(expected)


@pytest.mark.parametrize("text", ["3/8/0", "31/0/0", "3/4", "4", "3/-1/0", "a", "3/4/2,", "[]", "[3]", "[", "³/4/2"])
def test_what_is_no_tile_is_refused(text):
    with pytest.raises(InvalidParameterError, match=r"^tiles: .*It must be zoom/x/y, with a zoom up to 30, or a quadk"):
        read(tiles=text)


def test_tiles_are_members_of_areas_and_can_be_clipped_to():
    areas = [{"tiles": ["3/4/2"], "levels": "3"}, {"tiles": "120", "levels": "4"}]

    first, second = read(areas, overviewLevels="0", clip="true").areas[:2]

    assert first.area.extent.sides == second.area.extent.sides == pytest.approx(sides_of([(4, 2, 3)])[0])


@pytest.mark.parametrize(("name", "value"), [("areaOfInterest", json.dumps(COUNTY)), ("exportExtent", "0,0,9,9")])
def test_tiles_beside_another_area_are_refused(name, value):
    with pytest.raises(InvalidParameterError, match=rf"tiles: '3/4/2' cannot be used. Send either it or {name}\."):
        read(tiles="3/4/2", **{name: value})


def test_the_number_of_tiles_is_limited():
    with pytest.raises(AreaError, match=r"tiles: It has 10,001 tiles; 10,000 are allowed"):
        read(tiles=",".join(["0"] * 10_001))
