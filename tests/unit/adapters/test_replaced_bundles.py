"""Bundles replaced during a read give the old tiles, the new tiles or an error; never a mixture."""

from itertools import combinations_with_replacement

import numpy as np
import pytest

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import SourceError
from exporttiles.domain.tiling import BundleIndex
from tests.builders import a_service, a_tile
from tests.caches import put_v1, put_v2
from tests.fakes import memory

BEFORE = {(2, row, column): a_tile(2, row, column) for row in range(4) for column in range(4)}
# Fewer, others, and in other places: the first record begins where it began.
AFTER = {(2, row, column): a_tile(9, row, column, quality=60) for row in range(2) for column in range(1, 4)}
TILES_READ = 3  # calls to the store, after which all tiles of a small bundle are read


class Replaced:
    """Objects some of which are replaced before a call, by its number from 0."""

    def __init__(self, objects, changes):
        self.objects, self.changes, self.calls = objects, changes, 0

    def _next(self):
        for key, body in self.changes.pop(self.calls, []):
            self.objects.write(key, body)
        self.calls += 1

    def read_start(self, *arguments):
        self._next()
        return self.objects.read_start(*arguments)

    def read_ranges(self, key, ranges, version=None):
        for span in ranges:
            self._next()
            yield from self.objects.read_ranges(key, [span], version)


def contents(put, tiles):
    objects = memory()
    put(objects, tiles)
    return {stored.key: objects.read(stored.key) for stored in objects.list("Layers/")}


def read(replaced, cache):
    """Return the tiles of the bundle; None if it was refused."""
    source = read_cache(replaced, cache)
    try:
        found = source.read_bundle(BundleIndex(2, 0, 0), np.ones((128, 128), np.bool_))
        return {(2, *place): bytes(tile) for place, tile in found}
    except SourceError as error:
        assert "was replaced while it was read" in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("put", [put_v1, put_v2], ids=["V1", "V2"])
@pytest.mark.parametrize("is_offsets_first", [False, True])
def test_a_bundle_that_is_replaced_in_mid_read_is_one_or_the_other_or_refused(put, is_offsets_first):
    after = sorted(contents(put, AFTER).items(), reverse=is_offsets_first)
    ends = []
    for moments in combinations_with_replacement(range(TILES_READ + 1), len(after)):
        objects = memory()
        cache = a_service(objects, url=put(objects, BEFORE)).cache
        changes = {}
        for moment, change in zip(moments, after, strict=True):
            changes.setdefault(moment, []).append(change)
        replaced = Replaced(objects, changes)

        found = read(replaced, cache)

        assert found in (None, BEFORE, AFTER), moments
        ends.append(found)

    assert None in ends
    assert AFTER in ends


def test_a_bundle_that_nobody_replaces_is_read():
    for put in (put_v1, put_v2):
        objects = memory()
        cache = a_service(objects, url=put(objects, BEFORE)).cache

        assert read(Replaced(objects, {}), cache) == BEFORE
