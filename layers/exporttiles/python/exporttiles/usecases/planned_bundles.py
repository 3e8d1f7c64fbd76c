"""The bundles of a level that may hold selected tiles."""

from collections.abc import Iterator, Sequence

import numpy as np

from exporttiles.domain.plan import MAX_BUNDLES, PlannedBundle
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.tiling import PACKET_SIZE
from exporttiles.messages.documents import read_document
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.tiles import Mask, TileSource


def planned_bundles(
    source: TileSource, selection: TileSelection, level: int, limit: int = MAX_BUNDLES
) -> Iterator[PlannedBundle]:
    """Yield the bundles of a level with selected tiles, without those known not to exist.

    Time is proportional to the existing bundles if the cache is sparse, otherwise to the selected ones.

    Args:
        source: the cache.
        selection: the selected tiles.
        level: of the scheme.
        limit: maximum number of names to list; S3 returns 1,000 in 0.1 s.

    Raises:
        AreaError, InvalidParameterError: as `TileSelection.count`.
        SourceError: the cache cannot be read.
        DamagedCacheError: the cache is damaged.
    """
    found = source.find_bundles(selection.block(level), selection.count(level), limit)
    if found is None:
        for index, tile_count in selection.bundles(level):
            yield PlannedBundle(index, tile_count)
        return
    for index, places in sorted(found.items(), key=lambda item: item[0]):
        selected = selection.mask(index)
        wanted = None if places is None else np.flatnonzero(selected & mask_of(places)).tolist()
        if selected.any() and wanted != []:
            yield PlannedBundle(index, int(selected.sum()), wanted)


def mask_of(places: Sequence[int]) -> Mask:
    """Convert places of tiles in a bundle to a mask, see `FoundBundles`."""
    mask = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
    mask.flat[places] = True
    return mask


def read_places(objects: ObjectStore, item: WorkItem) -> Sequence[Sequence[int] | None]:
    """Return the places of the tiles in each bundle of a work item, or None where they are unknown.

    Args:
        objects: the package bucket.
        item: the work item.
    """
    if not item.has_places:
        return [None] * len(item.bundles)
    places: list[list[int] | None] = read_document(objects.read(JobKeys(item.job_id).places(item.number)))
    return places
