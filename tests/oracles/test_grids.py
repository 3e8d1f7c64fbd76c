"""GDAL shows what we export at its place on the ground, in any grid; where it cannot, the job warns of it."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import rasterio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError

from exporttiles.domain.job import MessageKind
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.esri.esri_xml import esri_wkt
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from tests.field.make_inputs import CUSTOM_WKT, DEGREES_WKT, MERCATOR_WKT, NATIONAL
from tests.oracles.build_package import a_tile
from tests.oracles.exports import a_cache, decoded, export_with_messages

OUTPUTS = ("tpkx", "dataset V2")
PLACES = {  # a point where tiles are, in each reference
    2154: (652_000, 6_862_000),
    2056: (2_600_000, 1_200_000),
    25832: (691_000, 5_334_000),
    2193: (1_750_000, 5_430_000),
    2263: (990_000, 200_000),  # feet
    32719: (346_000, 6_300_000),  # south of the equator
    32633: (500_000, 5_300_000),
    3031: (-300_000, 200_000),  # around the south pole
    28992: (121_000, 487_000),
    3857: (-13_600_000, -4_500_000),
    4326: (173.5, -41.3),
}
INSET_PIXELS = 3
"""What overviews of a grid whose resolutions are no powers of two may be off at the far edge, and one more."""


def a_scheme(wkid, origin, resolutions, *, first_level=0, tile_size=256, wkt=None):
    reference = SpatialReference(wkid, wkid) if wkid else SpatialReference(wkt=wkt)
    lods = (LevelOfDetail(first_level + n, step, step * 3779.5) for n, step in enumerate(resolutions))
    return TilingScheme(reference, *origin, tile_size, 96, tuple(lods))


def differences(path, scheme, tiles, **options):
    """Return the points of tiles, by their place on the ground, at which GDAL shows another colour."""
    finest = max(level for level, _, _ in tiles)
    wrong = []
    for place, tile in tiles.items():
        level = place[0]
        finer = sum(level < lod.level <= finest for lod in scheme.lods)
        overview = {"overview_level": finer - 1} if finer else {}
        picture, box, step = decoded(tile), scheme.tile_extent(*place), scheme.lod(level).resolution
        last = scheme.tile_size - 1 - INSET_PIXELS
        with rasterio.open(path, **overview, **options) as dataset:
            for row, column in ((INSET_PIXELS, INSET_PIXELS), (INSET_PIXELS, last), (last, INSET_PIXELS), (last, last)):
                x, y = box.xmin + (column + 0.5) * step, box.ymax - (row + 0.5) * step
                (found,) = dataset.sample([(x, y)])
                if not np.array_equal(found, picture[:, row, column]):
                    wrong.append((place, row, column))
    return wrong


def is_shown(path, scheme, tiles, **options):
    """Return True if GDAL opens a file, in the right reference, and shows all tiles at their places."""
    try:
        with rasterio.open(path, **options) as dataset:
            reference = SpatialReference(wkt=dataset.crs.to_wkt()).identified
        is_same = reference.is_same_as(scheme.spatial_reference)
        return is_same and not differences(path, scheme, tiles, **options)
    except RasterioIOError:
        return False


def exported(scheme, places, output, folder):
    """Export tiles; return what GDAL is to open, how, and the warnings of the job that speak of GDAL."""
    tiles = {place: a_tile(place, size=scheme.tile_size) for place in places}
    objects, service = a_cache(scheme, tiles)
    path, messages = export_with_messages(objects, service, {level for level, _, _ in places}, output, folder)
    warnings = [m.text for m in messages if m.kind is MessageKind.WARNING and "GDAL" in m.text]
    if not output.startswith("dataset"):
        whole = {"EXTENT_SOURCE": "TILING_SCHEME"}  # else cut to fullExtent
        return tiles, [(path, whole), (path, {}), (folder / "root.json", whole)], warnings
    return tiles, [(folder / "World/Layers/conf.xml", {}), (f"/vsizip/{{{path}}}/World/Layers/conf.xml", {})], warnings


def check(scheme, places, output):
    """Assert that GDAL shows all tiles at their places, or that the job warns; return the warnings."""
    with TemporaryDirectory() as folder:
        tiles, opened, warnings = exported(scheme, places, output, Path(folder))
        for path, options in opened:
            assert is_shown(path, scheme, tiles, **options) == (not warnings), warnings
            assert all("GDAL and QGIS" in text for text in warnings)
        return warnings


NATIONAL_SCHEMES = {
    name: (
        a_scheme(3857 if grid.wkid == 102100 else grid.wkid, (grid.x, grid.y), grid.resolutions.values()),
        [(z, row + down, column + right) for z, row, column in corners for down in (0, 1) for right in (0, 1)],
    )
    for name, (grid, corners) in NATIONAL.items()
}
NOT_IN_PACKAGES = {"lambert-93", "lv95", "utm32-adv"}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", NATIONAL_SCHEMES)
def test_national_grids_are_shown_but_for_packages_of_three_that_say_so(name, output):
    warnings = check(*NATIONAL_SCHEMES[name], output)

    assert bool(warnings) == (output == "tpkx" and name in NOT_IN_PACKAGES)
    assert all("dataset" in text for text in warnings)


@st.composite
def grids(draw):
    wkid = draw(st.sampled_from(sorted(PLACES)))
    x, y = PLACES[wkid]
    unit = 1e-5 if wkid == 4326 else 1.0
    # West of the place and north of it: a hand's breadth or half the world, so that 0 lies on either side.
    far = st.floats(0, 7.5).map(lambda digits: 10**digits)
    origin = x - draw(far) * unit, y + draw(far) * unit
    finest, ratio = draw(st.floats(0.5, 300)), draw(st.sampled_from([2.0, 2.0, 2.5, 1.6]))
    count = draw(st.integers(1, 7))
    resolutions = [finest * unit * ratio ** (count - 1 - n) for n in range(count)]
    first_level, tile_size = draw(st.sampled_from([0, 0, 1, 9])), draw(st.sampled_from([256, 256, 512]))
    assume(resolutions[0] * tile_size < 5e5 * unit)  # else the reference ends before the tiles
    scheme = a_scheme(wkid, origin, resolutions, first_level=first_level, tile_size=tile_size)
    levels = draw(st.sets(st.integers(first_level, first_level + count - 1), min_size=1, max_size=3))
    places = []
    for level in levels:
        span = scheme.tile_span(level)
        row, column = int((origin[1] - y) // span), int((x - origin[0]) // span)
        places += [(level, row, column), (level, row + draw(st.integers(0, 2)), column + draw(st.integers(0, 2)))]
    return scheme, places


@pytest.mark.no_cover
@pytest.mark.parametrize("output", OUTPUTS)
@settings(max_examples=60, deadline=None)
@given(grid=grids())
def test_any_grid_is_shown_at_its_place_or_the_job_warns(output, grid):
    check(*grid, output)


TEXTS = {  # origin, first resolution, a place of level 6, and whether a number stands for the text
    "degrees": (DEGREES_WKT, (-180.0, 90.0), 0.703125, (6, 15, 67), True),
    "web mercator": (MERCATOR_WKT, (-20037508.342787, 20037508.342787), 156543.033928, (6, 21, 33), True),
    "north before east": (
        esri_wkt(SpatialReference(2193, 2193)),
        (-4020900.0, 19998100.0),
        8960.0,
        (6, 406, 160),
        True,
    ),
    "custom": (CUSTOM_WKT, (-5120900.0, 9998100.0), 13229.193125052918, (6, 88, 104), False),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", TEXTS)
def test_a_reference_by_text_alone_is_shown_if_a_number_stands_for_it_and_in_datasets(name, output):
    wkt, origin, first, place, is_known = TEXTS[name]
    scheme = a_scheme(None, origin, [first / 2**level for level in range(8)], wkt=wkt)

    warnings = check(scheme, [place], output)

    assert bool(warnings) == (output == "tpkx" and not is_known)
    assert all("Town_Grid" in text and "dataset" in text for text in warnings)


@pytest.mark.parametrize(
    ("place", "output", "is_shown"),
    [
        ((22, 1_398_101, 2_790_123), "tpkx", True),
        ((22, 1_398_101, 2_790_123), "dataset V2", True),
        ((23, 2_796_202, 3_790_123), "tpkx", False),
        ((23, 2_796_202, 3_790_123), "dataset V2", True),  # whose rows and columns can end sooner
        ((23, 2_796_202, 2**23 - 1), "dataset V2", False),
    ],
)
def test_level_23_of_web_mercator_has_more_pixels_than_a_raster_of_gdal(place, output, is_shown):
    warnings = check(WEB_MERCATOR_256, [place], output)

    assert bool(warnings) == (not is_shown)
    assert all("2,147,483,647 pixels" in text for text in warnings)


@pytest.mark.parametrize("output", OUTPUTS)
def test_levels_that_are_not_numbered_one_by_one_are_shown_in_datasets(output):
    scheme = a_scheme(2193, (-4020900.0, 19998100.0), [8960.0 / 4**step for step in range(5)])
    scheme = replace(scheme, lods=tuple(replace(lod, level=2 * lod.level) for lod in scheme.lods))

    warnings = check(scheme, [(4, 101, 40), (6, 406, 160)], output)

    assert bool(warnings) == (output == "tpkx")


@pytest.mark.parametrize(
    ("name", "output", "has_end"),
    [
        ("lambert-93", "dataset V2", True),
        ("lambert-93", "dataset V1", False),  # GDAL reads none of these
        ("lambert-93", "tpk", False),
        ("nztm", "dataset V2", False),
        ("wgs84", "dataset V2", False),
    ],
)
def test_conf_xml_states_where_tiles_end_only_if_gdal_needs_it(tmp_path, name, output, has_end):
    exported(*NATIONAL_SCHEMES[name], output, tmp_path)

    (conf,) = tmp_path.rglob("conf.xml")
    assert (b"<TileEnd " in conf.read_bytes()) == has_end
