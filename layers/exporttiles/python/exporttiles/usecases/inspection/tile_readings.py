"""Readings: possible meanings of the numbers in file names, and how well each fits the bounds of the map."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporttiles.domain.errors import AreaError, DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.caches.tms_documents import Box

LevelRows = tuple[int, ...]
"""Number of rows of each level, from level 0."""

Spans = Mapping[int, tuple[tuple[int, int], tuple[int, int]]]
"""Level -> half-open ranges of rows, as the files count them, and of columns."""

CHOICE = "--rows-from-bottom and --rows-from-top choose"

_ROUNDING_ROWS = 0.01  # Esri's resolutions deviate from the powers of two by less


@dataclass(frozen=True, slots=True)
class FileOrder:
    """The meaning of the numbers in file names.

    Attributes:
        is_row_first: level/row/column instead of level/column/row.
        is_from_bottom: row 0 is the last; None lets documents decide.
        has_hexadecimal_levels: None lets the tiles decide.
    """

    is_row_first: bool = False
    is_from_bottom: bool | None = None
    has_hexadecimal_levels: bool | None = None


XYZ = FileOrder()


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The grid of tiles in files.

    Attributes:
        scheme: tiling scheme.
        level_rows: for rows that count from the bottom; empty if they count from the top.
        scheme_source: the document that states the scheme; '' if none does.
        row_order: in words, with its source.
    """

    scheme: TilingScheme
    level_rows: LevelRows
    scheme_source: str = ""
    row_order: str = "from the top"
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One possible meaning of the numbers in file names."""

    scheme: TilingScheme
    level_rows: LevelRows = ()

    @property
    def words(self) -> str:
        """Return the order of rows in words."""
        return "from the bottom" if self.level_rows else "from the top"

    def tiles(self, level: int, rows: tuple[int, int], columns: tuple[int, int]) -> TileRange:
        """Convert half-open ranges of rows, as the files count them, and of columns to tiles of the scheme."""
        if self.level_rows:
            count = self.level_rows[level] if level < len(self.level_rows) else 0
            rows = count - rows[1], count - rows[0]
        return TileRange(level, *rows, *columns)


def rows_of_world(scheme: TilingScheme) -> LevelRows:
    """Return the number of rows of the world, for each level from 0.

    Raises:
        DamagedCacheError: the rows of the scheme do not end with the world.
    """
    bottom = -90.0 if scheme.spatial_reference.is_geographic else -scheme.origin_y
    rows = _rows_above(scheme, bottom)
    if rows is None:
        raise DamagedCacheError(
            "Rows can be counted from the bottom only in a tiling scheme of the whole world. --rows-from-top reads "
            "them from the top."
        )
    return rows


def _rows_above(scheme: TilingScheme, bottom: float) -> LevelRows | None:
    """Return the number of rows between the origin and the bottom; None if it is not whole."""
    rows = {lod.level: (scheme.origin_y - bottom) / scheme.tile_span(lod.level) for lod in scheme.lods}
    is_whole = all(count < 1 or abs(count - round(count)) < _ROUNDING_ROWS for count in rows.values())
    if list(rows) != list(range(len(rows))) or not is_whole:
        return None
    return tuple(max(1, round(count)) for count in rows.values())


def choose(readings: Sequence[Reading], spans: Spans, boxes: Sequence[Extent]) -> Reading:
    """Return the reading that fits the boxes best; the first of equal ones."""
    chosen = readings[0]
    for other in readings[1:]:
        if fits_better(other, chosen, spans, boxes):
            chosen = other
    return chosen


def fits_better(one: Reading, other: Reading, spans: Spans, boxes: Sequence[Extent]) -> bool:
    """Return True if a reading fits better than another at the finest level where they differ."""
    for level in sorted(spans, reverse=True):
        fit_one, fit_other = (fit(reading, level, spans, boxes) for reading in (one, other))
        if fit_one != fit_other:
            return fit_one > fit_other
    return False


def fit(reading: Reading, level: int, spans: Spans, boxes: Sequence[Extent]) -> int:
    """Return how well the tiles of a level fit the best of several boxes: 0 not at all, 3 on all sides."""
    if level not in {lod.level for lod in reading.scheme.lods}:
        return 0
    tiles = reading.tiles(level, *spans[level])
    best = 0
    for box in boxes:
        expected = reading.scheme.tile_range(box, level)
        if not expected.intersection(tiles).count:
            continue
        rows = abs(expected.row_start - tiles.row_start) <= 1 and abs(expected.row_stop - tiles.row_stop) <= 1
        columns = (
            abs(expected.column_start - tiles.column_start) <= 1 and abs(expected.column_stop - tiles.column_stop) <= 1
        )
        best = max(best, 1 + rows + columns)
    return best


def boxes_in(boxes: Iterable[Box], reference: SpatialReference, target: SpatialReference) -> list[Extent]:
    """Return the boxes that can be expressed in a reference."""
    found = []
    for box in boxes:
        try:
            found.append(Extent(*box, reference).to(target))
        except AreaError:
            continue
    return found
