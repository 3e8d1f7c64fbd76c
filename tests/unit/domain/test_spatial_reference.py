"""Spatial references: ids, WKT and equality."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.domain.errors import UnknownSpatialReferenceError
from exporttiles.domain.spatial_reference import WGS84, SpatialReference, transformer
from exporttiles.formats.esri.esri_xml import esri_wkt

WEB_MERCATOR = SpatialReference(wkid=102100, latest_wkid=3857)


@pytest.mark.parametrize("wkid", [3857, 102100, 102113, 900913, 3785])
def test_every_id_of_web_mercator_is_the_same_place(wkid):
    assert SpatialReference(wkid=wkid).is_same_as(WEB_MERCATOR)


def test_esri_ids_are_known():
    assert SpatialReference(wkid=54004).crs.name == "World_Mercator"


@pytest.mark.parametrize("wkid", [3857, 4326, 2193])
def test_esri_wkt_and_its_id_are_the_same_reference(wkid):
    reference = SpatialReference(wkid=wkid)

    assert SpatialReference(wkt=reference.crs.to_wkt("WKT1_ESRI")).is_same_as(reference)


def test_a_reference_that_brings_its_own_shift_of_datum_is_known():
    wkt = (
        'PROJCS["Gauss-Krueger",GEOGCS["DHDN",DATUM["DHDN",SPHEROID["Bessel 1841",6377397.155,299.1528128],'
        "TOWGS84[598.1,73.7,418.2,0.202,0.045,-2.455,6.7]],"
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
        'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",9],PARAMETER["scale_factor",1],'
        'PARAMETER["false_easting",3500000],PARAMETER["false_northing",0],UNIT["metre",1]]'
    )

    x, y = transformer(SpatialReference(wkt=wkt), WGS84).transform(3_500_000, 5_500_000)

    assert (x, y) == pytest.approx((9, 49.64), abs=0.01)
    assert SpatialReference(wkt=wkt).geographic == WGS84


def test_a_height_is_flattened():
    assert SpatialReference(wkid=4979).is_same_as(WGS84)


@pytest.mark.parametrize(
    "reference",
    [
        SpatialReference(wkid=1),
        SpatialReference(wkid=-1),
        SpatialReference(wkt="nonsense"),
        SpatialReference(wkt="PROJCS[" * 100_000),
        SpatialReference(),
    ],
)
def test_unknown_references_are_refused(reference):
    with pytest.raises(UnknownSpatialReferenceError, match="known as"):
        _ = reference.crs


def test_an_extension_of_gdal_that_names_no_file_is_read():
    proj = "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +units=m +nadgrids=@null +wktext +no_defs"
    wkt = (
        'PROJCS["unnamed",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Mercator_1SP"],'
        'PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],PARAMETER["false_easting",0],'
        f'PARAMETER["false_northing",0],UNIT["metre",1],EXTENSION["PROJ4","{proj}"]]'
    )

    _, y = transformer(WGS84, SpatialReference(wkt=wkt)).transform(0, 50)

    assert y == pytest.approx(6446275.84, abs=1)  # on the sphere, as in Web Mercator


@pytest.mark.parametrize(
    "extension",
    ["+nadgrids=/dev/zero", "+nadgrids=@null,/x", "+geoidgrids=x.tif", "+init=x:1", "+proj=x +file=http://a", "a b;c"],
)
def test_an_extension_that_names_a_file_is_not_read(extension):
    with pytest.raises(UnknownSpatialReferenceError, match="known as"):
        _ = SpatialReference(wkt=f'GEOGCS["a",EXTENSION["PROJ4","{extension}"]]').crs


@pytest.mark.parametrize("wkid", [4978, 5703])
def test_references_that_are_not_of_maps_are_refused(wkid):
    with pytest.raises(UnknownSpatialReferenceError, match="not a coordinate system of maps"):
        _ = SpatialReference(wkid=wkid).crs


def test_x_comes_first_whatever_the_authority_says():
    x, y = transformer(WGS84, SpatialReference(wkid=2193)).transform(173, -41)

    assert (x, y) == pytest.approx((1_600_000, 5_461_000), abs=2000)


@pytest.mark.parametrize(("wkid", "metres"), [(3857, 1.0), (2274, 0.3048006), (4326, 111_319.49), (4807, 100_187.54)])
def test_a_map_unit_has_a_length(wkid, metres):
    assert SpatialReference(wkid=wkid).metres_per_unit == pytest.approx(metres)


def test_grads_from_paris_are_not_degrees_from_greenwich():
    assert SpatialReference(wkid=4807).geographic == WGS84


def test_a_projection_keeps_its_own_datum():
    assert SpatialReference(wkid=2193).geographic.is_same_as(SpatialReference(wkid=4167))


# References by text alone

KNOWN = [4326, 2193, 3006, 2180, 2154, 2056, 25832, 28992, 27700, 2263, 32719, 3031, 4525, 31254, 2065, 54009, 102003]
"""Of EPSG and Esri; north first and east first, in feet, from the poles, oblique, from Ferro."""


def by_text(wkid, *, has_authority):
    wkt = esri_wkt(SpatialReference(wkid, wkid))
    return wkt if has_authority else re.sub(r',AUTHORITY\["\w+",\d+\]\]$', "]", wkt)


@pytest.mark.parametrize("has_authority", [True, False])
@pytest.mark.parametrize("wkid", KNOWN)
def test_a_reference_by_text_is_identified_as_esri_writes_it(wkid, has_authority):
    assert SpatialReference(wkt=by_text(wkid, has_authority=has_authority)).identified == SpatialReference(wkid, wkid)


@pytest.mark.parametrize(
    "reference",
    [
        SpatialReference(wkt=esri_wkt(SpatialReference(3857))),
        SpatialReference(wkt=esri_wkt(SpatialReference(102100))),
        SpatialReference(wkid=900913),
    ],
)
def test_web_mercator_is_identified_as_arcgis_names_it(reference):
    assert reference.identified == WEB_MERCATOR


@pytest.mark.parametrize("version", ["WKT1_GDAL", "WKT1_ESRI", "WKT2_2019"])
def test_a_reference_is_identified_in_any_version_of_wkt(version):
    assert SpatialReference(wkt=SpatialReference(2193).crs.to_wkt(version)).identified == SpatialReference(2193, 2193)


def test_wkt_is_used_if_the_id_beside_it_is_unknown():
    reference = SpatialReference(wkid=999_999, wkt=by_text(2193, has_authority=False))

    assert reference.identified == SpatialReference(2193, 2193)


@pytest.mark.parametrize("reference", [WEB_MERCATOR, SpatialReference(102113), SpatialReference(4305)])
def test_a_reference_that_has_an_id_keeps_it(reference):
    assert reference.identified is reference


@settings(max_examples=30, deadline=None)
@given(
    wkid=st.sampled_from([wkid for wkid in KNOWN if wkid != WGS84.wkid]),
    has_authority=st.booleans(),
    metres=st.floats(0.05, 1e5) | st.floats(-1e5, -0.05),
)
def test_an_offset_of_centimetres_makes_another_reference(wkid, has_authority, metres):
    wkt = by_text(wkid, has_authority=has_authority)
    moved = re.sub(r'"False_Easting",([-.\d]+)', lambda match: f'"False_Easting",{float(match[1]) + metres}', wkt)

    assert moved != wkt
    reference = SpatialReference(wkt=moved)
    assert reference.identified is reference


@pytest.mark.parametrize("wkid", [4326, 2193, 2056, 2263, 2065])
@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (r'DATUM\["[^"]+"', 'DATUM["D_Town"'),
        (r'DATUM\["[^"]+"', 'DATUM["D_ITRF_2014"'),
        (r'SPHEROID\["[^"]+",[.\d]+', 'SPHEROID["Town",6377000.0'),
        (r'PRIMEM\["[^"]+",[-.\d]+', 'PRIMEM["Town",11.25'),
    ],
)
def test_another_datum_is_another_reference(wkid, pattern, other):
    wkt = by_text(wkid, has_authority=True)
    changed = re.sub(pattern, other, wkt)

    assert changed != wkt
    reference = SpatialReference(wkt=changed)
    assert reference.identified is reference


def test_a_shift_of_datum_in_the_text_does_not_hide_the_reference():
    wkt = SpatialReference(28992).crs.to_wkt("WKT1_GDAL")
    shifted = wkt.replace("299.1528128]]", "299.1528128],TOWGS84[565.4,50.3,465.6,-0.4,0.34,-1.88,4.07]]")

    assert shifted != wkt
    assert SpatialReference(wkt=shifted).identified == SpatialReference(28992, 28992)
