"""The index of a mosaic: what is written is read, and damage is refused."""

import pytest

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.mosaic_files import MosaicFiles
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.caches.mosaic_index import read_index, write_index
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

FILES = [
    RasterFile("a.tif", ((0.0, 0.0, 10.0, 10.0),)),
    RasterFile("ü/b c.tif", ((-20e6, 0.0, -19e6, 10.0), (19e6, 0.0, 20e6, 10.0))),
    RasterFile("c.tif", ((5.0, 5.0, 20.0, 20.0),)),
]
OPENED = [OpenedFile(f'"{number}"', 100 + number, {8: b"\n1234", 50: bytes([number])}) for number in range(3)]


class Ranges:
    """A file in memory that counts the ranges that are read."""

    def __init__(self, body):
        self.body, self.count = body, 0

    def __call__(self, spans):
        self.count += len(spans)
        return (self.body[start:stop] for start, stop in spans)


def index(files=FILES, opened=OPENED):
    return write_index(MosaicFiles.of(files, opened))


def read(body):
    return read_index(RangedFile(len(body), Ranges(body)))


def test_files_boxes_and_records_are_read_as_they_were_written():
    found = read(index())

    assert [*found] == FILES
    assert found.opened([2, 0]) == [OPENED[2], OPENED[0]]
    assert found.numbers["c.tif"] == 2


def test_neighbouring_records_are_read_in_one_request():
    ranges = Ranges(index())
    found = read_index(RangedFile(len(ranges.body), ranges))
    before = ranges.count

    found.opened([0, 1, 2])

    assert ranges.count == before + 1


def test_only_files_near_a_block_are_found_in_their_order():
    found, scheme = read(index()), WEB_MERCATOR_256
    level = scheme.lods[-1].level
    block = scheme.tile_range(scheme.tile_extent(level, 0, 0), level)
    middle = round(-scheme.origin_x / scheme.tile_span(level))

    assert [*found.near(scheme, block)] == []
    assert [*found.near(scheme, TileRange(level, 5, 5, 0, 0))] == []
    assert [*found.near(scheme, TileRange(level, middle - 2, middle, middle, middle + 2))] == [FILES[0], FILES[2]]
    assert [*found.near(scheme, TileRange(0, 0, 1, 0, 1))] == FILES


def test_the_longest_keys_of_s3_are_read():
    longest = [RasterFile("ж" * 508 + f"{number}.tif", FILES[0].boxes) for number in range(3)]  # 1,021 bytes

    assert [*read(index(longest))] == longest


def test_a_key_that_is_not_unicode_is_read():
    named = [RasterFile("\udcff.tif", FILES[0].boxes)]  # a file on a disk, as Python names it

    assert [*read(index(named, OPENED[:1]))] == named


def test_an_index_of_no_file_is_read():
    assert [*read(index([], []))] == []


@pytest.mark.parametrize("size", [0, 7, 23, 60, 150, len(index()) - 1])
def test_an_index_that_is_cut_short_is_refused(size):
    with pytest.raises(DamagedCacheError, match=r"index of (a|the) mosaic"):
        read(index()[:size]).opened([0, 1, 2])


def test_a_box_that_is_not_finite_is_refused():
    with pytest.raises(DamagedCacheError, match="not finite"):
        read(index([RasterFile("a.tif", ((0.0, 0.0, float("nan"), 1.0),))], OPENED[:1]))


def test_a_record_that_is_damaged_is_refused():
    body = index()

    with pytest.raises(DamagedCacheError, match="record of the index"):
        read(body[:-5] + bytes(5)).opened([2])
