"""Converting tiles to JPEG, PNG or MIXED."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import CONVERSIONS, CONVERTED_QUALITY
from exporttiles.domain.service import TileFormat
from exporttiles.formats.tiles.codec import estimate_jpeg_quality
from exporttiles.formats.tiles.convert import convert_image
from exporttiles.formats.tiles.image import sniff

JPEG, PNG, MIXED = CONVERSIONS
SIDE = 64


def a_picture(mode="RGB", alpha=None):
    """Return a smooth picture; with alpha, its left half has this alpha."""
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = Image.fromarray(np.dstack([4 * x, 4 * y, 2 * (x + y)]).astype(np.uint8))
    picture = picture.quantize(64, dither=Image.Dither.NONE) if mode == "P" else picture.convert(mode)
    if alpha is not None:
        picture.putalpha(Image.fromarray(np.where(x < SIDE // 2, alpha, 255).astype(np.uint8)))
    return picture


def saved(picture, image_format, **options):
    body = BytesIO()
    picture.save(body, image_format, **options)
    return body.getvalue()


def opened(data):
    return Image.open(BytesIO(data))


def pixels(data):
    return np.asarray(opened(data).convert("RGBA")).astype(int)


OPAQUE = saved(a_picture(), "WEBP", lossless=True)
HALF = saved(a_picture("RGBA", 0), "WEBP", lossless=True, exact=True)
SHADED = saved(a_picture("RGBA", 200), "PNG")


@pytest.mark.parametrize("tile", [OPAQUE, HALF, SHADED, saved(a_picture("L"), "PNG"), saved(a_picture("P"), "PNG")])
def test_a_tile_that_becomes_a_png_keeps_every_pixel(tile):
    np.testing.assert_array_equal(pixels(convert_image(tile, PNG)), pixels(tile))


@pytest.mark.parametrize("tile", [OPAQUE, saved(a_picture("L"), "PNG"), saved(a_picture("P"), "PNG")])
@pytest.mark.parametrize("target", [JPEG, MIXED])
def test_an_opaque_tile_becomes_a_jpeg(tile, target):
    converted = convert_image(tile, target)

    assert sniff(converted) == "jpeg"
    assert np.abs(pixels(converted) - pixels(tile)).mean() < 3


@pytest.mark.parametrize("tile", [HALF, SHADED])
def test_a_tile_with_transparent_pixels_stays_or_becomes_a_png_in_mixed(tile):
    converted = convert_image(tile, MIXED)

    assert sniff(converted) == "png"
    np.testing.assert_array_equal(pixels(converted), pixels(tile))


def test_transparent_pixels_of_a_jpeg_are_white():
    left = pixels(convert_image(HALF, JPEG))[:, : SIDE // 2 - 8]

    assert left.min() >= 250


@pytest.mark.parametrize(
    ("tile", "target"),
    [(saved(a_picture(), "JPEG"), JPEG), (saved(a_picture(), "JPEG"), MIXED), (SHADED, PNG), (SHADED, MIXED)],
)
def test_a_tile_of_the_format_stays_byte_for_byte(tile, target):
    assert convert_image(tile, target) is tile


@pytest.mark.parametrize("quality", [10, 40, 75, 95])
def test_a_jpeg_has_the_quality_that_is_asked_for(quality):
    assert estimate_jpeg_quality(convert_image(OPAQUE, JPEG, quality)) == quality
    assert estimate_jpeg_quality(convert_image(OPAQUE, JPEG)) == CONVERTED_QUALITY


def test_grey_stays_grey_and_metadata_go():
    grey = saved(a_picture("L"), "PNG", icc_profile=b"x" * 500, exif=b"Exif\0\0" + bytes(100))

    converted = [opened(convert_image(grey, JPEG)), opened(convert_image(saved(a_picture("L"), "JPEG"), PNG))]

    assert [picture.mode for picture in converted] == ["L", "L"]
    assert not any({"icc_profile", "exif"} & picture.info.keys() for picture in converted)


@pytest.mark.parametrize("target", CONVERSIONS)
@pytest.mark.parametrize(
    "tile",
    {
        "cut": OPAQUE[:-9],
        "cut in its header": OPAQUE[:20],
        "contents replaced": OPAQUE[:40] + bytes(len(OPAQUE) - 40),
        "huge": OPAQUE[:21] + b"\xff\xff\xff\x0f" + OPAQUE[25:],
        "huge canvas": b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0" + bytes(4) + b"\xff\xff\x3f\xff\xff\x3f" + bytes(8),
        "no image": b"<html>503</html>",
        "LERC": b"Lerc2 " + bytes(100),
        "16 bits": saved(Image.new("I;16", (SIDE, SIDE)), "PNG"),
    }.values(),
)
def test_what_cannot_be_decoded_is_an_error_of_the_cache(tile, target):
    if sniff(tile) == "png" and target is PNG:
        assert convert_image(tile, target) is tile
        return
    with pytest.raises(DamagedCacheError):
        convert_image(tile, target)


def test_of_an_animation_the_first_picture_is_taken():
    second = Image.new("RGB", (SIDE, SIDE), "red")
    moving = saved(a_picture(), "WEBP", save_all=True, append_images=[second] * 50, lossless=True)

    np.testing.assert_array_equal(pixels(convert_image(moving, TileFormat.PNG)), pixels(OPAQUE))
