"""Validated export requests, with all defaults filled in."""

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from exporttiles.domain.service import ImageService, TileFormat

if TYPE_CHECKING:  # arrays, which the pages and documents that name a format do not need
    from exporttiles.domain.area import Area


class StorageFormat(StrEnum):
    """Storage formats of the exported tiles: those of Esri, and extensions."""

    COMPACT = "esriMapCacheStorageModeCompact"
    COMPACT_V2 = "esriMapCacheStorageModeCompactV2"
    PMTILES = "PMTiles"
    MBTILES = "MBTiles"
    GEOPACKAGE = "GeoPackage"


ESRI_FORMATS = frozenset({StorageFormat.COMPACT, StorageFormat.COMPACT_V2})
"""The storage formats of ArcGIS; the others are extensions."""

LAST = "last"
"""Value of `since_job` for the newest successful export of a series."""


class Blank(StrEnum):
    """Tiles without contents that an export can leave out; the value is the parameter that asks for it."""

    TRANSPARENT = "skipBlank"
    ONE_COLOR = "skipOneColor"


@dataclass(frozen=True, slots=True)
class Clip:
    """How the pixels of tiles outside the area are painted.

    Attributes:
        color: red, green and blue; None makes them transparent.
    """

    color: tuple[int, int, int] | None = None

    def tile_format(self, cached: TileFormat) -> TileFormat:
        """Return the format of a package, given that of the cache."""
        if self.color is None:
            return _WITH_TRANSPARENCY.get(cached, cached)
        return TileFormat.PNG if cached is TileFormat.PNG8 else cached


CONVERTED_QUALITY = 85
"""Quality of JPEG tiles that are converted from another format, where the request states none."""

CONVERSIONS = (TileFormat.JPEG, TileFormat.PNG, TileFormat.MIXED)
"""The formats that tiles can be converted to."""

_WITH_TRANSPARENCY = {
    TileFormat.JPEG: TileFormat.MIXED,
    TileFormat.PNG8: TileFormat.PNG,
    TileFormat.PNG24: TileFormat.PNG,
}


@dataclass(frozen=True, slots=True)
class ExportArea:
    """An area, and the levels at which its tiles are exported.

    Attributes:
        area: in the reference of the service's tiling scheme.
        levels: ascending, without repeats; all are levels of the scheme.
        name: for messages; a job does not keep it.
    """

    area: "Area"
    levels: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export request, checked against the service.

    Attributes:
        service_name: ``Name`` or ``Folder/Name``.
        areas: at least one; at a level of several areas, the tiles of all of them are exported.
        tile_package: a package in one file; otherwise a cache raster dataset.
        compression_quality: JPEG quality to recompress to; None leaves the
            tiles as they are.
        tile_format: one of `CONVERSIONS`, which tiles of other formats are converted to; None leaves the
            tiles as they are.
        package_name: of the delivered file, without its suffix; '' for that of
            the service.
        since: only tiles that have changed since then are exported; None exports
            all that are selected.
        since_job: an earlier job that stands for the time at which it was
            submitted, or `LAST` for the newest of the series; '' once that is known.
        clip: how pixels outside the area are painted; None leaves tiles whole.
        skipped: tiles without contents that are left out; None keeps them.
        warnings: assumptions about the request that the client should know.
        notes: how the request was read, where that is no assumption.
    """

    service_name: str
    areas: tuple[ExportArea, ...]
    tile_package: bool
    storage_format: StorageFormat
    compression_quality: int | None
    package_name: str = ""
    since: datetime | None = None
    since_job: str = ""
    clip: Clip | None = None
    skipped: Blank | None = None
    tile_format: TileFormat | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_rewritten(self) -> bool:
        """Return True if some tiles of the package may differ from those of the cache."""
        return self.clip is not None or self.compression_quality is not None or self.tile_format is not None

    def delivered(self, service: ImageService) -> ImageService:
        """Return a service with the tile format and JPEG quality of the tiles in the package."""
        tile_format, quality = self.tile_format or service.tile_format, self.compression_quality
        if quality is None:
            quality = service.compression_quality or (CONVERTED_QUALITY if self.tile_format else 0)
        if self.clip:
            tile_format = self.clip.tile_format(tile_format)
        return replace(service, tile_format=tile_format, compression_quality=quality)

    @property
    def levels(self) -> tuple[int, ...]:
        """Return the levels of all areas: ascending, without repeats."""
        return tuple(sorted({level for each in self.areas for level in each.levels}))

    def area_at(self, level: int) -> "Area":
        """Return the union of the areas of a level.

        Raises:
            KeyError: it is not one of the levels.
        """
        from exporttiles.domain.area import Area

        areas = [each.area for each in self.areas if level in each.levels]
        if not areas:
            raise KeyError(level)
        return Area.union(areas)

    def at_levels(self, levels: Container[int]) -> "ExportRequest":
        """Return the request with some of its levels only, and without areas that have none of them."""
        kept = (replace(each, levels=tuple(level for level in each.levels if level in levels)) for each in self.areas)
        return replace(self, areas=tuple(each for each in kept if each.levels))
