"""conf.xml and conf.cdi: a written document reads back the same."""

from dataclasses import replace

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import assume, given
from hypothesis import strategies as st

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import ESRI_FORMATS, StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ESRI_TILE_FORMATS, TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.caches.documents import read_conf_xml
from exporttiles.formats.esri.esri_xml import esri_wkt, text
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from exporttiles.formats.packages.conf import level_from_0, scheme_from_0, write_conf_cdi, write_conf_xml

numbers = st.floats(-1e9, 1e9, allow_nan=False)
positive = st.floats(1e-9, 1e9)
references = st.sampled_from([(102100, 3857), (4326, 4326), (2193, 2193), (2193, None), (None, 25832), (102113, 3785)])


@st.composite
def schemes(draw):
    count = draw(st.integers(1, 5))
    lods = tuple(LevelOfDetail(level, draw(positive), draw(positive)) for level in range(count))
    reference = SpatialReference(*draw(references))
    return TilingScheme(reference, draw(numbers), draw(numbers), draw(st.sampled_from([256, 512])), 96, lods)


@given(
    scheme=schemes(),
    storage_format=st.sampled_from(sorted(ESRI_FORMATS)),
    image=st.tuples(st.sampled_from(ESRI_TILE_FORMATS), st.integers(0, 100), st.floats(0, 100)),
    sides=st.tuples(numbers, numbers, numbers, numbers),
)
def test_what_is_written_is_read(scheme, storage_format, image, sides):
    tile_format, quality, lerc_error = image
    (xmin, xmax), (ymin, ymax) = sorted(sides[:2]), sorted(sides[2:])
    assume(xmin < xmax and ymin < ymax)
    extent = Extent(xmin, ymin, xmax, ymax, scheme.spatial_reference)
    conf = write_conf_xml(scheme, storage_format, tile_format, compression_quality=quality, lerc_error=lerc_error)

    info = read_conf_xml(conf, write_conf_cdi(extent))

    assert replace(info.tiling_scheme, spatial_reference=scheme.spatial_reference) == scheme
    assert info.tiling_scheme.spatial_reference.is_same_as(scheme.spatial_reference)
    assert (info.storage_format, info.tile_format) == (storage_format, tile_format)
    assert (info.compression_quality, info.lerc_error) == (quality, lerc_error)
    assert info.full_extent.sides == extent.sides


@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512])
def test_the_schemes_that_everybody_uses_keep_their_digits(scheme):
    conf = write_conf_xml(scheme, StorageFormat.COMPACT_V2, TileFormat.JPEG, compression_quality=75)

    assert read_conf_xml(conf, None).tiling_scheme.lods == scheme.lods


def test_levels_are_counted_from_0_up_to_the_finest():
    scheme = replace(WEB_MERCATOR_256, lods=WEB_MERCATOR_256.lods[5:9])

    cut = scheme_from_0(scheme, 7)

    assert [(lod.level, lod.scale) for lod in cut.lods] == [
        (place, WEB_MERCATOR_256.lods[5 + place].scale) for place in range(3)
    ]
    assert level_from_0(scheme, 7) == 2
    with pytest.raises(InvalidParameterError, match="5-8"):
        level_from_0(scheme, 4)


def test_a_reference_without_an_id_is_written_as_wkt_alone():
    reference = SpatialReference(wkt=esri_wkt(SpatialReference(wkid=2193)).replace("1600000.0", "1600001.0"))

    cdi = write_conf_cdi(Extent(0, 0, 1, 1, reference))

    root = fromstring(cdi, forbid_dtd=True)
    assert "1600001.0" in root.findtext("SpatialReference/WKT")
    assert root.find("SpatialReference/WKID") is None


@given(st.text())
def test_any_text_can_stand_in_an_element(value):
    found = fromstring(f"<a>{text('b', value)}</a>").findtext("b")

    kept = "".join(char for char in value if char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff"))
    assert found == kept.replace("\r\n", "\n").replace("\r", "\n")
