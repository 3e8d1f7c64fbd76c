"""Read the few tiles of a package that its thumbnail shows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.pixels import PixelSelection
from exporttiles.domain.service import CacheLayout
from exporttiles.domain.tiling import BundleIndex
from exporttiles.messages.export import Export
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.tiles import Mask, Tile, TileSources
from exporttiles.usecases.planned_bundles import mask_of, read_places
from exporttiles.usecases.rewrite_tile import rewrite_tile

_PlacedBundle: TypeAlias = tuple[BundleIndex, Sequence[int] | None]
"""A bundle, and the places of its tiles if they are known."""

_ROWS, _COLUMNS = 3, 4
_TRIED_BUNDLES = 8  # if the first ones hold none of the selected tiles


def read_overview(
    objects: ObjectStore, sources: TileSources, export: Export, items: Sequence[dict[str, Any]], levels: Sequence[int]
) -> Mapping[tuple[int, int], Tile]:
    """Return a dozen tiles at most: the most detailed level with so few, otherwise the middle of the first level.

    Args:
        objects: the package bucket.
        sources: opens the cache.
        export: the accepted export.
        items: its work items, as JSON.
        levels: levels with tiles in the package, ascending.
    """
    export = export.as_drawn
    service = export.service
    selection = ExportSelection(service, export.request)
    fitting = [level for level in levels if selection.at(level).count(level) <= _ROWS * _COLUMNS]
    level = fitting[-1] if fitting else levels[0]
    source = sources.open(service.cache)
    bundles = _from_the_middle(list(_bundles_of_level(objects, items, level)))
    for bundle, places in bundles[:_TRIED_BUNDLES]:
        selected = selection.mask(bundle)
        if places is not None:
            selected &= mask_of(places)
        wanted = selected if level in fitting else _window(selected)
        if tiles := dict(source.read_bundle(bundle, wanted)):
            return _clipped(export, bundle, wanted, tiles)
        if service.cache.layout is not CacheLayout.FILES:  # where each size costs a request
            wanted = _window(selected & (source.tile_sizes(bundle, selected) > 0))
            if tiles := dict(source.read_bundle(bundle, wanted)):
                return _clipped(export, bundle, wanted, tiles)
    return {}


def _clipped(
    export: Export, bundle: BundleIndex, wanted: Mask, tiles: Mapping[tuple[int, int], Tile]
) -> Mapping[tuple[int, int], Tile]:
    """Return tiles as they are in the package."""
    clip = export.request.clip
    if clip is None:
        return tiles
    area = export.request.area_at(bundle.level)
    cut = PixelSelection(export.service.tiling_scheme, area).cut(bundle, wanted)
    rewritten = (
        rewrite_tile(None, clip, export.request.tile_format, (place, bytes(tile), cut.get(place)))
        for place, tile in tiles.items()
    )
    return {place: tile for place, tile, _ in rewritten}


def _bundles_of_level(objects: ObjectStore, items: Sequence[dict[str, Any]], level: int) -> Iterator[_PlacedBundle]:
    """Yield the planned bundles of a level."""
    for item in map(WorkItem.from_json, items):
        if any(bundle.level == level for bundle in item.bundles):
            known = read_places(objects, item)
            yield from (found for found in zip(item.bundles, known, strict=True) if found[0].level == level)


def _from_the_middle(bundles: Sequence[_PlacedBundle]) -> list[_PlacedBundle]:
    """Return bundles in the order of their distance from the middle one."""
    middle = len(bundles) // 2
    return [bundles[at] for at in sorted(range(len(bundles)), key=lambda at: abs(at - middle))]


def _window(selected: Mask) -> Mask:
    """Return the selected tiles that a thumbnail shows, around the middle of all."""
    window = np.zeros_like(selected)
    rows, columns = np.nonzero(selected)
    if len(rows):
        row, column = int(np.median(rows)), int(np.median(columns))
        window[
            max(0, row - _ROWS // 2) : row + _ROWS // 2 + 1,
            max(0, column - _COLUMNS // 2) : column + _COLUMNS // 2,
        ] = True
    return selected & window
