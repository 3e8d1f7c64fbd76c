"""Esri's XML: elements as ArcGIS writes them, and spatial references.

Source: conf.xml and conf.cdi by ArcMap 10.3; the domains are those that ArcGIS
gives to coordinates of 0.1 millimetres, and to degrees.
"""

import codecs
import re
from dataclasses import dataclass
from html import escape
from xml.etree.ElementTree import Element, ParseError  # defusedxml parses

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from exporttiles.domain.spatial_reference import LAST_EPSG_WKID, SpatialReference
from exporttiles.formats.esri.values import DocumentValueError, decode

DECLARATION = '<?xml version="1.0" encoding="utf-8" ?>'

_NAMESPACES = (
    " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:xs='http://www.w3.org/2001/XMLSchema'"
    " xmlns:typens='http://www.esri.com/schemas/ArcGIS/10.3'"
)
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STARTS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before that of UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
"""First bytes that show the encoding of a document; they override its declaration."""

_ENCODING = re.compile(rb"""\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\x21-\x7e]{1,40}?)["']""")
_WIDE = ("utf-16", "utf-32", "utf16", "utf32", "utf_16", "utf_32", "ucs", "iso-10646", "unicode", "u16", "u32")
_INTEGERS = 2**53 - 1  # coordinates are counted in doubles
_TOLERANCE_METRES = 0.001


@dataclass(frozen=True, slots=True)
class CoordinateDomain:
    """The grid that ArcGIS snaps coordinates to: its corner, in map units, and cells per map unit."""

    origin: float
    scale: float

    @classmethod
    def of(cls, reference: SpatialReference) -> "CoordinateDomain":
        """Return the default domain of ArcGIS."""
        return cls(-400, 1e9) if reference.is_geographic else cls(-_INTEGERS / 2e4, 1e4)

    @property
    def end(self) -> float:
        """Return the corner opposite of the origin, in map units."""
        return self.origin + _INTEGERS / self.scale


def read_document(body: bytes) -> Element:
    """Parse an untrusted document, in whatever encoding it declares.

    Raises:
        DocumentValueError: it is not XML, or it has a document type, whose
            entities can grow or include files.
    """
    try:
        root: Element = fromstring(_text(body), forbid_dtd=True)
    except DefusedXmlException as error:
        raise DocumentValueError("It has a document type (<!DOCTYPE>), which is not read.") from error
    except ParseError as error:
        line, column = error.position
        raise DocumentValueError(
            f"It is not well-formed XML: line {line}, column {column + 1} cannot be read."
        ) from error
    return root


def _text(body: bytes) -> str:
    """Return the text of a document (XML 1.0, 4.3.3 and appendix F)."""
    for start, encoding in _STARTS:
        if body.startswith(start):
            return decode(body, encoding).lstrip()
    match = _ENCODING.match(body)
    declared = match[1].decode() if match else "utf-8"
    # .NET declares UTF-16 in texts that are saved as UTF-8; this one does not begin with 16-bit characters.
    return decode(body, "utf-8" if declared.lower().startswith(_WIDE) else declared).lstrip()


def element(name: str, *content: str, esri_type: str = "") -> str:
    """Return an element around XML."""
    kind = f" xsi:type='typens:{esri_type}'" if esri_type else ""
    return f"<{name}{kind}>{''.join(content)}</{name}>"


def document(name: str, *content: str) -> bytes:
    """Return a document with Esri's namespaces; the type of its root is the name."""
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

    WKT 2 is returned if Esri's WKT does not know the projection.
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
