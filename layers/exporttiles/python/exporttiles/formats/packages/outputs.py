"""The output of a request. A new kind of output is a class beside these, and a line here."""

from collections.abc import Callable

from exporttiles.domain.export import ExportRequest, StorageFormat
from exporttiles.domain.service import ImageService
from exporttiles.formats.packages.database_outputs import Geopackage, Mbtiles
from exporttiles.formats.packages.output import Output
from exporttiles.formats.packages.pmtiles_output import Pmtiles
from exporttiles.formats.packages.zip_outputs import CacheDataset, TilePackage, TilePackageV1

_EXTENSIONS: dict[StorageFormat, Callable[[ImageService], Output]] = {
    StorageFormat.PMTILES: Pmtiles,
    StorageFormat.MBTILES: Mbtiles,
    StorageFormat.GEOPACKAGE: Geopackage,
}


def output_of(service: ImageService, request: ExportRequest) -> Output:
    """Return the output that a request asks for."""
    service = request.delivered(service)
    if not request.tile_package:
        return CacheDataset(service, request.storage_format)
    if make := _EXTENSIONS.get(request.storage_format):
        return make(service)
    if request.storage_format is StorageFormat.COMPACT:
        return TilePackageV1(service)
    return TilePackage(service)
