"""Esri's XML: elements as ArcGIS writes them, and spatial references.

Source: conf.xml and conf.cdi by ArcMap 10.3; the domains are those that ArcGIS
gives to coordinates of 0.1 millimetres, and to degrees.
"""

import re
from dataclasses import dataclass
from html import escape
from xml.etree.ElementTree import Element, ParseError  # the parser below is the safe one

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from exporttiles.domain.spatial_reference import LAST_EPSG_WKID, SpatialReference

DECLARATION = '<?xml version="1.0" encoding="utf-8" ?>'

_NAMESPACES = (
    " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:xs='http://www.w3.org/2001/XMLSchema'"
    " xmlns:typens='http://www.esri.com/schemas/ArcGIS/10.3'"
)
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGERS = 2**53 - 1  # coordinates are counted in doubles
_TOLERANCE_METRES = 0.001


@dataclass(frozen=True, slots=True)
class CoordinateDomain:
    """The grid that ArcGIS snaps coordinates to: its corner, in map units, and cells per map unit."""

    origin: float
    scale: float

    @classmethod
    def of(cls, reference: SpatialReference) -> "CoordinateDomain":
        """Return the domain that ArcGIS uses where no one chose another."""
        return cls(-400, 1e9) if reference.is_geographic else cls(-_INTEGERS / 2e4, 1e4)

    @property
    def end(self) -> float:
        """Return the corner opposite of the origin, in map units."""
        return self.origin + _INTEGERS / self.scale


def read_document(body: bytes) -> Element:
    """Return the root of a document from anywhere.

    Raises:
        ValueError: it is no XML, or has a document type: entities grow, and name files.
    """
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError) as error:  # the last: an encoding that nobody knows
        raise ValueError(f"It is no XML that can be read: {type(error).__name__} {error}") from error
    return root


def element(name: str, *content: str, esri_type: str = "") -> str:
    """Return an element around text that is XML already."""
    kind = f" xsi:type='typens:{esri_type}'" if esri_type else ""
    return f"<{name}{kind}>{''.join(content)}</{name}>"


def document(name: str, *content: str) -> bytes:
    """Return a document of one root, of the type that it is called, with Esri's namespaces."""
    root = element(name, *content, esri_type=name)
    start = f"<{name} xsi:type='typens:{name}'"
    return f"{DECLARATION}{start}{_NAMESPACES}{root.removeprefix(start)}".encode()


def text(name: str, value: str) -> str:
    """Return an element of plain text, without the characters that XML cannot hold."""
    return element(name, escape(_NO_XML.sub("", value), quote=False).replace('"', "&quot;"))


def number(name: str, value: float) -> str:
    """Return an element of a number, with the 17 digits that give back the same double."""
    return element(name, f"{value:.17g}")


def write_spatial_reference(reference: SpatialReference) -> str:
    """Return ``SpatialReference`` with Esri's WKT, the coordinate domain and the ids.

    Raises:
        UnknownSpatialReferenceError: no coordinate system has the ids.
    """
    domain = CoordinateDomain.of(reference)
    wkid, latest_wkid = reference.wkid or reference.latest_wkid, reference.latest_wkid or reference.wkid
    ids = [number("WKID", wkid), number("LatestWKID", latest_wkid)] if wkid and latest_wkid else []
    return element(
        "SpatialReference",
        text("WKT", esri_wkt(reference)),
        number("XOrigin", domain.origin),
        number("YOrigin", domain.origin),
        number("XYScale", domain.scale),
        number("ZOrigin", -100000),
        number("ZScale", 10000),
        number("MOrigin", -100000),
        number("MScale", 10000),
        number("XYTolerance", _TOLERANCE_METRES / reference.metres_per_unit),
        number("ZTolerance", _TOLERANCE_METRES),
        number("MTolerance", _TOLERANCE_METRES),
        text("HighPrecision", "true"),
        *([number("LeftLongitude", -180)] if reference.is_geographic else []),
        *ids,
        esri_type="GeographicCoordinateSystem" if reference.is_geographic else "ProjectedCoordinateSystem",
    )


def esri_wkt(reference: SpatialReference) -> str:
    """Return a coordinate system in Esri's WKT, with its id at the end as ArcGIS adds it.

    In WKT 2 where Esri's has no words for the projection.
    """
    from pyproj.exceptions import CRSError

    try:
        wkt = reference.crs.to_wkt("WKT1_ESRI")
    except CRSError:
        return str(reference.crs.to_wkt("WKT2_2019"))
    wkid = reference.latest_wkid or reference.wkid
    if wkid is None:
        return wkt
    authority = "EPSG" if wkid <= LAST_EPSG_WKID else "ESRI"
    return f'{wkt.removesuffix("]")},AUTHORITY["{authority}",{wkid}]]'
