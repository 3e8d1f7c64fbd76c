"""Readings: possible meanings of the numbers in names, and how well each fits the bounds of the map.

Levels: ArcGIS wrote hexadecimal digits before version 10.1 (``L10`` is level
16), and decimal ones since. If the names allow both, the tiles decide: only one
base puts them into the area of the map.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporttiles.domain.errors import AreaError, DamagedCacheError, UnknownSpatialReferenceError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.caches.listed_tiles import ListedBundles, ListedFiles, Span
from exporttiles.formats.caches.tms_documents import Box

LevelRows = tuple[int, ...]
"""Number of rows of each level, from level 0."""

Spans = Mapping[int, Span]
"""Level -> half-open ranges of rows, as the files count them, and of columns."""

CHOICE = "Choose with --rows-from-bottom or --rows-from-top"
_LEVEL_CHOICE = "Choose with --hexadecimal-levels or --decimal-levels"

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
            "Rows can be counted from the bottom only in a tiling scheme of the whole world. Count them from the top "
            "with --rows-from-top."
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


def settle_level_base(
    listed: ListedFiles | ListedBundles,
    scheme: TilingScheme,
    stated: Extent | None,
    order: FileOrder,
) -> tuple[int, tuple[Message, ...]]:
    """Return the base of the level digits, 10 or 16, and messages on the choice.

    Args:
        listed: the files or bundles.
        scheme: of the cache.
        stated: the extent that a document states, in the scheme's reference.
        order: of the numbers in the names; `has_hexadecimal_levels` states the base, if it is not None.

    Raises:
        DamagedCacheError: the names contradict an option, or the tiles fit neither base.
    """
    if isinstance(listed, ListedFiles) and not listed.is_exploded:
        return 10, ()
    finest = max(listed.levels, key=lambda digits: int(digits, 16))
    if any(not digits.isdecimal() for digits in listed.levels):
        if order.has_hexadecimal_levels is False:
            raise DamagedCacheError(f"L{finest} has hexadecimal digits, against --decimal-levels.")
        return 16, ()
    if int(finest) < 10:
        return 10, ()
    if order.has_hexadecimal_levels is not None:
        return (16 if order.has_hexadecimal_levels else 10), ()
    decimal, hexadecimal = int(finest), int(finest, 16)
    known = {lod.level for lod in scheme.lods}
    if hexadecimal not in known:
        return 10, ()
    rows, columns = listed.span(finest)
    areas = [area for area in (stated, area_of_use(scheme.spatial_reference)) if area is not None]
    for area in areas or (None,):
        fits_decimal, fits_hexadecimal = (
            level in known
            and (not area or scheme.tile_range(area, level).intersection(TileRange(level, *rows, *columns)).count > 0)
            for level in (decimal, hexadecimal)
        )
        if fits_decimal:
            text = f"L{finest} is read as level {decimal}: the folders of levels are taken as decimal. {_LEVEL_CHOICE}."
            is_open = fits_hexadecimal and isinstance(listed, ListedFiles)  # bundles came with decimal levels, almost
            return 10, (Message(MessageKind.INFORMATIVE, text),) if is_open else ()
        if fits_hexadecimal:
            text = (
                f"L{finest} is read as level {hexadecimal}: the folders of levels are taken as hexadecimal, as before "
                f"ArcGIS 10.1, because its tiles lie outside of the map as level {decimal}. {_LEVEL_CHOICE}."
            )
            return 16, (Message(MessageKind.WARNING, text),)
    raise DamagedCacheError(
        f"L{finest} is level {decimal}, or {hexadecimal} in hexadecimal digits; in both its tiles lie outside of the "
        f"map: rows {rows[0]}-{rows[1] - 1}, columns {columns[0]}-{columns[1] - 1}. {_LEVEL_CHOICE}."
    )


def area_of_use(reference: SpatialReference) -> Extent | None:
    """Return the area of use of a reference, in its own units; None if it is unknown."""
    try:
        use = reference.crs.area_of_use
        return Extent(*use.bounds, WGS84).to(reference) if use else None
    except (AreaError, UnknownSpatialReferenceError):
        return None
