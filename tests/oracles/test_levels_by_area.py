"""Packages of several areas, each with its own levels: independent readers find every level, GDAL draws it."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio

from exporttiles.domain.area import Area
from exporttiles.domain.export import ExportArea
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from tests.builders import a_service
from tests.caches import CACHES
from tests.fakes import memory
from tests.oracles.build_package import a_tile
from tests.oracles.exports import OUTPUTS, decoded, export, neighbours
from tests.oracles.test_gdal import drawn
from tests.oracles.test_matrix import READERS

SCHEME = WEB_MERCATOR_256
WORLD = [(level, row, column) for level in range(3) for row in range(2**level) for column in range(2**level)]
COUNTY = [(8, row, column) for row in (126, 127, 128) for column in (127, 128, 129)]
FIRE = [(8, 40, 30), (10, 160, 120), (10, 160, 121)]
TILES = {place: a_tile(place) for place in (*WORLD, *COUNTY, *FIRE, (8, 126, 130), (10, 508, 512))}
SELECTED = {place: TILES[place] for place in (*WORLD, *COUNTY, *FIRE)}


def area_of(*places):
    boxes = [SCHEME.tile_extent(*place) for place in places]
    return Area.union([Area.from_extent(box) for box in boxes])


def areas(service):
    whole = Area.of_all(service.full_extent)
    return (
        ExportArea(area_of(*COUNTY), (2, 8)),
        ExportArea(area_of(*FIRE[1:]), (8, 9, 10)),
        ExportArea(whole, (0, 1, 2)),
    )


@pytest.fixture(params=["XYZ", "Compact V2"])
def cache(request):
    objects = memory()
    return objects, a_service(objects, url=CACHES[request.param](objects, TILES))


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_tile_of_every_area_arrives_once_and_no_other(tmp_path, cache, output):
    objects, service = cache

    path = export(objects, service, range(9), output, tmp_path, areas=areas(service))

    assert READERS[output](path, neighbours(list(TILES))) == SELECTED


def test_gdal_draws_every_level_and_opens_the_extent_of_all_areas(tmp_path, cache):
    objects, service = cache

    path = export(objects, service, range(9), "tpkx", tmp_path, areas=areas(service))

    for place, tile in SELECTED.items():
        np.testing.assert_array_equal(drawn(path, SCHEME, place, 10), decoded(tile), str(place))
    with rasterio.open(path) as dataset:
        assert dataset.bounds == pytest.approx(service.full_extent.sides, abs=SCHEME.lod(10).resolution)


@pytest.mark.parametrize("output", ["tpkx", "MBTiles", "GeoPackage"])
def test_without_an_overview_gdal_opens_the_extent_around_the_areas(tmp_path, cache, output):
    objects, service = cache
    county, fire, _ = areas(service)

    path = export(objects, service, range(9), output, tmp_path, areas=(replace(county, levels=(8,)), fire))

    around = county.area.extent.union(fire.area.extent)
    with rasterio.open(path) as dataset:
        assert dataset.bounds == pytest.approx(around.sides, abs=SCHEME.lod(10).resolution)
