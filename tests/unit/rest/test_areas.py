"""Parsing extents and areas of interest in every notation."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.area import RINGS_LIMIT
from exporttiles.domain.errors import AreaError, InvalidParameterError, RequestError, UnknownSpatialReferenceError
from exporttiles.rest.areas import MAX_REFERENCES, area_of_extent, area_of_interest
from tests.builders_rest import HALF_WORLD, WORLD, a_service

SERVICE = a_service()
DEGREE = HALF_WORLD / 180  # metres of web mercator
RING = [[-100, 35], [-100, 45], [-90, 45], [-90, 35], [-100, 35]]
WGS84 = {"wkid": 4326}
NORTH_AMERICA = (-100 * DEGREE, 4163881.14, -90 * DEGREE, 5621521.49)


def extent_of(text, name="exportExtent"):
    return area_of_extent(name, text, SERVICE)[0].extent.sides


def area_of(document):
    text = document if isinstance(document, str) else json.dumps(document)
    return area_of_interest("areaOfInterest", text, SERVICE)[0]


def near(sides):
    return pytest.approx(sides, abs=0.02)


@pytest.mark.parametrize(
    "text",
    [
        "-13051380,4030276,-13037288,4041136",
        " -13051380.0 , 4030276, -1.3037288e7,+4041136 ",
        '{"xmin":-13051380,"ymin":4030276,"xmax":-13037288,"ymax":4041136}',
        '{"xmin":-13051380,"ymin":4030276,"xmax":-13037288,"ymax":4041136,"spatialReference":{"wkid":102100}}',
        '{"xmin":-13051380,"ymin":4030276,"xmax":-13037288,"ymax":4041136,"spatialReference":{"latestWkid":3857}}',
        '{"xmin":-13051380,"ymin":4030276,"xmax":-13037288,"ymax":4041136,"spatialReference":null}',
    ],
)
def test_an_extent_without_a_reference_is_in_that_of_the_service(text):
    assert extent_of(text) == (-13051380, 4030276, -13037288, 4041136)


@pytest.mark.parametrize(
    "reference", [WGS84, {"latestWkid": 4326}, {"wkid": "4326"}, {"wkid": 4326, "latestWkid": 4326, "vcsWkid": 5773}]
)
def test_an_extent_with_a_reference_is_projected_to_that_of_the_service(reference):
    text = json.dumps({"xmin": -100, "ymin": 35, "xmax": -90, "ymax": 45, "spatialReference": reference})

    assert extent_of(text) == near(NORTH_AMERICA)


def test_a_reference_may_be_well_known_text():
    from pyproj import CRS  # noqa: PLC0415  slow to load, and for this one test

    text = json.dumps(
        {"xmin": -100, "ymin": 35, "xmax": -90, "ymax": 45, "spatialReference": {"wkt": CRS(4326).to_wkt("WKT1_ESRI")}}
    )

    assert extent_of(text) == near(NORTH_AMERICA)


@pytest.mark.parametrize("text", ["DEFAULT", "default", "DEFAULTEXTENT"])
def test_the_default_extent_is_the_full_extent(text):
    assert extent_of(text) == WORLD.sides


def test_an_extent_may_cross_the_antimeridian_and_a_warning_says_so():
    text = json.dumps({"xmin": 170, "ymin": -10, "xmax": -170, "ymax": 10, "spatialReference": WGS84})

    area, (warning,) = area_of_extent("exportExtent", text, SERVICE)

    assert len(area.polygons) == 2
    assert warning.startswith("exportExtent: xmin (170) is greater than xmax (-170)")


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3",
        "1,2,3,4,5",
        "nan,1,2,3",
        "1_0,1,2_0,3",
        "1;2;3;4",
        "[1,2,3,4]",
        "WORLD",
        "{}",
        '{"xmin":0,"ymin":0,"xmax":1}',
        '{"xmin":null,"ymin":0,"xmax":1,"ymax":1}',
        '{"xmin":NaN,"ymin":0,"xmax":1,"ymax":1}',
        '{"xmin":true,"ymin":0,"xmax":1,"ymax":1}',
        '{"xmin":"NaN","ymin":0,"xmax":1,"ymax":1}',
        '{"xmin":"1_0","ymin":0,"xmax":21,"ymax":1}',
        '{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":true}',
        '{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":{"wkid":4326.5}}',
        '{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":{"wkid":[]}}',
        '{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":{"wkid":1e999}}',
    ],
)
def test_a_value_that_is_not_an_extent_is_refused_with_the_parameter_name(text):
    with pytest.raises(InvalidParameterError, match=r"^extent: .* cannot be used\. .*It must be four numbers"):
        area_of_extent("extent", text, SERVICE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0,0,0,0", r"^xmin \(0\) must be less than xmax \(0\)"),
        ("1,0,0,1", r"^xmin \(1\) must be less than xmax \(0\)"),
        ("0,5,1,4", r"^ymin \(5\) must be less than ymax \(4\)"),
        ("0,0,1e400,1", "^A side of 0, 0, inf, 1 .* is not a finite number"),
    ],
)
def test_an_extent_that_is_empty_or_not_finite_is_refused(text, reason):
    with pytest.raises(AreaError, match=reason):
        extent_of(text)


@pytest.mark.parametrize("reference", [{"wkid": 999_999}, {"wkt": "nonsense"}, {"wkid": 5773}, {"wkid": 1e300}])
def test_an_invalid_spatial_reference_is_refused(reference):
    with pytest.raises(UnknownSpatialReferenceError):
        area_of({"rings": [RING], "spatialReference": reference})


def polygon(reference=WGS84):
    return {"rings": [RING], **({"spatialReference": reference} if reference else {})}


SHAPES = {
    "a: features with the reference on the geometry": {"features": [{"geometry": polygon()}]},
    "b: the reference on both": {"features": [{"geometry": polygon()}], "spatialReference": WGS84},
    "b: the reference on the feature set": {"features": [{"geometry": polygon(None)}], "spatialReference": WGS84},
    "c: a geometry type": {"geometryType": "esriGeometryPolygon", "features": [{"geometry": polygon()}]},
    "d: a whole feature set": {
        "displayFieldName": "",
        "fields": [{"name": "OBJECTID", "type": "esriFieldTypeOID"}],
        "objectIdFieldName": "OBJECTID",
        "features": [{"geometry": polygon(None), "attributes": {"OBJECTID": 1}}],
        "spatialReference": WGS84,
    },
    "e: a bare polygon": polygon(),
    "f: features that are geometries": {"features": [polygon()]},
    "a feature": {"geometry": polygon()},
    "z and m": {"hasZ": True, "rings": [[[*point, 7, 8] for point in RING]], "spatialReference": WGS84},
    "an unclosed ring": {"rings": [RING[:-1]], "spatialReference": WGS84},
    "a feature without a place": {"features": [{"geometry": None}, {"geometry": polygon()}]},
    "a list of geometries": [polygon(), polygon()],
    "a reference that is a number": polygon(4326),
    "a reference that is a text": polygon("4326"),
    "a reference by its name": polygon("EPSG:4326"),
    "heights that are null": {"rings": [[[*point, None] for point in RING]], "spatialReference": WGS84},
    "measures that are NaN": {"rings": [[[*point, 1, "NaN"] for point in RING]], "spatialReference": WGS84},
    "measures that are NaN without quotes": json.dumps(
        {"rings": [[[*point, math.nan] for point in RING]], "spatialReference": WGS84}
    ),
    "an envelope": {"xmin": -100, "ymin": 35, "xmax": -90, "ymax": 45, "spatialReference": WGS84},
    "curveRings without a curve": {"curveRings": [RING], "spatialReference": WGS84},
    "a GeometryCollection": {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [RING]}]},
    "a GeometryCollection in a feature": {
        "type": "Feature",
        "geometry": {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [RING]}]},
    },
    "one feature a line": "\n".join(
        [json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}})] * 2
    ),
    "GeoJSON with heights that are null": {"type": "Polygon", "coordinates": [[[*point, None] for point in RING]]},
    "GeoJSON polygon": {"type": "Polygon", "coordinates": [RING]},
    "GeoJSON multipolygon": {"type": "MultiPolygon", "coordinates": [[RING]]},
    "GeoJSON feature": {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [RING]}},
    "GeoJSON as GDAL writes it": {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        "features": [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}}],
    },
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_notation_of_an_area_yields_the_same_area(shape):
    area = area_of(shape)

    assert area.extent.sides == near(NORTH_AMERICA)
    assert area.spatial_reference == SERVICE.tiling_scheme.spatial_reference


def test_the_reference_of_the_geometry_overrides_that_of_the_set():
    features = [{"geometry": polygon()}]

    assert area_of({"features": features, "spatialReference": {"wkid": 3857}}).extent.sides == near(NORTH_AMERICA)


def test_coordinates_without_any_reference_are_in_that_of_the_service():
    assert area_of({"rings": [RING]}).extent.sides == (-100, 35, -90, 45)


def test_several_features_are_a_union():
    second = [[x + 50, y] for x, y in RING]
    features = [{"geometry": polygon()}, {"geometry": {"rings": [second], "spatialReference": WGS84}}]

    area = area_of({"features": features})

    assert len(area.polygons) == 2
    assert area.extent.sides == near((NORTH_AMERICA[0], NORTH_AMERICA[1], -40 * DEGREE, NORTH_AMERICA[3]))


def test_a_hole_stays_with_its_polygon():
    hole = [[-97, 38], [-97, 42], [-93, 42], [-93, 38]]

    (rings,) = area_of({"rings": [RING, hole], "spatialReference": WGS84}).polygons

    assert len(rings) == 2


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"features": None},
        {"features": ["rings"]},
        {"features": [[]]},
        {"rings": None},
        {"rings": {}},
        {"rings": [["12", "34", "56"]]},
        {"rings": [[[0, 0], ["1", 1], [1, 0]]]},
        {"rings": [[[0, 0], [None, 1], [1, 0]]]},
        {"rings": [[[0, 0], [1, [1]], [1, 0]]]},
        {"rings": [[[0, 0], [True, 1], [1, 0]]]},
        {"rings": [[[0, 0], [1, 1, True], [1, 0]]]},
        {"rings": [[[0, 0], [1, 1, "high"], [1, 0]]]},
        {"rings": [["RING"]]},
        {"rings": ["RING"]},
        {"curveRings": {}},
        {"curveRings": ["RING"]},
        {"curveRings": [[{"c": [[3, 3], [1, 4]]}]]},
        {"curveRings": [[[0, 0], {"d": [[3, 3], [1, 4]]}]]},
        {"curveRings": [[[0, 0], {"c": [[3, 3], [True, 4]]}]]},
        {"curveRings": [[[0, 0], {"a": [[3, 3], [1, 4], 0, 1, 0, 0, 0]}]]},
        {"rings": [RING], "spatialReference": "rubbish"},
        {"rings": [RING], "spatialReference": {"wkid": True}},
        {"type": "Polygon", "coordinates": {}},
        {"type": "Polygon", "coordinates": ["RING"]},
        {"type": "polygon", "coordinates": [RING]},
        {"type": "Polygon", "coordinates": [RING], "crs": {"type": "name", "properties": {"name": "rubbish"}}},
        {"type": "Polygon", "coordinates": [RING], "crs": {"type": "EPSG", "properties": {"code": 1e999}}},
        {"type": "Polygon", "coordinates": [RING], "crs": "EPSG:25832"},
        {"geometries": None},
        [],
        [1, 2, 3, 4],
        RING,
        7,
        "true",
        {"rings": [[[0, 0], [1, 1, 2, 3, 4], [1, 0]]]},
        {"rings": [[0, 0], [1, 1], [1, 0]]},
        "features",
        "{'rings': []}",
    ],
)
def test_a_value_that_is_not_a_polygon_is_refused(document):
    with pytest.raises(InvalidParameterError, match=r"^areaOfInterest: .*It must be a polygon or a set of"):
        area_of(document)


def test_an_error_besides_brackets_is_reported_at_its_position_in_the_sent_text():
    with pytest.raises(InvalidParameterError, match=r"Expecting ',' delimiter at character 15"):
        area_of('{"rings":[[[0 0],[0,1],[1,1]]]}}}')


@pytest.mark.parametrize(
    "document",
    [
        {"features": []},
        {"rings": []},
        {"rings": [[]]} | {"spatialReference": WGS84},
        {"rings": [[[5, 5], [5, 5], [5, 5]]]},
        {"rings": [[[0, 0], [1, 1], [2, 2]]]},
        {"rings": [[[0, 0], [1e999, 1], [1, 0]]]},
        {"features": [{"geometry": polygon({"wkid": 32601 + zone})} for zone in range(MAX_REFERENCES + 1)]},
        [{"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}] * (RINGS_LIMIT + 1),
    ],
)
def test_an_area_that_selects_nothing_or_too_much_is_refused(document):
    with pytest.raises(RequestError):
        area_of(document)


coordinates = st.floats(-170, 170, width=32)


@given(st.lists(st.tuples(coordinates, st.floats(-80, 80, width=32)), min_size=3, max_size=12))
def test_no_coordinate_is_lost_or_invented(points):
    document = {"rings": [[list(point) for point in points]]}

    try:
        area = area_of(document)
    except AreaError:  # a point or a line
        return

    ((ring,),) = area.polygons
    assert np.array_equal(ring[: len(points)], np.array(points))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4),
        lambda part: (
            st.lists(part, max_size=4)
            | st.dictionaries(
                st.sampled_from(["rings", "features", "geometry", "coordinates", "type"]), part, max_size=3
            )
        ),
        max_leaves=12,
    ).map(lambda document: json.dumps({"rings": document, "spatialReference": WGS84}))
)
def test_any_json_is_parsed_or_refused(text):
    try:
        area = area_of(text)
    except RequestError:
        return
    assert all(map(math.isfinite, area.extent.sides))


METRES = [[x * DEGREE, y] for x, y in ((-100, 4163881.14), (-100, 5621521.49), (-90, 5621521.49), (-90, 4163881.14))]


@pytest.mark.parametrize(
    "crs",
    [
        *(
            {"type": "name", "properties": {"name": name}}
            for name in (
                "urn:ogc:def:crs:EPSG::3857",
                "urn:ogc:def:crs:EPSG:9.9.1:3857",
                "urn:x-ogc:def:crs:EPSG:3857",
                "http://www.opengis.net/def/crs/EPSG/0/3857",
                "http://www.opengis.net/gml/srs/epsg.xml#3857",
                "EPSG:3857",
                "epsg:900913",
                "ESRI:102100",
            )
        ),
        {"properties": {"name": "EPSG:3857"}},
        {"type": "EPSG", "properties": {"code": 3857}},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["collection", "feature", "geometry"])
def test_a_crs_is_honoured_at_every_place_in_the_document(crs, place):
    geometry = {"type": "Polygon", "coordinates": [METRES]} | ({"crs": crs} if place == "geometry" else {})
    feature = {"type": "Feature", "geometry": geometry} | ({"crs": crs} if place == "feature" else {})
    document = {"type": "FeatureCollection", "features": [feature]} | ({"crs": crs} if place == "collection" else {})

    assert area_of(document).extent.sides == near(NORTH_AMERICA)


@pytest.mark.parametrize(
    "name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "OGC:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"]
)
def test_longitude_comes_first_whatever_the_axis_order_of_the_crs(name):
    crs = {"type": "name", "properties": {"name": name}}

    assert area_of({"type": "Polygon", "coordinates": [RING], "crs": crs}).extent.sides == near(NORTH_AMERICA)


@pytest.mark.parametrize("crs", [True, "", {"type": None}, {"type": "name", "properties": {"name": None}}])
def test_a_crs_without_a_name_is_refused_and_shown_as_json(crs):
    with pytest.raises(InvalidParameterError, match="names no coordinate system") as refusal:
        area_of({"type": "Polygon", "coordinates": [RING], "crs": crs})
    assert not re.search("None|True", str(refusal.value))


@pytest.mark.parametrize("empty", [{"attributes": {"OBJECTID": 1}}, {"attributes": {}, "geometry": None}, None])
def test_a_feature_without_a_geometry_selects_nothing_and_hides_nothing(empty):
    found = area_of({"features": [empty, {"attributes": {}, "geometry": {"rings": [RING], "spatialReference": WGS84}}]})

    assert found.extent.sides == near(NORTH_AMERICA)


def test_a_crs_that_is_a_link_is_refused():
    crs = {"type": "link", "properties": {"href": "http://169.254.169.254/", "type": "proj4"}}

    with pytest.raises(InvalidParameterError, match="crs is a link, which is not followed"):
        area_of({"type": "Polygon", "coordinates": [RING], "crs": crs})


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"type": "Polygon", "coordinates": [METRES]}, "longitude and latitude in degrees end at 180, 90"),
        ({"rings": [METRES], "spatialReference": WGS84}, "longitude and latitude in degrees end at 180, 90"),
        (
            {"type": "Polygon", "coordinates": [[[y, x] for x, y in RING]]},
            "Does latitude come before longitude",
        ),
    ],
)
def test_coordinates_beyond_degrees_are_refused_in_a_geographic_reference(document, words):
    with pytest.raises(AreaError, match=words):
        area_of(document)


POINT, LINE = {"type": "Point", "coordinates": [1, 2]}, {"type": "LineString", "coordinates": RING}


@pytest.mark.parametrize(
    ("geometries", "words"),
    [
        ([POINT], "Left out, without an area or a bufferDistance: 1 Point."),
        ([LINE, POINT, LINE], "Left out, without an area or a bufferDistance: 2 LineStrings and 1 Point."),
        (
            [{"type": "GeometryCollection", "geometries": [POINT]}],
            "Left out, without an area or a bufferDistance: 1 Point.",
        ),
        (
            [{"x": 1, "y": 2}, {"paths": [RING]}],
            "Left out, without an area or a bufferDistance: 1 point (x, y) and 1 polyline (paths).",
        ),
        ([{"points": []}] * 2, "Left out, without an area or a bufferDistance: 2 multipoints (points)."),
    ],
)
def test_points_and_lines_are_left_out_with_a_warning(geometries, words):
    features = [{"type": "Feature", "geometry": geometry} for geometry in [*geometries, polygon()]]

    area, warnings = area_of_interest("areaOfInterest", json.dumps({"features": features}), SERVICE)

    assert area.extent.sides == near(NORTH_AMERICA)
    assert warnings == (f"areaOfInterest: {words}",)
    with pytest.raises(
        AreaError, match=r"There is no polygon in it, only [12].* Lines and points need a bufferDistance"
    ):
        area_of({"features": features[:-1]})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type":"Topology","objects":{},"arcs":[]}', "TopoJSON"),
        ("<?xml version='1.0'?>\n<kml xmlns='http://www.opengis.net/kml/2.2'/>", "KML"),
        ("<gpx version='1.1'/>", "GPX"),
        ("<a><b/></a>", "XML"),
        ("POLYGON((7 50,7 51,8 51,8 50,7 50))", "WKT"),
        ("SRID=4326;MULTIPOLYGON Z (((7 50 1,7 51 1,8 51 1,7 50 1)))", "WKT"),
        ("0103000000010000000500000000000000", "WKB"),
    ],
)
def test_an_area_in_another_file_format_is_refused_with_the_name_of_the_format(text, kind):
    with pytest.raises(InvalidParameterError, match=f"{kind}.*: convert it to GeoJSON"):
        area_of(text)


@pytest.mark.parametrize(
    "text", ["-100,35,-90,45", '{"xmin":-100,"ymin":35,"xmax":-90,"ymax":45}', '{"xmin":0,"ymin":0,"xmax":1,"ymax":1}']
)
def test_numbers_that_look_like_degrees_are_read_as_map_units_with_a_warning_or_refused_on_demand(text):
    (warning,) = area_of_extent("exportExtent", text, SERVICE)[1]

    assert warning.startswith("exportExtent: The coordinates look like degrees but name no spatial reference: ")
    assert "map units of WGS 84 / Pseudo-Mercator (3857)" in warning
    with pytest.raises(AreaError, match="look like degrees but name no spatial reference, and the cache is in WGS 84"):
        area_of_extent("exportExtent", text, SERVICE, must_name_reference=True)


def test_polygons_that_look_like_degrees_are_treated_like_extents():
    text = json.dumps({"rings": [RING]})

    (warning,) = area_of_interest("polygon", text, SERVICE)[1]

    assert warning.startswith("polygon: The coordinates look like degrees")
    with pytest.raises(AreaError, match="spatialReference in the JSON"):
        area_of_interest("polygon", text, SERVICE, must_name_reference=True)


@pytest.mark.parametrize(
    "text",
    [
        "0,0,5000,5000",
        "0,100,80,180",
        "DEFAULT",
        '{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":{"wkid":3857}}',
        '{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":4326}',
    ],
)
def test_there_is_no_warning_of_degrees_if_the_reference_is_certain(text):
    assert area_of_extent("exportExtent", text, SERVICE, must_name_reference=True)[1] == ()
