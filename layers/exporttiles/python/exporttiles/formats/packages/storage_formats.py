"""The storage formats that a service can be exported to."""

from collections.abc import Callable, Sequence

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.formats.packages.web_mercator import grid_obstacle


def format_obstacle(service: ImageService, storage_format: StorageFormat, levels: Sequence[int]) -> str:
    """Return why a service cannot be exported to a storage format, as a sentence, or '' if it can.

    Args:
        service: the cache.
        storage_format: of the export.
        levels: those to export, ascending, at least one.
    """
    obstacle = _OBSTACLES.get(storage_format)
    return obstacle(service, levels) if obstacle else ""


def legal_formats(service: ImageService) -> list[StorageFormat]:
    """Return the storage formats that all levels of a service can be exported to."""
    lods = service.tiling_scheme.lods
    levels = [lod.level for lod in lods if service.min_level <= lod.level <= service.max_level]
    return [each for each in StorageFormat if not format_obstacle(service, each, levels)]


def _obstacle_of_pmtiles(service: ImageService, levels: Sequence[int]) -> str:
    if service.tile_format is TileFormat.LERC:
        return "PMTiles holds pictures; the tiles of this service are LERC."
    found = grid_obstacle(service.tiling_scheme, levels)
    return f"PMTiles holds the tiles of Web Mercator alone, but {found}." if found else ""


_OBSTACLES: dict[StorageFormat, Callable[[ImageService, Sequence[int]], str]] = {
    StorageFormat.PMTILES: _obstacle_of_pmtiles
}
