"""Detecting the tile format and size of a cache from its tiles."""

from io import BytesIO

import pytest
from PIL import Image

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.tiles.tile_format import tile_side


def a_tile(width, height):
    body = BytesIO()
    Image.new("RGB", (width, height)).save(body, "PNG")
    return body.getvalue()


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(256, 256)], 256),
        ([(512, 512)] * 3 + [(200, 512), (256, 256)], 512),
        ([(256, 256), (200, 100), (256, 256)], 256),
        ([], None),
    ],
)
def test_the_side_of_tiles_is_that_of_most_of_them(sizes, side):
    assert tile_side([a_tile(*size) for size in sizes] + [b"<html>"]) == side


def test_tiles_that_are_mostly_not_square_are_refused():
    with pytest.raises(DamagedCacheError, match="256 x 128 pixels, not square"):
        tile_side([a_tile(256, 128), a_tile(256, 128), a_tile(256, 256)])
