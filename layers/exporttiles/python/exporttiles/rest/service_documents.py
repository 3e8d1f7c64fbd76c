"""Documents of services, the catalog and the server, as Esri writes them.

Source: ArcGIS REST API, "Image Service", "Map Service", "Catalog", "Server Info", "Tile Map".
"""

from collections.abc import Iterable, Sequence
from typing import Any

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import ImageService, ServiceType, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, LevelOfDetail, TileRange
from exporttiles.formats.esri.esri_json import write_extent, write_spatial_reference, write_tile_info
from exporttiles.formats.packages.storage_formats import legal_formats
from exporttiles.formats.packages.tpkx import units

CURRENT_VERSION = 10.91
"""The ArcGIS release to report: the oldest (10.9.1) from which clients expect .tpkx packages."""


def info_document(token_services_url: str | None) -> dict[str, Any]:
    """Return the version of the server, and the URL for tokens; None if tokens are off."""
    authentication: dict[str, Any] = {"isTokenBasedSecurity": token_services_url is not None}
    if token_services_url is not None:
        authentication["tokenServicesUrl"] = token_services_url
    return {
        "currentVersion": CURRENT_VERSION,
        "fullVersion": "10.9.1",
        "authInfo": authentication,
    }


def catalog_document(names: Iterable[str], folder: str = "") -> dict[str, Any]:
    """Return the services of a folder. The root, '', lists its folders as well."""
    inside = [name for name in names if name.rpartition("/")[0] == folder]
    folders = sorted({name.partition("/")[0] for name in names if "/" in name})
    return {
        "currentVersion": CURRENT_VERSION,
        "folders": [] if folder else folders,
        "services": [{"name": name, "type": str(service_type)} for name in inside for service_type in ServiceType],
    }


def service_document(service: ImageService, service_type: ServiceType) -> dict[str, Any]:
    """Return a service as an ArcGIS image service, or map service, with a tile cache.

    Its storage format is always compact V2, in which packages are delivered,
    whatever the format of the source cache.
    """
    scheme = service.tiling_scheme
    lods = [lod for lod in scheme.lods if service.min_level <= lod.level <= service.max_level]
    extent = write_extent(service.full_extent)
    storage_formats = legal_formats(service)
    is_tpkx_allowed = service.export_tiles_allowed and StorageFormat.COMPACT_V2 in storage_formats
    own = _map_members(service) if service_type is ServiceType.MAP else _image_members(service, lods[-1])
    return {
        "currentVersion": CURRENT_VERSION,
        "name": service.name,
        "description": service.description,
        "serviceDescription": service.description,
        "copyrightText": service.copyright_text,
        "exportTilesAllowed": service.export_tiles_allowed,
        "exportTileCacheCompactV2Allowed": is_tpkx_allowed,  # as Esri's SDKs call it
        "exportStorageFormatTypes": storage_formats,  # not a member of ArcGIS
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
        "mapName": "Layers",  # the default name of a map in ArcGIS
        "capabilities": "Map,TilesOnly,Tilemap",
        "layers": [],  # the service has tiles only
        "tables": [],
        "supportsDynamicLayers": False,
        "supportedImageFormatTypes": service.tile_format.value,
        "units": units(service.tiling_scheme.spatial_reference),
        "documentInfo": {"Title": service.short_name, "Comments": service.description},
    }


def tilemap_document(tiles: TileRange, *, adjusted: bool, data: Sequence[int]) -> dict[str, Any]:
    """Return the existing tiles of a block, row by row: 1 for a tile, 0 for none.

    Args:
        tiles: the block in this reply, from the requested row and column on.
        adjusted: the block is smaller than requested.
        data: 0 or 1 for each tile.
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
