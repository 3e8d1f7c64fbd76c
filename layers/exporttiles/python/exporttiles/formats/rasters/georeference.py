"""Where a GeoTIFF lies: its coordinate system, and the transformation from pixels to coordinates.

Source: OGC 19-008r4 (GeoTIFF 1.1), clauses 7 and 8, and annex B.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.crs import ProjectedCRS
from pyproj.database import get_units_map
from pyproj.exceptions import CRSError

from exporttiles.domain.errors import DamagedCacheError, UnknownSpatialReferenceError
from exporttiles.domain.spatial_reference import WEB_MERCATOR_WKIDS, SpatialReference
from exporttiles.formats.rasters.directory import Directory, Tag

_MODEL_TYPE, _RASTER_TYPE, _CITATION = 1024, 1025, 1026
_GEODETIC, _GEODETIC_CITATION, _DATUM, _PRIME_MERIDIAN, _ANGULAR_UNITS = 2048, 2049, 2050, 2051, 2054
_ELLIPSOID, _SEMI_MAJOR_AXIS, _INVERSE_FLATTENING, _MERIDIAN_LONGITUDE = 2056, 2057, 2059, 2061
_PROJECTED, _PROJECTED_CITATION, _METHOD, _LINEAR_UNITS, _UNIT_METRES = 3072, 3073, 3075, 3076, 3077
_PROJECTED_MODEL, _GEOGRAPHIC_MODEL = 1, 2
_PIXEL_IS_POINT = 2
_USER_DEFINED = 32767
_ESRI_WKT = "ESRI PE String = "

_METRE, _DEGREES = 9001, 9102
_SAME_SIZE = 1e-8

# Keys of projection parameters, in the order in which they are looked for.
_LATITUDE, _LONGITUDE = (3081, 3085, 3089), (3080, 3084, 3088, 3095)
_EASTING, _NORTHING = (3082, 3086, 3090), (3083, 3087, 3091)
_SCALE, _PARALLEL_1, _PARALLEL_2 = (3092, 3093), (3078,), (3079,)
_ORIGIN = {"lat_0": _LATITUDE, "lon_0": _LONGITUDE, "x_0": _EASTING, "y_0": _NORTHING}
_METHODS: Mapping[int, tuple[str, Mapping[str, tuple[int, ...]]]] = {
    1: ("tmerc", {**_ORIGIN, "k_0": _SCALE}),
    7: ("merc", {**_ORIGIN, "k_0": _SCALE, "lat_ts": _PARALLEL_1}),
    8: ("lcc", {**_ORIGIN, "lat_1": _PARALLEL_1, "lat_2": _PARALLEL_2}),
    9: ("lcc", {**_ORIGIN, "lat_1": _LATITUDE, "k_0": _SCALE}),
    10: ("laea", _ORIGIN),
    11: ("aea", {**_ORIGIN, "lat_1": _PARALLEL_1, "lat_2": _PARALLEL_2}),
    16: ("sterea", {**_ORIGIN, "k_0": _SCALE}),
    17: ("eqc", {**_ORIGIN, "lat_ts": _PARALLEL_1}),
    24: ("sinu", {"lon_0": _LONGITUDE, "x_0": _EASTING, "y_0": _NORTHING}),
}
"""Projections without an EPSG code: name and parameters of PROJ -> keys."""

_PARAMETERS = range(3078, 3100)

_LEAST_AREA = 1e-24  # of a pixel, in map units

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Georeference:
    """Coordinate system of a picture, and the affine transformation from pixels to its coordinates.

    Attributes:
        matrix: x = a column + b row + c, y = d column + e row + f, from the top left corner of the
            top left pixel: (a, b, c, d, e, f).
    """

    spatial_reference: SpatialReference
    matrix: tuple[float, float, float, float, float, float]

    def to_map(self, column: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Return the coordinates of places in pixels."""
        a, b, c, d, e, f = self.matrix
        return a * column + b * row + c, d * column + e * row + f

    def to_pixels(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return columns and rows of coordinates."""
        a, b, c, d, e, f = self.matrix
        determinant = a * e - b * d
        right, up = x - c, y - f
        return (e * right - b * up) / determinant, (a * up - d * right) / determinant

    @property
    def pixel_size(self) -> float:
        """Return the side of a square pixel of the same area, in map units."""
        a, b, _, d, e, _ = self.matrix
        return math.sqrt(abs(a * e - b * d))


def read_georeference(directory: Directory, stated: SpatialReference | None = None) -> Georeference:
    """Return where a picture lies.

    Args:
        directory: of the first picture of a file.
        stated: coordinate system that the user names; it replaces that of the file.

    Raises:
        DamagedCacheError: the file does not say, or in a way that is not supported.
        UnknownSpatialReferenceError: `stated` is not known.
    """
    keys = _Keys.of(directory)
    matrix = _matrix(directory)
    if keys.number(_RASTER_TYPE) == _PIXEL_IS_POINT:
        a, b, c, d, e, f = matrix
        matrix = (a, b, c - (a + b) / 2, d, e, f - (d + e) / 2)
    a, b, _, d, e, _ = matrix
    if not all(map(math.isfinite, matrix)) or not _LEAST_AREA < abs(a * e - b * d) < 1 / _LEAST_AREA:
        raise DamagedCacheError("Its georeference is no transformation from pixels to a map.")
    if stated:
        stated.crs  # noqa: B018  raises if the reference is unknown
        return Georeference(stated, matrix)
    reference = _reference(keys)
    a, b, c, d, e, f = (value * _unit_ratio(keys, reference) for value in matrix)
    return Georeference(reference, (a, b, c, d, e, f))


def _matrix(directory: Directory) -> tuple[float, float, float, float, float, float]:
    scale, ties = directory.numbers(Tag.PIXEL_SCALE), directory.numbers(Tag.TIE_POINTS)
    if len(scale) >= 2 and len(ties) >= 6 and scale[0] and scale[1]:
        right, down, _, x, y, _ = ties[:6]
        height = abs(scale[1])  # as GDAL reads it: rasters with south up have a transformation
        return scale[0], 0.0, x - right * scale[0], 0.0, -height, y + down * height
    whole = directory.numbers(Tag.TRANSFORMATION)  # as GDAL reads it, in files that state both
    if len(whole) == 16:
        return whole[0], whole[1], whole[3], whole[4], whole[5], whole[7]
    if len(ties) > 6:
        raise DamagedCacheError(
            "It is georeferenced by ground control points. Rectify it first: gdalwarp -of COG FILE NEW.tif."
        )
    if directory.has(Tag.RPC):
        raise DamagedCacheError(
            "It is georeferenced by the model of a camera (RPC). Rectify it first: gdalwarp -rpc -of COG FILE NEW.tif."
        )
    raise DamagedCacheError(
        "It has no georeference: nothing in the file says where it lies on the map. If there is a world file (.tfw), "
        "put it in: gdal_translate -of COG -a_srs EPSG:CODE FILE NEW.tif. Otherwise add the place: gdal_translate -of "
        "COG -a_srs EPSG:CODE -a_ullr LEFT TOP RIGHT BOTTOM FILE NEW.tif."
    )


@dataclass(frozen=True, slots=True)
class _Keys:
    """The GeoKeys of a file.

    Attributes:
        entries: key -> tag that holds the value (0: the entry itself), count, and value or index.
    """

    entries: Mapping[int, tuple[int, int, int]]
    doubles: tuple[float, ...]
    texts: str

    @classmethod
    def of(cls, directory: Directory) -> "_Keys":
        numbers = directory.integers(Tag.GEO_KEYS)
        fours = [numbers[at : at + 4] for at in range(4, len(numbers) - 3, 4)]
        entries = {key: (tag, count, value) for key, tag, count, value in fours}
        texts = directory.data(Tag.GEO_TEXTS).decode("latin-1")
        return cls(entries, directory.numbers(Tag.GEO_DOUBLES), texts)

    def number(self, key: int) -> int:
        tag, _, value = self.entries.get(key, (0, 0, 0))
        return value if tag == 0 else 0

    def double(self, keys: tuple[int, ...]) -> float | None:
        for key in keys:
            tag, _, at = self.entries.get(key, (0, 0, 0))
            if tag == Tag.GEO_DOUBLES and at < len(self.doubles):
                return self.doubles[at]
        return None

    def text(self, key: int) -> str:
        tag, count, at = self.entries.get(key, (0, 0, 0))
        return self.texts[at : at + count].rstrip("|\0") if tag == Tag.GEO_TEXTS else ""


def _reference(keys: _Keys) -> SpatialReference:
    """Return the coordinate system that the keys describe.

    Raises:
        DamagedCacheError: they describe none that is known.
    """
    model = keys.number(_MODEL_TYPE)
    code = keys.number(_PROJECTED if model == _PROJECTED_MODEL else _GEODETIC)
    if model in {_PROJECTED_MODEL, _GEOGRAPHIC_MODEL} and code not in {0, _USER_DEFINED}:
        shown = f"EPSG:{code}"
        reference = SpatialReference(102100, 3857) if code in WEB_MERCATOR_WKIDS else SpatialReference(code, code)
        found = _known(lambda: reference)
        if found and model == _PROJECTED_MODEL:
            _require_same_datum(keys, found)
    else:
        shown = keys.text(_PROJECTED_CITATION) or keys.text(_GEODETIC_CITATION) or keys.text(_CITATION) or "nothing"
        found = _known(lambda: _described(keys))
    if found is None:
        raise DamagedCacheError(
            f"Its coordinate system is not known; the file states '{shown[:80]}'. Name it with --source-wkid."
        )
    return found


def _require_same_datum(keys: _Keys, reference: SpatialReference) -> None:
    """Refuse a file that states a projected system and, beside it, another geographic one.

    Raises:
        DamagedCacheError: it is one.
    """
    code = keys.number(_GEODETIC)
    beside = _known(lambda: SpatialReference(code, code)) if code not in {0, _USER_DEFINED} else None
    own = reference.crs.geodetic_crs
    if beside is None or own is None or reference.wkid in WEB_MERCATOR_WKIDS:
        return
    if not own.equals(beside.crs, ignore_axis_order=True):
        raise DamagedCacheError(
            f"It states two coordinate systems: '{reference.crs.name}', which lies on '{own.name}', and "
            f"'{beside.crs.name}'. Name the right one with --source-wkid."
        )


def _known(describe: Callable[[], SpatialReference | None]) -> SpatialReference | None:
    """Return a coordinate system by its id, if it has one; None if it is not known, or not one of maps."""
    try:
        described = describe()
        found = described and described.identified
        found and found.crs  # noqa: B018  raises if the reference is unknown
    except UnknownSpatialReferenceError:
        return None
    return found


def _unit_ratio(keys: _Keys, reference: SpatialReference) -> float:
    """Return how many units of a coordinate system a unit of the file's coordinates is.

    Some programs state a system by its code, such as that of a UTM zone in metres, and count in feet.

    Raises:
        DamagedCacheError: the unit is not known.
    """
    if keys.number(_PROJECTED) in {0, _USER_DEFINED} or reference.is_geographic or not keys.number(_LINEAR_UNITS):
        return 1.0
    unit = _unit_metres(keys)
    if unit is None:
        raise DamagedCacheError(
            f"Its coordinates are in a unit that is not known ({keys.number(_LINEAR_UNITS)}). Name its coordinate "
            "system with --source-wkid."
        )
    ratio = unit / reference.metres_per_unit
    return 1.0 if math.isclose(ratio, 1, rel_tol=_SAME_SIZE) else ratio


def _unit_metres(keys: _Keys) -> float | None:
    """Return the length of the unit of projected coordinates; None if it is not known."""
    code = keys.number(_LINEAR_UNITS) or _METRE
    if code == _USER_DEFINED:
        stated = keys.double((_UNIT_METRES,))
        return stated if stated and stated > 0 and math.isfinite(stated) else None
    units = get_units_map(auth_name="EPSG", category="linear", allow_deprecated=True)
    return next((unit.conv_factor for unit in units.values() if unit.code == str(code)), None)


def _described(keys: _Keys) -> SpatialReference | None:
    """Return a coordinate system that is described by WKT of Esri or by its projection; None if there is none."""
    for key in (_PROJECTED_CITATION, _GEODETIC_CITATION, _CITATION):
        text = keys.text(key)
        if text.startswith(_ESRI_WKT):
            return SpatialReference(wkt=text.removeprefix(_ESRI_WKT))
    method, unit = _METHODS.get(keys.number(_METHOD)), _unit_metres(keys)
    is_in_degrees = keys.number(_ANGULAR_UNITS) in {0, _DEGREES}
    if keys.number(_MODEL_TYPE) != _PROJECTED_MODEL or method is None or unit is None or not is_in_degrees:
        return None
    return _projected(keys, *method, unit)


def _geodetic_code(keys: _Keys) -> int:
    """Return the EPSG code of the geographic system; that of its datum without 2000, as the register counts them."""
    code = keys.number(_GEODETIC)
    return code if code != _USER_DEFINED else keys.number(_DATUM) - 2000


def _projected(
    keys: _Keys, projection: str, parameters: Mapping[str, tuple[int, ...]], metres_per_unit: float
) -> SpatialReference | None:
    values = {name: keys.double(of) for name, of in parameters.items()}
    known = {name: value for name, value in values.items() if value is not None}
    read = {key for of in parameters.values() for key in of}
    if any(keys.double((key,)) for key in _PARAMETERS if key not in read):  # what it changes is not known
        return None
    for name in ("x_0", "y_0"):  # PROJ counts them in metres
        known[name] = known.get(name, 0.0) * metres_per_unit
    try:
        geodetic = CRS.from_epsg(_geodetic_code(keys))
        if not _is_geodetic_as_stated(keys, geodetic):
            return None
        described = CRS.from_dict({"proj": projection, "to_meter": metres_per_unit, **known})
        conversion = described.coordinate_operation
        found = ProjectedCRS(conversion, geodetic_crs=geodetic, cartesian_cs=described.coordinate_system)
    except CRSError:
        return None
    return SpatialReference(wkt=found.to_wkt())


def _is_geodetic_as_stated(keys: _Keys, geodetic: CRS) -> bool:
    """Return True if nothing beside the code of a geographic system, in degrees, contradicts it."""
    ellipsoid, meridian = geodetic.ellipsoid, geodetic.prime_meridian
    if ellipsoid is None or meridian is None or geodetic.axis_info[0].unit_name != "degree":
        return False
    for key, part in ((_ELLIPSOID, ellipsoid), (_PRIME_MERIDIAN, meridian)):
        if keys.number(key) not in {0, _USER_DEFINED, part.to_json_dict().get("id", {}).get("code")}:
            return False
    return all(
        (stated := keys.double((key,))) is None or math.isclose(stated, value, rel_tol=_SAME_SIZE, abs_tol=_SAME_SIZE)
        for key, value in (
            (_SEMI_MAJOR_AXIS, ellipsoid.semi_major_metre),
            (_INVERSE_FLATTENING, ellipsoid.inverse_flattening),
            (_MERIDIAN_LONGITUDE, meridian.longitude),
        )
    )
