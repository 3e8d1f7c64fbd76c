"""STAC documents name the rasters of a mosaic; rasters elsewhere, and ambiguous assets, are refused by name."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.formats.caches.stac import StacReader
from exporttiles.formats.esri.values import DocumentValueError

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
FOLDER = "s3://bucket/stac"


def an_item(href="ortho.tif", assets=None, **properties):
    """Return an item with one raster, or with other assets."""
    properties = {"datetime": "2026-05-01T10:30:00Z"} | properties
    assets = {"visual": {"href": href, "type": COG}} if assets is None else assets
    return {"type": "Feature", "stac_version": "1.0.0", "id": "1", "properties": properties, "assets": assets}


def read(document, key="item.json", asset="", folder=FOLDER):
    return StacReader(folder, asset).read(key, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("href", "key"),
    [
        ("ortho.tif", "items/a/ortho.tif"),
        ("./ortho.tif", "items/a/ortho.tif"),
        ("../ortho.tif", "items/ortho.tif"),
        ("../../data//ortho.tif", "data/ortho.tif"),
        ("s3://bucket/stac/ortho.tif", "ortho.tif"),
        ("s3://bucket/stac/x/../ortho.tif", "ortho.tif"),
        ("my%20photo #1?.tif", "items/a/my%20photo #1?.tif"),
    ],
)
def test_addresses_are_those_of_files_below_the_folder_of_the_first_document(href, key):
    assert read(an_item(href), "items/a/item.json").items[0].key == key


def test_on_a_disk_paths_and_file_addresses_are_legal():
    for href in ("/data/stac/a.tif", "file:///data/stac/a.tif"):
        assert read(an_item(href), "x/item.json", folder="file:///data/stac").items[0].key == "a.tif"


@pytest.mark.parametrize(
    "href",
    [
        "https://example.com/ortho.tif",
        "http://169.254.169.254/latest/meta-data",
        "s3://other/stac/ortho.tif",
        "s3://bucket/stack/ortho.tif",
        "s3://bucket/stac/../ortho.tif",
        "s3://bucket/stac/a/../../stac/ortho.tif",
        "s3://bucket/stac/",
        "file:///etc/passwd",
        "/etc/passwd",
        "//example.com/ortho.tif",
        "/vsicurl/http://example.com/ortho.tif",
        "../../../ortho.tif",
        "../../../stac/ortho.tif",
        ".",
        "..",
        "x/",
    ],
)
def test_an_address_elsewhere_is_refused_by_name(href):
    with pytest.raises(DocumentValueError) as refused:
        read(an_item(href), "items/a/item.json")

    assert str(refused.value).startswith(f"assets.visual.href '{href}' is not a file below s3://bucket/stac/")


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "s3:", "file:", "~", "..."]), max_size=12).map("/".join))
def test_no_address_leads_out_of_the_folder(href):
    for folder in (FOLDER, "file:///data/stac"):
        try:
            (item,) = read(an_item(href), "items/a/item.json", folder=folder).items
        except DocumentValueError:
            continue
        parts = item.key.split("/")
        assert parts
        assert not {"", ".", ".."} & set(parts)


def test_the_only_raster_is_chosen_or_the_only_one_of_a_role_or_the_named_one():
    picture, table = {"href": "a.png", "type": "image/png", "roles": ["visual"]}, {"href": "b.xml"}
    tiffs = {name: {"href": f"{name}.tif", "type": COG, "roles": ["data"]} for name in ("red", "nir")}
    shown = {"rgb": {"href": "rgb.tif", "type": "image/tiff", "roles": ["visual"]}}
    plain = {"ortho": {"href": "ORTHO.TIFF"}}

    def chosen(asset="", **assets):
        return read(an_item(assets=assets), asset=asset).items[0].key

    assert chosen(a=picture, b=table, **plain) == "ORTHO.TIFF"
    assert chosen(a=picture, **tiffs, **shown) == "rgb.tif"
    assert chosen(red=tiffs["red"], other={"href": "c.tif", "type": COG}) == "red.tif"
    assert chosen("nir", **tiffs, **shown) == "nir.tif"


def test_several_rasters_are_refused_with_their_keys_and_the_option():
    tiffs = {name: {"href": f"{name}.tif", "type": COG, "roles": ["data"]} for name in ("red", "nir")}

    with pytest.raises(
        DocumentValueError, match=r"assets has several GeoTIFFs: 'red', 'nir'\. Choose one with --asset"
    ):
        read(an_item(assets=tiffs))
    with pytest.raises(DocumentValueError, match=r"assets has no 'blue', which --asset names\. It has 'red', 'nir'"):
        read(an_item(assets=tiffs), asset="blue")
    with pytest.raises(DocumentValueError, match=r"assets has no GeoTIFF \(type image/tiff\). It has none"):
        read(an_item(assets={}))


def test_the_time_is_that_of_the_image_or_the_end_of_its_period():
    def time(**properties):
        return read(an_item(**properties)).items[0].time.isoformat()

    assert time() == "2026-05-01T10:30:00+00:00"
    assert time(datetime="2026-05-01T12:30:00.5+02:00") == "2026-05-01T10:30:00.500000+00:00"
    assert time(datetime=None, end_datetime="2026-06-01T00:00:00Z") == "2026-06-01T00:00:00+00:00"


def test_catalogs_name_documents_and_collections_their_credits():
    links = [{"rel": rel, "href": f"{rel}/x.json"} for rel in ("self", "item", "child", "parent")]
    providers = [{"name": "Survey\nOffice"}, {"name": "Pilots"}, {"name": 3}, "x"]
    stated = {"title": "Ortho", "description": "A flight.", "license": "CC-BY-4.0", "providers": providers}

    found = read({"type": "Collection", "links": links} | stated, "c/collection.json")

    assert found.links == ("c/item/x.json", "c/child/x.json")
    assert (found.title, found.description) == ("Ortho", "A flight.")
    assert found.credits == ("Survey Office, Pilots (CC-BY-4.0)",)
    with pytest.raises(DocumentValueError, match=r"links\[0\].href 'https://x/item' is not a file below"):
        read({"type": "Catalog", "links": [{"rel": "item", "href": "https://x/item"}]})


def test_items_of_a_collection_are_named_by_their_place():
    items = [an_item("a.tif"), an_item("http://x/b.tif")]

    with pytest.raises(DocumentValueError, match=r"^features\[1\].assets.visual.href 'http://x/b.tif' is not a file"):
        read({"type": "FeatureCollection", "features": items})


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "type 'null' is not one of STAC. It must be Feature, FeatureCollection, Collection or Catalog"),
        ({"type": ["Feature"]}, "type .* is not one of STAC"),
        ({"type": "Polygon"}, "type 'Polygon' is not one of STAC"),
        ({"type": "Feature"}, "properties is missing"),
        ({"type": "Feature", "properties": {}}, "assets is missing"),
        ({"type": "Feature", "properties": {}, "assets": []}, r"assets '\[\]' is not an object"),
        ({"type": "FeatureCollection", "features": {}}, "features '{}' is not a list"),
        ({"type": "FeatureCollection", "features": [1]}, r"features\[0\] '1' is not an object"),
        ({"type": "FeatureCollection", "features": [{}]}, r"features\[0\].properties is missing"),
        ({"type": "Catalog"}, "links is missing"),
        ({"type": "Catalog", "links": [{"rel": "item"}]}, r"links\[0\].href 'null' is not the address"),
        (an_item(assets={"a": {"type": COG}}), "assets.a.href 'null' is not the address of a file"),
        (an_item("../" * 1000), r"assets.visual.href '.*\.\.\.' is not the address of a file"),
        (an_item("a\0.tif"), "assets.visual.href 'a.?.tif' is not the address of a file"),
        (an_item(datetime="yesterday"), "properties.datetime 'yesterday' is not a time such as"),
        (an_item(datetime=5), "properties.datetime '5' is not a time"),
        (an_item(datetime="0001-01-01T00:00:00+10:00"), "properties.datetime .* is not a time"),
        (an_item(datetime=None), "properties.datetime is missing, and so is properties.end_datetime"),
    ],
)
def test_other_documents_are_refused_by_member_and_value(document, why):
    with pytest.raises(DocumentValueError, match=why):
        read(document)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["Feature", COG]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=4), values, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["features", "links", "assets", "properties", "providers", "license", "title"]), VALUES
    ),
    st.sampled_from(["Feature", "FeatureCollection", "Catalog", "Collection"]),
    st.dictionaries(st.sampled_from(["href", "type", "roles", "rel", "name"]), VALUES),
)
def test_any_json_is_read_or_refused(document, kind, inner):
    for changed in (
        document | {"type": kind},
        an_item(assets={"a": inner, "b": inner}) | document,
        {"type": kind, "links": [inner], "features": [an_item(assets={"a": inner})], "providers": [inner]},
    ):
        with suppress(DocumentValueError):
            read(changed)
