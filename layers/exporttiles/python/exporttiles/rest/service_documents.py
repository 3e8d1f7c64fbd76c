"""Image and map services, the catalog and the server in Esri's words.

Source: ArcGIS REST API, "Image Service", "Map Service", "Catalog", "Server Info", "Tile Map".
"""

from collections.abc import Iterable, Sequence
from typing import Any

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, LevelOfDetail, TileRange
from exporttiles.formats.esri_json import write_extent, write_spatial_reference, write_tile_info
from exporttiles.formats.tile_package import units
from exporttiles.rest.addresses import ServiceType

CURRENT_VERSION = 10.91
"""The oldest release from which clients expect tile packages of the new format (10.9)."""


def info_document(token_services_url: str | None) -> dict[str, Any]:
    """Return what is known of the server: its version, and where to sign in if one must."""
    authentication: dict[str, Any] = {"isTokenBasedSecurity": token_services_url is not None}
    if token_services_url is not None:
        authentication["tokenServicesUrl"] = token_services_url
    return {
        "currentVersion": CURRENT_VERSION,
        "fullVersion": "10.9.1",
        "authInfo": authentication,
    }


def catalog_document(names: Iterable[str], folder: str = "") -> dict[str, Any]:
    """Return the services of a folder, or of the root with the list of its folders."""
    inside = [name for name in names if name.rpartition("/")[0] == folder]
    folders = sorted({name.partition("/")[0] for name in names if "/" in name})
    return {
        "currentVersion": CURRENT_VERSION,
        "folders": [] if folder else folders,
        "services": [{"name": name, "type": str(service_type)} for name in inside for service_type in ServiceType],
    }


def service_document(service: ImageService, service_type: ServiceType) -> dict[str, Any]:
    """Return a service as an ArcGIS image service, or map service, with a tile cache.

    The storage is always the compact one: that is what clients get, however the
    tiles lie in their store.
    """
    scheme = service.tiling_scheme
    lods = [lod for lod in scheme.lods if service.min_level <= lod.level <= service.max_level]
    extent = write_extent(service.full_extent)
    own = _map_members(service) if service_type is ServiceType.MAP else _image_members(service, lods[-1])
    return {
        "currentVersion": CURRENT_VERSION,
        "name": service.name,
        "description": service.description,
        "serviceDescription": service.description,
        "copyrightText": service.copyright_text,
        "exportTilesAllowed": service.export_tiles_allowed,
        "exportTileCacheCompactV2Allowed": service.export_tiles_allowed,  # .tpkx, as Esri's SDKs call it
        "maxExportTilesCount": service.max_export_tiles_count,
        "singleFusedMapCache": True,
        "tileInfo": {
            **write_tile_info(scheme),
            "format": service.tile_format.value,
            "compressionQuality": service.compression_quality,
        },
        "storageInfo": {"storageFormat": StorageFormat.COMPACT_V2.value, "packetSize": PACKET_SIZE},
        "spatialReference": write_spatial_reference(scheme.spatial_reference),
        "initialExtent": extent,
        "fullExtent": extent,
        "minScale": lods[0].scale,
        "maxScale": lods[-1].scale,
        "minLOD": lods[0].level,
        "maxLOD": lods[-1].level,
        **own,
    }


def _image_members(service: ImageService, finest: LevelOfDetail) -> dict[str, Any]:
    elevation = service.tile_format is TileFormat.LERC
    kind = "Elevation" if elevation else "RGB"
    return {
        "capabilities": "Image,TilesOnly,Tilemap",
        "cacheType": "Elevation" if elevation else "Map",
        "extent": write_extent(service.full_extent),
        "serviceDataType": f"esriImageServiceDataType{kind}",
        "bandCount": 1 if elevation else 3,
        "pixelType": "F32" if elevation else "U8",
        "pixelSizeX": finest.resolution,
        "pixelSizeY": finest.resolution,
        "minPixelSize": 0,
        "maxPixelSize": 0,
        "hasMultidimensions": False,
        "defaultCompressionQuality": service.compression_quality or 75,
    }


def _map_members(service: ImageService) -> dict[str, Any]:
    return {
        "mapName": "Layers",  # ArcGIS's own name of a map that nobody named
        "capabilities": "Map,TilesOnly,Tilemap",
        "layers": [],  # nothing to draw or query but tiles
        "tables": [],
        "supportsDynamicLayers": False,
        "supportedImageFormatTypes": service.tile_format.value,
        "units": units(service.tiling_scheme.spatial_reference),
        "documentInfo": {"Title": service.short_name, "Comments": service.description},
    }


def tilemap_document(tiles: TileRange, *, adjusted: bool, data: Sequence[int]) -> dict[str, Any]:
    """Return which tiles of a block exist: row by row, 1 where there is one.

    Args:
        tiles: the block answered, beginning where it was asked to.
        adjusted: the block is smaller than requested.
        data: a zero or a one for each tile.
    """
    return {
        "valid": True,
        "adjusted": adjusted,
        "location": {
            "left": tiles.column_start,
            "top": tiles.row_start,
            "width": tiles.column_stop - tiles.column_start,
            "height": tiles.row_stop - tiles.row_start,
        },
        "data": list(data),
    }
