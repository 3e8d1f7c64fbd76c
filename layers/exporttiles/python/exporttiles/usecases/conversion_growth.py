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

_DRAWN_BUNDLES, _DRAWN_TILES = 64, 64
"""Bundles that are looked at, and tiles of all of them that are drawn: some 2 s of work. Tiles at the edge of a raster
are PNG, ten times as large as others."""

_UNKNOWN_GROWTH = 4.0

_Item = TypeVar("_Item")


def conversion_growth(export: Export, source: TileSource, bundles: Sequence[PlannedBundle]) -> float:
    """Return the size of the tiles in a package divided by their mean size in the cache, from a sample.

    Args:
        export: as it was accepted; 1 is returned if its request converts no tiles, and none are drawn.
        source: reads the cache of `Export.as_drawn`.
        bundles: those of the export.

    Raises:
        SourceError: the cache cannot be read.
        DamagedCacheError: the cache is damaged.
    """
    service, request, side = export.service, export.request, export.service.tiling_scheme.tile_size
    selection = ExportSelection(service, request)
    if service.cache.mosaic:
        return _drawn_growth(selection, source, bundles)
    if request.tile_format is None:
        return 1.0
    before = after = 0
    for planned in _spread(bundles, _BUNDLES):
        selected = selection.mask(planned.index) if planned.places is None else mask_of(planned.places)
        if service.cache.layout is not CacheLayout.FILES:  # where each size costs a request
            selected &= source.tile_sizes(planned.index, selected) > 0
        wanted = np.zeros_like(selected)
        wanted.flat[_spread(np.flatnonzero(selected).tolist(), _TILES)] = True
        for place, tile in source.read_bundle(planned.index, wanted):
            if image_size(tile) == (side, side):
                rewriting = (place, bytes(tile), None)
                _, converted, _ = rewrite_tile(request.compression_quality, None, request.tile_format, rewriting)
                before += len(tile) if converted else 0
                after += len(converted)
    return after / before if before else _UNKNOWN_GROWTH


def _drawn_growth(selection: ExportSelection, source: TileSource, bundles: Sequence[PlannedBundle]) -> float:
    """Return the mean size of drawn tiles, divided by that of the service, from a sample all over the selection."""
    selected, random = {}, np.random.default_rng(0)
    for planned in _spread(bundles, _DRAWN_BUNDLES):
        mask = selection.mask(planned.index) if planned.places is None else mask_of(planned.places)
        selected[planned.index] = source.tile_sizes(planned.index, mask) > 0
    ends = np.cumsum([np.count_nonzero(mask) for mask in selected.values()])
    if not len(ends) or not ends[-1]:
        return 1.0
    count = min(_DRAWN_TILES, int(ends[-1]))
    # A random tile of each of equal parts: an even step might meet the same column of tiles again and again.
    numbers = ((np.arange(count) + random.random(count)) * ends[-1] / count).astype(np.int64)
    drawn_bytes = 0
    for (bundle, mask), start, end in zip(selected.items(), np.concatenate([[0], ends[:-1]]), ends, strict=True):
        wanted = np.zeros_like(mask)
        wanted.flat[np.flatnonzero(mask)[numbers[(numbers >= start) & (numbers < end)] - start]] = True
        if wanted.any():
            drawn_bytes += sum(len(tile) for _, tile in source.read_bundle(bundle, wanted))
    return drawn_bytes / (count * selection.service.cache.average_tile_bytes) if drawn_bytes else 1.0


def _spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Return some items of a sequence, evenly spread."""
    return [items[at] for at in np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int).tolist()]
