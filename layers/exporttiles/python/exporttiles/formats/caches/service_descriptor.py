"""Service descriptors: ``services/[folder/]<Name>.json``, one per published cache."""

import json
import math
from typing import Any

from exporttiles.domain.errors import DamagedCacheError, UnknownSpatialReferenceError
from exporttiles.domain.mosaic import ValueRange
from exporttiles.domain.service import CacheLayout, ImageService, Mosaic, TileCache, TileFormat
from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.esri.esri_json import (
    read_extent,
    read_tile_info,
    write_extent,
    write_tile_info,
)


def write_service(service: ImageService) -> dict[str, Any]:
    """Return a descriptor as JSON members."""
    return {
        "name": service.name,
        "title": service.title,
        "description": service.description,
        "copyrightText": service.copyright_text,
        "cache": {
            "url": service.cache.url,
            "layout": str(service.cache.layout),
            "pathTemplate": service.cache.path_template,
            "averageTileBytes": service.cache.average_tile_bytes,
            "extensions": list(service.cache.extensions),
            "levelRows": list(service.cache.level_rows),
            **(_write_mosaic(service.cache.mosaic) if service.cache.mosaic else {}),
        },
        "tileInfo": write_tile_info(service.tiling_scheme),
        "minLOD": service.min_level,
        "maxLOD": service.max_level,
        "format": str(service.tile_format),
        "compressionQuality": service.compression_quality,
        "lercError": service.lerc_error,
        "fullExtent": write_extent(service.full_extent),
        "exportTilesAllowed": service.export_tiles_allowed,
        "maxExportTilesCount": service.max_export_tiles_count,
        "publishedAt": service.published_at,
    }


def read_service(document: Any) -> ImageService:
    """Return the service of a descriptor.

    Args:
        document: JSON, whatever it holds.

    Raises:
        DamagedCacheError: a member is missing or unusable; it says which.
    """
    try:
        scheme = read_tile_info(document["tileInfo"])
        cache = document["cache"]
        tile_format, quality = TileFormat(document["format"]), int(document["compressionQuality"])
        return ImageService(
            name=str(document["name"]),
            title=str(document.get("title", "")),
            description=str(document.get("description", "")),
            copyright_text=str(document.get("copyrightText", "")),
            cache=TileCache(
                url=str(cache["url"]),
                layout=CacheLayout(cache["layout"]),
                path_template=str(cache["pathTemplate"]),
                average_tile_bytes=int(cache["averageTileBytes"]),
                extensions=tuple(map(str, cache.get("extensions", ()))),
                level_rows=tuple(map(int, cache.get("levelRows", ()))),
                mosaic=_read_mosaic(cache, scheme, tile_format, quality),
            ),
            tiling_scheme=scheme,
            min_level=int(document["minLOD"]),
            max_level=int(document["maxLOD"]),
            tile_format=tile_format,
            compression_quality=quality,
            lerc_error=float(document.get("lercError", 0.0)),
            full_extent=read_extent(document["fullExtent"], scheme.spatial_reference),
            export_tiles_allowed=bool(document.get("exportTilesAllowed", True)),
            max_export_tiles_count=int(document.get("maxExportTilesCount", 100_000)),
            published_at=str(document.get("publishedAt", "")),
        )
    except KeyError as error:
        raise DamagedCacheError(f"The service descriptor cannot be used: {error.args[0]} is missing.") from error
    except (AttributeError, OverflowError, TypeError, UnknownSpatialReferenceError, ValueError) as error:
        raise DamagedCacheError(f"The service descriptor cannot be used: {error}") from error


def _write_mosaic(mosaic: Mosaic) -> dict[str, Any]:
    return {
        "rasterIndex": mosaic.index,
        "rasterCount": mosaic.file_count,
        "sourceWkid": mosaic.source_wkid,
        "copiesBlocks": mosaic.copies_blocks,
        "rescale": [list(each) for each in mosaic.rescale],
        "bands": list(mosaic.bands),
    }


def _read_mosaic(cache: Any, scheme: TilingScheme, tile_format: TileFormat, quality: int) -> Mosaic | None:
    """Return the mosaic of a cache; scheme, format and quality are those of the service."""
    if cache["layout"] != CacheLayout.RASTERS:
        return None
    wkid = cache.get("sourceWkid")
    return Mosaic(
        scheme,
        tile_format,
        quality,
        None if wkid is None else int(wkid),
        copies_blocks=bool(cache.get("copiesBlocks", True)),
        rescale=tuple(_read_range(each) for each in cache.get("rescale", ())),
        bands=_read_bands(cache.get("bands", ())),
        file_count=int(cache["rasterCount"]),
        index=str(cache["rasterIndex"]),
    )


def _read_range(pair: Any) -> ValueRange:
    low, high = map(float, pair)
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"cache.rescale: {low} must be less than {high}.")
    return low, high


def _read_bands(numbers: Any) -> tuple[int, ...]:
    bands = tuple(map(int, numbers))
    if len(bands) not in {0, 1, 3} or min(bands, default=1) < 1:
        raise ValueError(f"cache.bands: {list(bands)} must be one or three numbers from 1.")
    return bands


def service_to_json(service: ImageService) -> bytes:
    """Return a descriptor as a JSON file that a person can read and edit."""
    return json.dumps(write_service(service), indent=2).encode()


def service_from_json(body: bytes) -> ImageService:
    """Return the service of a JSON file that a person may have edited.

    Raises:
        DamagedCacheError: it is not JSON, or a member is missing or unusable.
    """
    try:
        return read_service(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise DamagedCacheError(f"The service descriptor is not JSON: {error}") from error
