"""Checks that the JSON documents of packages share.

Source: ArcGIS REST API, "Geometry objects".
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from exporttiles.domain.errors import ExportTilesError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.esri.esri_json import read_extent
from exporttiles.formats.esri.values import DocumentValueError

JsonType = type | tuple[type, ...]
NUMBER: JsonType = (int, float)


def read_object(path: str, data: bytes, types: Mapping[str, JsonType], findings: Findings) -> dict[str, Any]:
    """Return a JSON object, empty if it is not one; check that its keys exist and have their types."""
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        findings.add(path, f"It is not JSON in UTF-8 without a byte order mark: {str(error)[:120]}.")
        return {}
    if not isinstance(document, dict):
        findings.add(path, "It is not a JSON object.")
        return {}
    for key, wanted in types.items():
        value = document.get(key)
        right = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        findings.require(right, path, f"{key} is {shown(value)}." if key in document else f"{key} is missing.")
    return document


def part(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object inside an object; empty if there is none."""
    inner = document.get(key)
    return inner if isinstance(inner, dict) else {}


def is_object(document: Mapping[str, Any], key: str) -> bool:
    """Return True if there is an object inside an object."""
    return isinstance(document.get(key), dict)


def shown(value: object) -> str:
    """Return a value as text for a finding."""
    return "null" if value is None else repr(value)[:80]


def check_reference(path: str, key: str, reference: Mapping[str, Any], findings: Findings) -> None:
    """Check that a spatial reference has both ids, or WKT."""
    both = all(isinstance(reference.get(name), int) for name in ("wkid", "latestWkid"))
    findings.require(both or "wkt" in reference, path, f"{key} has a spatial reference without wkid and latestWkid.")


def check_extent(
    path: str,
    key: str,
    document: dict[str, Any],
    is_right: Callable[[SpatialReference], bool],
    findings: Findings,
) -> Extent | None:
    """Return an extent; add a finding and return None if it is empty or fails `is_right`."""
    try:
        extent = read_extent(document, WGS84)
        right = is_right(extent.spatial_reference)
    except (ExportTilesError, DocumentValueError) as error:
        findings.add(path, f"{key} cannot be used: {error}")
        return None
    findings.require(right, path, f"{key} is in another spatial reference than it should be.")
    findings.require(not extent.is_empty, path, f"{key} is empty.")
    return extent if right and not extent.is_empty else None
