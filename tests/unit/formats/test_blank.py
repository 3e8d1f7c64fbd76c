"""Which tiles have no contents."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from exporttiles.domain.export import Blank
from exporttiles.formats.tiles import blank as blank_module
from exporttiles.formats.tiles import codec
from exporttiles.formats.tiles.blank import BlankTiles
from tests.builders import a_tile


def saved(picture, image_format="PNG", **options):
    body = BytesIO()
    picture.save(body, image_format, **options)
    return body.getvalue()


def of_color(mode, color, size=256, image_format="PNG", **options):
    return saved(Image.new(mode, (size, size), color), image_format, **options)


def with_one_other_pixel(mode, color, other):
    picture = Image.new(mode, (256, 256), color)
    picture.putpixel((255, 255), other)
    return saved(picture)


COLORS_BELOW = np.zeros((256, 256, 4), np.uint8)
COLORS_BELOW[..., 0] = np.arange(256)
TRANSPARENT = {
    "RGBA": of_color("RGBA", (0, 0, 0, 0)),
    "RGBA with a color below": of_color("RGBA", (9, 8, 7, 0)),
    "RGBA with colors below": saved(Image.fromarray(COLORS_BELOW)),
    "grey": of_color("LA", (5, 0)),
    "palette": of_color("P", 0, transparency=0),
    "a transparent color": of_color("RGB", (1, 2, 3), transparency=(1, 2, 3)),
}
PLAIN = {
    "RGB": of_color("RGB", (1, 2, 3)),
    "RGBA": of_color("RGBA", (1, 2, 3, 4)),
    "grey": of_color("L", 7),
    "black and white": of_color("1", 1),
    "palette": of_color("P", 0),
    "16 bits": saved(Image.fromarray(np.full((256, 256), 40_000, np.uint16))),
    "JPEG": of_color("RGB", (10, 90, 200), image_format="JPEG"),
}
OTHER = {
    "one visible pixel": with_one_other_pixel("RGBA", (0, 0, 0, 0), (0, 0, 0, 1)),
    "one pixel of another color": with_one_other_pixel("RGB", (1, 2, 3), (1, 2, 4)),
    "imagery": a_tile(3, 1, 1),
    "damaged": of_color("RGBA", (0, 0, 0, 0))[:60],
    "no image": b"<html>",
    "nothing": b"",
}


@pytest.mark.parametrize("tile", TRANSPARENT.values(), ids=TRANSPARENT)
def test_a_fully_transparent_tile_is_blank(tile):
    assert BlankTiles(Blank.TRANSPARENT, 256).hold(tile)
    assert BlankTiles(Blank.ONE_COLOR, 256).hold(tile)


@pytest.mark.parametrize("tile", PLAIN.values(), ids=PLAIN)
def test_a_tile_of_one_color_is_blank_only_if_that_is_asked_for(tile):
    assert not BlankTiles(Blank.TRANSPARENT, 256).hold(tile)
    assert BlankTiles(Blank.ONE_COLOR, 256).hold(tile)


@pytest.mark.parametrize("tile", OTHER.values(), ids=OTHER)
def test_a_tile_with_contents_or_damage_is_not_blank(tile):
    assert not BlankTiles(Blank.TRANSPARENT, 256).hold(tile)
    assert not BlankTiles(Blank.ONE_COLOR, 256).hold(memoryview(tile))


def test_a_blank_tile_of_any_usual_size_is_small_enough_to_be_found():
    for size in (256, 512, 1024):
        for tile in (of_color("RGBA", (0, 0, 0, 0), size), of_color("RGB", (3, 2, 1), size, "JPEG", quality=95)):
            assert BlankTiles(Blank.ONE_COLOR, size).hold(tile)


def test_equal_tiles_are_decoded_once_and_large_ones_never(monkeypatch):
    decoded = []
    decode = codec.decode
    monkeypatch.setattr(codec, "decode", lambda tile: decoded.append(tile) or decode(tile))
    tiles = BlankTiles(Blank.ONE_COLOR, 256)

    found = [tiles.hold(tile) for tile in (*3 * [PLAIN["RGB"]], *3 * [PLAIN["grey"]], a_tile(3, 1, 1))]

    assert found == [True] * 6 + [False]
    assert decoded == [PLAIN["RGB"], PLAIN["grey"]]


def test_few_tiles_are_kept_in_memory_and_the_latest_are_among_them(monkeypatch):
    decoded = []
    decode = codec.decode
    monkeypatch.setattr(codec, "decode", lambda tile: decoded.append(tile) or decode(tile))
    monkeypatch.setattr(blank_module, "_CACHED_TILES", 2)
    tiles = BlankTiles(Blank.ONE_COLOR, 256)
    greys = [of_color("L", grey) for grey in range(8)]

    assert all(tiles.hold(tile) for tile in [*greys, greys[-1], greys[-2], greys[0]])
    assert decoded == [*greys, greys[0]]
