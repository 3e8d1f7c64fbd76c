"""Every kind of pixel that GDAL writes: drawn in the colours and with the transparency that GDAL reads, or refused."""

import struct

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.shutil import copy

from exporttiles.domain.errors import DamagedCacheError
from tests.rasters import imagery, write_geotiff
from tests.unit.formats.test_rasters import CORNER, UTM, drawn, opened

ROWS, COLUMNS = 77, 93
BLOCKS = {"blockxsize": 32, "blockysize": 32}
HOLE = np.full((ROWS, COLUMNS), 255, np.uint8)
HOLE[20:50, 30:60] = 0


def samples(kind=np.uint8, bands=1, *, factor=1, minus=0):
    return (imagery(ROWS, COLUMNS, bands).astype(np.float64) * factor - minus).astype(kind)


def holed(values, nodata, bands=slice(None)):
    """Samples without data in a hole, and with that value in one band of another pixel."""
    found = values.copy()
    found[bands, HOLE == 0] = nodata
    found[0, 5, 5] = nodata
    return found


def with_alpha(values, alpha):
    return np.concatenate([values, alpha[np.newaxis].astype(values.dtype)])


RGBA = with_alpha(samples(bands=3), np.where(HOLE == 0, 0, imagery(ROWS, COLUMNS, 1, seed=7)[0]))
PALETTE = {index: (index, 255 - index, index // 2, 255) for index in range(256)}
STRIPS = {"tiled": False, "blockxsize": None, "blockysize": 10}

BYTES = {
    "gray": (samples(), {}),
    "gray and alpha": (with_alpha(samples(), HOLE // 3), {"alpha": True}),
    "white is zero": (samples(), {"photometric": "miniswhite"}),
    "palette": (samples(), {"photometric": "palette", "colormap": PALETTE}),
    "palette with a transparent entry": (
        holed(samples(), 9),
        {"photometric": "palette", "colormap": PALETTE, "nodata": 9},
    ),
    "RGB": (samples(bands=3), {}),
    "RGBA": (RGBA, {"alpha": True}),
    "RGBA, bands apart": (RGBA, {"alpha": True, "interleave": "band"}),
    "RGBA, strips": (RGBA, {"alpha": True} | STRIPS),
    "RGBA, WebP": (RGBA, {"alpha": True, "compress": "webp", "WEBP_LOSSLESS": "yes"}),
    "RGBA, WebP of opaque blocks": (
        with_alpha(samples(bands=3), HOLE),
        {"alpha": True, "compress": "webp", "WEBP_LOSSLESS": "yes"},
    ),
    "RGB and infrared": (samples(bands=4), {"photometric": "rgb", "alpha": "unspecified"}),
    "RGB, infrared and alpha": (with_alpha(samples(bands=4), HOLE // 2), {"alpha": True, "photometric": "rgb"}),
    "eight gray bands, apart": (samples(bands=8), {"photometric": "minisblack", "interleave": "band"}),
    "1 bit": (samples() >> 7, {"nbits": 1}),
    "1 bit, white is zero": (samples() >> 7, {"nbits": 1, "photometric": "miniswhite"}),
    "2 bits": (samples() >> 6, {"nbits": 2, "compress": "lzw"}),
    "4 bits": (samples() >> 4, {"nbits": 4, "compress": "none"}),
    "4 bits, RGB": (samples(bands=3) >> 4, {"nbits": 4}),
    "4 bits, RGB, bands apart, strips": (samples(bands=3) >> 4, {"nbits": 4, "interleave": "band"} | STRIPS),
    "4 bits, palette": (
        samples() >> 4,
        {"nbits": 4, "photometric": "palette", "colormap": {index: PALETTE[index * 16] for index in range(16)}},
    ),
    "1 bit, nodata": (samples() >> 7, {"nbits": 1, "nodata": 0}),
    "nodata": (holed(samples(bands=3), 0), {"nodata": 0}),
    "nodata that no pixel can have": (samples(bands=3), {"nodata": 255.0}),
    "mask": (samples(bands=3), {"mask": HOLE}),
    "mask, JPEG": (samples(bands=3), {"mask": HOLE, "compress": "jpeg", "photometric": "ycbcr"}),
    "mask and strips": (samples(bands=3), {"mask": HOLE} | STRIPS),
    "JPEG, gray": (samples(), {"compress": "jpeg"}),
    "JPEG, YCbCr": (samples(bands=3), {"compress": "jpeg", "photometric": "ycbcr"}),
    "JPEG, RGB, bands apart": (samples(bands=3), {"compress": "jpeg", "interleave": "band"}),
    "JPEG, white is zero": (samples(), {"compress": "jpeg", "photometric": "miniswhite"}),
    "JPEG, nodata": (
        np.where(np.arange(COLUMNS) < 64, np.full((3, ROWS, 1), 200), 90).astype(np.uint8),
        {"compress": "jpeg", "nodata": 200},
    ),
    "JPEG, four bands with alpha": (RGBA, {"compress": "jpeg", "alpha": True}),
    "BigTIFF, big-endian": (samples(bands=3), {"bigtiff": "yes", "endianness": "big"}),
}
"""Samples (bands, rows, columns) and options of GDAL, for pixels that are drawn as they are."""

VALUES = {
    "8 bits with a sign": (samples(np.int8, minus=128), {}, (-128, 127)),
    "16 bits": (samples(np.uint16, 3, factor=16), {}, (300, 3000)),
    "16 bits, predictor, big-endian": (
        samples(np.uint16, 3, factor=16),
        {"predictor": 2, "endianness": "big"},
        (300, 3000),
    ),
    "16 bits with a sign": (samples(np.int16, factor=20, minus=2000), {"predictor": 2, "compress": "lzw"}, (-900, 900)),
    "16 bits and alpha": (
        with_alpha(samples(np.uint16, 3, factor=16), np.where(HOLE == 0, 0, 65535)),
        {"alpha": True},
        (300, 3000),
    ),
    "12 of 16 bits": (samples(np.uint16, factor=16), {"nbits": 16, "compress": "zstd"}, (0, 4095)),
    "32 bits": (samples(np.uint32, factor=1e6), {"predictor": 2}, (1e6, 2e8)),
    "32 bits with a sign": (samples(np.int32, 3, factor=1e6, minus=1e8), {"interleave": "band"}, (-1e8, 1e8)),
    "16 bits, floating point": (samples(np.float32), {"nbits": 16, "predictor": 1}, (50, 200)),
    "16 bits, floating point, predictor": (samples(np.float32), {"nbits": 16, "predictor": 3}, (50, 200)),
    "32 bits, floating point, predictor": (samples(np.float32, 3), {"predictor": 3}, (50, 200)),
    "32 bits, floating point, differences": (samples(np.float32, 3), {"predictor": 2}, (50, 200)),
    "64 bits, floating point": (samples(np.float64), {"predictor": 3, "compress": "zstd"}, (50, 200)),
    "no number": (holed(samples(np.float32), np.nan), {}, (50, 200)),
    "no number as nodata": (holed(samples(np.float32), np.nan), {"nodata": np.nan}, (50, 200)),
    "nodata of the lowest number": (
        holed(samples(np.float32), np.finfo(np.float32).min),
        {"nodata": float(np.finfo(np.float32).min)},
        (50, 200),
    ),
    "nodata, 16 bits with a sign": (holed(samples(np.int16, 3, factor=9), -9999), {"nodata": -9999}, (0, 2000)),
    "mask, 16 bits": (samples(np.uint16, 3, factor=16), {"mask": HOLE}, (300, 3000)),
}
"""The same, and the range of --rescale."""


def written(path, values, **profile):
    """Write samples; `alpha` may also be 'unspecified' for an extra band of no meaning."""
    is_unspecified = profile.get("alpha") == "unspecified"
    options = BLOCKS | profile | ({"alpha": False} if is_unspecified else {})
    write_geotiff(path, values, UTM, CORNER, **options)
    if is_unspecified:
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = [*dataset.colorinterp[:3], ColorInterp.undefined]
    return path


def as_gdal_reads(path, low=0.0, high=None, **overview):
    """The picture (rows, columns, 4) that the bands, palette and masks of GDAL make up."""
    with rasterio.open(path, **overview) as dataset:
        values = dataset.read().astype(np.float64)
        structure = dataset.tags(1, ns="IMAGE_STRUCTURE") | dataset.tags(ns="IMAGE_STRUCTURE")
        is_alpha = [meaning is ColorInterp.alpha for meaning in dataset.colorinterp]
        mask = values[is_alpha.index(True)] if any(is_alpha) else dataset.dataset_mask()
        colormap = dataset.colormap(1) if dataset.colorinterp[0] is ColorInterp.palette else None
        is_eight_bit = dataset.dtypes[0] == "uint8"
    colours = values[[number for number, alpha in enumerate(is_alpha) if not alpha]]
    colours = colours[:3] if len(colours) >= 3 else colours[:1]
    is_number = ~np.isnan(colours).any(axis=0)
    if colormap:
        shown = np.moveaxis(np.array([colormap[int(value)][:3] for value in colours.ravel()]), 1, 0)
        shown = shown.reshape(3, *colours.shape[1:]).astype(np.float64)
    else:
        high = 2 ** int(structure.get("NBITS", 8)) - 1 if high is None else high
        shown = np.rint(np.clip((np.nan_to_num(colours) - low) * (255 / (high - low)), 0, 255))
        shown = 255 - shown if structure.get("MINISWHITE") == "YES" else shown
    alpha = np.where(is_number, mask if is_eight_bit else np.where(mask > 0, 255, 0), 0)
    return np.moveaxis(np.concatenate([np.broadcast_to(shown, (3, *alpha.shape)), alpha[np.newaxis]]), 0, 2)


def assert_same(ours, theirs, *, tolerance):
    """The same transparency, and the same colours where pixels are opaque or nearly so."""
    alpha = ours[..., 3] if ours.shape[2] == 4 else np.full(ours.shape[:2], 255)
    np.testing.assert_allclose(alpha, theirs[..., 3], atol=tolerance)
    seen = theirs[..., 3] > 0
    difference = np.abs(ours[..., :3].astype(float) - theirs[..., :3])[seen]
    assert difference.max(initial=0) <= (32 if tolerance else 1)
    assert difference.mean() <= (1.5 if tolerance else 0.01) or not seen.any()


@pytest.mark.parametrize(("values", "profile"), BYTES.values(), ids=BYTES)
def test_pixels_of_up_to_8_bits_are_drawn_as_gdal_reads_them(tmp_path, values, profile):
    path = written(tmp_path / "x.tif", values, **profile)

    raster = opened(path)

    assert not raster.pixels.needs_rescale
    assert_same(drawn(raster), as_gdal_reads(path), tolerance=2 * (profile.get("compress") == "jpeg"))


@pytest.mark.parametrize(("values", "profile", "span"), VALUES.values(), ids=VALUES)
def test_values_are_stretched_and_left_out_where_gdal_reads_no_data(tmp_path, values, profile, span):
    path = written(tmp_path / "x.tif", values, **profile)

    assert opened(path).pixels.needs_rescale
    assert_same(drawn(opened(path, rescale=[span])), as_gdal_reads(path, *span), tolerance=0)


def test_colours_that_were_multiplied_by_their_opacity_are_divided_by_it(tmp_path):
    straight = samples(bands=3)
    alpha = np.where(HOLE == 0, 0, np.linspace(40, 255, COLUMNS).astype(np.uint8))
    stored = np.rint(straight * (alpha / 255.0)).astype(np.uint8)
    path = written(tmp_path / "x.tif", with_alpha(stored, alpha), ALPHA="PREMULTIPLIED")

    picture = drawn(opened(path))

    np.testing.assert_array_equal(picture[..., 3], alpha)
    off = np.abs(picture[..., :3].astype(int) - np.moveaxis(straight, 0, 2)) * alpha[..., np.newaxis] / 255
    assert off[alpha > 0].max() <= 1


@pytest.mark.parametrize("overview", [{}, {"overview_compress": "JPEG"}, {"overview_compress": "WEBP"}])
def test_overviews_are_used_whatever_they_are_compressed_with(tmp_path, overview):
    path = written(tmp_path / "x.tif", imagery(300, 300))
    copy(path, tmp_path / "cog.tif", driver="COG", compress="DEFLATE", blocksize=128, resampling="average", **overview)

    raster = opened(tmp_path / "cog.tif")

    assert [raster.level_shape(level) for level in range(len(raster.levels))] == [(300, 300), (150, 150), (75, 75)]
    theirs = as_gdal_reads(tmp_path / "cog.tif", overview_level=0)
    assert np.abs(drawn(raster, 1).astype(int) - theirs[..., :3]).mean() < 3


def test_overviews_of_a_mask_are_those_of_the_mask(tmp_path):
    path = written(tmp_path / "x.tif", samples(bands=3), mask=HOLE, overviews=(2,))

    np.testing.assert_array_equal(drawn(opened(path), 1)[..., 3] > 0, as_gdal_reads(path, overview_level=0)[..., 3] > 0)


def patched(body, tag, *, kind=None, value=None, number=None):
    """A little-endian TIFF with another type, value or number of one tag of its first directory."""
    body = bytearray(body)
    (at,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", body, place) == (tag,):
            if number:
                struct.pack_into("<H", body, place, number)
            if value is not None:
                struct.pack_into("<HII", body, place + 2, kind, 1, value)
            return bytes(body)
    raise AssertionError(tag)


COMPRESSION, PHOTOMETRIC, PREDICTOR, FORMAT, PIXEL_SCALE = 259, 262, 317, 339, 33550
REFUSED = {
    "64-bit integers": (samples(np.int64), {}, "integers with a sign of 64 bits; integers of 1, 2, 4"),
    "complex numbers": (samples(np.complex64), {}, "Its pixels are complex numbers of 64 bits"),
    "CMYK": (samples(bands=4), {"photometric": "cmyk"}, "Its colours are CMYK"),
    "CMYK, JPEG": (samples(bands=4), {"photometric": "cmyk", "compress": "jpeg"}, "Its colours are CMYK"),
    "CIELab": (samples(bands=3), {"photometric": "cielab"}, "Its colours are CIELab"),
    "palette of 16 bits": (
        samples(np.uint16),
        {"photometric": "palette", "colormap": PALETTE},
        r"196,608 numbers, for pixels that are integers of 16 bits.*-expand rgb",
    ),
    "12 bits": (samples(np.uint16, factor=16), {"nbits": 12}, "integers of 12 bits"),
    "premultiplied colours of 16 bits": (
        with_alpha(samples(np.uint16, 3), HOLE),
        {"ALPHA": "PREMULTIPLIED"},
        "Its transparency is multiplied into colours that are integers of 16 bits",
    ),
    "LERC": (samples(), {"compress": "lerc"}, "stored as LERC"),
}
PATCHED = {
    "YCbCr without JPEG": ({"tag": PHOTOMETRIC, "kind": 3, "value": 6}, "Its colours are YCbCr without JPEG"),
    "LogLuv": ({"tag": PHOTOMETRIC, "kind": 3, "value": 32845}, "Its colours are LogLuv"),
    "colours of no known kind": ({"tag": PHOTOMETRIC, "kind": 3, "value": 77}, "Its colours are of an unknown kind"),
    "CCITT": ({"tag": COMPRESSION, "kind": 3, "value": 4}, "stored as CCITT"),
    "another compression": ({"tag": COMPRESSION, "kind": 3, "value": 32809}, "stored as compression 32809"),
    "complex integers": ({"tag": FORMAT, "kind": 3, "value": 5}, "Its pixels are complex integers of 8 bits"),
    "a format of no known kind": ({"tag": FORMAT, "kind": 3, "value": 9}, "numbers of sample format 9 of 8 bits"),
    "a predictor for other numbers": ({"tag": PREDICTOR, "kind": 3, "value": 3}, "predictor 3, which integers of 8"),
    "reversed bits": ({"tag": PREDICTOR, "kind": 3, "value": 2, "number": 266}, r"reverse order \(FillOrder 2\)"),
    "the model of a camera": ({"tag": PIXEL_SCALE, "number": 50844}, r"model of a camera \(RPC\).*gdalwarp -rpc"),
}


@pytest.mark.parametrize(("values", "profile", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_kind_that_is_not_drawn_is_refused_by_name(tmp_path, values, profile, reason):
    path = written(tmp_path / "x.tif", values, **profile)

    with pytest.raises(DamagedCacheError, match=reason):
        opened(path)


@pytest.mark.parametrize(("change", "reason"), PATCHED.values(), ids=PATCHED)
def test_a_kind_that_gdal_does_not_write_is_refused_by_name(tmp_path, change, reason):
    path = written(tmp_path / "x.tif", samples(bands=1), predictor=2)
    path.write_bytes(patched(path.read_bytes(), **change))

    with pytest.raises(DamagedCacheError, match=reason):
        opened(path)


def test_bytes_of_no_stated_format_are_integers(tmp_path):
    path = written(tmp_path / "x.tif", samples())
    path.write_bytes(patched(path.read_bytes(), FORMAT, kind=3, value=4))

    assert_same(drawn(opened(path)), as_gdal_reads(path), tolerance=0)


def test_a_mask_of_a_kind_that_is_not_read_is_refused(tmp_path):
    path = written(tmp_path / "x.tif", samples(), mask=HOLE)
    body = path.read_bytes()
    (at,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, at)
    (second,) = struct.unpack_from("<I", body, at + 2 + 12 * count)
    moved = struct.pack("<4sI", b"II*\0", second) + body[8:]
    path.write_bytes(body[:4] + struct.pack("<I", at) + patched(moved, COMPRESSION, kind=3, value=7)[8:])

    with pytest.raises(DamagedCacheError, match="Its mask of 1 bits in compression 7 is not read"):
        opened(path)


def test_a_negative_height_of_pixels_is_read_as_gdal_reads_it(tmp_path):
    path = written(tmp_path / "x.tif", samples())
    body = path.read_bytes()
    scale = struct.pack("<3d", 1, 1, 0)
    path.write_bytes(body.replace(scale, struct.pack("<3d", 1, -1, 0), 1))

    with rasterio.open(path) as dataset:
        assert opened(path).georeference.matrix == dataset.transform[:6] == tuple(CORNER)[:6]


@pytest.mark.parametrize("crs", ["EPSG:7405", "EPSG:32632+5773", "EPSG:4979", "EPSG:4326+5773"])
def test_of_a_compound_system_the_horizontal_one_counts(tmp_path, crs):
    path = write_geotiff(tmp_path / "x.tif", samples(), crs, Affine(0.01, 0, 9, 0, -0.01, 48))

    found = opened(path).georeference.spatial_reference.crs

    assert found.to_2d().to_epsg() in {27700, 32632, 4326}


def test_south_up_pixels_are_placed_where_gdal_places_them(tmp_path):
    up = Affine(1, 0, 500_000, 0, 1, 5_200_000)
    path = write_geotiff(tmp_path / "x.tif", samples(), UTM, up)

    assert opened(path).georeference.matrix == tuple(up)[:6]


@pytest.mark.parametrize("text", [b"256\0", b"-1\0", b"0.5", b"nan\0", b"1e999", b"none", b""])
def test_a_nodata_value_that_no_pixel_can_have_leaves_all_opaque(tmp_path, text):
    path = written(tmp_path / "x.tif", samples(), nodata=111)
    body = path.read_bytes()
    assert body.count(b"111\0") == 1
    path.write_bytes(body.replace(b"111\0", text[:4].ljust(4, b"\0")))

    assert drawn(opened(path)).shape[2] == 3


def test_extra_samples_that_there_are_no_bands_for_are_no_transparency(tmp_path):
    path = written(tmp_path / "x.tif", samples(bands=3), predictor=2)
    path.write_bytes(patched(path.read_bytes(), PREDICTOR, kind=3, value=2, number=338))

    assert opened(path).pixels.colours == (0, 1, 2)
    assert opened(path).pixels.alpha is None
