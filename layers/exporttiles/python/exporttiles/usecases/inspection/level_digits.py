"""Decide whether level folders are named in decimal or in hexadecimal digits.

ArcGIS wrote hexadecimal digits before version 10.1 (``L10`` is level 16), and
decimal ones since. If the names allow both, the tiles decide: only one base
puts them into the area of the map.
"""

from exporttiles.domain.errors import AreaError, DamagedCacheError, UnknownSpatialReferenceError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.formats.caches.listing import ListedBundles, ListedFiles
from exporttiles.usecases.inspection.tile_readings import FileOrder

_OPTIONS = "--hexadecimal-levels and --decimal-levels choose"


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
        order: of the numbers in the names; `has_hexadecimal_levels` may state the base.

    Raises:
        DamagedCacheError: the names contradict an option, or the tiles fit neither base.
    """
    finest = max(listed.level_digits, key=lambda digits: int(digits, 16))
    if listed.level_base == 16 and order.has_hexadecimal_levels is False:
        raise DamagedCacheError(f"L{finest} has hexadecimal digits, against --decimal-levels.")
    if listed.level_base is not None:
        return listed.level_base, ()
    if order.has_hexadecimal_levels is not None:
        return (16 if order.has_hexadecimal_levels else 10), ()
    decimal, hexadecimal = int(finest), int(finest, 16)
    known = {lod.level for lod in scheme.lods}
    if hexadecimal not in known:
        return 10, ()
    rows, columns = listed.span(finest, is_row_first=order.is_row_first)
    areas = [area for area in (stated, area_of_use(scheme.spatial_reference)) if area is not None]
    for area in areas or (None,):
        fits_decimal, fits_hexadecimal = (
            level in known and _reaches(scheme, TileRange(level, *rows, *columns), area)
            for level in (decimal, hexadecimal)
        )
        if fits_decimal:
            text = f"L{finest} is read as level {decimal}: the folders of levels are taken as decimal. {_OPTIONS}."
            is_open = fits_hexadecimal and isinstance(listed, ListedFiles)  # bundles came with decimal levels, almost
            return 10, (Message(MessageKind.INFORMATIVE, text),) if is_open else ()
        if fits_hexadecimal:
            text = (
                f"L{finest} is read as level {hexadecimal}: the folders of levels are taken as hexadecimal, as before "
                f"ArcGIS 10.1, for as level {decimal} its tiles lie outside of the map. {_OPTIONS}."
            )
            return 16, (Message(MessageKind.WARNING, text),)
    raise DamagedCacheError(
        f"L{finest} is level {decimal}, or {hexadecimal} in hexadecimal digits; in both its tiles lie outside of the "
        f"map: rows {rows[0]}-{rows[1] - 1}, columns {columns[0]}-{columns[1] - 1}. {_OPTIONS}."
    )


def _reaches(scheme: TilingScheme, tiles: TileRange, area: Extent | None) -> bool:
    return area is None or scheme.tile_range(area, tiles.level).intersection(tiles).count > 0


def area_of_use(reference: SpatialReference) -> Extent | None:
    """Return the area of use of a reference, in its own units; None if it is unknown."""
    try:
        use = reference.crs.area_of_use
        return Extent(*use.bounds, WGS84).to(reference) if use else None
    except (AreaError, UnknownSpatialReferenceError):
        return None
