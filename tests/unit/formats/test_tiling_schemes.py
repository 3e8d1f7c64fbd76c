import json
from importlib.resources import files

import pytest

from exporttiles.formats.esri_json import write_tile_info
from exporttiles.formats.tiling_schemes import WEB_MERCATOR_256, WELL_KNOWN, WGS84_512


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
