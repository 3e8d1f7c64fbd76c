"""The storage formats that a service can be exported to."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import ESRI_TILE_FORMATS, ImageService, TileFormat
from exporttiles.formats.packages.web_mercator import grid_obstacle


def format_obstacle(service: ImageService, storage_format: StorageFormat, levels: Sequence[int]) -> str:
    """Return why a service cannot be exported to a storage format, as a sentence, or '' if it can.

    Args:
        service: the cache.
        storage_format: of the export.
        levels: those to export, ascending, at least one.
    """
    return _OBSTACLES[storage_format](storage_format, service, levels)


def legal_formats(service: ImageService) -> list[StorageFormat]:
    """Return the storage formats that all levels of a service can be exported to."""
    lods = service.tiling_scheme.lods
    levels = [lod.level for lod in lods if service.min_level <= lod.level <= service.max_level]
    return [each for each in StorageFormat if not format_obstacle(service, each, levels)]


def _esri_obstacle(_name: str, service: ImageService, _levels: Sequence[int]) -> str:
    if service.tile_format in ESRI_TILE_FORMATS:
        return ""
    held = "JPEG, PNG or LERC"
    return f"Tile packages and cache datasets hold {held}; the tiles of this service are {service.tile_format}."


def _web_mercator_obstacle(name: str, service: ImageService, levels: Sequence[int]) -> str:
    found = grid_obstacle(service.tiling_scheme, levels)
    return f"{name} holds the tiles of Web Mercator alone, but {found}." if found else _picture_obstacle(name, service)


def _geopackage_obstacle(name: str, service: ImageService, levels: Sequence[int]) -> str:
    lods = [lod for lod in service.tiling_scheme.lods if min(levels) <= lod.level <= max(levels)]
    if any(coarse.resolution <= fine.resolution for coarse, fine in pairwise(lods)):
        return f"{name} holds levels that are each finer than the one before; those of this service are not."
    return _picture_obstacle(name, service)


def _picture_obstacle(name: str, service: ImageService) -> str:
    is_elevation = service.tile_format is TileFormat.LERC
    return f"{name} holds pictures; the tiles of this service are LERC." if is_elevation else ""


_OBSTACLES: dict[StorageFormat, Callable[[str, ImageService, Sequence[int]], str]] = {
    StorageFormat.COMPACT: _esri_obstacle,
    StorageFormat.COMPACT_V2: _esri_obstacle,
    StorageFormat.PMTILES: _web_mercator_obstacle,
    StorageFormat.MBTILES: _web_mercator_obstacle,
    StorageFormat.GEOPACKAGE: _geopackage_obstacle,
}
