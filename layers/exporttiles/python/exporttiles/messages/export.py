"""The accepted export, from the request to the steps of the workflow."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from exporttiles.domain.export import Blank, Clip, ExportArea, ExportRequest, StorageFormat
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.formats.caches.service_descriptor import read_service, write_service
from exporttiles.messages.documents import read_document


@dataclass(frozen=True, slots=True)
class Export:
    """A request, and the service as it was when the request was accepted."""

    service: ImageService
    request: ExportRequest

    @property
    def as_drawn(self) -> "Export":
        """Return the export with rasters drawn in the tile format and JPEG quality that its request asks for.

        No tile is converted then. Exports of tile caches stay as they are.
        """
        mosaic, quality = self.service.cache.mosaic, self.request.compression_quality
        if mosaic is None or (self.request.tile_format is None and quality is None):
            return self
        delivered = replace(self.request, clip=None).delivered(self.service)
        drawn = replace(
            mosaic,
            tile_format=delivered.tile_format,
            quality=min(max(delivered.compression_quality, 1), 95),
            copies_blocks=mosaic.copies_blocks and quality is None and delivered.tile_format is not TileFormat.PNG,
        )
        service = replace(delivered, cache=replace(delivered.cache, mosaic=drawn))
        return Export(service, replace(self.request, tile_format=None, compression_quality=None))

    def to_json(self) -> bytes:
        """Return the export as a JSON document."""
        from exporttiles.formats.areas.area_json import write_area

        request = self.request
        document = {
            "service": write_service(self.service),
            "areas": [{"area": write_area(each.area), "levels": each.levels} for each in request.areas],
            "tilePackage": request.tile_package,
            "storageFormat": str(request.storage_format),
            "compressionQuality": request.compression_quality,
            "packageName": request.package_name,
            "clip": {"color": request.clip.color} if request.clip else None,
            "skipped": request.skipped.name if request.skipped else None,
            "tileFormat": str(request.tile_format) if request.tile_format else None,
            "since": request.since.isoformat() if request.since else None,
        }
        return json.dumps(document).encode()

    @property
    def reuse_key(self) -> str:
        """Return the object key of a reusable package: equal for equal exports of the same published cache.

        It does not depend on the caller or on the caller's limits.
        """
        document = json.loads(self.to_json())
        del document["service"]["maxExportTilesCount"], document["service"]["exportTilesAllowed"]
        return f"reuse/{sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()}.json"

    @classmethod
    def from_json(cls, body: bytes) -> "Export":
        """Return the export of a JSON document."""
        from exporttiles.formats.areas.area_json import read_area

        document = read_document(body)
        clip, skipped, tile_format = document.get("clip"), document.get("skipped"), document.get("tileFormat")
        service, since = read_service(document["service"]), document.get("since")
        request = ExportRequest(
            service_name=service.name,
            areas=tuple(ExportArea(read_area(each["area"]), tuple(each["levels"])) for each in document["areas"]),
            tile_package=document["tilePackage"],
            storage_format=StorageFormat(document["storageFormat"]),
            compression_quality=document["compressionQuality"],
            package_name=document.get("packageName", ""),
            clip=Clip(clip["color"] and tuple(clip["color"])) if clip else None,
            skipped=Blank[skipped] if skipped else None,
            tile_format=TileFormat(tile_format) if tile_format else None,
            since=datetime.fromisoformat(since) if since else None,
        )
        return cls(service, request)
