"""Well-known tiling schemes and the levels that ArcGIS writes."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import LevelOfDetail
from exporttiles.formats.esri.esri_json import write_tile_info
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WELL_KNOWN, WGS84_512, snap_to_well_known

HALF_EQUATOR = 20037508.342789244
LEVEL_0 = 2 * HALF_EQUATOR / 256


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_a_well_known_scheme_has_the_levels_0_to_23(name):
    assert [lod.level for lod in WELL_KNOWN[name].lods] == list(range(24))


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_a_scheme_is_written_as_it_is_stored(name):
    stored = files("exporttiles.domain").joinpath("tiling_schemes", f"{name}.json").read_text()

    assert write_tile_info(WELL_KNOWN[name]) == json.loads(stored)


@pytest.mark.parametrize(
    ("level", "resolution", "scale"),
    [
        (0, 156543.033928, 591657527.591555),
        (3, 19567.8792409999, 73957190.948944),
        (12, 38.2185141425366, 144447.638572),
        (19, 0.298582141647617, 1128.497176),
        (23, 0.01866138385297604, 70.5310735),
    ],
)
def test_web_mercator_has_the_numbers_that_arcgis_writes(level, resolution, scale):
    lod = WEB_MERCATOR_256.lod(level)

    assert (lod.resolution, lod.scale) == (resolution, scale)


def test_web_mercator_begins_where_arcgis_lets_it_begin():
    assert (WEB_MERCATOR_256.origin_x, WEB_MERCATOR_256.origin_y) == (-20037508.342787, 20037508.342787)


@pytest.mark.parametrize("level", range(24))
def test_degrees_are_halved_exactly(level):
    lod = WGS84_512.lod(level)

    assert (lod.resolution, lod.scale) == (0.703125 / 2**level, 295829355.45456553 / 2**level)


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_scales_fit_resolutions_at_96_dots_per_inch(name):
    scheme = WELL_KNOWN[name]
    per_unit = 96 * 39.37 if scheme is WEB_MERCATOR_256 else 111319.49079327355 * 96 / 0.0254

    for lod in scheme.lods:
        assert lod.scale == pytest.approx(lod.resolution * per_unit, rel=1e-8)


def a_scheme(first, count, *, dpi=96, step=2.0, inch=0.0254, **changes):
    """Web Mercator as it is calculated; levels are numbered from 0, whatever the first is."""
    resolutions = [LEVEL_0 / 2**first / step**place for place in range(count)]
    lods = tuple(LevelOfDetail(place, size, size * dpi / inch) for place, size in enumerate(resolutions))
    scheme = replace(WEB_MERCATOR_256, origin_x=-HALF_EQUATOR, origin_y=HALF_EQUATOR, dpi=dpi, lods=lods)
    return replace(scheme, **changes)


@given(first=st.integers(0, 23), count=st.integers(1, 24), tile_size=st.sampled_from([256, 512]))
def test_levels_of_web_mercator_that_were_calculated_get_esris_numbers(first, count, tile_size):
    count = min(count, 24 - first)

    scheme = snap_to_well_known(a_scheme(first, count, tile_size=tile_size))

    assert (scheme.origin_x, scheme.origin_y) == (WEB_MERCATOR_256.origin_x, WEB_MERCATOR_256.origin_y)
    assert scheme.lods == tuple(replace(lod, level=lod.level - first) for lod in WEB_MERCATOR_256.lods[first:][:count])


def test_scales_for_other_dots_per_inch_stay_while_resolutions_become_esris():
    scheme = snap_to_well_known(a_scheme(0, 20, dpi=90.71428571428571))

    assert [lod.resolution for lod in scheme.lods] == [lod.resolution for lod in WEB_MERCATOR_256.lods[:20]]
    assert scheme.lods[0].scale == pytest.approx(559082264.0287)


@given(first=st.integers(0, 18), count=st.integers(1, 20), digits=st.integers(3, 17))
def test_no_tile_of_the_world_moves_by_a_pixel(first, count, digits):
    own = a_scheme(first, count)
    own = replace(own, lods=tuple(replace(lod, resolution=float(f"{lod.resolution:.{digits}g}")) for lod in own.lods))
    snapped = snap_to_well_known(own)

    for before, after in zip(own.lods, snapped.lods, strict=True):
        far_edge = 2 * HALF_EQUATOR / before.resolution
        assert abs(after.resolution - before.resolution) * far_edge < before.resolution


@pytest.mark.parametrize(
    "scheme",
    [
        WEB_MERCATOR_256,
        WGS84_512,
        replace(WGS84_512, lods=tuple(replace(lod, scale=lod.scale * (1 - 2e-6)) for lod in WGS84_512.lods)),
        a_scheme(0, 20, origin_x=-20037507.0),
        a_scheme(0, 20, origin_x=-30241100.0, origin_y=30241100.0),
        a_scheme(0, 20, spatial_reference=SpatialReference(wkid=3395)),
        a_scheme(0, 20, spatial_reference=SpatialReference(wkid=1)),
        a_scheme(0, 20, spatial_reference=WGS84),
        replace(a_scheme(18, 1), lods=(LevelOfDetail(0, 0.59716, 2256.99),)),
    ],
)
def test_a_scheme_of_its_own_stays_as_it_is_and_so_do_esris(scheme):
    assert snap_to_well_known(scheme) is scheme


def test_levels_between_those_of_a_well_known_scheme_stay():
    own = a_scheme(3, 9, step=2**0.5)

    scheme = snap_to_well_known(own)

    assert scheme.lods[1::2] == own.lods[1::2]
    assert [lod.resolution for lod in scheme.lods[::2]] == [lod.resolution for lod in WEB_MERCATOR_256.lods[3:8]]


def test_a_number_that_is_only_printed_otherwise_stays():
    """ArcGIS Server 10 prints 17 digits where ArcGIS Pro prints 15."""
    lods = tuple(replace(lod, resolution=lod.resolution * (1 + 2**-52)) for lod in WEB_MERCATOR_256.lods)
    scheme = replace(WEB_MERCATOR_256, lods=lods)

    assert snap_to_well_known(scheme) is scheme
