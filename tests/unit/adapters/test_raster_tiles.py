"""Tiles drawn from rasters: what is read, what is damaged, and what has changed."""

import os
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from affine import Affine
from obstore.store import LocalStore
from PIL import Image

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.adapters.tile_sources.open_rasters import OpenRasters
from exporttiles.domain.errors import DamagedCacheError, SourceError
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.rasters.drawing import compose
from exporttiles.formats.rasters.raster import Raster
from exporttiles.formats.tiles.image import sniff
from exporttiles.ports.objects import ranged_file
from tests.rasters import an_orthophoto, drawn_tiles, imagery, inspected, write_geotiff

UTM = "EPSG:32632"
ALL = np.ones((PACKET_SIZE, PACKET_SIZE), np.bool_)


class CountingObjects(ObstoreObjects):
    """A store that counts the ranges that are read."""

    requests = 0

    def read_start(self, key, size_bytes):
        self.requests += 1
        return super().read_start(key, size_bytes)

    def read_ranges(self, key, ranges, version=None):
        self.requests += len(ranges)
        return super().read_ranges(key, ranges, version)


def block_of(service, level=None):
    return WEB_MERCATOR_256.tile_range(service.full_extent, service.max_level if level is None else level)


@pytest.fixture
def two_files(tmp_path):
    """Two files that lie apart; the first is older."""
    for number, moment in ((0, 1_000_000_000), (1, 1_500_000_000)):
        corner = Affine(1, 0, 500_000 + 3_000 * number, 0, -1, 5_200_000)
        path = write_geotiff(tmp_path / f"{number}.tif", imagery(500, 500, seed=number), UTM, corner)
        os.utime(path, (moment, moment))
    return tmp_path


def test_a_tile_costs_less_than_a_tenth_of_a_request(tmp_path):
    an_orthophoto(tmp_path / "ortho.tif", size=(4000, 4000), overviews=(2, 4, 8, 16))
    service = inspected(tmp_path, "ortho.tif")[1].service
    objects = CountingObjects(LocalStore(tmp_path))

    tiles = drawn_tiles(objects, service, block_of(service))

    assert len(tiles) > 300
    assert objects.requests <= 0.1 * len(tiles)


def test_whole_tiles_are_jpeg_and_those_at_the_edge_png(tmp_path):
    an_orthophoto(tmp_path / "ortho.tif")
    objects, found = inspected(tmp_path, "ortho.tif")
    block = block_of(found.service)

    tiles = drawn_tiles(objects, found.service, block)

    inner = {place for place in tiles if block.row_start < place[0] < block.row_stop - 1}
    inner = {place for place in inner if block.column_start < place[1] < block.column_stop - 1}
    assert {sniff(tiles[place]) for place in inner} == {"jpeg"}
    assert {sniff(tiles[place]) for place in tiles.keys() - inner} == {"png"}


@pytest.mark.parametrize(("tile_format", "encodings"), [(TileFormat.JPEG, {"jpeg"}), (TileFormat.PNG, {"png"})])
def test_a_format_on_request_is_that_of_every_tile(tmp_path, tile_format, encodings):
    an_orthophoto(tmp_path / "ortho.tif", size=(600, 600))
    objects, found = inspected(tmp_path, "ortho.tif", tile_format=tile_format)

    assert {sniff(tile) for tile in drawn_tiles(objects, found.service, block_of(found.service)).values()} == encodings


def test_tiles_without_a_pixel_do_not_exist(two_files):
    objects, found = inspected(two_files)
    block = block_of(found.service)

    tiles = drawn_tiles(objects, found.service, block)

    assert 0 < len(tiles) < block.count / 2


def test_bundles_without_a_file_are_not_planned(two_files):
    objects, found = inspected(two_files)
    source = read_cache(objects, found.service.cache)
    finest = WEB_MERCATOR_256.lods[-1].level
    block = WEB_MERCATOR_256.tile_range(found.service.full_extent, finest)

    bundles = source.find_bundles(block, block.count, 10_000)

    assert 0 < len(bundles) < block.bundle_count / 2
    assert source.find_bundles(block, block.count, 3) is None


def test_since_a_time_the_tiles_of_newer_files_alone_have_changed(two_files):
    objects, found = inspected(two_files)
    source, block = read_cache(objects, found.service.cache), block_of(found.service)
    (bundle,) = block.bundles
    old, new = (found.service.cache.mosaic.files[number] for number in (0, 1))

    unmodified = source.unmodified_since(bundle, ALL, datetime(2010, 1, 1, tzinfo=UTC))

    assert (unmodified == source._met(bundle, [old])).all()
    assert not (unmodified & source._met(bundle, [new])).any()
    assert not source.unmodified_since(bundle, ALL, datetime(2000, 1, 1, tzinfo=UTC)).any()
    everything = source.unmodified_since(bundle, ALL, datetime(2030, 1, 1, tzinfo=UTC))
    assert (everything == source._met(bundle, [old, new])).all()


def test_a_damaged_block_damages_the_tiles_that_need_it_alone(tmp_path):
    path = an_orthophoto(tmp_path / "ortho.tif", overviews=())
    objects, found = inspected(tmp_path, "ortho.tif")
    raster = Raster(ranged_file(objects, "ortho.tif"))
    offsets, sizes = raster.pictures[0].blocks
    body = bytearray(path.read_bytes())
    at = int(offsets[0, 2, 2])
    body[at : at + int(sizes[0, 2, 2])] = bytes(int(sizes[0, 2, 2]))
    path.write_bytes(body)
    objects, block = ObstoreObjects(LocalStore(tmp_path)), block_of(found.service)

    tiles = drawn_tiles(objects, found.service, block)

    damaged = [place for place, tile in tiles.items() if not tile]
    assert 0 < len(damaged) < 16
    assert len(tiles) == len(drawn_tiles(*whole(tmp_path / "whole"), block))


def whole(folder):
    folder.mkdir()
    an_orthophoto(folder / "ortho.tif", overviews=())
    objects, found = inspected(folder, "ortho.tif")
    return objects, found.service


def test_a_file_that_has_gone_is_named(two_files):
    objects, found = inspected(two_files)
    (two_files / "1.tif").unlink()

    with pytest.raises(SourceError, match=r"There is no file 1\.tif"):
        drawn_tiles(objects, found.service, block_of(found.service))


def test_a_file_that_goes_after_its_blocks_were_decoded_is_named(two_files):
    objects, found = inspected(two_files)
    source, (bundle,) = read_cache(objects, found.service.cache), block_of(found.service).bundles
    assert list(source.read_bundle(bundle, ALL))
    (two_files / "1.tif").unlink()

    with pytest.raises(SourceError, match=r"There is no file 1\.tif"):
        list(source.read_bundle(bundle, ALL))


def test_a_drawing_of_too_many_pixels_is_made_in_parts(tmp_path, monkeypatch):
    an_orthophoto(tmp_path / "ortho.tif")
    objects, found = inspected(tmp_path, "ortho.tif", tile_format=TileFormat.PNG)
    block = block_of(found.service)
    expected = drawn_tiles(objects, found.service, block)

    monkeypatch.setattr("exporttiles.formats.rasters.drawing.MAX_READ_PIXELS", 500 * 500)
    assert drawn_tiles(objects, found.service, block) == expected

    monkeypatch.setattr("exporttiles.formats.rasters.drawing.MAX_READ_PIXELS", 1_000)
    with pytest.raises(DamagedCacheError, match=r"ortho\.tif: .*gdaladdo -r average"):
        drawn_tiles(objects, found.service, block)


def published(folder, tmp_path, **rendering):
    """Publish the files of a folder; return the service as it is read from its descriptor and index."""
    tmp_path.mkdir(exist_ok=True)
    catalog = ServiceCatalog(ObstoreObjects(LocalStore(tmp_path)))
    catalog.put(inspected(folder, **rendering)[1].service)
    return catalog.get_with_rasters("Ortho")


def test_a_published_service_keeps_its_rasters_beside_the_descriptor(two_files, tmp_path):
    _, found = inspected(two_files, source_wkid=32632)
    service = published(two_files, tmp_path / "services", source_wkid=32632)

    assert [*service.cache.mosaic.files] == [*found.service.cache.mosaic.files]
    assert service.cache.mosaic.source_wkid == 32632
    assert service.cache.mosaic.file_count == 2
    assert service.cache.mosaic.index.startswith("services/Ortho.")


def test_opening_a_published_mosaic_reads_none_of_its_files(two_files, tmp_path):
    service = published(two_files, tmp_path / "services")
    objects = CountingObjects(LocalStore(two_files))
    source, block = read_cache(objects, service.cache), block_of(service)
    (bundle,) = block.bundles

    raster = OpenRasters(objects, service.cache.mosaic, service.cache.mosaic.files)["0.tif"]

    assert raster.georeference.pixel_size == 1
    assert all(len(picture.blocks[0]) for picture in raster.pictures)
    assert source.tile_sizes(bundle, ALL).any()
    assert objects.requests == 0


def test_a_tile_reads_the_files_that_it_meets_alone(two_files, tmp_path):
    service = published(two_files, tmp_path / "services")
    objects = CountingObjects(LocalStore(two_files))
    (bundle,) = block_of(service).bundles
    first = read_cache(objects, service.cache)._met(bundle, [service.cache.mosaic.files[0]])
    selected = np.zeros_like(first)
    selected[tuple(np.argwhere(first)[0])] = True

    assert len(list(read_cache(objects, service.cache).read_bundle(bundle, selected))) == 1

    assert objects.requests == 1


def test_a_single_tile_is_drawn_without_its_neighbours(tmp_path, monkeypatch):
    an_orthophoto(tmp_path / "ortho.tif", overviews=())
    objects, found = inspected(tmp_path, tile_format=TileFormat.PNG)
    block = block_of(found.service)
    row, column = (block.row_start + block.row_stop) // 2, (block.column_start + block.column_stop) // 2
    expected = drawn_tiles(objects, found.service, block)[row, column]
    sides = []

    def compose_counted(layers, side, decoded):
        sides.append(side)
        return compose(layers, side, decoded)

    monkeypatch.setattr("exporttiles.adapters.tile_sources.rasters.compose", compose_counted)
    tile = TileRange(block.level, row, row + 1, column, column + 1)

    assert drawn_tiles(objects, found.service, tile) == {(row, column): expected}
    assert sides == [256]


def test_a_replaced_file_of_the_same_place_is_opened_anew(two_files, tmp_path):
    service = published(two_files, tmp_path / "services")
    objects, block = ObstoreObjects(LocalStore(two_files)), block_of(service)
    source = read_cache(objects, service.cache)
    (bundle,) = block.bundles
    before = dict(source.read_bundle(bundle, ALL))

    write_geotiff(two_files / "0.tif", imagery(500, 500, seed=7), UTM, Affine(1, 0, 500_000, 0, -1, 5_200_000))
    after = dict(source.read_bundle(bundle, ALL))

    assert after == drawn_tiles(ObstoreObjects(LocalStore(two_files)), inspected(two_files)[1].service, block)
    assert after.keys() == before.keys()
    assert after != before


def test_a_replaced_file_that_was_not_used_for_a_while_is_read_as_it_is_now(two_files, tmp_path, monkeypatch):
    monkeypatch.setattr("exporttiles.adapters.tile_sources.open_rasters._MOST", 1)
    service = published(two_files, tmp_path / "services")
    objects = ObstoreObjects(LocalStore(two_files))
    source, files = read_cache(objects, service.cache), service.cache.mosaic.files
    (bundle,) = block_of(service).bundles
    first, other = (source._met(bundle, [file]) for file in files)
    write_geotiff(
        two_files / "0.tif",
        imagery(500, 500, seed=7),
        UTM,
        Affine(1, 0, 500_000, 0, -1, 5_200_000),
        blockxsize=128,
        blockysize=64,
    )
    expected = dict(read_cache(objects, inspected(two_files)[1].service.cache).read_bundle(bundle, first))

    for selected in (first, other):
        list(source.read_bundle(bundle, selected))

    assert dict(source.read_bundle(bundle, first)) == expected


def test_a_replaced_file_of_another_place_is_refused_by_name(two_files, tmp_path):
    service = published(two_files, tmp_path / "services")
    write_geotiff(two_files / "0.tif", imagery(500, 500), UTM, Affine(2, 0, 500_000, 0, -2, 5_200_000))
    objects = ObstoreObjects(LocalStore(two_files))

    with pytest.raises(DamagedCacheError, match=r"0\.tif: It was replaced .* Publish the service again"):
        drawn_tiles(objects, service, block_of(service))


def test_a_file_that_was_replaced_by_another_place_is_refused_each_time(two_files, tmp_path):
    service = published(two_files, tmp_path / "services")
    source = read_cache(ObstoreObjects(LocalStore(two_files)), service.cache)
    (bundle,) = block_of(service).bundles
    list(source.read_bundle(bundle, ALL))  # its blocks are decoded
    write_geotiff(two_files / "0.tif", imagery(500, 500), UTM, Affine(2, 0, 500_000, 0, -2, 5_200_000))

    for _ in range(3):
        with pytest.raises(DamagedCacheError, match=r"0\.tif: It was replaced"):
            list(source.read_bundle(bundle, ALL))


def test_bundles_far_from_the_rasters_are_empty(two_files):
    objects, found = inspected(two_files)
    source = read_cache(objects, found.service.cache)
    far = BundleIndex(found.service.max_level, 0, 0)

    assert list(source.read_bundle(far, ALL)) == []
    assert not source.tile_sizes(far, ALL).any()
    assert source.find_bundles(TileRange(found.service.max_level, 0, 128, 0, 128), 128 * 128, 1000) == {}


def an_aligned_raster(path, level=15, rows=6, columns=5, **profile):
    """Write a COG whose blocks are tiles; return its tiles at this level."""
    tiles = TileRange(level, 11_000, 11_000 + rows, 17_000, 17_000 + columns)
    resolution = WEB_MERCATOR_256.lod(level).resolution
    corner = WEB_MERCATOR_256.tile_extent(level, tiles.row_start, tiles.column_start)
    samples = imagery(rows * 256, columns * 256)
    transform = Affine(resolution, 0, corner.xmin, 0, -resolution, corner.ymax)
    options = {"compress": "jpeg", "photometric": "ycbcr"} | profile
    write_geotiff(path, samples, "EPSG:3857", transform, overviews=(2,), **options)
    return tiles, samples


def test_blocks_that_are_tiles_already_are_copied_undecoded(tmp_path, monkeypatch):
    tiles, samples = an_aligned_raster(tmp_path / "aligned.tif")
    objects, found = inspected(tmp_path, "aligned.tif")
    drawings = []
    monkeypatch.setattr("exporttiles.adapters.tile_sources.rasters.compose", lambda *_: drawings.append(_))

    copied = drawn_tiles(objects, found.service, tiles)

    assert len(copied) == tiles.count
    assert drawings == []
    for (row, column), tile in copied.items():
        top, left = (row - tiles.row_start) * 256, (column - tiles.column_start) * 256
        expected = np.moveaxis(samples[:, top : top + 256, left : left + 256], 0, 2).astype(int)
        assert np.abs(np.asarray(Image.open(BytesIO(tile)).convert("RGB")) - expected).mean() < 8
    assert any("are copied as they are" in message.text for message in found.messages)


def test_overviews_that_are_tiles_are_copied_and_their_incomplete_blocks_drawn(tmp_path):
    tiles, _ = an_aligned_raster(tmp_path / "aligned.tif")
    objects, found = inspected(tmp_path, "aligned.tif")
    coarse = TileRange(14, 5_500, 5_503, 8_500, 8_503)  # the last column is half outside

    drawn = drawn_tiles(objects, found.service, coarse)

    assert {sniff(tile) for place, tile in drawn.items() if place[1] < 8_502} == {"jpeg"}
    assert {sniff(tile) for place, tile in drawn.items() if place[1] == 8_502} == {"png"}
    assert len(drawn) == coarse.count
    assert tiles.count == 30


@pytest.mark.parametrize(
    ("profile", "rendering"),
    [({}, {"quality": 50}), ({}, {"tile_format": TileFormat.PNG}), ({"photometric": "rgb"}, {}), ({"nodata": 0}, {})],
)
def test_other_blocks_are_drawn(tmp_path, profile, rendering, monkeypatch):
    tiles, _ = an_aligned_raster(tmp_path / "aligned.tif", **profile)
    objects, found = inspected(tmp_path, "aligned.tif", **rendering)

    def fail(*_):
        pytest.fail("blocks were copied")

    monkeypatch.setattr("exporttiles.adapters.tile_sources.rasters.RasterTiles._copy", fail)
    assert len(drawn_tiles(objects, found.service, tiles)) == tiles.count


def test_blocks_below_another_raster_are_drawn_with_it(tmp_path):
    tiles, _ = an_aligned_raster(tmp_path / "1.tif")
    resolution = WEB_MERCATOR_256.lod(15).resolution
    corner = WEB_MERCATOR_256.tile_extent(15, tiles.row_start, tiles.column_start)
    transform = Affine(resolution, 0, corner.xmin + 100 * resolution, 0, -resolution, corner.ymax - 100 * resolution)
    write_geotiff(tmp_path / "2.tif", np.full((3, 50, 50), 255, np.uint8), "EPSG:3857", transform)
    objects, found = inspected(tmp_path)

    tile = drawn_tiles(objects, found.service, tiles)[tiles.row_start, tiles.column_start]

    picture = np.asarray(Image.open(BytesIO(tile)).convert("RGB"))
    assert picture[110:140, 110:140].mean() > 245
    assert picture[:90].mean() < 200


def test_a_file_below_shows_where_blocks_of_the_one_above_are_missing(tmp_path):
    corner = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    write_geotiff(tmp_path / "a.tif", imagery(4000, 4000), UTM, corner)
    below = inspected(tmp_path, "a.tif")[1].service
    expected = drawn_tiles(ObstoreObjects(LocalStore(tmp_path)), below, block_of(below))
    above = imagery(4000, 4000, seed=1)
    above[:, 512:3584, 512:3584] = 0
    write_geotiff(tmp_path / "b.tif", above, UTM, corner, sparse_ok=True)
    objects, found = inspected(tmp_path)

    tiles = drawn_tiles(objects, found.service, block_of(found.service))

    assert tiles.keys() == expected.keys()
    row, column = (sorted(each)[len(tiles) // 2] for each in zip(*tiles, strict=True))
    assert tiles[row, column] == expected[row, column]
