"""The parameters `exportBy`, `levels` and `overviewLevels`: the levels of detail to export."""

import re
from collections.abc import Callable
from enum import StrEnum

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme

MAX_CHARACTERS = 4096
"""Length limit of `levels`; the scales of every known scheme fit in a quarter of it."""

TOLERANCE = 0.01
"""Relative tolerance for matching a scale or resolution to a level.

Clients round to a few digits; neighbouring levels differ by half or more.
"""


class ExportBy(StrEnum):
    """Units of the entries of `levels`."""

    LEVEL_ID = "LevelID"
    SCALE = "Scale"
    RESOLUTION = "Resolution"


_MEASURES: dict[ExportBy, Callable[[LevelOfDetail], float]] = {
    ExportBy.LEVEL_ID: lambda lod: lod.level,
    ExportBy.SCALE: lambda lod: lod.scale,
    ExportBy.RESOLUTION: lambda lod: lod.resolution,
}

# The exponent is part of the number: `1e-5` is one number, not a range from 1e to 5.
_NUMBER = r"((?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?)"
_ENTRY = re.compile(rf"{_NUMBER}(?:\s*-\s*{_NUMBER})?", re.ASCII)


def read_levels(text: str, export_by: ExportBy, scheme: TilingScheme, name: str = "levels") -> tuple[int, ...]:
    """Return the levels that a list of entries and closed ranges selects.

    Args:
        text: as ``1-4,7-9`` or ``0, 1, 2``; the ends of a range in either order.
        export_by: unit of the numbers. A scale or resolution selects the nearest
            level within one per cent; a range selects all levels inside it.
        scheme: gives the levels.
        name: of the parameter.

    Returns:
        Levels in ascending order, without duplicates.

    Raises:
        InvalidParameterError: the text is not such a list, or an entry selects no level.
    """
    legal = _legal(export_by, scheme)
    if len(text) > MAX_CHARACTERS:
        raise InvalidParameterError(name, text, legal)
    levels: set[int] = set()
    for entry in filter(None, map(str.strip, text.split(","))):
        match = _ENTRY.fullmatch(entry)
        selected = match and _select(match[1], match[2], export_by, scheme)
        if not selected:
            raise InvalidParameterError(name, entry, legal)
        levels |= selected
    if not levels:
        raise InvalidParameterError(name, text, legal)
    return tuple(sorted(levels))


def _select(first: str, last: str | None, export_by: ExportBy, scheme: TilingScheme) -> set[int]:
    measure = _MEASURES[export_by]
    tolerance = 0 if export_by is ExportBy.LEVEL_ID else TOLERANCE
    ends = [float(first), float(last or first)]
    if last is None:
        lods = [min(scheme.lods, key=lambda lod: abs(measure(lod) - ends[0]))]
    elif export_by is ExportBy.LEVEL_ID and not {measure(lod) for lod in scheme.lods}.issuperset(ends):
        return set()  # 13-99 is a mistake, not a request for all levels from 13
    else:
        lods = list(scheme.lods)
    low, high = min(ends) * (1 - tolerance), max(ends) * (1 + tolerance)
    return {lod.level for lod in lods if low <= measure(lod) <= high}


def _legal(export_by: ExportBy, scheme: TilingScheme) -> str:
    levels = [lod.level for lod in scheme.lods]
    if export_by is ExportBy.LEVEL_ID and levels == list(range(levels[0], levels[-1] + 1)):
        return f"It must list levels from {levels[0]} to {levels[-1]}, singly or as ranges, such as 1-4,7-9."
    values = ", ".join(f"{_MEASURES[export_by](lod):.12g}" for lod in scheme.lods)
    return f"With exportBy={export_by} it must list some of {values}, singly or as ranges."
