"""Esri's JSON of spatial references, extents and tiling schemes.

Source: ArcGIS REST API, "Geometry objects"; tile-package-spec, docs/root.md.
"""

from typing import Any

from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.esri.scheme_values import read_scheme, well_known_id
from exporttiles.formats.esri.values import DocumentValueError, member, number, shown


def write_spatial_reference(reference: SpatialReference) -> dict[str, Any]:
    """Return ``{"wkid", "latestWkid"}``, or ``{"wkt"}`` where there is no id."""
    wkid = reference.wkid or reference.latest_wkid
    if wkid is None:
        return {"wkt": reference.wkt}
    return {"wkid": wkid, "latestWkid": reference.latest_wkid or wkid}


def read_spatial_reference(document: object) -> SpatialReference:
    """Return the reference that a JSON object names, in any capitals (``LatestWkid``), or an id alone.

    Raises:
        DocumentValueError: it names no reference.
        UnknownSpatialReferenceError: an id is too large.
    """
    if isinstance(document, int) and not isinstance(document, bool):
        return SpatialReference(wkid=well_known_id("spatialReference", document))
    if not isinstance(document, dict):
        raise DocumentValueError(f"spatialReference '{shown(document)}' is not an object.")
    members = {str(key).lower(): value for key, value in document.items()}
    wkid, latest_wkid = (well_known_id(name, members.get(name.lower())) for name in ("wkid", "latestWkid"))
    wkt = str(members.get("wkt") or "").strip() or None
    if not (wkid or latest_wkid or wkt):
        raise DocumentValueError("spatialReference has no wkid, latestWkid or wkt.")
    return SpatialReference(wkid, latest_wkid, wkt)


def write_extent(extent: Extent) -> dict[str, Any]:
    """Return an envelope with its spatial reference."""
    return {
        "xmin": extent.xmin,
        "ymin": extent.ymin,
        "xmax": extent.xmax,
        "ymax": extent.ymax,
        "spatialReference": write_spatial_reference(extent.spatial_reference),
    }


def read_extent(document: object, default: SpatialReference) -> Extent:
    """Return the envelope of a JSON object; its reference if it carries one.

    Raises:
        DocumentValueError: it is not an envelope.
    """
    if not isinstance(document, dict):
        raise DocumentValueError(f"'{shown(document)}' is not an object of xmin, ymin, xmax and ymax.")
    reference = document.get("spatialReference")
    xmin, ymin, xmax, ymax = (number(side, document.get(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
    return Extent(xmin, ymin, xmax, ymax, read_spatial_reference(reference) if reference else default)


def write_tile_info(scheme: TilingScheme) -> dict[str, Any]:
    """Return the ``tileInfo`` of a tiling scheme, all levels included."""
    return {
        "rows": scheme.tile_size,
        "cols": scheme.tile_size,
        "dpi": int(scheme.dpi) if float(scheme.dpi).is_integer() else scheme.dpi,
        "origin": {"x": scheme.origin_x, "y": scheme.origin_y},
        "spatialReference": write_spatial_reference(scheme.spatial_reference),
        "lods": [{"level": lod.level, "resolution": lod.resolution, "scale": lod.scale} for lod in scheme.lods],
    }


def read_tile_info(document: object, default: SpatialReference | None = None) -> TilingScheme:
    """Return the tiling scheme of a ``tileInfo`` object.

    The specification of packages, and some programs, write ``row`` for ``rows``.

    Args:
        document: JSON of any kind.
        default: the reference if the object carries none.

    Raises:
        DocumentValueError: a member is missing or unusable, or tiles are not square.
    """
    tile_info = member({"tileInfo": document}, "tileInfo")
    named = tile_info.get("spatialReference")
    if named is None and default is None:
        raise DocumentValueError("tileInfo.spatialReference is missing.")
    reference = read_spatial_reference(named) if named is not None or default is None else default
    origin, lods = tile_info.get("origin"), tile_info.get("lods")
    if not isinstance(origin, dict):
        raise DocumentValueError(
            "tileInfo.origin is missing." if origin is None else "tileInfo.origin is not an object."
        )
    if not (isinstance(lods, list) and all(isinstance(lod, dict) for lod in lods)):
        raise DocumentValueError("tileInfo.lods is not a list of levels.")
    return read_scheme(
        reference,
        columns=("tileInfo.cols", tile_info.get("cols", tile_info.get("col"))),
        rows=("tileInfo.rows", tile_info.get("rows", tile_info.get("row"))),
        dpi=("tileInfo.dpi", tile_info.get("dpi")),
        origin=[(f"tileInfo.origin.{axis}", origin.get(axis)) for axis in ("x", "y")],
        lods=("tileInfo.lods", [[(name, lod.get(name)) for name in ("level", "resolution", "scale")] for lod in lods]),
    )
