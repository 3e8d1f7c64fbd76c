"""Coordinate systems by their Esri ids or WKT."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from exporttiles.domain.errors import UnknownSpatialReferenceError

if TYPE_CHECKING:  # loaded when the first one is needed: most requests never need one
    from pyproj import CRS, Transformer

WEB_MERCATOR_WKIDS = frozenset({3785, 3857, 900913, 102100, 102113})
"""All ids of Web Mercator; the coordinates are the same."""

LAST_EPSG_WKID = 32767
"""Esri ids up to here are EPSG codes, larger ones are its own."""

EQUATOR_DEGREE_METRES = 111_319.49079327358
"""A degree of longitude on the equator of WGS 84."""

_WKT_LIMIT = 10_000  # characters; the EPSG register gets by with about 4,000
_EXTENSION = re.compile(r"""EXTENSION\s*[\[(]\s*"PROJ4"\s*,\s*"([^"]*)"\s*[\])]""", re.IGNORECASE)
# GDAL writes these into WKT; a value that is a plain word or number names no file.
_PLAIN_PROJ = re.compile(r"(?:\+?\w+(?:=(?:@null|[-+\w.,]*))?(?:\s+|$))*", re.ASCII)
_FILE_NAMES = re.compile(r"grids=(?!@null\b)|\b(?:init|file|catalog|model)=", re.IGNORECASE)
_CANDIDATE_CONFIDENCE = 25  # percent: PROJ gives no more to Esri's WKT of grids whose first axis is north
_SAME_METRES = 0.01
_CACHED = 64  # WKT comes from outside, so the caches need an end


@dataclass(frozen=True, slots=True)
class SpatialReference:
    """A coordinate system by Esri's well-known id, its newer id, or WKT.

    ``latest_wkid`` is the id in today's EPSG register (3857 where ``wkid`` is
    102100). At least one of the three must be given.
    """

    wkid: int | None = None
    latest_wkid: int | None = None
    wkt: str | None = None

    @property
    def crs(self) -> "CRS":
        """Return the coordinate system behind the ids.

        Raises:
            UnknownSpatialReferenceError: no coordinate system has them, or it
                is not one of maps (heights, or axes from the earth's centre).
        """
        return _crs(self)

    @property
    def is_geographic(self) -> bool:
        """Return True if coordinates are longitude and latitude."""
        return self.crs.is_geographic

    @property
    def metres_per_unit(self) -> float:
        """Return the length of a map unit; of an angle, along the equator."""
        factor: float = self.crs.axis_info[0].unit_conversion_factor  # to metres or radians
        return math.degrees(factor) * EQUATOR_DEGREE_METRES if self.is_geographic else factor

    @property
    def geographic(self) -> "SpatialReference":
        """Return longitude and latitude on this reference's own datum.

        Always in degrees from Greenwich: WGS 84 if the datum has another unit or
        meridian, or if the reference includes its own transformation to WGS 84.
        """
        return _geographic(self)

    @property
    def has_known_id(self) -> bool:
        """Return True if the EPSG or Esri register has an id of this reference.

        Ids up to `LAST_EPSG_WKID` are looked up in the EPSG register only, larger
        ones in Esri's only, as GDAL does when it reads root.json.
        """
        return _has_known_id(self)

    @property
    def identified(self) -> "SpatialReference":
        """Return the reference by its registered id, or unchanged if none is known.

        Only an equal definition counts: the same datum and the same parameters.
        """
        return self if self.has_known_id else _identified(self)

    def is_same_as(self, other: "SpatialReference") -> bool:
        """Return True if equal coordinates are equal places in both."""
        return self == other or _is_same(self, other)


WGS84 = SpatialReference(wkid=4326, latest_wkid=4326)
_WEB_MERCATOR = SpatialReference(wkid=102100, latest_wkid=3857)  # as ArcGIS names it


@lru_cache(maxsize=_CACHED)
def transformer(source: SpatialReference, target: SpatialReference) -> "Transformer":
    """Return the transformation between two references, x (east) first.

    Raises:
        UnknownSpatialReferenceError: there is none.
    """
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        return Transformer.from_crs(source.crs, target.crs, always_xy=True)
    except ProjError as error:
        names = f"'{source.crs.name[:60]}' to '{target.crs.name[:60]}'"
        raise UnknownSpatialReferenceError(f"No transformation is known from {names}.") from error


@lru_cache(maxsize=_CACHED)
def _is_same(one: SpatialReference, other: SpatialReference) -> bool:
    return one.crs.equals(other.crs, ignore_axis_order=True)


@lru_cache(maxsize=_CACHED)
def _has_known_id(reference: SpatialReference) -> bool:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    for wkid in filter(None, (reference.latest_wkid, reference.wkid)):
        try:
            CRS.from_authority(_authority(wkid), wkid)
        except CRSError:
            continue
        return True
    return False


@lru_cache(maxsize=_CACHED)
def _identified(reference: SpatialReference) -> SpatialReference:
    for authority, code in _equal_entries(reference.crs):
        if code.isdecimal() and authority == _authority(int(code)):
            return _WEB_MERCATOR if int(code) in WEB_MERCATOR_WKIDS else SpatialReference(int(code), int(code))
    return reference


def _equal_entries(crs: "CRS") -> Iterator[tuple[str, str]]:
    """Yield authority and code of the register entries with the same coordinates on the same datum."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    unbound = crs.source_crs if crs.is_bound and crs.source_crs else crs  # without its own way to WGS 84
    stated = unbound.to_json_dict().get("id", {})  # AUTHORITY at the end of WKT, which ArcGIS writes
    found = [(match.auth_name, match.code) for match in unbound.list_authority(min_confidence=_CANDIDATE_CONFIDENCE)]
    for authority, code in [(str(stated.get("authority")), str(stated.get("code"))), *found]:
        try:
            known = CRS.from_authority(authority, code)
        except CRSError:
            continue
        if _has_same_coordinates(unbound, known):
            yield authority, code


def _has_same_coordinates(described: "CRS", known: "CRS") -> bool:
    """Compare datums by name, projections by their parameters and by points of the area of use.

    ``CRS.equals`` compares the order of axes as well, which Esri's WKT does not state.
    """
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    geodetic, own, area = known.geodetic_crs, described.geodetic_crs, known.area_of_use
    if not (geodetic and own and area and geodetic.equals(own, ignore_axis_order=True)):
        return False
    if (
        known.coordinate_operation != described.coordinate_operation
    ):  # a fast comparison first: there may be 200 candidates
        return False
    if known.coordinate_operation is None:
        return bool(known.is_geographic and described.is_geographic)
    degree = math.radians(1) / geodetic.axis_info[0].unit_conversion_factor
    width, height = (area.east - area.west) % 360 or 360.0, area.north - area.south
    steps = [(right / 4, up / 4) for right in range(1, 4) for up in range(1, 4)]
    longitudes = [(area.west + width * right) * degree for right, _ in steps]
    latitudes = [(area.south + height * up) * degree for _, up in steps]
    try:
        one, other = (
            zip(*Transformer.from_crs(geodetic, crs, always_xy=True).transform(longitudes, latitudes), strict=True)
            for crs in (known, described)
        )
    except ProjError:  # a method without formulas in PROJ
        return False
    metres_per_unit = known.axis_info[0].unit_conversion_factor
    return all(math.dist(*pair) * metres_per_unit < _SAME_METRES for pair in zip(one, other, strict=True))


def _authority(wkid: int) -> str:
    return "EPSG" if wkid <= LAST_EPSG_WKID else "ESRI"


@lru_cache(maxsize=_CACHED)
def _geographic(reference: SpatialReference) -> SpatialReference:
    geodetic = reference.crs.geodetic_crs
    if reference.crs.is_bound:  # it brings its own way to WGS 84
        return WGS84
    if geodetic is None or geodetic.prime_meridian is None or geodetic.prime_meridian.longitude != 0:
        return WGS84
    if not math.isclose(geodetic.axis_info[0].unit_conversion_factor, math.radians(1)):
        return WGS84
    return reference if reference.is_geographic else SpatialReference(wkt=geodetic.to_wkt())


@lru_cache(maxsize=_CACHED)
def _crs(reference: SpatialReference) -> "CRS":
    found = _registered(reference) or _described(reference.wkt)
    if found is None:
        shown = reference.latest_wkid or reference.wkid or (reference.wkt or "")[:60]
        raise UnknownSpatialReferenceError(f"No coordinate system is known as '{shown}'.")
    flat = found.to_2d()
    if not (flat.is_geographic or flat.is_projected):
        raise UnknownSpatialReferenceError(f"'{found.name}' is not a coordinate system of maps.")
    return flat


def _registered(reference: SpatialReference) -> "CRS | None":
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    # The EPSG id comes first: ESRI:102100 and EPSG:3857 are the same place,
    # but only the second is known to every version of PROJ.
    for wkid in (reference.latest_wkid, reference.wkid):
        if wkid is None:
            continue
        if wkid in WEB_MERCATOR_WKIDS:
            return CRS.from_epsg(3857)
        for authority in ("EPSG", "ESRI"):
            try:
                return CRS.from_authority(authority, wkid)
            except CRSError:
                continue
    return None


def _described(wkt: str | None) -> "CRS | None":
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if not wkt or len(wkt) > _WKT_LIMIT or _opens_files(wkt):
        return None
    try:
        described = CRS.from_wkt(wkt)
    except (CRSError, UnicodeEncodeError):
        return None
    # Esri's WKT knows neither area of use nor axes: rather the register's own entry.
    known = None if described.is_bound else next(_equal_entries(described), None)
    return CRS.from_authority(*known) if known else described


def _opens_files(wkt: str) -> bool:
    """Return True if WKT could make PROJ open a file or URL, such as a grid."""
    upper, extensions = wkt.upper(), _EXTENSION.findall(wkt)
    if "PARAMETERFILE" in upper or upper.count("EXTENSION") != len(extensions):
        return True
    return any(not _PLAIN_PROJ.fullmatch(text) or _FILE_NAMES.search(text) for text in extensions)
