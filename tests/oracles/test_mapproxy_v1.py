"""MapProxy and we read each other's Compact Cache V1, byte for byte."""

from io import BytesIO

import numpy as np
import pytest
from mapproxy.cache.compact import CompactCacheV1
from mapproxy.cache.tile import Tile
from mapproxy.image import ImageResult
from mapproxy.image.opts import ImageOptions

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v1 import bundlx_path, read_bundlx, read_record, record_extents, write_bundle_v1
from exporttiles.formats.bundles.v2 import bundle_path
from tests.oracles.build_package import a_tile

PLACES = [(8, 127, 127), (8, 128, 127), (8, 127, 128), (17, 0x10000, 0x1FF80), (17, 0x1007F, 0x1FFFF)]


@pytest.mark.parametrize("place", PLACES)
def test_what_we_write_is_read_by_mapproxy(tmp_path, place):
    level, row, column = place
    bundle = BundleIndex.of_tile(*place)
    pieces, bundlx = write_bundle_v1({(row, column): a_tile(place)})
    (tmp_path / f"L{level:02d}").mkdir()
    (tmp_path / bundle_path(bundle)).write_bytes(b"".join(pieces))
    (tmp_path / bundlx_path(bundle)).write_bytes(bundlx)
    cache, tile = CompactCacheV1(str(tmp_path)), Tile((column, row, level))

    assert cache.load_tile(tile)
    assert tile.image_result_buffer().read() == a_tile(place)
    assert not cache.load_tile(Tile((column, row - 1, level)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its lock file open
@pytest.mark.parametrize("place", PLACES)
def test_what_mapproxy_writes_is_read_by_us(tmp_path, place):
    level, row, column = place
    cache = CompactCacheV1(str(tmp_path))
    options = ImageOptions(format="image/png")
    for data in (a_tile((0, 0, 0)), a_tile(place)):  # the second replaces the first, and leaves a gap
        cache.store_tile(Tile((column, row, level), ImageResult(BytesIO(data), image_opts=options)))

    bundle = BundleIndex.of_tile(*place)
    body = (tmp_path / bundle_path(bundle)).read_bytes()
    offsets = read_bundlx((tmp_path / bundlx_path(bundle)).read_bytes())

    ((r, c),) = np.argwhere(offsets).tolist()
    assert (bundle.row + r, bundle.column + c) == (row, column)
    extent = record_extents(offsets, len(body))[r, c]
    assert read_record(memoryview(body)[offsets[r, c] :][:extent]) == a_tile(place)
