"""The parameters `exportExtent` and `areaOfInterest`: the area to export, as clients send it."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from exporttiles.domain.area import RINGS_LIMIT, Area
from exporttiles.domain.errors import AreaError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.wording import counted
from exporttiles.formats.caches.file_kinds import kind_of_text
from exporttiles.rest.geometry import SIDES, Geometries, GeometryError, is_number, named_reference, sides_of
from exporttiles.rest.json_text import balance_brackets, read_json, read_object

MAX_REFERENCES = 8
"""Limit of different spatial references in one area; each costs a look-up in the PROJ database."""

_LEGAL_EXTENT = "It must be four numbers xmin,ymin,xmax,ymax, an envelope as JSON, or DEFAULT."
_LEGAL_AREA = (
    "It must be a polygon or a set of polygon features as JSON, such as "
    '{"rings":[[[0,0],[0,1],[1,1],[0,0]]],"spatialReference":{"wkid":4326}}, or as GeoJSON.'
)
_LEGAL_BUFFER = (
    "It must be lines, points or polygons as JSON, such as "
    '{"paths":[[[0,0],[0,1]]],"spatialReference":{"wkid":4326}}, or as GeoJSON.'
)
_LIKE_DEGREES = 360.0, 90.0  # largest x and y of coordinates that look like degrees
_LAST_DEGREES = 540.0, 90.000001  # x may run on past the antimeridian by half a world; y is sometimes rounded


def area_of_extent(
    name: str, text: str, service: ImageService, *, must_name_reference: bool = False
) -> tuple[Area, tuple[str, ...]]:
    """Return the area of an extent parameter in the service's reference, and warnings.

    Numbers without a spatial reference are in that of the service.

    Args:
        name: name of the parameter.
        text: value of the parameter.
        service: gives the reference and the full extent.
        must_name_reference: refuse numbers that look like degrees but have no
            reference while that of the service is projected. By default a
            warning says how they were read.

    Raises:
        InvalidParameterError: the text is not an extent.
        AreaError: the extent is empty, or outside its reference's bounds.
    """
    if text.upper() in ("DEFAULT", "DEFAULTEXTENT"):
        return Area.of_all(service.full_extent), ()
    target = service.tiling_scheme.spatial_reference
    extent, is_named = _read_extent(name, text, target)
    area = Area.from_extent(extent, target)
    warnings = [*check_units(name, extent, is_named=is_named, must_be_named=must_name_reference)]
    if extent.xmin > extent.xmax:
        warnings.append(
            f"{name}: xmin ({extent.xmin:g}) is greater than xmax ({extent.xmax:g}), so the extent was taken to cross "
            "the antimeridian."
        )
    return area, tuple(warnings)


def area_of_interest(
    name: str, text: str, service: ImageService, *, must_name_reference: bool = False
) -> tuple[Area, tuple[str, ...]]:
    """Return the area of an area parameter in the service's reference, and warnings.

    The spatial reference is that of the geometry, else of its feature, else of the
    feature set. Without any, GeoJSON is in degrees and all else in the reference of
    the service. Points and lines are left out, with a warning.

    Args:
        name: name of the parameter.
        text: value of the parameter.
        service: gives the reference.
        must_name_reference: as for `area_of_extent`.

    Raises:
        InvalidParameterError: the text is not a polygon.
        AreaError: the area is empty, too complex, or outside its reference's bounds.
    """
    target = service.tiling_scheme.spatial_reference
    geometries, warnings = read_geometries(name, text, target, has_paths=False)
    left_out = " and ".join(counted(count, *kind) for kind, count in geometries.left_out.items())
    if not geometries.polygons and not geometries.envelopes:
        if left_out:
            raise AreaError(
                f"There is no polygon in it, only {left_out}. Lines and points need a bufferDistance, such as 500 "
                "metres (--buffer of a command)."
            )
        raise AreaError("The area has no coordinates.")
    if left_out:
        warnings.append(f"{name}: Left out, without an area or a bufferDistance: {left_out}.")
    areas = []
    for reference, polygons in geometries.polygons.items():
        area = Area.from_rings(polygons, reference or target)
        warnings += check_units(name, area.extent, is_named=reference is not None, must_be_named=must_name_reference)
        areas.append(area.to(target))
    for sides, reference in geometries.envelopes:
        extent = Extent(*sides, reference or target)
        areas.append(Area.from_extent(extent, target))
        warnings += check_units(name, extent, is_named=reference is not None, must_be_named=must_name_reference)
    return union(areas, target), tuple(warnings)


def union(areas: Sequence[Area], reference: SpatialReference) -> Area:
    """Return the union of areas of one reference."""
    return Area(tuple(polygon for area in areas for polygon in area.polygons), reference)


def read_geometries(name: str, text: str, target: SpatialReference, *, has_paths: bool) -> tuple[Geometries, list[str]]:
    """Return the geometries of an area parameter, and warnings.

    Args:
        name: name of the parameter.
        text: value of the parameter.
        target: the reference of coordinates that name none.
        has_paths: read lines and points, too.

    Raises:
        InvalidParameterError: the text is not such a geometry.
        AreaError: there are too many references, envelopes or vertices of curves.
    """
    document, is_repaired = read_document(name, text)
    geometries = Geometries(has_paths)
    try:
        geometries.add(document, None)
    except GeometryError as error:
        raise InvalidParameterError(name, text, f"{error} {_LEGAL_BUFFER if has_paths else _LEGAL_AREA}") from error
    references = {reference or target for reference in (*geometries.polygons, *geometries.paths)}
    if len(references) > MAX_REFERENCES:
        raise AreaError(
            f"It has geometries in {len(references)} spatial references; at most {MAX_REFERENCES} are possible."
        )
    if len(geometries.envelopes) > RINGS_LIMIT:
        raise AreaError(f"It has {len(geometries.envelopes):,} envelopes; {RINGS_LIMIT:,} are allowed.")
    if not is_repaired:
        return geometries, []
    return geometries, [_repair_warning(name, next(iter(references), target))]


def read_document(name: str, text: str, parse_int: Callable[[str], float] = float) -> tuple[Any, bool]:
    """Return the JSON, or a list with the JSON of each line, and True if its brackets were repaired.

    Args:
        name: name of the parameter.
        text: value of the parameter.
        parse_int: converts integers.

    Raises:
        InvalidParameterError: the text is not JSON.
    """
    kind = kind_of_text(text)
    if kind:
        raise InvalidParameterError(name, text, f"It is {kind}: convert it to GeoJSON. {_LEGAL_AREA}")
    try:
        return read_json(name, text, _LEGAL_AREA, float, parse_int), False
    except InvalidParameterError:
        try:
            lines = [line for line in re.split(r"[\n\x1e]", text) if line.strip()]
            if len(lines) > 1 and all(line.strip()[0] + line.strip()[-1] == "{}" for line in lines):
                return [read_json(name, line, _LEGAL_AREA, float, parse_int) for line in lines], False
            repaired = balance_brackets(text)
            if repaired is not None:
                return read_object(name, repaired, _LEGAL_AREA), True
        except InvalidParameterError:
            pass
        raise  # report the error in the client's text, not in the repaired one


def _repair_warning(name: str, reference: SpatialReference) -> str:
    return (
        f"{name}: It is not JSON, for its brackets do not match. It was read as if they did, "
        f"with coordinates in {reference.crs.name[:60]}. Check the area."
    )


def _read_extent(name: str, text: str, default: SpatialReference) -> tuple[Extent, bool]:
    """Return an envelope, and True if it names its reference."""
    if not text.startswith("{"):
        sides = text.split(",")
        if len(sides) != len(SIDES) or not all(map(is_number, sides)):
            raise InvalidParameterError(name, text, _LEGAL_EXTENT)
        xmin, ymin, xmax, ymax = map(float, sides)
        return Extent(xmin, ymin, xmax, ymax, default), False
    document = read_object(name, text, _LEGAL_EXTENT)
    try:
        reference = named_reference(document)
        return Extent(*sides_of(document), reference or default), reference is not None
    except GeometryError as error:
        raise InvalidParameterError(name, text, f"{error} {_LEGAL_EXTENT}") from error


def check_units(name: str, extent: Extent, *, is_named: bool, must_be_named: bool) -> list[str]:
    """Check that coordinates fit their units. Return a warning if they look like degrees.

    Args:
        name: name of the parameter.
        extent: of the coordinates, in their reference.
        is_named: the client named the reference.
        must_be_named: refuse what looks like degrees, instead of a warning.

    Raises:
        AreaError: they do not fit.
    """
    reference = extent.spatial_reference
    far_x, far_y = (max(map(abs, sides)) for sides in (extent.sides[::2], extent.sides[1::2]))
    if reference.is_geographic:
        if far_x > _LAST_DEGREES[0] or far_y > _LAST_DEGREES[1]:
            swapped = " Does latitude come before longitude?" if far_x <= 90 and far_y <= 180 else ""
            raise AreaError(
                f"Coordinates reach to {far_x:.10g}, {far_y:.10g}; longitude and latitude in degrees end at 180, 90."
                f"{swapped} Give the reference of other units, as spatialReference or crs."
            )
        return []
    if is_named or far_x > _LIKE_DEGREES[0] or far_y > _LIKE_DEGREES[1]:
        return []
    doubt = "The coordinates look like degrees but name no spatial reference"
    wkid = reference.latest_wkid or reference.wkid
    known = f"{reference.crs.name[:60]}{f' ({wkid})' if wkid else ''}"
    if must_be_named:
        raise AreaError(
            f"{doubt}, and the cache is in {known}. Give the reference, such as 4326 for degrees: "
            "--extent-wkid for an extent, spatialReference in the JSON of an area."
        )
    return [f"{name}: {doubt}: they were read as map units of {known}. For degrees add spatialReference 4326."]
