"""`packageBy`: the features of an area divide into packages by the value of an attribute."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import RequestError
from exporttiles.rest.areas import area_of_interest
from exporttiles.rest.package_by import split_area
from tests.builders_rest import a_service

SERVICE = a_service()
NAME = "areaOfInterest"


def box(x, y):
    return [[[x, y], [x, y + 1], [x + 1, y + 1], [x + 1, y], [x, y]]]


def a_feature(value, x=0, y=0, **members):
    geometry = {"type": "Polygon", "coordinates": box(x, y)}
    return {"type": "Feature", "properties": {"NAME": value}, "geometry": geometry, **members}


def an_esri_feature(value, x=0, y=0, **members):
    return {"attributes": {"NAME": value}, "geometry": {"rings": box(x, y)}, **members}


def collection(*features, **members):
    return {"type": "FeatureCollection", "features": [*features], **members}


def split(document, attribute="NAME"):
    return split_area(NAME, document if isinstance(document, str) else json.dumps(document), attribute)


def extent(text):
    area, _ = area_of_interest(NAME, text, SERVICE)
    return area.extent.to(area.spatial_reference).sides


def refusal(document, attribute="NAME"):
    with pytest.raises(RequestError) as refused:
        split(document, attribute)
    return str(refused.value)


def test_each_value_is_a_package_with_the_area_of_its_features():
    first, second = split(collection(a_feature("North", 1, 1), a_feature("South", 5, 5)))

    assert (first.name, second.name) == ("North", "South")
    assert extent(first.text) == extent(json.dumps(a_feature("North", 1, 1)))
    assert extent(second.text) == extent(json.dumps(a_feature("South", 5, 5)))


def test_features_with_the_same_value_are_one_package():
    found = split(collection(a_feature("A", 1, 1), a_feature("B", 9, 9), a_feature(" A ", 5, 5), a_feature("B", 9, 9)))

    assert [area.value for area in found] == ["A", "B"]
    assert extent(found[0].text) == extent(json.dumps([a_feature("A", 1, 1), a_feature("A", 5, 5)]))


def test_values_in_two_unicode_normalisations_are_the_same():
    assert len(split(collection(a_feature("Zürich"), a_feature("Zu\u0308rich")))) == 1


DOCUMENTS = {
    "GeoJSON": collection(a_feature("A", 1, 1), a_feature("B", 5, 5)),
    "GeoJSON with crs": collection(
        a_feature("A", 1, 1), a_feature("B", 5, 5), crs={"type": "name", "properties": {"name": "EPSG:3857"}}
    ),
    "features in lines": "\n".join(json.dumps(a_feature(value, 1, 1)) for value in "AB"),
    "a list of features": [a_feature("A", 1, 1), a_feature("B", 5, 5)],
    "Esri JSON": {
        "geometryType": "esriGeometryPolygon",
        "spatialReference": {"wkid": 4326},
        "features": [an_esri_feature("A", 1, 1), an_esri_feature("B", 5, 5)],
    },
    "Esri JSON of the service": {"features": [an_esri_feature("A", 1e6, 1e6), an_esri_feature("B", 5, 5)]},
    "a reference of a collection in another": [
        {"spatialReference": {"wkid": 4326}, "features": [collection(a_feature("A", 1, 1))]},
        {"crs": {"type": "name", "properties": {"name": "EPSG:2056"}}, "features": [
            {"spatialReference": {"wkid": 4326}, "features": [an_esri_feature("B", 5, 5)]}
        ]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_coordinates_keep_their_spatial_reference(document):
    text = document if isinstance(document, str) else json.dumps(document)
    whole = extent(text)

    parts = [extent(area.text) for area in split(document)]

    assert len(parts) == 2
    assert tuple(min(sides) for sides in list(zip(*parts, strict=True))[:2]) == whole[:2]
    assert tuple(max(sides) for sides in list(zip(*parts, strict=True))[2:]) == whole[2:]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2, 1], ["1", "2"]),
        ([1, 1.0, "1"], ["1"]),
        ([12.5, -3], ["12.5", "-3"]),
        ([True, False], ["true", "false"]),
        ([123456789012345678, 123456789012345679], ["123456789012345678", "123456789012345679"]),
        (["", "a"][1:], ["a"]),
    ],
)
def test_numbers_are_values_as_they_are_written(values, texts):
    assert [area.value for area in split(collection(*map(a_feature, values)))] == texts


@given(st.lists(st.text(min_size=1).filter(str.strip) | st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_every_feature_is_in_one_package(values):
    features = [a_feature(value, number, number) for number, value in enumerate(values)]

    parts = [json.loads(area.text) for area in split(collection(*features))]

    found = [feature["properties"]["NAME"] for part in parts for member in part for feature in member["features"]]
    assert sorted(found, key=repr) == sorted(values, key=repr)


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, 10**18, 2.0**53, 1e300])
def test_a_feature_without_a_value_is_refused_by_its_number(value):
    said = refusal(collection(a_feature("A"), a_feature(value)))

    assert said.startswith("packageBy: 'NAME' cannot be used. Feature 2 has ")
    assert said.endswith("Every feature must have a value.")


def test_a_feature_that_lacks_the_attribute_is_refused_by_its_number():
    assert "Feature 2 has no value of it." in refusal(collection(a_feature("A"), {"type": "Feature", "geometry": None}))


def test_an_unknown_attribute_is_refused_with_the_attributes_that_there_are():
    features = [{"attributes": {"OBJECTID": 1, "Name": "A"}}, {"attributes": {"Code": 2}}]

    assert refusal({"features": features}) == (
        "packageBy: 'NAME' cannot be used. The attributes of the features are: OBJECTID, Name, Code."
    )


def test_of_many_attributes_the_first_are_listed():
    said = refusal({"features": [{"attributes": {f"f{number}": 1 for number in range(500)}}]})

    assert said.endswith("f18, f19 and 480 others.")


@pytest.mark.parametrize(
    "document",
    [
        {"rings": box(1, 1)},
        {"type": "Polygon", "coordinates": box(1, 1)},
        {"type": "GeometryCollection", "geometries": []},
        collection(),
        collection(a_feature("A"), 7),
        collection(a_feature("A"), {"rings": box(1, 1)}),
        [],
        "7",
        '{"features": [{"attributes": {"NAME": "A"}, "geometry": {"rings": [[[0,0],[0,1],[1,1]]}}]}',
    ],
)
def test_what_has_no_features_cannot_be_divided(document):
    said = refusal(document)

    assert said.startswith("areaOfInterest: ")
    assert said.endswith("It must be a set of features with attributes, as Esri JSON or GeoJSON.")
