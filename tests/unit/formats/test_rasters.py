"""GeoTIFFs: every kind that is read gives the pixels that GDAL reads; every other kind is refused by name."""

import struct

import numpy as np
import pytest
import rasterio
from affine import Affine
from obstore.store import LocalStore
from PIL import Image, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from pyproj import Transformer
from rasterio.windows import Window

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.mosaic import RasterFile
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.rasters.drawing import place
from exporttiles.formats.rasters.raster import Raster
from exporttiles.ports.objects import ranged_file
from tests.rasters import imagery, write_geotiff

UTM, CORNER = "EPSG:32632", Affine(1, 0, 500_000, 0, -1, 5_200_000)
STRIPS = {"tiled": False, "blockxsize": None, "blockysize": None}
KINDS = {
    "deflate": {},
    "deflate, predictor": {"predictor": 2},
    "LZW": {"compress": "lzw"},
    "LZW, predictor": {"compress": "lzw", "predictor": 2},
    "ZSTD": {"compress": "zstd"},
    "ZSTD, predictor": {"compress": "zstd", "predictor": 2},
    "LZMA": {"compress": "lzma"},
    "PackBits": {"compress": "packbits"},
    "no compression": {"compress": "none"},
    "JPEG, YCbCr": {"compress": "jpeg", "photometric": "ycbcr"},
    "JPEG, RGB": {"compress": "jpeg", "photometric": "rgb"},
    "JPEG, bands apart": {"compress": "jpeg", "interleave": "band"},
    "bands apart": {"interleave": "band"},
    "bands apart, predictor": {"interleave": "band", "predictor": 2},
    "BigTIFF": {"bigtiff": "yes"},
    "big-endian": {"endianness": "big"},
    "BigTIFF, big-endian": {"bigtiff": "yes", "endianness": "big", "compress": "lzw"},
    "strips": STRIPS,
    "strips, JPEG": STRIPS | {"compress": "jpeg", "photometric": "ycbcr"},
    "strips of one row": STRIPS | {"blockysize": 1, "compress": "none"},
    "one strip": STRIPS | {"blockysize": 700, "compress": "none"},
    "strips, bands apart": STRIPS | {"blockysize": 7, "interleave": "band", "compress": "none"},
    "small blocks": {"blockxsize": 64, "blockysize": 32},
}


def opened(path, stated=None, rescale=(), bands=()):
    return Raster(ranged_file(ObstoreObjects(LocalStore(path.parent)), path.name), stated, rescale, bands)


def drawn(raster, level=0, step=1):
    def decoded(block):
        stored = [raster.file.read(*span) for span in raster.spans(block)]
        return raster.decode(block, stored) if stored else None

    rows, columns = raster.level_shape(level)
    return np.asarray(raster.draw(level, (0, 0, columns, rows), (step, step), decoded))


def alpha_of(picture):
    return picture[..., 3] if picture.shape[2] == 4 else np.full(picture.shape[:2], 255, np.uint8)


@pytest.mark.parametrize("profile", KINDS.values(), ids=KINDS)
def test_the_pixels_are_those_that_gdal_reads(tmp_path, profile):
    path = write_geotiff(tmp_path / "ortho.tif", imagery(700, 900), UTM, CORNER, overviews=(2, 4), **profile)

    raster = opened(path)

    for level, overview in enumerate([{}, {"overview_level": 0}, {"overview_level": 1}]):
        with rasterio.open(path, **overview) as dataset:
            expected = np.moveaxis(dataset.read(), 0, 2).astype(int)
        is_lossy = profile.get("compress") == "jpeg"
        difference = np.abs(drawn(raster, level).astype(int) - expected)
        # Decoders of JPEG differ in the last bit, and in how they interpolate colours of half the resolution.
        assert difference.max() <= (32 if profile.get("photometric") == "ycbcr" else 2 * is_lossy)
        assert difference.mean() <= 1.5 * is_lossy


def test_gray_and_palettes_are_drawn_in_three_bands(tmp_path):
    gray = imagery(300, 300, bands=1)
    write_geotiff(tmp_path / "gray.tif", gray, UTM, CORNER)
    write_geotiff(tmp_path / "white.tif", gray, UTM, CORNER, photometric="miniswhite")
    colours = {value: (value, 255 - value, value // 2, 255) for value in range(256)}
    write_geotiff(tmp_path / "palette.tif", gray, UTM, CORNER, colormap=colours, photometric="palette")

    for name, expected in (
        ("gray.tif", np.repeat(gray[0][..., np.newaxis], 3, axis=2)),
        ("white.tif", np.repeat(255 - gray[0][..., np.newaxis], 3, axis=2)),
        ("palette.tif", np.array([colours[value][:3] for value in range(256)])[gray[0]]),
    ):
        np.testing.assert_array_equal(drawn(opened(tmp_path / name)), expected, name)


HOLE = np.full((600, 600), 255, np.uint8)
HOLE[100:400, 200:450] = 0


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("bands", [2, 4])
def test_an_alpha_band_is_the_transparency(tmp_path, bands, interleave):
    samples = np.concatenate([imagery(600, 600, bands - 1), HOLE[np.newaxis] // 2])
    path = write_geotiff(tmp_path / "a.tif", samples, UTM, CORNER, alpha=True, interleave=interleave)

    np.testing.assert_array_equal(drawn(opened(path))[..., 3], HOLE // 2)


@pytest.mark.parametrize("profile", [{}, {"interleave": "band"}, {"nodata": 9}])
@pytest.mark.parametrize("bands", [(4, 3, 2), (5,), (2, 2, 2), (1, 2, 3)])
def test_chosen_bands_are_drawn_in_their_order(tmp_path, bands, profile):
    samples = imagery(300, 300, 5)
    samples[1:, :40, :40] = samples[0, 50, 50] = 9
    path = write_geotiff(tmp_path / "bands.tif", samples, UTM, CORNER, photometric="minisblack", **profile)
    with rasterio.open(path) as dataset:
        chosen = dataset.read(list(bands)).astype(int)

    raster = opened(path, bands=bands)

    picture = drawn(raster)
    expected = np.moveaxis(chosen if len(bands) == 3 else np.repeat(chosen, 3, axis=0), 0, 2)
    np.testing.assert_array_equal(picture[..., :3], expected)
    is_empty = (chosen == 9).all(axis=0) & ("nodata" in profile)  # where all of the chosen bands are, as in GDAL
    np.testing.assert_array_equal(alpha_of(picture) == 0, is_empty)


def test_of_bands_stored_apart_only_those_drawn_are_read(tmp_path):
    path = write_geotiff(tmp_path / "bands.tif", imagery(300, 300, 6), UTM, CORNER, interleave="band", compress="none")

    raster = opened(path, bands=(6, 1, 6))

    assert [len(raster.spans(block)) for block in raster.blocks_in(0, (0, 0, 9, 9))] == [2]


@pytest.mark.parametrize("photometric", ["ycbcr", "rgb"])
def test_bands_of_jpeg_blocks_are_chosen_after_decoding(tmp_path, photometric):
    path = write_geotiff(tmp_path / "x.tif", imagery(300, 300), UTM, CORNER, compress="jpeg", photometric=photometric)

    plain, swapped = drawn(opened(path)), drawn(opened(path, bands=(3, 2, 1)))

    np.testing.assert_array_equal(swapped, plain[..., ::-1])


@pytest.mark.parametrize(("bands", "kept"), [((), True), ((4, 3, 2), True), ((5, 2, 1), False)])
def test_the_transparency_holds_whatever_bands_are_chosen_unless_it_is_one_of_them(tmp_path, bands, kept):
    samples = np.concatenate([imagery(600, 600, 4), HOLE[np.newaxis] // 2])
    path = write_geotiff(tmp_path / "a.tif", samples, UTM, CORNER, alpha=True)

    picture = drawn(opened(path, bands=bands))

    if kept:
        np.testing.assert_array_equal(picture[..., 3], HOLE // 2)
    else:
        np.testing.assert_array_equal(picture[..., 0], HOLE // 2)
        assert picture.shape[2] == 3


def test_a_mask_holds_whatever_bands_are_chosen(tmp_path):
    path = write_geotiff(tmp_path / "mask.tif", imagery(600, 600, 4), UTM, CORNER, mask=HOLE)

    np.testing.assert_array_equal(drawn(opened(path, bands=(4,)))[..., 3], HOLE)


def test_a_range_of_values_for_each_band_stretches_it_alone(tmp_path):
    values = imagery(300, 300, 4).astype(np.uint16)
    path = write_geotiff(tmp_path / "deep.tif", values, UTM, CORNER)
    ranges = [(0, 255), (50, 200), (100, 150)]

    picture = drawn(opened(path, rescale=ranges, bands=(3, 2, 1)))

    for number, (band, (low, high)) in enumerate(zip((2, 1, 0), ranges, strict=True)):
        expected = np.rint(np.clip((values[band].astype(float) - low) * 255 / (high - low), 0, 255))
        np.testing.assert_allclose(picture[..., number], expected, atol=1)


def test_bands_and_ranges_that_a_file_does_not_have_are_refused_by_name(tmp_path):
    path = write_geotiff(tmp_path / "x.tif", imagery(100, 100), UTM, CORNER)
    gray = imagery(100, 100, 1)
    colours = {value: (value, 0, 0, 255) for value in range(256)}
    palette = write_geotiff(tmp_path / "palette.tif", gray, UTM, CORNER, colormap=colours, photometric="palette")

    with pytest.raises(DamagedCacheError, match=r"It has 3 bands; --bands names band 4\. Name bands of 1-3\."):
        opened(path, bands=(4, 3, 2))
    with pytest.raises(DamagedCacheError, match=r"numbers of a palette, in band 1; --bands can name no other"):
        opened(palette, bands=(1, 1, 1))
    with pytest.raises(DamagedCacheError, match=r"numbers of a palette, which --rescale cannot change"):
        opened(palette, rescale=[(0, 9)])
    with pytest.raises(DamagedCacheError, match=r"--rescale states 2 ranges of values, and 3 bands are drawn"):
        opened(path, rescale=[(0, 1), (0, 2)])


def test_bands_beyond_colours_are_no_transparency(tmp_path):
    path = write_geotiff(tmp_path / "infrared.tif", imagery(300, 300, 4), UTM, CORNER, photometric="rgb", alpha=False)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [*dataset.colorinterp[:3], rasterio.enums.ColorInterp.undefined]

    np.testing.assert_array_equal(drawn(opened(path)), np.moveaxis(imagery(300, 300, 4)[:3], 0, 2))


@pytest.mark.parametrize("nodata", [0, 255])
def test_pixels_of_the_nodata_value_are_transparent(tmp_path, nodata):
    samples = np.clip(imagery(600, 600), 1, 254)
    samples[:, HOLE == 0] = nodata
    samples[0, 50] = nodata  # in one band alone
    path = write_geotiff(tmp_path / "nodata.tif", samples, UTM, CORNER, nodata=nodata)

    np.testing.assert_array_equal(drawn(opened(path))[..., 3], HOLE)


@pytest.mark.parametrize("profile", [{}, {"compress": "jpeg", "photometric": "ycbcr"}, {"compress": "lzw"}])
def test_a_mask_is_the_transparency_at_every_level(tmp_path, profile):
    path = write_geotiff(tmp_path / "mask.tif", imagery(600, 600), UTM, CORNER, mask=HOLE, overviews=(2, 4), **profile)

    raster = opened(path)

    assert [raster.level_shape(level) for level in range(len(raster.levels))] == [(600, 600), (300, 300), (150, 150)]
    np.testing.assert_array_equal(drawn(raster)[..., 3], HOLE)
    np.testing.assert_array_equal(drawn(raster, 1)[..., 3] > 0, HOLE[::2, ::2] > 0)


def test_blocks_that_are_not_stored_are_transparent(tmp_path):
    samples = np.zeros((3, 512, 512), np.uint8)
    samples[:, :256, :256] = imagery(256, 256)
    path = write_geotiff(tmp_path / "sparse.tif", samples, UTM, CORNER, sparse_ok=True)

    alpha = drawn(opened(path))[..., 3]

    assert (alpha[:256, :256] == 255).all()
    assert alpha.sum() == 255 * 256 * 256


def test_where_no_block_is_stored_nothing_is_drawn(tmp_path):
    path, options = tmp_path / "sparse.tif", {"tiled": True, "blockxsize": 256, "blockysize": 256, "SPARSE_OK": True}
    shape = {"width": 2048, "height": 2048, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:3857", transform=CORNER, **shape, **options) as dataset:
        dataset.write(np.full((1, 256, 256), 9, np.uint8), window=Window(1024, 1024, 256, 256))
    raster, scheme = opened(path), WEB_MERCATOR_256
    box = Extent(500_000, 5_200_000 - 2048, 500_000 + 2048, 5_200_000, scheme.spatial_reference)

    tiles, file = scheme.tile_range(box, 17), RasterFile("sparse.tif", (box.sides,))

    placed = [
        place(raster, file, scheme, TileRange(17, row, row + 1, column, column + 1))
        for row in range(tiles.row_start, tiles.row_stop)
        for column in range(tiles.column_start, tiles.column_stop)
    ]

    drawn_count = sum(not each.is_blank for each in placed if each)
    assert 1 <= drawn_count <= 9 < tiles.count // 4


@pytest.mark.parametrize("step", [2, 4])
def test_averaging_in_slabs_gives_the_mean_of_squares(tmp_path, step, monkeypatch):
    monkeypatch.setattr("exporttiles.formats.rasters.raster._SLAB_PIXELS", 600 * 100)
    samples = imagery(600, 600)
    path = write_geotiff(tmp_path / "plain.tif", samples, UTM, CORNER)

    means = np.moveaxis(samples, 0, 2).reshape(600 // step, step, 600 // step, step, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(drawn(opened(path), step=step), means, atol=1)


@pytest.mark.parametrize(
    "crs",
    [4326, 4258, 4269, 3857, 3035, 3413, 3031, 2056, 2193, 2263, 5070, 25833, 27700, 31370, 32733, "ESRI:54009"],
)
def test_the_coordinate_system_is_the_one_that_gdal_reads(tmp_path, crs):
    named = f"EPSG:{crs}" if isinstance(crs, int) else crs
    path = write_geotiff(tmp_path / "crs.tif", imagery(16, 16), named, Affine(0.5, 0, 10, 0, -0.5, 20))

    found = opened(path).georeference

    assert found.spatial_reference.crs.equals(
        SpatialReference(wkt=rasterio.open(path).crs.to_wkt()).crs, ignore_axis_order=True
    )
    assert found.matrix == (0.5, 0, 10, 0, -0.5, 20)


@pytest.mark.parametrize(
    "definition",
    [
        "+proj=tmerc +lat_0=12 +lon_0=7 +k=0.9998 +x_0=1000 +y_0=2000 +datum=WGS84",
        "+proj=lcc +lat_0=40 +lon_0=5 +lat_1=38 +lat_2=44 +x_0=7 +y_0=8 +datum=WGS84",
        "+proj=laea +lat_0=40 +lon_0=5 +x_0=7 +y_0=8 +datum=WGS84",
        "+proj=aea +lat_0=40 +lon_0=5 +lat_1=38 +lat_2=44 +x_0=7 +y_0=8 +datum=WGS84 +units=us-ft",
        "+proj=merc +lon_0=5 +lat_ts=42 +x_0=7 +y_0=8 +datum=WGS84",
        "+proj=lcc +lat_0=40 +lon_0=5 +lat_1=38 +lat_2=44 +datum=WGS84 +units=km",
    ],
)
def test_a_projection_without_a_code_is_read_from_its_parameters(tmp_path, definition):
    path = write_geotiff(tmp_path / "own.tif", imagery(16, 16), definition, CORNER)
    with rasterio.open(path) as dataset:
        theirs = SpatialReference(wkt=dataset.crs.to_wkt())

    ours = opened(path).georeference.spatial_reference

    for point in ((5.5, 41.0), (7.5, 44.0)):
        places = [reference.crs for reference in (ours, theirs)]
        here, there = (Transformer.from_crs(4326, place, always_xy=True).transform(*point) for place in places)
        np.testing.assert_allclose(here, there, atol=0.001)


def with_key(path, old, new):
    """Replace a key of a georeference: number, tag of the value, count, value or index; return the path."""
    body, found = path.read_bytes(), struct.pack("<4H", *old)
    assert body.count(found) == 1
    path.write_bytes(body.replace(found, struct.pack("<4H", *new)))
    return path


@pytest.mark.parametrize(
    ("unit", "corner"),
    [
        (9002, Affine(3, 0, 1_640_420, 0, -3, 17_060_367)),
        (9003, Affine(3, 0, 1_640_416, 0, -3, 17_060_333)),
        (9036, Affine(0.001, 0, 500, 0, -0.001, 5_200)),
    ],
)
def test_coordinates_in_another_unit_than_that_of_their_system_are_placed_where_gdal_places_them(
    tmp_path, unit, corner
):
    path = write_geotiff(tmp_path / "feet.tif", imagery(16, 16), UTM, corner)
    with_key(path, (3076, 0, 1, 9001), (3076, 0, 1, unit))

    found = opened(path).georeference

    assert found.spatial_reference.wkid == 32632
    with rasterio.open(path) as dataset:
        theirs, x, y = dataset.crs.to_wkt(), *(dataset.transform @ (3, 5))
    here = [float(value) for value in found.to_map(np.array(3.0), np.array(5.0))]
    np.testing.assert_allclose(Transformer.from_crs(theirs, UTM, always_xy=True).transform(x, y), here, atol=0.001)


def test_coordinates_in_an_unknown_unit_are_refused(tmp_path):
    path = write_geotiff(tmp_path / "unit.tif", imagery(16, 16), UTM, CORNER)
    with_key(path, (3076, 0, 1, 9001), (3076, 0, 1, 9999))

    with pytest.raises(DamagedCacheError, match=r"a unit that is not known \(9999\).*--source-wkid"):
        opened(path)


def test_a_file_that_states_two_datums_is_refused_unless_the_user_names_its_system(tmp_path):
    path = write_geotiff(tmp_path / "two.tif", imagery(16, 16), UTM, CORNER)
    with_key(path, (2054, 0, 1, 9102), (2048, 0, 1, 4267))

    with pytest.raises(DamagedCacheError, match=r"two coordinate systems: 'WGS 84 / UTM .* and 'NAD27'.*--source-wkid"):
        opened(path)
    assert opened(path, SpatialReference(26732, 26732)).georeference.spatial_reference.wkid == 26732


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((2054, 0, 1, 9102), (2054, 0, 1, 9105)),  # angles in grads
        ((2054, 0, 1, 9102), (2051, 0, 1, 8903)),  # longitudes from Paris
        ((2054, 0, 1, 9102), (2056, 0, 1, 7004)),  # another ellipsoid
        ((2057, 34736, 1, 6), (2057, 34736, 1, 3)),  # an ellipsoid of another size
        ((3092, 34736, 1, 2), (3094, 34736, 1, 2)),  # an azimuth
    ],
)
def test_a_projection_that_a_parameter_would_change_in_an_unknown_way_is_refused(tmp_path, old, new):
    own = "+proj=tmerc +lat_0=12 +lon_0=7 +k=0.9998 +x_0=1000 +y_0=2000 +datum=WGS84"
    path = with_key(write_geotiff(tmp_path / "own.tif", imagery(16, 16), own, CORNER), old, new)

    with pytest.raises(DamagedCacheError, match=r"Its coordinate system is not known.*--source-wkid"):
        opened(path)


@pytest.mark.parametrize("code", [5773, 5817])  # heights; an engineering plant
def test_a_system_that_is_not_one_of_maps_is_refused_with_the_option_that_names_another(tmp_path, code):
    path = write_geotiff(tmp_path / "heights.tif", imagery(16, 16), UTM, CORNER)
    with_key(path, (3072, 0, 1, 32632), (3072, 0, 1, code))

    with pytest.raises(DamagedCacheError, match=rf"not known; the file states 'EPSG:{code}'.*--source-wkid"):
        opened(path)


def test_of_two_transformations_the_one_that_gdal_reads_counts(tmp_path):
    path, keys = tmp_path / "both.tif", (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632)
    matrix = (2.0, 0.0, 0.0, 7e5, 0.0, -2.0, 0.0, 4e6, *(0.0,) * 7, 1.0)
    ties = (0.0, 0.0, 0.0, 500_000.0, 5_200_000.0, 0.0)
    tags = {33550: (1.0, 1.0, 0.0), 33922: ties, 34264: matrix, 34735: keys}
    directory = ImageFileDirectory_v2()
    for tag, values in tags.items():
        directory.tagtype[tag], directory[tag] = (TiffTags.SHORT if tag == 34735 else TiffTags.DOUBLE), values
    Image.new("L", (16, 16)).save(path, tiffinfo=directory)

    with rasterio.open(path) as dataset:
        assert opened(path).georeference.matrix == tuple(dataset.transform)[:6] == tuple(CORNER)[:6]


def test_the_coordinate_system_that_the_user_names_replaces_that_of_the_file(tmp_path):
    path = write_geotiff(tmp_path / "other.tif", imagery(16, 16), UTM, CORNER)

    assert opened(path, SpatialReference(25832, 25832)).georeference.spatial_reference.wkid == 25832


def test_pixels_that_are_points_are_centred_on_their_coordinates(tmp_path):
    path = write_geotiff(tmp_path / "point.tif", imagery(16, 16), UTM, CORNER)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")

    assert opened(path).georeference.matrix == (1, 0, 500_000, 0, -1, 5_200_000)


def test_rotated_pixels_are_placed_where_gdal_places_them(tmp_path):
    turned = CORNER @ Affine.rotation(30)
    path = write_geotiff(tmp_path / "turned.tif", imagery(16, 16), UTM, turned)

    x, y = opened(path).georeference.to_map(np.array([3.0]), np.array([5.0]))

    np.testing.assert_allclose((x[0], y[0]), turned @ (3, 5))
    np.testing.assert_allclose(np.ravel(opened(path).georeference.to_pixels(x, y)), (3, 5))


REFUSED = {
    "complex numbers": ({}, np.complex64, "Its pixels are complex numbers of 64 bits"),
    "CMYK": ({"count": 4, "photometric": "cmyk"}, np.uint8, "Its colours are CMYK; gray, palette and RGB are drawn."),
    "no georeference": ({"transform": None, "crs": None}, np.uint8, "It has no georeference"),
    "one strip": (
        STRIPS | {"blockysize": 6000, "compress": "lzw", "width": 6000, "height": 6000},
        np.uint8,
        "Its blocks",
    ),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("profile", "kind", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_is_refused_by_name(tmp_path, profile, kind, reason):
    size = {"width": 64, "height": 64, "count": 3, "tiled": True, "blockxsize": 64, "blockysize": 64}
    options = {"driver": "GTiff", "crs": UTM, "transform": CORNER, "dtype": kind} | size | profile
    with rasterio.open(tmp_path / "x.tif", "w", **options) as dataset:
        dataset.write(np.ones((options["count"], options["height"], options["width"]), kind))

    with pytest.raises(DamagedCacheError, match=reason):
        opened(tmp_path / "x.tif")


def test_an_unknown_coordinate_system_names_the_option_that_states_it(tmp_path):
    path = write_geotiff(tmp_path / "x.tif", imagery(16, 16), None, CORNER)

    with pytest.raises(DamagedCacheError, match=r"Its coordinate system is not known.*--source-wkid"):
        opened(path)


def test_ground_control_points_are_refused_with_the_command_that_rectifies(tmp_path):
    points = [rasterio.control.GroundControlPoint(row, column, column, -row) for row in (0, 9) for column in (0, 9)]
    path = tmp_path / "points.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=16, height=16, count=3, dtype="uint8", gcps=points, crs=UTM
    ) as dataset:
        dataset.write(imagery(16, 16))

    with pytest.raises(DamagedCacheError, match=r"ground control points.*gdalwarp"):
        opened(path)


def test_files_that_state_what_cannot_be_are_refused_before_anything_of_that_size_is_read(tmp_path):
    good = write_geotiff(tmp_path / "x.tif", imagery(64, 64), UTM, CORNER, compress="none").read_bytes()
    (at,) = struct.unpack_from("<I", good, 4)
    (count,) = struct.unpack_from("<H", good, at)
    entries = {struct.unpack_from("<H", good, at + 2 + 12 * number)[0]: at + 2 + 12 * number for number in range(count)}

    def with_value(tag, value, kind=4, values=1):
        body = bytearray(good)
        struct.pack_into("<HHII", body, entries[tag], tag, kind, values, value)
        return body

    looping = bytearray(good)
    struct.pack_into("<I", looping, at + 2 + 12 * count, at)
    hostile = {
        "has no end": looping,
        "is not a TIFF file": b"II*\0",
        "ends at byte": good[: at + 20],
        "a side has 1 to": with_value(256, 2**31),
        "1 to 64 can be read": with_value(277, 60_000, kind=3),
        "no multiples of 16": with_value(322, 17),
        "more than 2,097,152 blocks": with_value(256, 2**24)[: entries[257]] + with_value(257, 2**24)[entries[257] :],
        "before the contents it states": with_value(33550, 2**31, kind=12, values=3),
        "A tag of it has": with_value(34737, 8, kind=2, values=2**30),
        "A tag of it is no integer": with_value(257, 8, kind=12),
    }
    for reason, body in hostile.items():
        (tmp_path / "x.tif").write_bytes(body)
        with pytest.raises(DamagedCacheError, match=reason):
            opened(tmp_path / "x.tif")

    blocks = {
        "Some of its blocks lie outside of the file": with_value(324, 2**31),
        "many more bytes than they have pixels": with_value(325, 2**31),
    }
    for reason, body in blocks.items():
        (tmp_path / "x.tif").write_bytes(body)
        with pytest.raises(DamagedCacheError, match=reason):
            drawn(opened(tmp_path / "x.tif"))


DEEP = {
    "16 bits": (np.uint16, {}),
    "16 bits, predictor": (np.uint16, {"predictor": 2}),
    "16 bits, big-endian, LZW": (np.uint16, {"endianness": "big", "compress": "lzw", "predictor": 2}),
    "16 bits, bands apart, ZSTD": (np.uint16, {"interleave": "band", "compress": "zstd"}),
    "with a sign": (np.int16, {"predictor": 2}),
    "32 bits": (np.int32, {}),
    "floating point": (np.float32, {}),
    "floating point, predictor": (np.float32, {"predictor": 3}),
    "floating point, predictor, big-endian": (np.float32, {"predictor": 3, "endianness": "big"}),
    "double precision": (np.float64, {"predictor": 3, "compress": "zstd"}),
}


@pytest.mark.parametrize(("kind", "profile"), DEEP.values(), ids=DEEP)
def test_values_are_rescaled_to_eight_bits_and_those_without_data_are_transparent(tmp_path, kind, profile):
    values = imagery(300, 400).astype(kind) * 9 + 100
    values[:, :50, :50] = 7
    path = write_geotiff(tmp_path / "deep.tif", values, UTM, CORNER, nodata=7, **profile)

    raster = opened(path, rescale=[(500, 2000)])

    expected = np.rint(np.clip((values.astype(float) - 500) * 255 / 1500, 0, 255))
    picture = drawn(raster)
    assert not picture[:50, :50, 3].any()
    assert (picture[50:, :, 3] == 255).all()
    np.testing.assert_allclose(picture[50:, :, :3], np.moveaxis(expected, 0, 2)[50:], atol=1)
    assert opened(path).pixels.needs_rescale
    sample = opened(path).sample_values()
    assert 7 not in sample
    np.testing.assert_allclose(
        np.percentile(sample, (2, 98)), np.percentile(values[:, picture[..., 3] == 255], (2, 98)), rtol=0.03
    )


def test_values_that_are_no_numbers_are_transparent(tmp_path):
    values = imagery(100, 100, 1).astype(np.float32)
    values[0, 10:20] = np.nan
    path = write_geotiff(tmp_path / "nan.tif", values, UTM, CORNER)

    alpha = drawn(opened(path, rescale=[(0, 255)]))[..., 3]

    assert not alpha[10:20].any()
    assert (alpha[20:] == 255).all()
