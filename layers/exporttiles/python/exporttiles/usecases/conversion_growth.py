"""How much tiles grow when an export converts them, or draws them in another format."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.plan import PlannedBundle
from exporttiles.domain.service import CacheLayout
from exporttiles.formats.tiles.image import image_size
from exporttiles.messages.export import Export
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.planned_bundles import mask_of
from exporttiles.usecases.rewrite_tile import rewrite_tile

_BUNDLES, _TILES = 4, 8
"""Bundles that are looked at, and tiles of each: some 0.2 s of work."""

_UNKNOWN_GROWTH = 4.0

_Item = TypeVar("_Item")


def conversion_growth(export: Export, source: TileSource, bundles: Sequence[PlannedBundle]) -> float:
    """Return the size of the tiles in a package divided by their size in the cache, from a sample.

    Args:
        export: as it was accepted; 1 is returned if its request converts no tiles.
        source: reads the cache of `Export.as_drawn`.
        bundles: those of the export.

    Raises:
        SourceError: the cache cannot be read.
        DamagedCacheError: the cache is damaged.
    """
    service, request, side = export.service, export.request, export.service.tiling_scheme.tile_size
    is_drawn = export.as_drawn is not export
    if request.tile_format is None and not is_drawn:
        return 1.0
    selection = ExportSelection(service, request)
    before = after = 0
    for planned in _spread(bundles, _BUNDLES):
        selected = selection.mask(planned.index) if planned.places is None else mask_of(planned.places)
        if service.cache.layout is not CacheLayout.FILES:  # where each size costs a request
            selected &= source.tile_sizes(planned.index, selected) > 0
        wanted = np.zeros_like(selected)
        places = np.flatnonzero(selected).tolist()
        # Neighbours are drawn together.
        wanted.flat[_middle(places, _TILES) if is_drawn else _spread(places, _TILES)] = True
        for place, tile in source.read_bundle(planned.index, wanted):
            if is_drawn:
                before += service.cache.average_tile_bytes
                after += len(tile)
            elif image_size(tile) == (side, side):
                rewriting = (place, bytes(tile), None)
                _, converted, _ = rewrite_tile(request.compression_quality, None, request.tile_format, rewriting)
                before += len(tile) if converted else 0
                after += len(converted)
    return after / before if before else _UNKNOWN_GROWTH


def _middle(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Return some items from the middle of a sequence."""
    start = max(0, (len(items) - count) // 2)
    return items[start : start + count]


def _spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Return some items of a sequence, evenly spread."""
    return [items[at] for at in np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int).tolist()]
