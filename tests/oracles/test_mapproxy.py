"""MapProxy finds the tiles of an unpacked package, byte for byte."""

import zipfile
from io import BytesIO

import pytest
from mapproxy.cache.compact import CompactCacheV2
from mapproxy.cache.tile import Tile
from mapproxy.image import ImageResult
from mapproxy.image.opts import ImageOptions

from exporttiles.formats.bundles.v2 import (
    DATASET_RECORD_COUNT,
    bundle_path,
    parse_bundle_path,
    read_index,
    write_bundle,
)
from tests.oracles.build_package import a_service, a_tile, build_package

PLACES = [
    (0, 0, 0),
    (8, 127, 127),
    (8, 127, 128),
    (8, 128, 127),
    (8, 255, 255),
    (13, 0x0A7F, 0x0C80),
    (17, 0x10000, 0x1FF80),
    (17, 0x10001, 0x1FFFF),
]


def loaded(folder, place):
    level, row, column = place
    tile = Tile((column, row, level))
    if not CompactCacheV2(str(folder)).load_tile(tile):
        return None
    return tile.image_result_buffer().read()


def test_every_tile_is_found_byte_for_byte(tmp_path):
    tiles = {place: a_tile(place) for place in PLACES}
    package = tmp_path / "package.tpkx"
    package.write_bytes(build_package(a_service(), tiles))
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path)

    assert {place: loaded(tmp_path / "tile", place) for place in PLACES} == tiles
    assert loaded(tmp_path / "tile", (8, 126, 127)) is None


def test_a_bundle_of_a_dataset_is_read_as_well(tmp_path):
    tile = a_tile((8, 127, 127))
    (tmp_path / "L08").mkdir()
    (tmp_path / "L08/R0000C0000.bundle").write_bytes(
        b"".join(write_bundle({(127, 127): tile}, record_count=DATASET_RECORD_COUNT))
    )

    assert loaded(tmp_path, (8, 127, 127)) == tile


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its lock file open
@pytest.mark.parametrize("place", PLACES)
def test_what_mapproxy_writes_is_read_by_us(tmp_path, place):
    level, row, column = place
    data = a_tile(place)
    cache = CompactCacheV2(str(tmp_path))
    cache.store_tile(
        Tile((column, row, level), ImageResult(BytesIO(data), image_opts=ImageOptions(format="image/png")))
    )

    (path,) = tmp_path.rglob("*.bundle")
    bundle = parse_bundle_path(path.relative_to(tmp_path).as_posix())
    assert bundle_path(bundle) == path.relative_to(tmp_path).as_posix()
    body = path.read_bytes()
    index = read_index(body, file_size_bytes=len(body))
    at, size = index.offset[row % 128, column % 128], index.size[row % 128, column % 128]
    assert body[at : at + size] == data
