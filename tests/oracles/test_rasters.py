"""Tiles that are drawn from GeoTIFFs, beside those that GDAL warps: the same pixels, and the same edges."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image, ImageFilter
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from exporttiles.cli.main import main
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.rasters import an_orthophoto, drawn_tiles, imagery, inspected, picture_of, write_geotiff

UTM = "EPSG:32632"
PLACES = {
    "UTM 32 north": ("EPSG:32632", (500_000, 5_200_000), 1.0),
    "UTM 60 south": ("EPSG:32760", (700_000, 8_000_000), 10.0),
    "UTM 18 north, centimetres": ("EPSG:32618", (580_000, 4_500_000), 0.05),
    "Switzerland": ("EPSG:2056", (2_600_000, 1_200_000), 1.0),
    "degrees": ("EPSG:4326", (7.0, 47.0), 1e-5),
    "degrees, half of the world": ("EPSG:4326", (-90.0, 75.0), 0.1),
    "Web Mercator": ("EPSG:3857", (800_000, 6_000_000), 1.0),
    "Europe": ("EPSG:3035", (4_300_000, 2_800_000), 100.0),
    "Arctic": ("EPSG:3413", (-300_000, -300_000), 200.0),
    "Antarctic": ("EPSG:3031", (800_000, 300_000), 500.0),
    "New Zealand": ("EPSG:2193", (1_570_000, 5_200_000), 1.0),
    "United States": ("EPSG:5070", (0, 2_000_000), 100.0),
    "Great Britain": ("EPSG:27700", (400_000, 300_000), 5.0),
    "New York, feet": ("EPSG:2263", (980_000, 200_000), 3.0),
    "World Mercator": ("EPSG:3395", (800_000, 6_000_000), 2.0),
    "equal area": ("EPSG:6933", (1_000_000, 4_000_000), 50.0),
    "Fiji, beyond the antimeridian": ("EPSG:3460", (2_000_000, 4_000_000), 20.0),
    "degrees beyond the antimeridian": ("EPSG:4326", (179.9, -16.0), 1e-4),
}


def ratio_of(dataset, scheme, tiles):
    """How many pixels of a raster a pixel in the middle of a block of tiles is wide, as the root of its area."""
    x = scheme.origin_x + (tiles.column_start + tiles.column_stop) / 2 * scheme.tile_span(tiles.level)
    y = scheme.origin_y - (tiles.row_start + tiles.row_stop) / 2 * scheme.tile_span(tiles.level)
    step = scheme.lod(tiles.level).resolution
    change = Transformer.from_crs(scheme.spatial_reference.crs, dataset.crs.to_wkt(), always_xy=True)
    places = [~dataset.transform @ change.transform(*place) for place in ((x, y), (x + step, y), (x, y - step))]
    (east, south), (right_x, right_y), (down_x, down_y) = places
    return abs((right_x - east) * (down_y - south) - (right_y - south) * (down_x - east)) ** 0.5


def warped(path, scheme, tiles):
    """A block of tiles (rows, columns, 4) as GDAL warps it from the overview that gdalwarp chooses."""
    with rasterio.open(path) as dataset:
        ratio = ratio_of(dataset, scheme, tiles)
        fitting = [number for number, factor in enumerate(dataset.overviews(1)) if factor <= ratio * 1.05]
        has_alpha = dataset.count == 4
    resolution, span = scheme.lod(tiles.level).resolution, scheme.tile_span(tiles.level)
    left, top = scheme.origin_x + tiles.column_start * span, scheme.origin_y - tiles.row_start * span
    target = {
        "crs": scheme.spatial_reference.crs.to_wkt(),
        "transform": Affine(resolution, 0, left, 0, -resolution, top),
        "width": (tiles.column_stop - tiles.column_start) * scheme.tile_size,
        "height": (tiles.row_stop - tiles.row_start) * scheme.tile_size,
    }
    overview = {"overview_level": fitting[-1]} if fitting else {}
    with (
        rasterio.open(path, **overview) as dataset,
        WarpedVRT(dataset, resampling=Resampling.bilinear, add_alpha=not has_alpha, tolerance=0.01, **target) as drawn,
    ):
        return np.moveaxis(drawn.read(), 0, 2)


def grown(mask):
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))) > 0


def assert_equal_pictures(ours, theirs, least_decibels=45):
    """The same mask to a pixel; inside, a peak signal-to-noise ratio."""
    mask, other = ours[..., 3] > 127, theirs[..., 3] > 127
    assert mask.any()
    assert not (mask & ~grown(other)).any()
    assert not (other & ~grown(mask)).any()
    both = (ours[..., 3] == 255) & (theirs[..., 3] == 255)
    difference = ours[both][:, :3].astype(float) - theirs[both][:, :3]
    assert 10 * np.log10(255**2 / np.square(difference).mean()) >= least_decibels


def blocks_of(service, level, most=10):
    """Blocks of at most so many rows and columns, around the middle of a service at a level."""
    whole = service.tiling_scheme.tile_range(service.full_extent, level)
    for xmin, ymin, xmax, ymax in service.cache.mosaic.files[0].boxes:
        extent = type(service.full_extent)(xmin, ymin, xmax, ymax, service.full_extent.spatial_reference)
        tiles = service.tiling_scheme.tile_range(extent, level).intersection(whole)
        row, column = (tiles.row_start + tiles.row_stop) // 2, (tiles.column_start + tiles.column_stop) // 2
        half = most // 2
        yield tiles.intersection(TileRange(level, row - half, row + half, column - half, column + half))


POLAR = {"Arctic", "Antarctic"}
"""Where the scale changes so much within a drawing that one kernel, as in GDAL, is a compromise."""


@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512], ids=["Web Mercator", "degrees"])
@pytest.mark.parametrize("place", PLACES)
def test_tiles_are_those_that_gdal_warps(tmp_path, place, scheme):
    crs, corner, pixel = PLACES[place]
    path = an_orthophoto(tmp_path / "ortho.tif", crs, corner, pixel, (1100, 1400))
    # GDAL draws degrees on the side of the antimeridian that they are written for.
    turned = an_orthophoto(tmp_path / "turned.tif", crs, (corner[0] - 360, corner[1]), pixel, (1100, 1400))
    objects, found = inspected(tmp_path, "ortho.tif", scheme, tile_format=TileFormat.PNG)
    service = found.service

    for level in range(service.max_level - 2, service.max_level + 1):
        for tiles in blocks_of(service, level):
            ours = picture_of(drawn_tiles(objects, service, tiles), tiles, scheme.tile_size)
            is_turned = place == "degrees beyond the antimeridian" and tiles.column_start == 0
            theirs = warped(turned if is_turned else path, scheme, tiles)
            assert_equal_pictures(ours, theirs, 40 if place in POLAR else 45)


def test_levels_use_the_overviews(tmp_path):
    path = an_orthophoto(tmp_path / "ortho.tif", size=(2000, 2400), overviews=(2, 4, 8, 16))
    objects, found = inspected(tmp_path, "ortho.tif", tile_format=TileFormat.PNG)
    finest = found.service.max_level

    for level in range(finest - 4, finest + 2):
        (tiles,) = blocks_of(found.service, level)
        ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)
        assert_equal_pictures(ours, warped(path, WEB_MERCATOR_256, tiles), 40 if level < finest - 2 else 45)


TURNED = Affine.translation(500_000, 5_200_000) @ Affine.rotation(33) @ Affine.scale(1, -1)


def test_a_rotated_raster_is_drawn_as_gdal_warps_it(tmp_path):
    path = write_geotiff(tmp_path / "turned.tif", imagery(1000, 1200), "EPSG:32632", TURNED)
    objects, found = inspected(tmp_path, "turned.tif", tile_format=TileFormat.PNG)

    (tiles,) = blocks_of(found.service, found.service.max_level)
    ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)
    assert_equal_pictures(ours, warped(path, WEB_MERCATOR_256, tiles))


@pytest.mark.parametrize("profile", [{}, {"nodata": 0}, {"mask": True}, {"interleave": "band"}])
def test_chosen_bands_are_drawn_as_gdal_warps_them_alone(tmp_path, profile):
    samples = np.clip(imagery(700, 800, 5), 1, 255)
    samples[1:4, 200:400, 300:500] = 0
    hole = np.where(samples[1] == 0, 0, 255).astype(np.uint8)
    options = {"photometric": "minisblack", "overviews": (2,)} | profile
    options |= {"mask": hole} if profile.get("mask") else {}
    place = "EPSG:32632", Affine(1, 0, 500_000, 0, -1, 5_200_000)
    write_geotiff(tmp_path / "all.tif", samples, *place, **options)
    alone = write_geotiff(tmp_path / "alone.tif", samples[[3, 2, 1]], *place, **options | {"photometric": "rgb"})
    objects, found = inspected(tmp_path, "all.tif", tile_format=TileFormat.PNG, bands=(4, 3, 2))

    for tiles in blocks_of(found.service, found.service.max_level):
        ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)
        assert_equal_pictures(ours, warped(alone, WEB_MERCATOR_256, tiles))


def test_a_raster_with_south_up_is_drawn_as_gdal_warps_it(tmp_path):
    samples = imagery(600, 700)
    path = write_geotiff(tmp_path / "up.tif", samples[:, ::-1], "EPSG:32632", Affine(1, 0, 500_000, 0, 1, 5_200_000))
    objects, found = inspected(tmp_path, "up.tif", tile_format=TileFormat.PNG)

    for tiles in blocks_of(found.service, found.service.max_level):
        ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)
        assert_equal_pictures(ours, warped(path, WEB_MERCATOR_256, tiles))


def test_the_whole_world_in_degrees_is_drawn_as_gdal_warps_it(tmp_path):
    path = write_geotiff(tmp_path / "world.tif", imagery(300, 400), "EPSG:4326", Affine(0.9, 0, -180, 0, -0.6, 90))
    objects, found = inspected(tmp_path, "world.tif", tile_format=TileFormat.PNG)

    for level in (0, 1):
        tiles = TileRange(level, 0, 2**level, 0, 2**level)
        ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)
        assert_equal_pictures(ours, warped(path, WEB_MERCATOR_256, tiles))


@pytest.mark.parametrize("west", [0.0, 90.0, -270.0])
def test_a_world_whose_longitudes_begin_elsewhere_is_drawn_where_its_places_lie(tmp_path, west):
    pixel = 0.5
    world = imagery(340, 720)
    write_geotiff(tmp_path / "plain.tif", world, "EPSG:4326", Affine(pixel, 0, -180, 0, -pixel, 85))
    turned = np.roll(world, -round((west + 180) / pixel), axis=2)
    write_geotiff(tmp_path / "turned.tif", turned, "EPSG:4326", Affine(pixel, 0, west, 0, -pixel, 85))

    pictures = []
    for name in ("plain.tif", "turned.tif"):
        objects, found = inspected(tmp_path, name, tile_format=TileFormat.PNG)
        tiles = TileRange(2, 0, 4, 0, 4)
        pictures.append(picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256))

        assert found.service.max_level == 1

    plain, moved = (picture.astype(int) for picture in pictures)
    inside = (plain[..., 3] == 255) & (moved[..., 3] == 255)
    assert (moved[100:-100, :, 3] == 255).all()  # no line where the raster begins
    seam = round((west + 180) % 360 / 360 * inside.shape[1])
    near = [(place + step) % inside.shape[1] for place in (0, seam) for step in range(-4, 5)]
    inside[:, near] = False  # pixels beyond the edge of a raster are not known
    assert np.abs(plain - moved)[inside].max() <= 3


@pytest.mark.parametrize("kind", ["alpha", "nodata", "mask"])
def test_transparent_pixels_have_the_edges_that_gdal_gives_them(tmp_path, kind):
    rows, columns = np.mgrid[0:1000, 0:1200]
    hole = np.hypot(rows - 400, columns - 700) < 300
    opaque = np.where(hole, 0, 255).astype(np.uint8)
    samples = np.clip(imagery(1000, 1200), 1, 255)
    corner, options = Affine(1, 0, 500_000, 0, -1, 5_200_000), {}
    if kind == "alpha":
        samples, options = np.concatenate([samples, opaque[np.newaxis]]), {"alpha": True}
    elif kind == "nodata":
        samples, options = np.where(hole, 0, samples).astype(np.uint8), {"nodata": 0}
    else:
        options = {"mask": opaque}
    path = write_geotiff(tmp_path / "holes.tif", samples, "EPSG:32632", corner, **options)
    objects, found = inspected(tmp_path, "holes.tif", tile_format=TileFormat.PNG)

    (tiles,) = blocks_of(found.service, found.service.max_level)
    ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)
    assert_equal_pictures(ours, warped(path, WEB_MERCATOR_256, tiles))


def test_files_that_meet_are_drawn_without_a_seam(tmp_path):
    samples, pixel = imagery(1024, 1024), 1.0
    whole = tmp_path / "whole"
    whole.mkdir()
    path = write_geotiff(whole / "whole.tif", samples, "EPSG:32632", Affine(pixel, 0, 500_000, 0, -pixel, 5_200_000))
    parts = tmp_path / "parts"
    parts.mkdir()
    for row in (0, 512):
        for column in (0, 512):
            corner = Affine(pixel, 0, 500_000 + column, 0, -pixel, 5_200_000 - row)
            part = samples[:, row : row + 512, column : column + 512]
            write_geotiff(parts / f"{row}_{column}.tif", part, "EPSG:32632", corner)
    objects, found = inspected(parts, tile_format=TileFormat.PNG)
    level = found.service.max_level
    tiles = WEB_MERCATOR_256.tile_range(found.service.full_extent, level)

    ours = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)

    theirs = warped(path, WEB_MERCATOR_256, tiles)
    inside = np.asarray(Image.fromarray(theirs[..., 3]).filter(ImageFilter.MinFilter(5))) == 255
    assert (ours[..., 3][inside] == 255).all()  # no hole, no line
    assert np.abs(ours[inside][:, :3].astype(int) - theirs[inside][:, :3]).mean() < 1
    assert_equal_pictures(ours, theirs, 40)  # beside a seam, a neighbour is not interpolated with


def test_later_files_cover_earlier_ones_where_they_have_pixels(tmp_path):
    below, above = np.full((3, 400, 400), 50, np.uint8), np.full((3, 400, 400), 200, np.uint8)
    above[:, 100:300, 100:300] = 0
    corner = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    write_geotiff(tmp_path / "1.tif", below, "EPSG:32632", corner)
    write_geotiff(tmp_path / "2.tif", above, "EPSG:32632", corner, nodata=0)
    objects, found = inspected(tmp_path, tile_format=TileFormat.PNG)
    tiles = WEB_MERCATOR_256.tile_range(found.service.full_extent, found.service.max_level)

    picture = picture_of(drawn_tiles(objects, found.service, tiles), tiles, 256)

    opaque = picture[picture[..., 3] == 255]
    assert {50, 200} <= set(np.unique(opaque[:, 0])) <= set(range(50, 201))
    assert np.isin(opaque[:, 0], (50, 200)).mean() > 0.97


def test_files_of_different_kinds_are_one_mosaic_as_gdal_lays_them_over_each_other(tmp_path):
    degrees = Affine(0.012, 0, 8.0, 0, -0.012, 47.6)
    write_geotiff(tmp_path / "1.tif", imagery(80, 90, 1, seed=1), "EPSG:4326", degrees)
    corner = Affine(2, 0, 500_000, 0, -2, 5_200_000)
    write_geotiff(tmp_path / "2.tif", imagery(700, 800, seed=2), UTM, corner, overviews=(2, 4))
    x, y = Transformer.from_crs(UTM, "EPSG:32633", always_xy=True).transform(500_300, 5_199_900)
    write_geotiff(tmp_path / "3.tif", imagery(160, 160, 1, seed=3), "EPSG:32633", Affine(4, 0, x, 0, -4, y), nodata=0)
    nested = Affine(1, 0, 500_400, 0, -1, 5_199_700)
    write_geotiff(tmp_path / "4.tif", imagery(300, 300, seed=4), UTM, nested, compress="jpeg", photometric="ycbcr")
    objects, found = inspected(tmp_path, tile_format=TileFormat.PNG)
    files = found.service.cache.mosaic.files

    for level in (found.service.max_level, found.service.max_level - 3):
        middle = WEB_MERCATOR_256.tile_range(Extent(*files[3].boxes[0], WEB_MERCATOR_256.spatial_reference), level)
        block = replace(middle, row_stop=middle.row_start + 5, column_stop=middle.column_start + 5)
        theirs = np.zeros((1280, 1280, 4), np.uint8)
        for file in files:
            layer = warped(tmp_path / file.key, WEB_MERCATOR_256, block)
            layer = layer if layer.shape[2] == 4 else layer[:, :, (0, 0, 0, 1)]
            theirs = np.where(layer[:, :, 3:] == 255, layer, theirs)

        ours = picture_of(drawn_tiles(objects, found.service, block), block, 256)

        assert_equal_pictures(ours, theirs, 38)


def test_drawings_and_bundles_meet_without_a_seam(tmp_path):
    an_orthophoto(tmp_path / "ortho.tif", corner=(500_000, 5_200_000), size=(1800, 1800))
    objects, found = inspected(tmp_path, "ortho.tif", tile_format=TileFormat.PNG)
    tiles = WEB_MERCATOR_256.tile_range(found.service.full_extent, found.service.max_level)
    whole = drawn_tiles(objects, found.service, tiles)

    for place, tile in list(whole.items())[::7]:
        alone = drawn_tiles(
            objects, found.service, TileRange(tiles.level, place[0], place[0] + 1, place[1], place[1] + 1)
        )
        assert alone == {place: tile}


@pytest.mark.parametrize("suffix", ["tpkx", "tpk", "pmtiles", "mbtiles"])
def test_a_package_of_a_geotiff_is_drawn_where_the_geotiff_lies(tmp_path, suffix):
    path = an_orthophoto(tmp_path / "ortho.tif", size=(900, 900))
    out = tmp_path / f"Ortho.{suffix}"

    assert main(["export", str(path), str(out), "--quality", "95"]) == 0
    assert main(["check", str(out)]) == 0

    if suffix in {"tpkx", "mbtiles"}:
        options = {"EXTENT_SOURCE": "TILING_SCHEME"} if suffix == "tpkx" else {}
        service = inspected(tmp_path, "ortho.tif")[1].service
        (tiles,) = blocks_of(service, service.max_level, 2)
        xmin, _, _, ymax = WEB_MERCATOR_256.tile_extent(tiles.level, tiles.row_start, tiles.column_start).sides
        with rasterio.open(out, **options) as dataset:
            row, column = dataset.index(xmin + 0.01, ymax - 0.01)
            drawn = dataset.read(window=Window(column, row, 512, 512))[:3]
        theirs = warped(path, WEB_MERCATOR_256, tiles)
        inside = theirs[..., 3] == 255
        assert np.abs(np.moveaxis(drawn, 0, 2)[inside].astype(int) - theirs[inside][:, :3]).mean() < 3
