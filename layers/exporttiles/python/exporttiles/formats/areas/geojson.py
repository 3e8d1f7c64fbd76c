"""Coordinate systems in GeoJSON.

Source: RFC 7946, section 4: longitude and latitude in WGS 84; and the GeoJSON
format of 2008, section 3, whose member ``crs`` many programs still write. Its
coordinates are east before north whatever the register says, as in every
file that GDAL, QGIS, GeoServer and ArcGIS write.
"""

import re
from typing import Any

from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.formats.esri.values import shown

_CRS84 = re.compile(r"(?:.*[:/])?CRS-?84", re.IGNORECASE | re.ASCII)
_CODE = re.compile(
    r"(?:urn:(?:x-)?ogc:def:crs:|https?://(?:www\.)?opengis\.net/(?:def/crs/|gml/srs/))?"
    r"(?:EPSG|ESRI)(?:\.xml)?[:/#](?:[\w.]*[:/])?(\d{1,9})",
    re.IGNORECASE | re.ASCII,
)
"""EPSG:25832, urn:ogc:def:crs:EPSG::3857, http://www.opengis.net/def/crs/EPSG/0/3857."""


def read_crs(document: Any) -> SpatialReference:
    """Return the reference of a member ``crs``.

    Raises:
        ValueError: the reference is unknown; the text can be shown to users.
    """
    properties = document.get("properties") if isinstance(document, dict) else None
    kind = document.get("type") if isinstance(document, dict) else None
    match properties:
        case {"name": str(name)} if kind != "link":
            found = reference_of_name(name)
            if found:
                return found
            raise ValueError(f"crs has the name '{shown(name)}', which is not known")
        case {"code": float(code)} if kind == "EPSG":  # a draft of the format
            return SpatialReference(latest_wkid=int(code))
        case {"href": _}:
            raise ValueError("crs is a link, which is not followed")
        case _:
            raise ValueError(f"crs '{shown(document)}' names no coordinate system")


def reference_of_name(name: str) -> SpatialReference | None:
    """Return the reference of a name such as ``urn:ogc:def:crs:EPSG::3857``, None if it is not known."""
    if _CRS84.fullmatch(name.strip()):
        return WGS84
    code = _CODE.fullmatch(name.strip())
    return SpatialReference(latest_wkid=int(code[1])) if code else None
