"""Blocks of changed tiles."""

from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.changes import MAX_BLOCKS, ChangedBlock, changed_blocks
from exporttiles.domain.tiling import BundleIndex, TileRange

BUNDLE = BundleIndex(9, 128, 256)
PLACES = st.sets(st.tuples(st.integers(128, 255), st.integers(256, 383)), max_size=300)


def places_in(block):
    tiles = block.tiles
    return {
        (row, column)
        for row in range(tiles.row_start, tiles.row_stop)
        for column in range(tiles.column_start, tiles.column_stop)
    }


def test_a_rectangle_is_one_block():
    places = [(row, column) for row in range(130, 140) for column in range(300, 320)]

    assert changed_blocks(BUNDLE, places) == [ChangedBlock(TileRange(9, 130, 140, 300, 320), 200)]


def test_a_whole_bundle_is_one_block():
    places = [(row, column) for row in range(128, 256) for column in range(256, 384)]

    assert changed_blocks(BUNDLE, places) == [ChangedBlock(BUNDLE.tile_range, 128 * 128)]


def test_no_tile_is_no_block():
    assert changed_blocks(BUNDLE, []) == []


@given(PLACES)
def test_blocks_hold_every_tile_once_and_no_other(places):
    blocks = changed_blocks(BUNDLE, places)

    assert len(blocks) <= MAX_BLOCKS
    assert sum(block.tile_count for block in blocks) == len(places)
    assert places <= set().union(*map(places_in, blocks))
    if len(blocks) > 1:
        assert all(block.tile_count == block.tiles.count for block in blocks)


def test_scattered_tiles_are_one_block_with_their_count():
    places = [(row, column) for row in range(128, 256, 2) for column in range(256, 384, 2)]

    assert changed_blocks(BUNDLE, places) == [ChangedBlock(TileRange(9, 128, 255, 256, 383), 64 * 64)]
