"""The area of a job and its progress, as JSON for the map on its page, and as text."""

from typing import Any

from exporttiles.domain.errors import AreaError
from exporttiles.domain.service import ServiceType
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import TileRange
from exporttiles.domain.wording import level_names
from exporttiles.rest import pages
from exporttiles.rest.job_documents import esri_status
from exporttiles.rest.map_section import projection_document
from exporttiles.rest.service_documents import service_document
from exporttiles.usecases.map_job import JobMap, MappedArea

_WAITING = "esriJobWaiting"


def map_document(job_map: JobMap, service_type: ServiceType, *, has_tiles: bool) -> dict[str, Any]:
    """Return the map of a job.

    Args:
        job_map: area and progress.
        service_type: the type that the client requested.
        has_tiles: the service still has the tiles of this tiling scheme.
    """
    return {
        "service": service_document(job_map.service, service_type),
        "projection": projection_document(job_map.service.tiling_scheme.spatial_reference),
        "hasTiles": has_tiles,
        "areas": [_area_document(each) for each in job_map.areas],
        "levels": [_level(each.level, each.bundle_count, each.done_count) for each in job_map.levels],
        "done": [_block(each) for each in job_map.done],
    }


def _area_document(mapped: MappedArea) -> dict[str, Any]:
    polygons = [[ring.tolist() for ring in polygon] for polygon in mapped.area.polygons]
    return {**_area_facts(mapped), "polygons": polygons}


def _area_facts(mapped: MappedArea) -> dict[str, Any]:
    return {
        "name": mapped.name,
        "levels": level_names(mapped.levels),
        "jobStatus": esri_status(mapped.status) if mapped.status else _WAITING,
    }


def _level(level: int, blocks: int, done: int) -> dict[str, int]:
    return {"level": level, "blocks": blocks, "done": done}


def _block(tiles: TileRange) -> dict[str, int]:
    """Return a block of tiles: half-open rows and columns."""
    return {
        "level": tiles.level,
        "rowStart": tiles.row_start,
        "rowStop": tiles.row_stop,
        "columnStart": tiles.column_start,
        "columnStop": tiles.column_stop,
    }


def area_section(job_map: JobMap) -> str:
    """Return the areas and the progress of the levels as tables."""
    areas = [
        {"Area": each.name or "all", "Levels": level_names(each.levels), "Latitude, longitude": _corners(each)}
        for each in job_map.areas
    ]
    tables = [pages.value(areas)]
    if job_map.levels:
        progress = [
            {"Level": each.level, "Blocks of 128 by 128 tiles": each.bundle_count, "Done": each.done_count}
            for each in job_map.levels
        ]
        tables.append(pages.value(progress))
    return "".join(tables)


def _corners(mapped: MappedArea) -> str:
    """Return the corners of the bounding box in degrees; '' if they cannot be expressed so."""
    try:
        west, south, east, north = mapped.area.extent.to(WGS84).sides
    except AreaError:
        return ""
    return f"from {south:.4f}, {west:.4f} to {north:.4f}, {east:.4f}"
