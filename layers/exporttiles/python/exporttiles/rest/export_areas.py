"""The parameters that select tiles: an area and its levels, or `areas` of which each has its own levels.

`areas` and `overviewLevels` are not parameters of ArcGIS.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError, InvalidParameterError, RequestError
from exporttiles.domain.export import ExportArea
from exporttiles.domain.reprojection import VERTICES_LIMIT
from exporttiles.domain.service import ImageService
from exporttiles.rest.areas import area_of_extent, area_of_interest
from exporttiles.rest.buffer import read_buffer
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.json_text import read_json
from exporttiles.rest.levels import ExportBy, read_levels
from exporttiles.rest.parameter_names import AREA_NAMES, EXTENT_NAMES, TILES, area_parameter

AREAS_LIMIT = 20
"""Limit of areas with levels of their own; each may be made of many polygons."""

_MAX_NAME_CHARACTERS = 60
_MEMBERS = ("areaOfInterest", "exportExtent", TILES, "bufferDistance", "bufferUnit", "levels", "name")
_LEGAL = (
    'It must be a list of areas with their levels as JSON, such as [{"areaOfInterest":{"rings":[[[0,0],[0,1],[1,1],'
    '[0,0]]],"spatialReference":{"wkid":4326}},"levels":"8-14","name":"County"}].'
)
_LEGAL_MEMBERS = f"The members of an area are {', '.join(_MEMBERS)}."


@dataclass(frozen=True, slots=True)
class SelectedAreas:
    """The areas of a request.

    Attributes:
        areas: at least one.
        warnings: assumptions about them.
        notes: how they were read, where that is no assumption.
    """

    areas: tuple[ExportArea, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_export_areas(
    sent: Mapping[str, str], service: ImageService, *, must_name_reference: bool = False
) -> SelectedAreas:
    """Return the areas that the parameters select, with their levels.

    Args:
        sent: parameters that are not empty.
        service: gives the spatial reference, and the area and the levels that the client leaves out.
        must_name_reference: as for `area_of_extent`.

    Raises:
        RequestError: a parameter cannot be used; the message names it, and the member of `areas`.
    """
    read = partial(
        _read_area, service=service, export_by=_read_export_by(sent), must_name_reference=must_name_reference
    )
    selected = _read_elements(sent, read) if "areas" in sent else read(sent)
    if "overviewLevels" not in sent:
        return selected
    note = "overviewLevels: The overview covers the full extent of the service."
    areas = (*selected.areas, _read_overview(sent, service))
    return replace(selected, areas=areas, notes=(*selected.notes, note))


def _read_area(
    sent: Mapping[str, str], *, service: ImageService, export_by: ExportBy, must_name_reference: bool
) -> SelectedAreas:
    """Return one area with its levels: of the parameters of a request, or of an element of `areas`."""
    name, scheme = area_parameter(sent), service.tiling_scheme
    if "levels" in sent:
        levels = read_levels(sent["levels"], export_by, scheme)
    else:
        levels = tuple(lod.level for lod in scheme.lods if service.min_level <= lod.level <= service.max_level)
    if TILES in sent and name != TILES:
        raise InvalidParameterError(TILES, sent[TILES], f"Send either it or {name}.")
    is_of_interest = name in sent and name in AREA_NAMES
    buffer = read_buffer(sent, is_buffered=is_of_interest)
    if name not in sent:
        return SelectedAreas((ExportArea(Area.of_all(service.full_extent), levels),))
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    with naming_parameter(name):
        if name == TILES:
            from exporttiles.rest.tile_names import area_of_tiles

            area = area_of_tiles(name, sent[name], service)
        elif buffer:
            from exporttiles.rest.buffered_areas import buffered_area_of_interest

            area, warnings, note = buffered_area_of_interest(
                name, sent[name], service, buffer, must_name_reference=must_name_reference
            )
            notes = (note,)
        else:
            read = area_of_interest if is_of_interest else area_of_extent
            area, warnings = read(name, sent[name], service, must_name_reference=must_name_reference)
    return SelectedAreas((ExportArea(area, levels, name),), warnings, notes)


def _read_elements(sent: Mapping[str, str], read: Callable[[Mapping[str, str]], SelectedAreas]) -> SelectedAreas:
    """Return the areas of the parameter `areas`."""
    for name in (*AREA_NAMES, *EXTENT_NAMES, TILES, "levels", "bufferDistance", "bufferUnit"):
        if name in sent:
            raise InvalidParameterError(name, sent[name], "With areas, it must be a member of each area.")
    areas: list[ExportArea] = []
    warnings: list[str] = []
    notes: list[str] = []
    for number, element in enumerate(_elements(sent["areas"])):
        label = f"areas[{number}]"
        try:
            members = _members_of(element)
            found = read(members)
        except RequestError as error:
            error.parameter = f"{label}.{error.parameter}".removesuffix(".")
            raise
        name = f"{label} ({members['name']})" if "name" in members else label
        areas += [replace(each, name=name) for each in found.areas]
        warnings += [f"{label}.{text}" for text in found.warnings]
        notes += [f"{label}.{text}" for text in found.notes]
        vertex_count = sum(len(ring) for each in areas for polygon in each.area.polygons for ring in polygon)
        if vertex_count > VERTICES_LIMIT:
            text = f"They have {vertex_count:,} vertices and more together; {VERTICES_LIMIT:,} are allowed."
            raise AreaError(text, "areas")
    return SelectedAreas(tuple(areas), tuple(warnings), tuple(notes))


def _read_overview(sent: Mapping[str, str], service: ImageService) -> ExportArea:
    """Return the full extent of the service at the levels of the overview."""
    name = "overviewLevels"
    if area_parameter(sent) not in sent:
        legal = "It adds levels of the full extent to those of an area, which is missing. Without an area, set levels."
        raise InvalidParameterError(name, sent[name], legal)
    levels = read_levels(sent[name], _read_export_by(sent), service.tiling_scheme, name)
    return ExportArea(Area.of_all(service.full_extent), levels, name)


def _elements(text: str) -> list[Any]:
    elements = read_json("areas", text, _LEGAL, float)
    if not isinstance(elements, list) or not elements:
        raise InvalidParameterError("areas", text, _LEGAL)
    if len(elements) > AREAS_LIMIT:
        legal = f"It has {len(elements):,} areas; {AREAS_LIMIT} are allowed. One area may have many polygons."
        raise InvalidParameterError("areas", text, legal)
    return elements


def _members_of(element: Any) -> dict[str, str]:
    """Return the members of an area as parameters, without empty ones."""
    if not isinstance(element, dict):
        raise InvalidParameterError("", _as_text(element), _LEGAL_MEMBERS)
    if unknown := sorted(element.keys() - set(_MEMBERS)):
        raise InvalidParameterError("", ", ".join(unknown), f"There is no such member. {_LEGAL_MEMBERS}")
    members = {name: _as_text(value).strip() for name, value in element.items()}
    sent = {name: text for name, text in members.items() if text}
    if area_parameter(sent) not in sent:
        raise RequestError("It is missing: an area needs it, exportExtent or tiles.", "areaOfInterest")
    if len(name := sent.get("name", "")) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidParameterError("name", name, f"It may have {_MAX_NAME_CHARACTERS} printable characters.")
    return sent


def _as_text(value: Any) -> str:
    """Return a JSON value as the text of a parameter."""
    if value is None:
        return ""
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError as error:
        raise RequestError("It is nested too deeply.") from error


def _read_export_by(sent: Mapping[str, str]) -> ExportBy:
    sent_word = sent.get("exportBy", ExportBy.LEVEL_ID)
    for word in ExportBy:
        if word.lower() == sent_word.lower():
            return word
    raise InvalidParameterError("exportBy", sent_word, f"It must be one of {', '.join(ExportBy)}.")
