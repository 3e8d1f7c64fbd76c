"""Meshes: every pixel is drawn within 0.05 pixels of its place, and cells cover a drawing without gap or overlap."""

import numpy as np
import pytest
from pyproj import Transformer

from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.rasters.mesh import mesh

SIDE = 2048
CASES = {
    "UTM, level 17": (32632, 17, 0.5, (8.5, 46.2)),
    "UTM, level 8": (32632, 8, 300.0, (9.0, 46.0)),
    "Swiss, level 18": (2056, 18, 0.4, (8.0, 47.0)),
    "degrees, level 6": (4326, 6, 0.02, (100.0, -60.0)),
    "polar, level 5": (3413, 5, 2_000.0, (-45.0, 75.0)),
    "Lambert, level 5": (3035, 5, 2_000.0, (10.0, 52.0)),
    "Mercator, level 10": (3857, 10, 100.0, (10.0, 52.0)),
}


def mapping(epsg, level, pixel, degrees):
    """The exact mapping of a drawing around a place to a raster around it."""
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(*degrees)
    resolution = WEB_MERCATOR_256.lod(level).resolution
    left, top = x - SIDE / 2 * resolution, y + SIDE / 2 * resolution
    change = Transformer.from_crs(3857, epsg, always_xy=True)
    east, north = Transformer.from_crs(4326, epsg, always_xy=True).transform(*degrees)

    def to_source(column, row):
        x, y = change.transform(left + column * resolution, top - row * resolution)
        return (x - east) / pixel + 5000, (north - y) / pixel + 5000

    return to_source


def interpolated(found, side):
    """Places of pixel centres as Pillow interpolates them, and how many cells hold each pixel."""
    places, count = np.full((side, side, 2), np.nan), np.zeros((side, side), int)
    for (left, top, right, bottom), (nw, sw, se, ne) in zip(found.cells, found.corners, strict=True):
        u = ((np.arange(left, right) + 0.5 - left) / (right - left))[np.newaxis, :, np.newaxis]
        v = ((np.arange(top, bottom) + 0.5 - top) / (bottom - top))[:, np.newaxis, np.newaxis]
        places[top:bottom, left:right] = (nw * (1 - u) + ne * u) * (1 - v) + (sw * (1 - u) + se * u) * v
        count[top:bottom, left:right] += 1
    return places, count


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_pixel_is_drawn_within_a_twentieth_of_a_pixel(case):
    to_source = mapping(*case)

    found = mesh(to_source, (0, 0, SIDE, SIDE), 256)

    places, count = interpolated(found, SIDE)
    assert (count == 1).all()
    assert found.is_whole
    assert len(found.cells) < 2**16
    rows, columns = np.mgrid[0:SIDE:7, 0:SIDE:7] + 0.5
    exact = np.stack(to_source(columns.ravel(), rows.ravel()), axis=-1)
    off = np.linalg.norm(places[::7, ::7].reshape(-1, 2) - exact, axis=1)
    assert off.max() < 0.05 * max(1.0, *found.ratios)


@pytest.mark.parametrize("power", [2, 3])
def test_a_mapping_that_is_right_in_the_middle_of_a_cell_is_followed_beside_it(power):
    def to_source(column, row):
        return column, 128 + 128 * np.abs(row / 128 - 1) ** power * np.sign(row / 128 - 1)

    found = mesh(to_source, (0, 0, 256, 256), 256)

    places, _ = interpolated(found, 256)
    exact = to_source(np.zeros(256), np.arange(256) + 0.5)[1]
    assert np.abs(places[:, 9, 1] - exact).max() < 0.1


def test_what_has_no_place_in_the_raster_is_left_out():
    def half(column, row):
        return np.where(column < 100, np.inf, column), np.where(column < 100, np.inf, row)

    found = mesh(half, (0, 0, 256, 256), 256)

    _, count = interpolated(found, 256)
    assert not found.is_whole
    assert (count[:, 101:] == 1).all()
    assert not count[:, :99].any()


def test_a_jump_is_not_drawn_across():
    found = mesh(lambda column, row: (np.where(column < 77.3, column, column + 5000), row), (0, 0, 256, 256), 256)

    places, count = interpolated(found, 256)
    assert count.sum() >= 256 * 255
    x = places[..., 0][count == 1]
    assert ((x < 78) | (x > 5077)).all()
