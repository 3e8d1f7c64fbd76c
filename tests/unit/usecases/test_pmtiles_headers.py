"""PMTiles archives: the directories and the tiles decide, and the header is compared with them."""

import gzip
import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import MessageKind
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.caches import put_pmtiles
from tests.fakes import memory

WORLD = [(level, row, column) for level in range(4) for row in range(2**level) for column in range(2**level)]


def picture():
    body = BytesIO()
    Image.new("RGB", (256, 256)).save(body, "PNG")
    return body.getvalue()


def pmtiles_with(objects, tiles, header):
    """An archive of which some bytes of the header are others, by their places."""
    url = put_pmtiles(objects, tiles)
    body = bytearray(objects.read("World.pmtiles"))
    for at, value in ({100: b"\0\3"} | header).items():
        body[at : at + len(value)] = value
    objects.write("World.pmtiles", bytes(body))
    return url


def inspect(objects, url):
    return InspectCache(objects, read_cache, WEB_MERCATOR_256)("World", url)


def texts(found, kind=MessageKind.WARNING):
    return [message.text for message in found.messages if message.kind is kind]


@pytest.mark.parametrize(
    ("header", "tile", "why"),
    [
        ({99: b"\1"}, b"\x1a\x03abc", "tiles are MVT"),
        ({99: b"\5"}, b"\0\0\0\x1cftypavif", "tiles are AVIF"),
        ({98: b"\2"}, gzip.compress(picture()), "tiles are compressed with gzip"),
        ({98: b"\0"}, gzip.compress(picture()), "tiles are compressed with gzip"),
        ({98: b"\3"}, b"brotli", "tiles are compressed with brotli"),
        ({}, b"\x28\xb5\x2f\xfd", "tiles are compressed with zstd"),
    ],
)
def test_archives_of_other_tiles_than_images_are_refused_by_their_type(header, tile, why):
    objects = memory()
    url = pmtiles_with(objects, dict.fromkeys(WORLD, tile), header)

    with pytest.raises(DamagedCacheError, match=why):
        inspect(objects, url)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({99: b"\1"}, "tiles are MVT; they are PNG"),
        ({99: b"\3"}, "tiles are JPEG; they are PNG"),
        ({98: b"\2"}, "compressed with gzip; they are plain"),
        ({98: b"\3"}, "compressed with brotli; they are plain"),
        ({100: b"\0\2"}, "levels 3 lie beyond the zooms of its header, 0-2"),
        ({100: b"\x09\1"}, "levels 0, 1, 2, 3 lie beyond the zooms of its header, 9-1"),
        ({102: struct.pack("<4i", *[10_000_000, 10_000_000, 20_000_000, 20_000_000])}, "bounds of the header"),
    ],
)
def test_a_header_that_the_tiles_contradict_is_named_and_all_tiles_are_read(header, words):
    objects = memory()
    url = pmtiles_with(objects, dict.fromkeys(WORLD, picture()), header)

    found = inspect(objects, url)

    assert (found.service.min_level, found.service.max_level) == (0, 3)
    assert found.service.tiling_scheme.tile_range(found.service.full_extent, 3).count == 64
    (warning,) = texts(found)
    assert "World.pmtiles" in warning
    assert words in warning


@pytest.mark.parametrize("bounds", [(0, 0, 0, 0), (5, 9, 5, 10), (0, 80, 9, -80), (-(2**31), 0, 2**31 - 1, 1)])
def test_unusable_bounds_of_an_archive_are_ignored_with_a_message(bounds):
    objects = memory()
    url = pmtiles_with(objects, dict.fromkeys(WORLD, picture()), {102: struct.pack("<4i", *bounds)})

    found = inspect(objects, url)

    assert found.service.tiling_scheme.tile_range(found.service.full_extent, 3).count == 64
    assert texts(found) == []
    assert any("bounds of its header" in text for text in texts(found, MessageKind.INFORMATIVE))


@settings(max_examples=30)
@given(
    st.sets(
        st.integers(0, 16).flatmap(lambda level: st.tuples(st.just(level), *[st.integers(0, 2**level - 1)] * 2)),
        min_size=1,
        max_size=6,
    )
)
def test_the_directories_of_an_archive_decide_which_tiles_there_are(places):
    objects = memory()
    url = pmtiles_with(objects, dict.fromkeys(places, picture()), {102: bytes(16), 100: b"\0\0"})

    service = inspect(objects, url).service

    assert {service.min_level, service.max_level} == {min(places)[0], max(places)[0]}
    for level, row, column in places:
        tile = TileRange(level, row, row + 1, column, column + 1)
        assert service.tiling_scheme.tile_range(service.full_extent, level).intersection(tile) == tile
