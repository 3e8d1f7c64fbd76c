"""Survey a table of tiles in an SQLite file, and compare what the file says with its tiles."""

from collections.abc import Sequence

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.service import TileCache
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.caches.documents import CacheInfo
from exporttiles.formats.caches.tile_tables import TileTable
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, completed
from exporttiles.formats.tiles.image import kind_of_compression, sniff
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.inspection.readings import CHOICE, FileOrder, LevelRows, Reading, Spans, boxes_in, fits_better
from exporttiles.usecases.inspection.survey import Survey, survey_level
from exporttiles.usecases.inspection.tile_grid import TileGrid

_ALL_BUNDLES = 2**62  # they are known without a request
_MERCATOR_LATITUDE = 85.0511287798066  # edge of the square of Web Mercator
_IMAGES = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}


def mbtiles_rows(table: TileTable) -> LevelRows:
    """Return the number of rows of each level from 0, which MBTiles count from the bottom."""
    return tuple(2**level for level in range(max(table.levels) + 1))


def info_of(table: TileTable, scheme: TilingScheme, name: str) -> CacheInfo:
    """Return the tiling scheme and extent that a GeoPackage states for a table.

    Args:
        table: as it was read.
        scheme: of its tiles.
        name: of the file.
    """
    return CacheInfo(
        document=f"{name}, gpkg_tile_matrix",
        tiling_scheme=completed(scheme),
        storage_format=None,
        tile_format=None,
        compression_quality=None,
        lerc_error=0.0,
        full_extent=table.extent,
        extent_source=f"{name}, gpkg_contents",
    )


def survey_table(
    source: TileSource, cache: TileCache, table: TileTable, scheme: TilingScheme, order: FileOrder
) -> Survey:
    """Survey a table of tiles.

    Args:
        source: reads the table.
        cache: the table as a cache.
        table: as it was read.
        scheme: of the tiles.
        order: the user's choice of the first row of MBTiles.

    Raises:
        DamagedCacheError: the tiles are not images, MBTiles are not in Web Mercator, or their bounds show rows from
            the top.
    """
    name = cache.url.rpartition("/")[2]
    survey = Survey(
        extent_source=f"{name}, bounds of its metadata",
        description=table.description,
        attribution=table.attribution,
    )
    if table.attribution:
        text = f"{name}: Its attribution is the copyright notice, '{table.attribution[:200]}'. --copyright replaces it."
        survey.messages.append(Message(MessageKind.INFORMATIVE, text))
    if table.is_mbtiles:
        if not scheme.spatial_reference.is_same_as(WEB_MERCATOR_256.spatial_reference):
            raise DamagedCacheError(f"{name}: MBTiles are always in Web Mercator.")
        reading = Reading(scheme, cache.level_rows)
        if order.is_from_bottom is None:
            _require_rows_from_bottom(name, table, reading)
        survey.grid = TileGrid(reading, name, reading.words)
        if table.bounds:
            west, south, east, north = table.bounds
            box = west, max(south, -_MERCATOR_LATITUDE), east, min(north, _MERCATOR_LATITUDE)
            survey.full_extent = next(iter(boxes_in([box], WGS84, scheme.spatial_reference)), None)
    for level, tiles in table.levels.items():
        known = source.find_bundles(Reading(scheme, cache.level_rows).tiles(*_span(level, tiles)), 1, _ALL_BUNDLES)
        survey_level(survey, source, sorted(known or ()))
    warnings = [*table.remarks, *_require_pictures(name, table, survey.tiles)]
    survey.messages += [Message(MessageKind.WARNING, f"{name}: {text}") for text in warnings]
    return survey


def _require_rows_from_bottom(name: str, table: TileTable, reading: Reading) -> None:
    """Refuse MBTiles whose tiles lie within the stated bounds only if rows count from the top."""
    spans: Spans = {level: _span(level, tiles)[1:] for level, tiles in table.levels.items()}
    boxes = boxes_in([table.bounds] if table.bounds else [], WGS84, reading.scheme.spatial_reference)
    if fits_better(Reading(reading.scheme), reading, spans, boxes):
        raise DamagedCacheError(
            f"{name}: The bounds in its metadata hold the tiles only if rows count from the top; MBTiles count them "
            f"from the bottom. {CHOICE}."
        )


def _span(level: int, tiles: TileRange) -> tuple[int, tuple[int, int], tuple[int, int]]:
    return level, (tiles.row_start, tiles.row_stop), (tiles.column_start, tiles.column_stop)


def _require_pictures(name: str, table: TileTable, tiles: Sequence[bytes]) -> list[str]:
    """Compare the stated format with the tiles; return a warning where it is wrong.

    Raises:
        DamagedCacheError: the tiles are vector tiles or compressed.
    """
    encodings = {sniff(tile) for tile in tiles} - {None}
    stated = table.declared_format
    if not encodings:
        packed = next(filter(None, map(kind_of_compression, tiles)), None)
        if stated == "pbf" or packed:
            kind = "vector tiles (pbf)" if stated == "pbf" else f"compressed with {packed}, as vector tiles are"
            raise DamagedCacheError(f"{name}: Its tiles are {kind}; exports hold JPEG, PNG, LERC or WebP.")
    if encodings and stated and _IMAGES.get(stated, stated) not in encodings:
        found = " and ".join(sorted(str(encoding).upper() for encoding in encodings))
        return [f"metadata: The format is '{stated[:40]}'; the tiles are {found}."]
    return []
