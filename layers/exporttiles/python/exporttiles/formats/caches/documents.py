"""Reading the documents of caches: ``conf.xml`` and ``conf.cdi``, or ``root.json``.

Other programs write these documents too, and ArcGIS itself has written them in
several ways. Values that tiles and files show as well (format, storage, quality,
extent) are None if a document does not state them, or they cannot be read.

Source: the tags of CacheInfo as ArcGIS Server 9.3 to 10.9 writes them;
tile-package-spec, docs/root.md.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from xml.etree.ElementTree import Element

from exporttiles.domain.errors import DamagedCacheError, ExportTilesError, RequestError, UnknownSpatialReferenceError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ESRI_TILE_FORMATS, TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.esri.esri_json import read_extent, read_spatial_reference, read_tile_info
from exporttiles.formats.esri.esri_xml import read_document
from exporttiles.formats.esri.scheme_values import MAX_COORDINATE, read_scheme, well_known_id
from exporttiles.formats.esri.values import (
    DocumentValueError,
    is_decimal_comma,
    member,
    number,
    read_json,
    shown,
    whole_number,
)

CONF_XML, CONF_CDI, ROOT_JSON = "conf.xml", "conf.cdi", "root.json"

_FORMATS = {"JPG": TileFormat.JPEG, "LERC2D": TileFormat.LERC} | {name.value: name for name in ESRI_TILE_FORMATS}
"""Tile formats by name: some programs write file extensions, ArcGIS Server the LERC version."""

_MAX_QUALITY = 100

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """Properties of a cache from its own documents; None if unstated.

    Attributes:
        document: path of the document with the scheme.
        extent_source: the document that states `full_extent`, and its member.
        full_extent: in the reference of the scheme.
        remarks: values that cannot be used and are not needed, each after its document and name.
    """

    document: str
    tiling_scheme: TilingScheme
    storage_format: str | None
    tile_format: TileFormat | None
    compression_quality: int | None
    lerc_error: float
    full_extent: Extent | None
    extent_source: str
    remarks: tuple[str, ...] = ()


def read_root_json(body: bytes, path: str = ROOT_JSON) -> CacheInfo:
    """Read the root.json of an unpacked tile package.

    Args:
        body: of the document.
        path: of the document, for messages.

    Raises:
        DamagedCacheError: a member of the tiling scheme is missing or unusable.
    """
    with _naming_document(path):
        root = read_json(body)
        outer = root.get("spatialReference")
        scheme = read_tile_info(member(root, "tileInfo"), read_spatial_reference(outer) if outer else None)
        scheme = _with_registered_reference(scheme, "tileInfo.spatialReference")
    image, storage = _optional_object(root, "tileImageInfo"), _optional_object(root, "storageInfo")
    reference, optional = scheme.spatial_reference, _OptionalValues()
    return CacheInfo(
        document=path,
        tiling_scheme=scheme,
        storage_format=_stripped_text(storage.get("storageFormat")),
        full_extent=optional.read(
            f"{path}: fullExtent", lambda: _convert_extent(read_extent(root["fullExtent"], reference), reference)
        )
        if "fullExtent" in root
        else None,
        tile_format=optional.read(path, lambda: _tile_format("tileImageInfo.format", image.get("format"))),
        compression_quality=optional.read(
            path, lambda: _quality("tileImageInfo.compressionQuality", image.get("compressionQuality"))
        ),
        lerc_error=optional.read(path, lambda: _lerc_error("tileImageInfo.lercError", image.get("lercError"))) or 0.0,
        extent_source=f"{path} fullExtent",
        remarks=tuple(optional.remarks),
    )


def read_conf_xml(conf: bytes, cdi: bytes | None, path: str = CONF_XML, cdi_path: str = CONF_CDI) -> CacheInfo:
    """Read the conf.xml of a cache, and the conf.cdi beside it.

    Args:
        conf: the conf.xml.
        cdi: the conf.cdi; None if there is none.
        path: of the conf.xml, for messages.
        cdi_path: of the conf.cdi, likewise.

    Raises:
        DamagedCacheError: an element of the tiling scheme is missing or unusable.
    """
    with _naming_document(path):
        info = read_document(conf)
        scheme = _with_registered_reference(_scheme(_child(info, "TileCacheInfo")), "SpatialReference")
    reference, optional = scheme.spatial_reference, _OptionalValues()
    image = {
        name: _text(info, f"TileImageInfo/{name}") for name in ("CacheTileFormat", "CompressionQuality", "LERCError")
    }
    return CacheInfo(
        document=path,
        tiling_scheme=scheme,
        storage_format=_stripped_text(_text(info, "CacheStorageInfo/StorageFormat")),
        full_extent=optional.read(cdi_path, lambda: _convert_extent(_envelope(cdi, reference), reference))
        if cdi is not None
        else None,
        tile_format=optional.read(path, lambda: _tile_format("CacheTileFormat", image["CacheTileFormat"])),
        compression_quality=optional.read(path, lambda: _quality("CompressionQuality", image["CompressionQuality"])),
        lerc_error=optional.read(path, lambda: _lerc_error("LERCError", image["LERCError"])) or 0.0,
        extent_source=cdi_path,
        remarks=tuple(optional.remarks),
    )


@contextmanager
def _naming_document(path: str) -> Iterator[None]:
    """Add the path of a document to errors about it."""
    try:
        yield
    except (DocumentValueError, ExportTilesError) as error:
        raise DamagedCacheError(f"{path}: {error}") from error


class _OptionalValues:
    """Reads values that a cache can do without: errors about them become remarks."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def read(self, where: str, value: Callable[[], _Value]) -> _Value | None:
        try:
            return value()
        except (DocumentValueError, RequestError) as error:
            self.remarks.append(f"{where}: {error}")
            return None


def _with_registered_reference(scheme: TilingScheme, name: str) -> TilingScheme:
    """Return a scheme whose reference has its registered id, if it has one.

    Args:
        scheme: as its document states it.
        name: of the reference in the document, for messages.

    Raises:
        DocumentValueError: no coordinate system of maps has its ids or text.
    """
    try:
        reference = scheme.spatial_reference.identified
        reference.crs  # noqa: B018 - whether there is one
    except UnknownSpatialReferenceError as error:
        raise DocumentValueError(f"{name}: {error}") from error
    return replace(scheme, spatial_reference=reference)


def _scheme(tiles: Element) -> TilingScheme:
    has_decimal_commas = any(is_decimal_comma((found.text or "").strip()) for found in tiles.iter())
    # DPI is PreciseDPI, rounded; 0 means that it is unknown.
    dpi = next((found for name in ("PreciseDPI", "DPI") if (found := _text(tiles, name)) and found.strip("0.")), None)
    return read_scheme(
        _reference(_child(tiles, "SpatialReference")),
        columns=("TileCols", _text(tiles, "TileCols")),
        rows=("TileRows", _text(tiles, "TileRows")),
        dpi=("DPI", dpi),
        origin=[(name, _text(tiles, name)) for name in ("TileOrigin/X", "TileOrigin/Y")],
        lods=(
            "LODInfos",
            [
                [(name, _text(lod, name)) for name in ("LevelID", "Resolution", "Scale")]
                for lod in tiles.iterfind("{*}LODInfos/{*}LODInfo")
            ],
        ),
        has_decimal_commas=has_decimal_commas,
    )


def _reference(element: Element) -> SpatialReference:
    wkid, latest_wkid = (well_known_id(name, _text(element, name)) for name in ("WKID", "LatestWKID"))
    wkt = _text(element, "WKT")
    if not (wkid or latest_wkid or wkt):
        raise DocumentValueError("SpatialReference has no WKID, LatestWKID or WKT.")
    return SpatialReference(wkid, latest_wkid, wkt)


def _envelope(cdi: bytes, default: SpatialReference) -> Extent:
    root = read_document(cdi)
    texts = {side: _text(root, side) for side in ("XMin", "YMin", "XMax", "YMax")}
    has_commas = any(is_decimal_comma(text or "") for text in texts.values())
    xmin, ymin, xmax, ymax = (number(side, text, has_decimal_commas=has_commas) for side, text in texts.items())
    reference = root.find("{*}SpatialReference")
    is_named = reference is not None and any(_text(reference, name) for name in ("WKID", "LatestWKID", "WKT"))
    return Extent(xmin, ymin, xmax, ymax, _reference(reference) if reference is not None and is_named else default)


def _convert_extent(stated: Extent, reference: SpatialReference) -> Extent:
    """Return a stated extent in the reference of a scheme.

    Raises:
        DocumentValueError: it is too large.
        RequestError: it is empty, or cannot be expressed there.
    """
    if max(map(abs, stated.sides)) > MAX_COORDINATE:
        raise DocumentValueError(f"The extent {', '.join(map(str, stated.sides))} is too large for a map.")
    return stated.to(reference)


def _child(parent: Element, name: str) -> Element:
    found = parent.find(f"{{*}}{name}")
    if found is None:
        raise DocumentValueError(f"{name} is missing.")
    return found


def _text(parent: Element, path: str) -> str | None:
    """Return the text of an element without white space around it; None if it is missing or empty."""
    text = parent.findtext("/".join(f"{{*}}{name}" for name in path.split("/")))
    return text.strip() or None if text else None


def _optional_object(root: dict[str, Any], name: str) -> dict[str, Any]:
    found = root.get(name)
    return found if isinstance(found, dict) else {}


def _stripped_text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _tile_format(name: str, value: object) -> TileFormat | None:
    if value is None or not str(value).strip():
        return None
    found = _FORMATS.get(str(value).strip().upper())
    if found is None:
        raise DocumentValueError(f"{name} '{shown(value)}' is not a format of Esri's caches.")
    return found


def _quality(name: str, value: object) -> int | None:
    return None if value is None or value == "" else whole_number(name, value, maximum=_MAX_QUALITY)


def _lerc_error(name: str, value: object) -> float:
    return 0.0 if value is None or value == "" else number(name, value)
