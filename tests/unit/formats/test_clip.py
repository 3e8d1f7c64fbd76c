"""Painting the pixels of a tile outside an area."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.tiles.clip import clip_image
from exporttiles.formats.tiles.codec import estimate_jpeg_quality
from exporttiles.formats.tiles.image import image_size, sniff
from tests.builders import a_tile

SIDE = 64
INSIDE = np.add.outer(np.arange(SIDE), np.arange(SIDE)) < SIDE
BITS = np.packbits(INSIDE, axis=1).tobytes()
WHITE = (255, 255, 255)


def a_picture(mode):
    """Return a picture of a mode with all kinds of pixels, some of them transparent where the mode allows it."""
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 4), np.uint8), "RGBA")
    return picture.quantize(16) if mode == "P" else picture.convert(mode)


def saved(picture, image_format, **options):
    body = BytesIO()
    picture.save(body, image_format, **options)
    return body.getvalue()


def pixels(data):
    return np.asarray(Image.open(BytesIO(data)).convert("RGBA"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_png_keeps_the_pixels_inside_and_has_transparent_ones_outside(mode):
    tile = saved(a_picture(mode), "PNG")

    clipped = clip_image(tile, BITS, None)

    np.testing.assert_array_equal(pixels(clipped)[INSIDE], pixels(tile)[INSIDE])
    assert not pixels(clipped)[~INSIDE].any()  # no color is left below the transparency
    assert sniff(clipped) == "png"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_png_keeps_the_pixels_inside_and_has_the_color_outside(mode):
    tile = saved(a_picture(mode), "PNG")

    clipped = clip_image(tile, BITS, (1, 2, 3))

    np.testing.assert_array_equal(pixels(clipped)[INSIDE], pixels(tile)[INSIDE])
    assert (pixels(clipped)[~INSIDE] == (1, 2, 3, 255)).all()


def test_a_transparent_color_of_a_png_stays_transparent():
    tile = saved(Image.new("RGB", (SIDE, SIDE), (9, 9, 9)), "PNG", transparency=(9, 9, 9))

    assert not pixels(clip_image(tile, BITS, None))[INSIDE][:, 3].any()
    assert not pixels(clip_image(tile, BITS, WHITE))[INSIDE][:, 3].any()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_becomes_a_png_with_the_pixels_that_it_decodes_to(mode):
    tile = saved(a_picture("RGB").convert(mode), "JPEG", quality=80)

    clipped = clip_image(tile, BITS, None)

    assert sniff(clipped) == "png"
    np.testing.assert_array_equal(pixels(clipped)[INSIDE], pixels(tile)[INSIDE])
    assert not pixels(clipped)[~INSIDE].any()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_stays_a_jpeg_of_its_quality_if_there_is_a_color(mode):
    smooth = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB").convert(mode)
    tile = saved(smooth, "JPEG", quality=80)

    clipped = clip_image(tile, BITS, WHITE)

    far_inside, far_outside = np.s_[: SIDE // 4, : SIDE // 4], np.s_[3 * SIDE // 4 :, 3 * SIDE // 4 :]
    assert (sniff(clipped), estimate_jpeg_quality(clipped)) == ("jpeg", 80)
    np.testing.assert_allclose(pixels(clipped)[far_inside].astype(int), pixels(tile)[far_inside], atol=4)
    assert pixels(clipped)[far_outside].min() >= 252


def test_a_grey_jpeg_stays_grey_only_if_the_color_is_grey():
    tile = saved(a_picture("L"), "JPEG")

    assert Image.open(BytesIO(clip_image(tile, BITS, WHITE))).mode == "L"
    assert Image.open(BytesIO(clip_image(tile, BITS, (255, 0, 0)))).mode == "RGB"


def test_a_jpeg_is_recompressed_and_clipped_at_once_and_never_made_finer():
    tile, bits = a_tile(3, 0, 0, quality=75), np.packbits(np.tri(256, dtype=np.uint8), axis=1).tobytes()

    assert estimate_jpeg_quality(clip_image(tile, bits, WHITE, 40)) == 40
    assert estimate_jpeg_quality(clip_image(tile, bits, WHITE, 95)) == 75
    assert clip_image(tile, bits, None, 40) == clip_image(tile, bits, None)


def test_a_picture_whose_rows_are_no_whole_bytes_is_clipped_too():
    tile, inside = saved(Image.new("RGB", (19, 19), WHITE), "PNG"), np.tri(19, dtype=np.bool_)

    clipped = clip_image(tile, np.packbits(inside, axis=1).tobytes(), None)

    assert image_size(clipped) == (19, 19)
    np.testing.assert_array_equal(pixels(clipped)[..., 3] > 0, inside)


@pytest.mark.parametrize("color", [None, WHITE])
def test_sixteen_bits_are_refused_and_damage_is_named(color):
    deep = saved(Image.fromarray(np.full((SIDE, SIDE), 40_000, np.uint16)), "PNG")

    with pytest.raises(DamagedCacheError, match="16 bits for each channel"):
        clip_image(deep, BITS, color)
    with pytest.raises(DamagedCacheError, match="cannot be decoded"):
        clip_image(a_tile(0, 0, 0)[:2000], BITS, color)


def test_metadata_is_left_out():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for image_format in ("PNG", "JPEG"):
        tile = saved(a_picture("RGB"), image_format, icc_profile=profile)
        assert b"ICC" not in clip_image(tile, BITS, WHITE)
