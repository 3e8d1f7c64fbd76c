"""Find the tiles in an object of a cache by its path."""

from dataclasses import dataclass

from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.bundles.names import BundleNames
from exporttiles.formats.caches.path_template import PathTemplate

_ARCHIVES = (".tpkx", ".tpk", ".zip", ".pmtiles", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class EveryTile:
    """All tiles of a cache: they lie in one object, or are drawn from rasters."""


def tiles_at(cache: TileCache, url: str) -> TileRange | EveryTile | None:
    """Return the tiles that an object may hold: one, those of a bundle, or all.

    Args:
        cache: with the address that others are compared with, and with the rasters of its mosaic.
        url: of the object.

    Returns:
        None if the object is not part of the cache, or holds no tiles.
    """
    if cache.url.lower().endswith(_ARCHIVES):
        return EveryTile() if url == cache.url else None
    folder = f"{cache.url.rstrip('/')}/"
    if not url.startswith(folder):
        return None
    path = url.removeprefix(folder)
    if cache.mosaic is not None:
        return EveryTile() if cache.mosaic.files and path in cache.mosaic.files.numbers else None
    if cache.layout is CacheLayout.FILES:
        place = PathTemplate(cache.path_template, cache.level_rows).place(path)
        return TileRange(place.level, place.row, place.row + 1, place.column, place.column + 1) if place else None
    bundle = BundleNames.of_cache(cache).parse(path)
    return bundle.tile_range if bundle else None
