"""Look at a cache of one file a tile: what the listing shows, and some of the tiles."""

from dataclasses import dataclass

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.cache_listing import ListedFiles
from exporttiles.ports.objects import ObjectReader
from exporttiles.usecases.survey_tiles import Survey

_SAMPLED_FILES = 64
_ROUNDING_ROWS = 0.01  # Esri's resolutions are off the powers of two by less


@dataclass(frozen=True, slots=True)
class FileOrder:
    """How the numbers in the names of files are meant.

    Attributes:
        is_row_first: level/row/column instead of level/column/row.
        is_from_bottom: row 0 is the last; None leaves it to documents.
        has_hexadecimal_levels: None leaves it to the tiles.
    """

    is_row_first: bool = False
    is_from_bottom: bool | None = None
    has_hexadecimal_levels: bool | None = None


XYZ = FileOrder()


def survey_files(
    objects: ObjectReader,
    url: str,
    files: ListedFiles,
    scheme: TilingScheme,
    order: FileOrder,
) -> tuple[TileCache, Survey]:
    """Return the cache and what its tiles show.

    Args:
        objects: the store.
        url: where it is.
        files: the listing.
        scheme: of the cache; it says how many rows there are.
        order: of the numbers in the paths, settled.

    Raises:
        DamagedCacheError: the paths have nothing in common, or rows cannot be
            counted from the bottom.
    """
    is_row_first = order.is_row_first or files.is_exploded
    level_base = 16 if order.has_hexadecimal_levels else 10
    levels = files.by_level(level_base)
    level_rows = _level_rows(scheme) if order.is_from_bottom else ()
    if level_rows and max(levels) >= len(level_rows):
        raise DamagedCacheError(f"There are tiles of level {max(levels)}; the tiling scheme does not have it.")
    row_field = "row_from_bottom" if level_rows else "row"
    cache = TileCache(
        url,
        CacheLayout.FILES,
        files.template(is_row_first=is_row_first, row_field=row_field, level_base=level_base),
        average_tile_bytes=1,
        extensions=files.file_extensions,
        level_rows=level_rows,
    )
    keys = [key for key, _ in files.places(is_row_first=is_row_first, level_base=level_base)]
    keys = keys[:: -(-len(keys) // _SAMPLED_FILES)]
    survey = Survey(
        tiles=[tile for tile in objects.read_many(keys) if tile is not None],
        row_order="from the bottom" if level_rows else "from the top",
    )
    for level, found in levels.items():
        rows, columns = (found.first, found.second) if is_row_first else (found.second, found.first)
        if level_rows:
            rows = level_rows[level] - rows[1], level_rows[level] - rows[0]
        survey.levels[level] = TileRange(level, *rows, *columns)
        survey.count += found.count
        survey.total_bytes += found.size_bytes
    return cache, survey


def _level_rows(scheme: TilingScheme) -> tuple[int, ...]:
    """Return how many rows of tiles the world has, for each level from 0.

    Raises:
        DamagedCacheError: the rows of the scheme do not end with the world.
    """
    height = 180.0 if scheme.spatial_reference.is_geographic else 2 * scheme.origin_y
    rows = {lod.level: height / scheme.tile_span(lod.level) for lod in scheme.lods}
    is_whole = all(number < 1 or abs(number - round(number)) < _ROUNDING_ROWS for number in rows.values())
    if list(rows) != list(range(len(rows))) or not is_whole:
        raise DamagedCacheError("Rows can be counted from the bottom only in a tiling scheme of the whole world.")
    return tuple(max(1, round(number)) for number in rows.values())
