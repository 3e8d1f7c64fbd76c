"""Lines, points and polygons with `bufferDistance`."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import AreaError, InvalidParameterError, RequestError
from exporttiles.domain.extent import Extent
from exporttiles.rest.buffer import MAX_METRES, MIN_METRES
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import HALF_WORLD, WORLD, a_service

SERVICE = a_service()
WGS84 = {"wkid": 4326}
TRACK = [[8.0, 47.0], [8.05, 47.02]]
LINE = {"type": "LineString", "coordinates": TRACK}
METRES_AT_47 = 1 / math.cos(math.radians(47))  # of Web Mercator


def read(geometry, distance="500", **parameters):
    text = geometry if isinstance(geometry, str) else json.dumps(geometry)
    return read_export_request({"areaOfInterest": text, "bufferDistance": distance, **parameters}, SERVICE)


def near(sides):
    return pytest.approx(sides, abs=1)


LINES = {
    "GeoJSON": LINE,
    "GeoJSON of several lines": {"type": "MultiLineString", "coordinates": [TRACK, [], TRACK[:1]]},
    "a feature": {"type": "Feature", "geometry": LINE, "properties": {}},
    "heights": {"type": "LineString", "coordinates": [[*place, 400] for place in TRACK]},
    "Esri": {"paths": [TRACK], "spatialReference": WGS84},
    "Esri with measures": {"hasM": True, "paths": [[[*place, "NaN"] for place in TRACK]], "spatialReference": WGS84},
    "Esri features": {
        "features": [{"geometry": {"paths": [TRACK]}, "attributes": {"id": 1}}],
        "spatialReference": WGS84,
    },
    "Esri curves without a curve": {"curvePaths": [TRACK], "spatialReference": WGS84},
    "an empty part": {"paths": [TRACK, []], "spatialReference": WGS84},
    "with an empty point": [{"paths": [TRACK], "spatialReference": WGS84}, {"x": "NaN", "y": "NaN"}, {"x": None}],
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_every_notation_of_a_line_yields_the_same_area(line):
    assert read(line).areas[0].area.extent.sides == near(read(LINE).areas[0].area.extent.sides)


POINTS = {
    "GeoJSON": {"type": "Point", "coordinates": [8, 47]},
    "GeoJSON of several points": {"type": "MultiPoint", "coordinates": [[8, 47], [8, 47]]},
    "an empty point": [{"type": "Point", "coordinates": []}, {"type": "Point", "coordinates": [8, 47]}],
    "Esri": {"x": 8, "y": 47, "spatialReference": WGS84},
    "Esri of several points": {"points": [[8, 47]], "spatialReference": WGS84},
    "a line of one vertex": {"paths": [[[8, 47]]], "spatialReference": WGS84},
    "a ring of one place": {"rings": [[[8, 47], [8, 47], [8, 47]]], "spatialReference": WGS84},
}


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_point_becomes_a_circle(point):
    xmin, ymin, xmax, ymax = read(point).areas[0].area.extent.sides

    assert (xmax - xmin) / METRES_AT_47 == pytest.approx(1_000, rel=4e-3)  # a sphere in Web Mercator, not so the circle
    assert (ymax - ymin) / METRES_AT_47 == pytest.approx(1_000, rel=6e-3)


def test_a_polygon_grows_on_all_sides_and_keeps_its_inside():
    polygon = {"rings": [[[8, 47], [8, 47.1], [8.1, 47.1], [8.1, 47]]], "spatialReference": WGS84}
    plain = read_export_request({"areaOfInterest": json.dumps(polygon)}, SERVICE).areas[0].area

    grown = read(polygon).areas[0].area

    margin = 500 * METRES_AT_47
    xmin, ymin, xmax, ymax = plain.extent.sides
    assert grown.extent.sides == pytest.approx((xmin - margin, ymin - margin, xmax + margin, ymax + margin), abs=5)
    assert plain.polygons[0][0].tolist() in [ring.tolist() for rings in grown.polygons for ring in rings]


def test_an_envelope_across_the_antimeridian_grows_too():
    request = read({"xmin": 179, "ymin": 46, "xmax": -179, "ymax": 47, "spatialReference": WGS84})

    lower = (
        read_export_request(
            {
                "exportExtent": json.dumps(
                    {"xmin": 179, "ymin": 46, "xmax": -179, "ymax": 47, "spatialReference": WGS84}
                )
            },
            SERVICE,
        )
        .areas[0]
        .area.extent
    )
    assert request.areas[0].area.extent.ymin == pytest.approx(lower.ymin - 500 * METRES_AT_47, abs=15)
    assert len(request.areas[0].area.within(lower).polygons) >= 2


def test_a_note_says_what_was_buffered():
    geometries = [LINE, LINE, POINTS["Esri"], {"rings": [[[8, 47], [8, 48], [9, 48]]], "spatialReference": WGS84}]

    assert read(LINE, "1500").notes == ("areaOfInterest: 1 line was buffered by 1,500 m.",)
    (note,) = read(geometries, "2.5", bufferUnit="esriMiles").notes
    assert note == "areaOfInterest: 1 polygon and 2 lines and 1 point were buffered by 2.5 mi."
    assert read_export_request({"polygon": json.dumps(geometries[3])}, SERVICE).notes == ()


def test_a_line_that_jumps_over_the_antimeridian_goes_the_shorter_way_with_a_warning():
    request = read({"type": "LineString", "coordinates": [[179.99, 47], [-179.99, 47]]})
    middle = Extent(-HALF_WORLD / 2, -HALF_WORLD, HALF_WORLD / 2, HALF_WORLD, request.areas[0].area.spatial_reference)

    assert request.areas[0].area.within(middle) is None
    assert [text for text in request.warnings if "1 edge of a line" in text and "antimeridian" in text]


def test_a_line_may_go_round_the_world_several_times():
    places = [[(x + 180) % 360 - 180, x / 60] for x in range(0, 1500, 100)]

    request = read({"type": "LineString", "coordinates": places}, "100000")

    assert [text for text in request.warnings if text.startswith("areaOfInterest: 4 edges of a line")]
    assert request.areas[0].area.extent.sides == pytest.approx((WORLD.xmin, -100_580, WORLD.xmax, 2_782_000), rel=0.003)


def test_all_buffers_of_a_request_together_have_a_limit_of_vertices():
    places = [[x, y] for x in range(-84, 84, 3) for y in range(-80, 80, 3)]
    points = [{"points": places, "spatialReference": {"wkid": wkid}} for wkid in (4326, 4258)]

    assert read(points[0]).areas[0].area.polygons
    with pytest.raises(AreaError, match=r"^areaOfInterest: The buffer takes more than 300,000 vertices"):
        read(points)


def test_lines_in_different_references_are_buffered_together():
    swiss = {"paths": [[[2_600_000, 1_200_000], [2_601_000, 1_200_500]]], "spatialReference": {"wkid": 2056}}

    assert len(read([LINE, swiss]).areas[0].area.polygons) == 2


UNITS = {
    "m": 1, "esriMeters": 1, "esriSRUnit_Meter": 1, "9001": 1, "Metres": 1,
    "km": 1000, "esriKilometers": 1000, "esriSRUnit_Kilometer": 1000, "9036": 1000,
    "ft": 0.3048, "esriFeet": 0.3048, "esriSRUnit_Foot": 0.3048, "9002": 0.3048, "9003": 0.3048006,
    "yd": 0.9144, "esriYards": 0.9144, "9096": 0.9144,
    "mi": 1609.344, "esriMiles": 1609.344, "esriSRUnit_StatuteMile": 1609.344, "9093": 1609.344, "9035": 1609.347,
    "nmi": 1852, "esriNauticalMiles": 1852, "esriSRUnit_NauticalMile": 1852, "9030": 1852,
}  # fmt: skip


@pytest.mark.parametrize(("unit", "metres"), UNITS.items())
def test_units_have_the_names_and_codes_of_esri(unit, metres):
    found, expected = read(LINE, "300", bufferUnit=unit), read(LINE, str(300 * metres))

    assert found.areas[0].area.extent.sides == near(expected.areas[0].area.extent.sides)


@pytest.mark.parametrize("distance", ["0", "-1", "nan", "inf", "1e9", "1,5", "500 m", "five", "0.5", "1_0", "\u0665"])
def test_a_distance_that_is_none_is_refused_with_what_is_legal(distance):
    with pytest.raises(
        InvalidParameterError, match=rf"^bufferDistance: '{distance}' cannot be used\. .* 1 to 1,000,000"
    ):
        read(LINE, distance)


def test_limits_of_the_distance_are_in_metres():
    assert (MIN_METRES, MAX_METRES) == (1, 1_000_000)
    with pytest.raises(InvalidParameterError, match=r"^bufferDistance: '1001'"):
        read(LINE, "1001", bufferUnit="km")
    assert read(LINE, "1000", bufferUnit="km").areas[0].area.polygons


@pytest.mark.parametrize("unit", ["esriDecimalDegrees", "9102", "esriSRUnit_", "parsec", "mm"])
def test_an_unknown_unit_is_refused_with_what_is_legal(unit):
    with pytest.raises(InvalidParameterError, match=rf"^bufferUnit: '{unit}' cannot be used\. It must be m, km"):
        read(LINE, bufferUnit=unit)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"bufferUnit": "m"}, "^bufferUnit: .* bufferDistance, which is missing"),
        ({"bufferDistance": "5"}, "^bufferDistance: .* areaOfInterest, which is missing"),
        ({"bufferDistance": "5", "exportExtent": "0,0,1,1"}, "^bufferDistance: .* areaOfInterest, which is missing"),
    ],
)
def test_a_parameter_of_a_buffer_without_the_others_is_refused(parameters, words):
    with pytest.raises(InvalidParameterError, match=words):
        read_export_request(parameters, SERVICE)


@pytest.mark.parametrize(
    "geometry",
    [
        {"paths": {}},
        {"paths": ["TRACK"]},
        {"paths": [[8, 47], [9, 48]]},
        {"paths": [[["8", 47]]]},
        {"curvePaths": [[{"c": [[3, 3], [1, 4]]}]]},
        {"points": [8, 47]},
        {"points": [[8]]},
        {"x": 8},
        {"x": "8", "y": 47},
        {"x": True, "y": 47},
        {"type": "Point", "coordinates": [8]},
        {"type": "Point", "coordinates": {"x": 8}},
        {"type": "Point", "coordinates": [[8, 47]]},
        {"type": "MultiPoint", "coordinates": [8, 47]},
        {"type": "LineString", "coordinates": [TRACK]},
        {"type": "LineString", "coordinates": None},
        {"type": "MultiLineString", "coordinates": TRACK},
    ],
)
def test_a_malformed_line_or_point_is_refused(geometry):
    with pytest.raises(InvalidParameterError, match=r"^areaOfInterest: .*It must be lines, points or polygons as JSON"):
        read(geometry)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": []},
        {"paths": [[]], "spatialReference": WGS84},
        {"features": []},
        {"x": "NaN", "y": "NaN"},
        '{"x": 1e400, "y": 0}',
        '{"points": [[NaN, 0]]}',
        {"type": "Point", "coordinates": [200_000, 6_000_000]},
        {"paths": [[[x, 47] for x in range(200)]] * 200, "spatialReference": WGS84},
        {"type": "Point", "coordinates": [8, 90]},
        {"paths": [[[1e12, 0], [1e12, 9]]], "spatialReference": {"wkid": 3857}},
        {"paths": [[[x, 0], [x + 1, 9]] for x in (0, 1e12)], "spatialReference": {"wkid": 3857}},
    ],
)
def test_geometries_without_a_place_or_with_too_many_are_refused_by_the_name_of_the_parameter(geometry):
    with pytest.raises(AreaError, match=r"^areaOfInterest: "):
        read(geometry)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4),
        lambda part: st.lists(part, max_size=4) | st.dictionaries(st.sampled_from(["c", "x"]), part, max_size=2),
        max_leaves=12,
    ),
    st.sampled_from(["paths", "points", "curvePaths", "x", "coordinates"]),
    st.sampled_from(["Point", "MultiPoint", "LineString", "MultiLineString"]),
)
def test_any_json_is_buffered_or_refused(part, member, kind):
    try:
        area = read({member: part, "type": kind, "spatialReference": WGS84}, "1000").areas[0].area
    except RequestError:
        return
    assert all(map(math.isfinite, area.extent.sides))
