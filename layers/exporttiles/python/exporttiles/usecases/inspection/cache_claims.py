"""The sources of a service's properties, and warnings where they contradict the tiles."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.service import CacheLayout, ImageService
from exporttiles.domain.spatial_reference import LAST_EPSG_WKID, SpatialReference
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.caches.documents import CacheInfo
from exporttiles.formats.esri.values import shown

TILES = "the tiles"
"""Source of properties that no document states."""

_STORAGE_FORMATS = {
    CacheLayout.FILES: "esriMapCacheStorageModeExploded",
    CacheLayout.COMPACT_V1: "esriMapCacheStorageModeCompact",
    CacheLayout.COMPACT_V2: "esriMapCacheStorageModeCompactV2",
    CacheLayout.PMTILES: "",
    CacheLayout.DATABASE: "",
    CacheLayout.RASTERS: "",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of a service's properties: a document, an option, the tiles or an assumption.

    Attributes:
        scheme: such as "from conf.xml", or "assumed".
        tile_format, extent: such as "conf.cdi".
        row_order: such as "from the top".
    """

    scheme: str
    tile_format: str
    extent: str
    row_order: str = "from the top"


def statement(service: ImageService, sources: Sources) -> tuple[Message, Message]:
    """Return the messages that list the properties of a service and their sources."""
    scheme, extent = service.tiling_scheme, service.full_extent
    levels = [lod.level for lod in scheme.lods]
    stated_scheme = (
        f"Tiling scheme {sources.scheme}: {reference_name(scheme.spatial_reference)}, {scheme.tile_size} px, "
        f"levels {min(levels)}-{max(levels)}."
    )
    stated_tiles = (
        f"Tiles: format {service.tile_format} from {sources.tile_format}; rows {sources.row_order}; "
        f"extent {', '.join(f'{side:.10g}' for side in extent.sides)} from {sources.extent}."
    )
    return Message(MessageKind.INFORMATIVE, stated_scheme), Message(MessageKind.INFORMATIVE, stated_tiles)


def snapped(own: TilingScheme, scheme: TilingScheme) -> tuple[Message, ...]:
    """Return a message if the resolutions of a cache were replaced by Esri's."""
    replaced = [lod.level for lod, esri in zip(own.lods, scheme.lods, strict=True) if lod != esri]
    if not replaced:
        return ()
    text = (
        f"Tiling scheme: the cache's own resolutions of the levels {min(replaced)}-{max(replaced)} are almost Esri's; "
        "these are written in their place, as ArcGIS compares digits. No tile moves by more than a pixel."
    )
    return (Message(MessageKind.INFORMATIVE, text),)


def reference_name(reference: SpatialReference) -> str:
    """Return the id of a spatial reference with its authority, or its name."""
    wkid = reference.latest_wkid or reference.wkid
    if wkid is None:
        return f"'{reference.crs.name[:60]}', without an id"
    return f"{'EPSG' if wkid <= LAST_EPSG_WKID else 'ESRI'}:{wkid}"


def contradictions(service: ImageService, info: CacheInfo | None) -> Iterator[Message]:
    """Yield warnings where a document contradicts the files of a cache."""
    if info is None:
        return
    for text in info.remarks:
        yield Message(MessageKind.WARNING, f"{text} It is ignored.")
    if info.tile_format not in {None, service.tile_format}:
        text = (
            f"{info.document} states the format {info.tile_format}; the tiles are {service.tile_format}, which is used."
        )
        yield Message(MessageKind.WARNING, text)
    stated, found = info.storage_format, _STORAGE_FORMATS[service.cache.layout]
    if stated and stated.lower() != found.lower():
        text = f"{info.document} states the storage format {shown(stated)}; the files are {found}, which is used."
        yield Message(MessageKind.WARNING, text)


def settle_extent(
    scheme: TilingScheme, levels: Mapping[int, TileRange], stated: Extent | None, document: str
) -> tuple[Extent, tuple[Message, ...]]:
    """Return the full extent of a cache: as a document states it, grown to hold every tile.

    An extent that ends inside the outermost tiles is normal and stays as it is.
    Sides that leave whole tiles out move to the edge of these tiles. An extent
    without any tile of the finest level is not used at all.

    Args:
        scheme: of the cache.
        levels: the block around the existing tiles of each level.
        stated: extent in a document, in the scheme's reference; None if there is none.
        document: that states the extent, as named in messages.

    Raises:
        DamagedCacheError: there are no tiles.
    """
    if not levels:
        raise DamagedCacheError("The cache holds no tiles.")
    if stated is None:
        return _grown(scheme, levels, None)[0], ()
    finest = max(levels)
    if scheme.tile_range(stated, finest).intersection(levels[finest]).count == 0:
        text = (
            f"{document}: the extent {_sides(stated)} holds none of the tiles of level {finest}; the extent of the "
            "tiles is used instead."
        )
        return _grown(scheme, levels, None)[0], (Message(MessageKind.WARNING, text),)
    extent, left_out = _grown(scheme, levels, stated)
    if not left_out:
        return extent, ()
    text = (
        f"{document}: tiles of level {', '.join(map(str, left_out))} lie outside of the extent "
        f"{_sides(stated)}; it is taken as {_sides(extent)}, which holds them."
    )
    return extent, (Message(MessageKind.WARNING, text),)


def _grown(scheme: TilingScheme, levels: Mapping[int, TileRange], extent: Extent | None) -> tuple[Extent, list[int]]:
    """Return an extent that reaches every tile, and the levels that widened it.

    A coarse tile reaches far beyond what was drawn on it: a level moves a side
    only if the finer levels do not account for its tiles.
    """
    grown = extent or Extent(math.inf, math.inf, -math.inf, -math.inf, scheme.spatial_reference)
    widened = set[int]()
    # Twice: where an extent is a sliver along the edge of a tile, moving one side leaves too little behind the other.
    for level in 2 * sorted(levels, reverse=True):
        found, reached = levels[level], scheme.tile_range(grown, level)
        if reached.intersection(found) == found:
            continue
        first = scheme.tile_extent(level, found.row_start, found.column_start)
        last = scheme.tile_extent(level, found.row_stop - 1, found.column_stop - 1)
        is_first = reached.count == 0
        grown = replace(
            grown,
            xmin=min(grown.xmin, first.xmin) if is_first or found.column_start < reached.column_start else grown.xmin,
            ymin=min(grown.ymin, last.ymin) if is_first or found.row_stop > reached.row_stop else grown.ymin,
            xmax=max(grown.xmax, last.xmax) if is_first or found.column_stop > reached.column_stop else grown.xmax,
            ymax=max(grown.ymax, first.ymax) if is_first or found.row_start < reached.row_start else grown.ymax,
        )
        widened.add(level)
    return grown, sorted(widened)


def _sides(extent: Extent) -> str:
    return ", ".join(f"{side:.10g}" for side in extent.sides)
