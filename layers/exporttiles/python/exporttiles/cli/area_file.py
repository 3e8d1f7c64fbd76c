"""Files of areas."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from exporttiles.cli.vector_file import MISSING, Choice, is_installed, listed, read_vector_file, refusal
from exporttiles.cli.vector_source import JSON, drivers_of, is_archive
from exporttiles.domain.errors import RequestError, UnknownSpatialReferenceError
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.wording import counted
from exporttiles.formats.areas.geojson import reference_of_name
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_bytes, kind_of_text
from exporttiles.formats.esri.esri_json import write_spatial_reference
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.package_by import attributes_of, read_features

MAX_BYTES = 64 * 2**20
"""Size limit of a file; the most vertices that an area may have take a tenth of it."""

AREA_FILES = "GeoJSON or Esri JSON; with the extra [areas], shapefile, KML, GPX, GeoPackage, FlatGeobuf, zipped or not"
"""Kinds of files, in the help of --area."""

_ALL = Choice()
_AREA = "areaOfInterest"
_NUMBER = "exporttiles:number"  # of a feature, among its attributes
_BINARY = "It is a binary file: convert it to GeoJSON."


@dataclass(frozen=True, slots=True)
class AreaFile:
    """An area from a file.

    Attributes:
        text: value of areaOfInterest.
        notes: sentences about what was read, for the user.
    """

    text: str
    notes: tuple[str, ...] = ()


def read_area_file(path: Path, choice: Choice = _ALL, wkid: int | None = None) -> AreaFile:
    """Return the area in a file.

    JSON is returned unchanged, unless features are chosen. Any other kind becomes a
    FeatureCollection of GeoJSON with a `spatialReference`.

    Args:
        path: of the file.
        choice: the features to read.
        wkid: spatial reference if the file names none.

    Raises:
        RequestError: there is no such file, it is empty or too large, its kind or encoding is not supported, its
            spatial reference is missing or unknown, or the choice is missing or selects nothing.
    """
    if path.is_dir() and path.suffix.lower() == ".gdb":
        raise refusal("It is a file geodatabase: export its layer to a GeoPackage.")
    if path.is_dir():
        raise refusal("It is a folder. Name a file.")
    if path.suffix.lower() in (".shx", ".dbf", ".prj", ".cpg"):
        raise refusal("It is a part of a shapefile: name the .shp.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise refusal(f"{error.strerror}.") from error
    if is_archive(data) or drivers_of(data[:HEAD_BYTES]) not in {(), JSON}:
        return _read_features(path, choice, wkid)
    text = _read_json(data)
    if choice.layer:
        raise RequestError("A file of JSON has no layers.", "area_layer")
    if wkid:  # the nearest reference counts: that of the file comes first
        text = f'{{"features":[{text}],"spatialReference":{{"wkid":{wkid}}}}}'
    return _choose_features(text, choice.where) if choice.where else AreaFile(text)


def _read_json(data: bytes) -> str:
    """Return the text of a file, which is no other known kind than JSON."""
    kind = kind_of_bytes(data[:HEAD_BYTES])
    if kind:
        raise refusal(f"It is {kind}: convert it to GeoJSON.")
    if len(data) > MAX_BYTES:
        raise refusal(f"It has more than {MAX_BYTES:,} bytes: simplify the area.")
    text = _decoded(data)
    if not text.strip():
        raise refusal("It is empty.")
    kind = kind_of_text(text)
    if kind:
        raise refusal(f"It is {kind}: convert it to GeoJSON.")
    return text


def _choose_features(text: str, where: str) -> AreaFile:
    """Return the features of JSON whose attributes meet a condition. GDAL sees the attributes only."""
    if not is_installed():
        raise RequestError(f"It is evaluated by {MISSING}.", "area_where")
    features = read_features(_AREA, text)
    rows = [
        {
            "type": "Feature",
            "properties": attributes_of(feature) | {_NUMBER: number},
            "geometry": {"type": "Point", "coordinates": [0, 0]},
        }
        for number, (_, feature) in enumerate(features)
    ]
    with TemporaryDirectory(prefix="exporttiles.") as folder:
        table = Path(folder, "attributes.geojson")
        table.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
        found = json.loads(read_vector_file(table, Choice(where=where, attribute=_NUMBER)).text)
    chosen = [features[row["properties"][_NUMBER]] for row in found]
    note = f"{len(chosen):,} of {counted(len(features), 'feature')} {'was' if len(chosen) == 1 else 'were'} chosen."
    return AreaFile(
        json.dumps([reference | {"features": [feature]} for reference, feature in chosen]), (f"{_AREA}: {note}",)
    )


def _read_features(path: Path, choice: Choice, wkid: int | None) -> AreaFile:
    """Return the area in a file that GDAL reads."""
    found = read_vector_file(path, choice)
    try:
        named = _reference(found.crs)
    except UnknownSpatialReferenceError as error:
        raise refusal(f"Its spatial reference cannot be used. {error}") from error
    with naming_parameter("area_wkid"):
        given = SpatialReference(wkid) if wkid else None
        name = given.crs.name if given else ""
    if named and given and not named.is_same_as(given):
        raise RequestError(f"It is {wkid} ({name}), but the file is in {named.crs.name}.", "area_wkid")
    reference = named or given
    if reference is None:
        raise refusal("It names no spatial reference. Give it by --area-wkid, such as 4326 for degrees.")
    count = found.counts.total()
    layers = counted(len(found.counts), "layer") if len(found.counts) > 1 else "layer"
    read = f"{counted(count, 'feature')} of {layers} {listed(found.counts)} {'was' if count == 1 else 'were'} read"
    notes = [f"{read}, in {reference.crs.name}.", *found.notes]
    return AreaFile(
        f'{{"type":"FeatureCollection","spatialReference":{json.dumps(write_spatial_reference(reference))},'
        f'"features":{found.text}}}',
        tuple(f"{_AREA}: {note}" for note in notes),
    )


def _reference(crs: str | None) -> SpatialReference | None:
    """Return the reference that GDAL names.

    Raises:
        UnknownSpatialReferenceError: it is not one of maps.
    """
    if crs is None or crs.find("Undefined ", 0, 30) > 0:  # as a GeoPackage says
        return None
    reference = reference_of_name(crs) or SpatialReference(wkt=crs)
    reference.crs  # noqa: B018  raises if it cannot be used
    return reference


def _decoded(data: bytes) -> str:
    encoding = json.detect_encoding(data)  # by a byte order mark, or where zeros are
    try:
        text = data.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if encoding.endswith(("-le", "-be")):  # guessed from zeros alone
            raise refusal(_BINARY) from error
        name = encoding.upper().removesuffix("-SIG")
        found = f"byte {error.start:,} is 0x{data[error.start]:02X}"
        raise refusal(f"Its encoding is not {name}: {found}. Save it in UTF-8.") from error
    if "\0" in text:
        raise refusal(_BINARY)
    return text
