"""Recognise files of areas and tiles that cannot be read, to name them in the refusal."""

import re

HEAD_BYTES = 512

_SIGNATURES = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "a zip archive",
    b"SQLite format 3\x00": "an SQLite file such as a GeoPackage or MBTiles",
    b"\x00\x00\x27\x0a": "a shapefile",
    b"fgb\x03": "FlatGeobuf",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"II+\x00": "a BigTIFF image",
    b"RIFF": "a picture",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"PMTiles": "a PMTiles archive",
}

_PICTURES = "Convert it to a GeoTIFF: gdal_translate -of COG."
_AREAS = "To export the area that it holds, name it with --area."
_SUFFIXES = {
    ".mbtiles": (
        "MBTiles, which are read from a disk only",
        "Convert them: exporttiles export MAP.mbtiles MAP.pmtiles.",
    ),
    ".gpkg": ("a GeoPackage, which is read from a disk only", "Convert it: exporttiles export MAP.gpkg MAP.tpkx."),
    ".rmap": ("a RMaps database", "Convert it to .pmtiles first."),
    ".sqlitedb": ("a database of tiles", "Convert it to .pmtiles first."),
    ".vtpk": ("a vector tile package", "It holds vector tiles; exports hold JPEG, PNG, LERC or WebP."),
    ".mmpk": ("a mobile map package", "Exports read only caches of tiles."),
    ".slpk": ("a scene layer package", "Exports read only caches of tiles."),
    ".jp2": ("a JPEG 2000 image", _PICTURES),
    ".ecw": ("an ECW image", _PICTURES),
    ".sid": ("a MrSID image", _PICTURES),
    ".img": ("an image", _PICTURES),
    ".vrt": ("a virtual raster of GDAL", _PICTURES),
    ".shp": ("a shapefile", _AREAS),
    ".geojson": ("GeoJSON", _AREAS),
    ".kml": ("KML", _AREAS),
    ".kmz": ("KMZ", _AREAS),
    ".bundle": ("one bundle of a cache", "Name the folder of the cache as the source."),
    ".bundlx": ("one file of a cache", "Name the folder of the cache as the source."),
}

_MARKUP = {
    "KML": re.compile(r"<kml\b", re.IGNORECASE),
    "GPX": re.compile(r"<gpx\b", re.IGNORECASE),
    "GML": re.compile(r"opengis\.net/gml|<gml:", re.IGNORECASE),
    "an HTML page": re.compile(r"<html\b|<!doctype html", re.IGNORECASE),
    "SVG": re.compile(r"<svg\b", re.IGNORECASE),
}
_WKT = re.compile(
    r"(?:SRID=\d+;\s*)?(?:(?:MULTI)?(?:POLYGON|POINT|LINESTRING|SURFACE|CURVE)|CURVEPOLYGON|GEOMETRYCOLLECTION"
    r"|TRIANGLE|POLYHEDRALSURFACE)\s*(?:Z|M|ZM)?\s*(?:\(|EMPTY)",
    re.IGNORECASE | re.ASCII,
)
_HEXADECIMAL_WKB = re.compile(r"0[01][0-9a-fA-F]{16,}", re.ASCII)


def kind_of_bytes(head: bytes) -> str | None:
    """Return the kind of a binary file by its first bytes, None if it may be text."""
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None)


def kind_of_text(text: str) -> str | None:
    """Return the kind of a text that is not JSON, None if it is not known."""
    head = text[:HEAD_BYTES].lstrip("\ufeff \t\r\n")
    if head.startswith("<"):
        return next((kind for kind, sign in _MARKUP.items() if sign.search(head)), "XML")
    if _WKT.match(head):
        return "well-known text (WKT)"
    return "well-known binary (WKB)" if _HEXADECIMAL_WKB.match(head) else None


def kind_of_name(name: str) -> tuple[str, str] | None:
    """Return the kind of a file by its suffix, and advice; None if it is not known."""
    return next((kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)), None)
