"""Tiling schemes from the values of conf.xml or root.json."""

from collections.abc import Sequence

from exporttiles.domain.errors import UnknownSpatialReferenceError
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.esri.values import DocumentValueError, number, positive_number, shown, whole_number
from exporttiles.formats.tiles.image import MAX_SIDE_PIXELS

_MAX_WKID = 2**31 - 1
MAX_LEVELS = 64
"""Limit of the levels of a scheme: a pixel of level 64 would be smaller than an atom."""

_MAX_LEVEL = 99  # folders of levels have two digits
MAX_COORDINATE = 1e15  # map units
_RESOLUTIONS = (1e-12, 1e12)  # map units per pixel; beyond them, places cannot be calculated in doubles
_METRES_PER_INCH = 0.0254
_USUAL_DPI = 96
_SAME_DPI = 1e-3  # Esri counts 39.37 inches to a metre in some schemes


Named = tuple[str, object]
"""A value of a document after its name there, for messages; None if it is missing."""


def read_scheme(
    reference: SpatialReference,
    *,
    columns: Named,
    rows: Named,
    dpi: Named,
    origin: Sequence[Named],
    lods: tuple[str, Sequence[Sequence[Named]]],
    has_decimal_commas: bool = False,
) -> TilingScheme:
    """Return a tiling scheme, its levels in the order of the document.

    Missing values are calculated if possible: dots per inch from the first
    scale, scales from resolutions.

    Args:
        reference: of the scheme.
        columns: width of a tile in pixels.
        rows: height of a tile in pixels.
        dpi: dots per inch.
        origin: x and y.
        lods: the name of the list of levels; level, resolution and scale of each.
        has_decimal_commas: see `values.number`.

    Raises:
        DocumentValueError: a value is missing or unusable; its name begins the text.
    """
    width, height = (whole_number(name, value, maximum=MAX_SIDE_PIXELS) for name, value in (columns, rows))
    if width != height or not width:
        raise DocumentValueError(f"{columns[0]} {width} and {rows[0]} {height}: tiles must be square, 1 pixel or more.")
    x, y = (number(name, value, has_decimal_commas=has_decimal_commas) for name, value in origin)
    for (name, _), found in zip(origin, (x, y), strict=True):
        if abs(found) > MAX_COORDINATE:
            raise DocumentValueError(f"{name} '{found:g}' is too large for a map.")
    lods_name, listed = lods
    if not 0 < len(listed) <= MAX_LEVELS:
        raise DocumentValueError(f"{lods_name} has {len(listed)} levels. It must have 1 to {MAX_LEVELS}.")
    read = [_read_lod(lods_name, *lod, has_decimal_commas=has_decimal_commas) for lod in listed]
    levels = [level for level, _, _ in read]
    if twice := sorted({level for level in levels if levels.count(level) > 1}):
        raise DocumentValueError(f"{lods_name}: {listed[0][0][0]} {twice[0]} appears more than once.")
    name, value = dpi
    if value is None or not str(value).strip():
        dots = _implied_dpi(reference, read)
    else:
        dots = positive_number(name, value, has_decimal_commas=has_decimal_commas)
    return TilingScheme(
        spatial_reference=reference,
        origin_x=x,
        origin_y=y,
        tile_size=width,
        dpi=dots,
        lods=tuple(
            LevelOfDetail(level, resolution, scale or _scale(reference, resolution, dots))
            for level, resolution, scale in read
        ),
    )


def well_known_id(name: str, value: object) -> int | None:
    """Return the id of a spatial reference; None if it is missing, 0 or negative.

    Raises:
        DocumentValueError: it is not a whole number.
        UnknownSpatialReferenceError: it is too large.
    """
    if value is None or value == "":
        return None
    found = number(name, value)
    if not found.is_integer():
        raise DocumentValueError(f"{name} '{shown(value)}' is not a whole number.")
    if found > _MAX_WKID:
        raise UnknownSpatialReferenceError(f"{name}: No coordinate system is known as '{shown(value)}'.")
    return int(found) if found > 0 else None


def _read_lod(
    lods_name: str, level: Named, resolution: Named, scale: Named, *, has_decimal_commas: bool
) -> tuple[int, float, float | None]:
    """Return level, resolution and scale; None for a scale that is missing."""
    found = whole_number(f"{lods_name}: {level[0]}", level[1], maximum=_MAX_LEVEL)
    name, value = f"{resolution[0]} of level {found}", resolution[1]
    units = positive_number(name, value, has_decimal_commas=has_decimal_commas)
    if not _RESOLUTIONS[0] <= units <= _RESOLUTIONS[1]:
        raise DocumentValueError(f"{name} '{shown(value)}' is not the resolution of a map.")
    name, value = f"{scale[0]} of level {found}", scale[1]
    if value is None or not str(value).strip():
        return found, units, None
    return found, units, positive_number(name, value, has_decimal_commas=has_decimal_commas)


def _implied_dpi(reference: SpatialReference, lods: Sequence[tuple[int, float, float | None]]) -> float:
    """Return the dots per inch that scales and resolutions imply; 96 where there is no scale."""
    for _, resolution, scale in lods:
        if scale:
            dpi = scale / _scale(reference, resolution, 1)
            return _USUAL_DPI if abs(dpi / _USUAL_DPI - 1) < _SAME_DPI else dpi
    return _USUAL_DPI


def _scale(reference: SpatialReference, resolution: float, dpi: float) -> float:
    return resolution * reference.metres_per_unit * dpi / _METRES_PER_INCH
