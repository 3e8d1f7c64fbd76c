"""Look at a cache of one file a tile: what the listing shows, and some of the tiles."""

from dataclasses import dataclass

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.cache_listing import ListedFiles
from exporttiles.ports.objects import ObjectReader
from exporttiles.usecases.survey_tiles import Survey

_SAMPLED_FILES = 64


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
    order: FileOrder,
    level_rows: tuple[int, ...],
) -> tuple[TileCache, Survey]:
    """Return the cache and what its tiles show.

    Args:
        objects: the store.
        url: where it is.
        files: the listing.
        order: of the numbers in the paths, settled.
        level_rows: of each level from 0, where rows count from the bottom.

    Raises:
        DamagedCacheError: the paths have nothing in common.
    """
    is_row_first = order.is_row_first or files.is_exploded
    level_base = 16 if order.has_hexadecimal_levels else 10
    levels = files.by_level(level_base)
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
    survey = Survey(tiles=[tile for tile in objects.read_many(keys) if tile is not None])
    for level, found in levels.items():
        rows, columns = (found.first, found.second) if is_row_first else (found.second, found.first)
        if level_rows:
            if rows[1] > level_rows[level]:
                raise DamagedCacheError(
                    f"There is a tile in row {rows[1] - 1} of level {level}, which has {level_rows[level]} rows. "
                    "If they count from the top, --rows-from-top says so."
                )
            rows = level_rows[level] - rows[1], level_rows[level] - rows[0]
        survey.levels[level] = TileRange(level, *rows, *columns)
        survey.count += found.count
        survey.total_bytes += found.size_bytes
    return cache, survey
