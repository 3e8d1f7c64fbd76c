"""Esri's JSON of spatial references, extents and tiling schemes.

Source: ArcGIS REST API, "Geometry objects"; tile-package-spec, docs/root.md.
"""

from typing import Any

from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme


def write_spatial_reference(reference: SpatialReference) -> dict[str, Any]:
    """Return ``{"wkid", "latestWkid"}``, or ``{"wkt"}`` where there is no id."""
    wkid = reference.wkid or reference.latest_wkid
    if wkid is None:
        return {"wkt": reference.wkt}
    return {"wkid": wkid, "latestWkid": reference.latest_wkid or wkid}


def read_spatial_reference(document: dict[str, Any]) -> SpatialReference:
    """Return the reference that a JSON object names.

    Raises:
        KeyError, TypeError, ValueError: it names none.
    """
    _require_object(document)
    wkid, latest_wkid, wkt = (document.get(key) for key in ("wkid", "latestWkid", "wkt"))
    if not (wkid or latest_wkid or wkt):
        raise KeyError("wkid")
    return SpatialReference(
        wkid=_wkid(wkid) if wkid else None,
        latest_wkid=_wkid(latest_wkid) if latest_wkid else None,
        wkt=str(wkt) if wkt else None,
    )


def _wkid(value: Any) -> int:
    """Return a well-known id; a number of an older writer may be text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"{str(value)[:80]} is no well-known id")
    found = int(value)
    if isinstance(value, float) and found != value:
        raise ValueError(f"{value} is no well-known id")
    return found


def write_extent(extent: Extent) -> dict[str, Any]:
    """Return an envelope with its spatial reference."""
    return {
        "xmin": extent.xmin,
        "ymin": extent.ymin,
        "xmax": extent.xmax,
        "ymax": extent.ymax,
        "spatialReference": write_spatial_reference(extent.spatial_reference),
    }


def read_extent(document: dict[str, Any], default: SpatialReference) -> Extent:
    """Return the envelope of a JSON object; its reference if it carries one.

    Raises:
        KeyError, TypeError, ValueError: it is no envelope.
    """
    _require_object(document)
    reference = document.get("spatialReference")
    xmin, ymin, xmax, ymax = (float(document[side]) for side in ("xmin", "ymin", "xmax", "ymax"))
    return Extent(xmin, ymin, xmax, ymax, read_spatial_reference(reference) if reference else default)


def write_tile_info(scheme: TilingScheme) -> dict[str, Any]:
    """Return the ``tileInfo`` of a tiling scheme, all levels included."""
    return {
        "rows": scheme.tile_size,
        "cols": scheme.tile_size,
        "dpi": scheme.dpi,
        "origin": {"x": scheme.origin_x, "y": scheme.origin_y},
        "spatialReference": write_spatial_reference(scheme.spatial_reference),
        "lods": [{"level": lod.level, "resolution": lod.resolution, "scale": lod.scale} for lod in scheme.lods],
    }


def read_tile_info(document: dict[str, Any]) -> TilingScheme:
    """Return the tiling scheme of a ``tileInfo`` object.

    Raises:
        KeyError, TypeError, ValueError: a member is missing or unusable, or
            tiles are not square.
    """
    if document["rows"] != document["cols"]:
        raise ValueError(f"tiles are {document['cols']} x {document['rows']} pixels, not square")
    return TilingScheme(
        spatial_reference=read_spatial_reference(document["spatialReference"]),
        origin_x=float(document["origin"]["x"]),
        origin_y=float(document["origin"]["y"]),
        tile_size=int(document["rows"]),
        dpi=int(document.get("dpi", 96)),
        lods=tuple(
            LevelOfDetail(int(lod["level"]), float(lod["resolution"]), float(lod["scale"])) for lod in document["lods"]
        ),
    )


def _require_object(document: object) -> None:
    if not isinstance(document, dict):  # whatever was annotated: JSON from a stranger
        raise TypeError(f"{str(document)[:80]} is no object")
