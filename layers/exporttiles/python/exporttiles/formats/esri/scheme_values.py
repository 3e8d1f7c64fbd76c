"""Tiling schemes from the values of conf.xml or root.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporttiles.domain.errors import UnknownSpatialReferenceError
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.esri.values import DocumentValueError, number, positive_number, shown, whole_number
from exporttiles.formats.tiles.image import MAX_SIDE_PIXELS

_MAX_WKID = 2**31 - 1
MAX_LEVELS = 64
"""More levels than any scheme has: a pixel of level 64 would be smaller than an atom."""

_MAX_LEVEL = 99  # folders of levels have two digits
MAX_COORDINATE = 1e15  # map units
_RESOLUTIONS = (1e-12, 1e12)  # map units per pixel; beyond them, places cannot be calculated in doubles
_METRES_PER_INCH = 0.0254
_USUAL_DPI = 96
_SAME_DPI = 1e-3  # Esri counts 39.37 inches to a metre in some schemes


@dataclass(frozen=True, slots=True)
class SchemeNames:
    """Names of the values of a tiling scheme in one kind of document."""

    rows: str
    columns: str
    dpi: str
    origin_x: str
    origin_y: str
    lods: str
    level: str
    resolution: str
    scale: str


def read_scheme(
    reference: SpatialReference,
    values: Mapping[str, object],
    lods: Sequence[Mapping[str, object]],
    names: SchemeNames,
    *,
    has_decimal_commas: bool = False,
) -> TilingScheme:
    """Return a tiling scheme, its levels in the order of the document.

    Missing values are calculated if possible: dots per inch from the first
    scale, scales from resolutions.

    Args:
        reference: of the scheme.
        values: of the document, by their names; None for missing ones.
        lods: the values of each level.
        names: of the values in the document.
        has_decimal_commas: see `values.number`.

    Raises:
        DocumentValueError: a value is missing or unusable; its name begins the text.
    """
    columns, rows = (
        whole_number(name, values.get(name), maximum=MAX_SIDE_PIXELS) for name in (names.columns, names.rows)
    )
    if columns != rows or not rows:
        raise DocumentValueError(
            f"{names.columns} {columns} and {names.rows} {rows}: tiles must be square, 1 pixel or more."
        )
    origin_x, origin_y = (
        number(name, values.get(name), has_decimal_commas=has_decimal_commas)
        for name in (names.origin_x, names.origin_y)
    )
    for name, found in ((names.origin_x, origin_x), (names.origin_y, origin_y)):
        if abs(found) > MAX_COORDINATE:
            raise DocumentValueError(f"{name} '{found:g}' is too large for a map.")
    if not 0 < len(lods) <= MAX_LEVELS:
        raise DocumentValueError(f"{names.lods} has {len(lods)} levels. Legal is 1 to {MAX_LEVELS}.")
    read = [_read_lod(lod, names, has_decimal_commas=has_decimal_commas) for lod in lods]
    levels = [level for level, _, _ in read]
    if twice := sorted({level for level in levels if levels.count(level) > 1}):
        raise DocumentValueError(f"{names.lods}: {names.level} {twice[0]} is there more than once.")
    stated_dpi = values.get(names.dpi)
    dpi = None
    if stated_dpi is not None and str(stated_dpi).strip():
        dpi = positive_number(names.dpi, stated_dpi, has_decimal_commas=has_decimal_commas)
    if dpi is None:
        dpi = _implied_dpi(reference, read)
    return TilingScheme(
        spatial_reference=reference,
        origin_x=origin_x,
        origin_y=origin_y,
        tile_size=rows,
        dpi=dpi,
        lods=tuple(
            LevelOfDetail(level, resolution, scale or _scale(reference, resolution, dpi))
            for level, resolution, scale in read
        ),
    )


def well_known_id(name: str, value: object) -> int | None:
    """Return the id of a spatial reference; None if it is missing, 0 or negative.

    Raises:
        DocumentValueError: it is no whole number.
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
    lod: Mapping[str, object], names: SchemeNames, *, has_decimal_commas: bool
) -> tuple[int, float, float | None]:
    """Return level, resolution and scale; None for a scale that is missing."""
    level = whole_number(f"{names.lods}: {names.level}", lod.get(names.level), maximum=_MAX_LEVEL)
    name, value = f"{names.resolution} of level {level}", lod.get(names.resolution)
    resolution = positive_number(name, value, has_decimal_commas=has_decimal_commas)
    if not _RESOLUTIONS[0] <= resolution <= _RESOLUTIONS[1]:
        raise DocumentValueError(f"{name} '{shown(value)}' is not of a map.")
    name, value = f"{names.scale} of level {level}", lod.get(names.scale)
    if value is None or not str(value).strip():
        return level, resolution, None
    return level, resolution, positive_number(name, value, has_decimal_commas=has_decimal_commas)


def _implied_dpi(reference: SpatialReference, lods: Sequence[tuple[int, float, float | None]]) -> float:
    """Return the dots per inch that scales and resolutions imply; 96 where there is no scale."""
    for _, resolution, scale in lods:
        if scale:
            dpi = scale / _scale(reference, resolution, 1)
            return _USUAL_DPI if abs(dpi / _USUAL_DPI - 1) < _SAME_DPI else dpi
    return _USUAL_DPI


def _scale(reference: SpatialReference, resolution: float, dpi: float) -> float:
    return resolution * reference.metres_per_unit * dpi / _METRES_PER_INCH
