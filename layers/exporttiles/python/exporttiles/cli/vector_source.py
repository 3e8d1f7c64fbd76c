"""Vector files before GDAL reads them: identified by their contents, checked, and put into a folder of their own."""

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from json import detect_encoding
from pathlib import Path, PurePath
from typing import cast
from xml.etree.ElementTree import Element, ElementTree, ParseError, register_namespace  # defusedxml parses

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from exporttiles.cli.vector_file import listed, refusal
from exporttiles.domain.wording import counted
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_text

SHAPEFILE, GEOPACKAGE, FLATGEOBUF = ("ESRI Shapefile",), ("GPKG",), ("FlatGeobuf",)
KML, GPX = ("LIBKML",), ("GPX",)
JSON = ("GeoJSON", "GeoJSONSeq")
"""Drivers of GDAL."""

MAX_UNPACKED_BYTES = 512 * 2**20
"""Size limit of what is taken from a zip archive."""

MAX_XML_BYTES = 32 * 2**20
"""Size limit of KML and GPX; the most vertices that an area may have take a fifth of it."""

_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_DRIVERS = {b"\x00\x00\x27\x0a": SHAPEFILE, b"SQLite format 3\x00": GEOPACKAGE, b"fgb\x03": FLATGEOBUF}
_DRIVERS_OF_XML = {"KML": KML, "GPX": GPX}
_SUFFIX_OF = {SHAPEFILE: ".shp", GEOPACKAGE: ".gpkg", FLATGEOBUF: ".fgb", KML: ".kml", GPX: ".gpx", JSON: ".geojson"}
_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_DBF_HEADER_BYTES = 32
_LANGUAGE_OFFSET = 29  # of the byte there that names the encoding
_CHUNK_BYTES = 2**20
_NO_AREAS = ("GroundOverlay", "PhotoOverlay", "ScreenOverlay", "NetworkLink")  # GDAL takes some for polygons
_GEOMETRIES = {  # element of KML or GPX -> those in it that GDAL reads as features
    "Placemark": ("Point", "LineString", "LinearRing", "Polygon", "MultiGeometry", "Track", "MultiTrack"),
    "gpx": ("wpt", "rte", "trk"),
}
_KML_EXTENSIONS = "http://www.google.com/kml/ext/2.2"


def put_into(folder: Path, path: Path, layer: str | None) -> tuple[Path, str | None]:
    """Put a file into an empty folder, with the other parts of a shapefile; take it out of a zip archive.

    The names there are such that GDAL finds no other file, and takes them for no address.

    Args:
        folder: for the file.
        path: of the file or the archive.
        layer: name of a layer, which in an archive may be that of a file.

    Returns:
        The file in the folder, and the name of the layer if it is still to be looked for in it.

    Raises:
        RequestError: the archive is damaged or too large, or has no such file, or several.
    """
    if not is_archive(read_head(path)):
        beside = path.parent.iterdir() if path.suffix.lower() == ".shp" else [path]
        for part, other in _parts(path, beside):
            (folder / part).symlink_to(other)
        return folder / _safe_name(path), layer
    try:
        with zipfile.ZipFile(path) as archive:
            files = (member for member in archive.infolist() if not member.filename.endswith("/"))
            members = {place: member for member in files if (place := _path_of(member)).name}
            chosen, layer = _choose_member([*members], layer)
            bytes_left = MAX_UNPACKED_BYTES
            for part, other in _parts(chosen, members):
                bytes_left = _extract(archive, members[other], folder / part, bytes_left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise refusal(f"It is a zip archive that cannot be unpacked: {str(error).rstrip('.')}.") from error
    return folder / _safe_name(chosen), layer


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, which show its kind."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def is_archive(head: bytes) -> bool:
    """Return True if a file with these first bytes is a zip archive."""
    return head.startswith(_ZIP_SIGNATURES)


def drivers_of(head: bytes) -> tuple[str, ...]:
    """Return the drivers of GDAL for a file with these first bytes, none if its kind is not supported."""
    for signature, drivers in _DRIVERS.items():
        if head.startswith(signature):
            return drivers
    text = head.decode(detect_encoding(head), errors="replace").lstrip("\ufeff \t\r\n")
    return JSON if text.startswith(("{", "[")) else _DRIVERS_OF_XML.get(kind_of_text(text) or "", ())


def suffix_of(drivers: tuple[str, ...]) -> str:
    """Return the suffix by which the drivers know their files.

    Raises:
        RequestError: there is no driver.
    """
    if not drivers:
        raise refusal("It is of no kind that is read: convert it to GeoJSON.")
    return _SUFFIX_OF[drivers]


def rewrite_xml(path: Path) -> tuple[list[str], int]:
    """Replace KML or GPX by the same document in UTF-8, without pictures and links.

    Returns:
        Notes about what is left out, and the number of geometries.

    Raises:
        RequestError: it is too large, not XML, has a document type, or no geometry.
    """
    if path.stat().st_size > MAX_XML_BYTES:
        raise refusal(f"It has more than {MAX_XML_BYTES:,} bytes: simplify it.")
    try:
        tree = cast("ElementTree[Element]", parse(path, forbid_dtd=True))
    except DefusedXmlException as error:
        raise refusal("It has a document type (DOCTYPE), which may define entities: remove it.") from error
    except (ParseError, LookupError, ValueError) as error:
        raise refusal(f"It is not XML: {error}.") from error
    root = tree.getroot()
    geometry_count, left_out = 0, Counter[str]()
    for parent in root.iter():
        geometries = _GEOMETRIES.get(_local_name(parent), ())
        for child in list(parent):
            name = _local_name(child)
            geometry_count += name in geometries
            if name in _NO_AREAS:
                parent.remove(child)
                left_out[name] += 1
    register_namespace("", root.tag.partition("}")[0].lstrip("{"))
    register_namespace("gx", _KML_EXTENSIONS)
    path.unlink()  # which may be a link
    tree.write(path, "utf-8", xml_declaration=True)
    counts = " and ".join(counted(count, name) for name, count in left_out.items())
    notes = [f"Left out: {counts}. Links are not followed."] if counts else []
    if not geometry_count:
        raise refusal(" ".join(["It has no geometries.", *notes]))
    return notes, geometry_count


def encoding_of_attributes(path: Path) -> str | None:
    """Return the encoding of the attributes of a shapefile that names none; None if it does."""
    table = path.with_suffix(".dbf")
    if path.with_suffix(".cpg").exists() or not table.exists():
        return None
    data = table.read_bytes()
    if data[_LANGUAGE_OFFSET : _LANGUAGE_OFFSET + 1].strip(b"\0"):
        return None
    if data[_DBF_HEADER_BYTES:].isascii():
        return None
    try:
        data[_DBF_HEADER_BYTES:].decode()
    except UnicodeDecodeError:
        return "CP1252"
    return "UTF-8"


def _choose_member(paths: Sequence[PurePath], layer: str | None) -> tuple[PurePath, str | None]:
    """Return the member to read, and the name of the layer if it is still to be looked for in it."""
    tidy = [path for path in paths if path.name[0] != "." and path.parts[0] != "__MACOSX"]
    for suffixes in ({*_SUFFIX_OF.values()}, {".json"}):
        if found := [path for path in tidy if path.suffix.lower() in suffixes]:
            break
    else:
        raise refusal(f"It is a zip archive without a file of an area: {listed(_SUFFIX_OF.values())}.")
    named = [path for path in found if layer in {str(path), path.name, path.stem}]
    if len(named) == 1:
        return named[0], None
    if len(found) == 1:
        return found[0], layer
    raise refusal(f"It has {counted(len(found), 'file')} of areas: {listed(found)}. Choose one with --area-layer.")


def _parts(path: PurePath, others: Iterable[PurePath]) -> Iterator[tuple[str, PurePath]]:
    """Yield a file, and the other parts of a shapefile, each after its name in the folder.

    Names may differ in their case, as after Windows; of several such files, those named like the given one are taken.
    """
    suffixes = _SHAPEFILE_PARTS if path.suffix.lower() == ".shp" else (path.suffix.lower(),)
    stem, taken = path.with_suffix(""), set[str]()
    for other in sorted(others, key=lambda other: (other != path, other.with_suffix("") != stem)):
        suffix = other.suffix.lower()
        is_part = suffix in suffixes and str(other.with_suffix("")).casefold() == str(stem).casefold()
        if is_part and suffix not in taken:
            taken.add(suffix)
            yield PurePath(_safe_name(path)).stem + suffix, other


def _safe_name(path: PurePath) -> str:
    return re.sub(r"[^\w.() -]", "_", path.stem) + path.suffix.lower()


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, bytes_left: int) -> int:
    """Write a member to a file. Return how many bytes others may have."""
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise zipfile.BadZipFile("its files are neither stored nor deflated")
    with archive.open(member) as packed, path.open("wb") as file:
        while chunk := packed.read(_CHUNK_BYTES):
            bytes_left -= len(chunk)
            if bytes_left < 0:
                raise refusal(f"It unpacks to more than {MAX_UNPACKED_BYTES:,} bytes.")
            file.write(chunk)
    return bytes_left


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _path_of(member: zipfile.ZipInfo) -> PurePath:
    return PurePath(member.filename.replace("\\", "/"))  # which some programs of Windows write
