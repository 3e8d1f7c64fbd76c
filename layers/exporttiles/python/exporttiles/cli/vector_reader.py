"""The process that reads a vector file by GDAL: ``python -m exporttiles.cli.vector_reader PATH FOLDER CHOICE``."""

import json
import re
import resource
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyogrio
import shapely
from pyogrio._ogr import _register_drivers

from exporttiles.cli.vector_file import MAX_MEMORY_BYTES, Choice, Features, listed, refusal
from exporttiles.cli.vector_source import (
    GPX,
    KML,
    SHAPEFILE,
    drivers_of,
    encoding_of_attributes,
    put_into,
    read_head,
    rewrite_xml,
    suffix_of,
)
from exporttiles.domain.errors import RequestError
from exporttiles.domain.wording import counted

MAX_FEATURES = 100_000
"""Limit of the features of a layer."""

MAX_TEXT_BYTES = 64 * 2**20
"""Size limit of the features as JSON; the most vertices that an area may have take a tenth of it."""

_ARC_STEP_DEGREES = 0.5  # between the vertices of a curve: chords lie within 1/100,000 of the radius
_NO_FEATURES = "It has no features with a geometry."
_UNRECOGNIZED = "not recognized as being in a supported file format"
_PATH = re.compile(r"/\S*/exporttiles\.[^/]*/")  # of the folder, in messages of GDAL
_REPEATED = {"route_points", "track_points"}  # layers of GPX with the vertices of others


def main(path: str, folder: str, choice: str) -> None:
    """Print a line with facts about a file, then its features; or a line that says why it cannot be read."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    most_bytes = MAX_MEMORY_BYTES if hard_limit == resource.RLIM_INFINITY else min(MAX_MEMORY_BYTES, hard_limit)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    try:
        try:
            found = _read(Path(path), Path(folder), Choice(**json.loads(choice)))
        except MemoryError as error:
            raise refusal(f"It takes more than {counted(most_bytes, 'byte')} of memory to read.") from error
        except RecursionError as error:
            raise refusal("It is nested too deeply.") from error
    except RequestError as error:
        print(json.dumps({"error": error.args[0], "parameter": error.parameter}))
    else:
        print(json.dumps({"counts": found.counts, "crs": found.crs, "notes": found.notes}))
        print(found.text)


def _read(path: Path, folder: Path, choice: Choice) -> Features:
    path, layer = put_into(folder, path, choice.layer)
    drivers = drivers_of(read_head(path))
    path = path.replace(path.with_suffix(suffix_of(drivers)))
    is_document = drivers in {KML, GPX}
    notes, stated_count = rewrite_xml(path) if is_document else ([], 0)
    encoding = encoding_of_attributes(path) if drivers == SHAPEFILE else None
    _keep_only(*drivers)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layers = _choose_layers(_layer_names(path, drivers), layer, is_document=is_document)
        read = {name: _read_layer(path, name, choice, encoding) for name in layers}
    features = [feature for layer_read in read.values() for feature in layer_read.features]
    if not features:
        raise refusal(f"No feature has {choice.where}.", "area_where") if choice.where else refusal(_NO_FEATURES)
    text = json.dumps(features, separators=(",", ":"))
    if len(text) > MAX_TEXT_BYTES:
        raise refusal(f"Its features are more than {MAX_TEXT_BYTES:,} bytes of JSON: simplify them.")
    references = {layer_read.crs for layer_read in read.values() if layer_read.features}
    if len(references) > 1:
        raise refusal("Its layers have different spatial references. Choose one with --area-layer.")
    empty_count = sum(layer_read.empty_count for layer_read in read.values())
    if is_document and not (layer or choice.where):
        empty_count = stated_count - len(features)
    if empty_count > 0:
        notes.append(f"Left out, empty or misplaced: {counted(empty_count, 'geometry', 'geometries')}.")
    if encoding and (choice.where or choice.attribute):
        notes.append(f"No .cpg names the encoding of its attributes; they were read as {encoding}.")
    notes += [f"GDAL: {text}." for text in dict.fromkeys(str(warning.message).rstrip(".") for warning in caught)]
    counts = Counter({name: len(layer_read.features) for name, layer_read in read.items() if layer_read.features})
    return Features(text, counts, references.pop(), notes)


def _choose_layers(names: list[str], layer: str | None, *, is_document: bool) -> list[str]:
    """Return the layers to read."""
    if not names:
        raise refusal("It has no layers with geometries.")
    if layer is not None and layer not in names:
        raise refusal(f"'{layer}' is none of its layers: {listed(names)}.", "area_layer")
    if layer is None and not is_document and len(names) != 1:
        raise refusal(f"It has {len(names):,} layers: {listed(names)}. Choose one with --area-layer.")
    return names if layer is None else [layer]


def _layer_names(path: Path, drivers: tuple[str, ...]) -> list[str]:
    """Return the layers that have geometries, but for those with the vertices of others."""
    try:
        layers = pyogrio.list_layers(path).tolist()
    except pyogrio.errors.DataSourceError as error:
        text = "." if _UNRECOGNIZED in str(error) else f": {_sentence(error)}"
        raise refusal(f"GDAL cannot read it as {drivers[0]}{text}") from error
    return [name for name, kind in layers if kind is not None and not (drivers == GPX and name in _REPEATED)]


def _keep_only(*drivers: str) -> None:
    """Remove all other drivers of GDAL: it takes the first that likes the contents, and some read what a file names."""
    others = pyogrio.list_drivers().keys() - set(drivers)
    pyogrio.set_gdal_config_options(
        {
            "GDAL_SKIP": ",".join(others),
            "OGR_ARC_STEPSIZE": _ARC_STEP_DEGREES,
            "SHAPE_RESTORE_SHX": True,  # in the folder: that of the user stays as it is
        }
    )
    _register_drivers()
    if not pyogrio.list_drivers().keys() <= set(drivers):
        raise refusal("GDAL cannot be kept from reading other kinds of files.")


@dataclass(frozen=True, slots=True)
class _Layer:
    """The features of a layer, the number of those without a geometry, and its spatial reference."""

    features: list[dict[str, Any]]
    empty_count: int
    crs: str | None


def _read_layer(path: Path, layer: str, choice: Choice, encoding: str | None) -> _Layer:
    try:
        fields = [str(name) for name in pyogrio.read_info(path, layer=layer, encoding=encoding)["fields"]]
    except (pyogrio.errors.CRSError, UnboundLocalError) as error:  # the latter where its WKT is not UTF-8
        reason = _sentence(error) if isinstance(error, pyogrio.errors.CRSError) else "it is not in UTF-8."
        text = f"Its spatial reference cannot be read: {reason} Without a .prj, --area-wkid can give it."
        raise refusal(text) from error
    except RuntimeError as error:
        raise refusal(f"GDAL cannot read layer {layer}: {_sentence(error)}") from error
    attributes = [choice.attribute] if choice.attribute else []
    if not {*attributes} <= {*fields}:
        text = f"Layer {layer} has no attribute '{choice.attribute}', only {listed(fields) or 'none'}."
        raise refusal(text, "packageBy")
    try:
        facts, _, geometries, values = pyogrio.raw.read(
            path,
            layer=layer,
            columns=None if choice.where else attributes,  # for some drivers, attributes that are not read are empty
            where=choice.where,
            max_features=MAX_FEATURES + 1,
            force_2d=True,
            encoding=encoding,
            datetime_as_string=True,
        )
    except (ValueError, RuntimeError) as error:
        if choice.where is None:
            raise refusal(f"GDAL cannot read layer {layer}: {_sentence(error)}") from error
        text = f"'{choice.where}' cannot be used on layer {layer}, whose attributes are {listed(fields) or 'none'}: "
        raise refusal(text + _sentence(error), "area_where") from error
    if len(geometries) > MAX_FEATURES:
        raise refusal(f"Layer {layer} has more than {MAX_FEATURES:,} features: choose some with --area-where.")
    try:
        shapes = shapely.from_wkb(geometries, on_invalid="fix")
    except (shapely.errors.ShapelyError, ValueError) as error:
        raise refusal(f"Layer {layer} has a geometry that cannot be read: {_sentence(error)}") from error
    names = facts["fields"].tolist()
    properties = {name: _values(facts, values, names.index(name)) for name in attributes}
    features = [
        {
            "type": "Feature",
            "properties": {name: column[at] for name, column in properties.items()},
            "geometry": shapely.geometry.mapping(shape),
        }
        for at, shape in enumerate(shapes)
        if shape is not None and not shape.is_empty
    ]
    return _Layer(features, len(shapes) - len(features), facts["crs"])


def _sentence(error: Exception) -> str:
    return f"{_PATH.sub('', str(error)).strip(' .')}."


def _values(facts: dict[str, Any], columns: list[Any], at: int) -> list[bool | int | float | str | None]:
    """Return an attribute of all features, as JSON has it."""
    values = [None if value != value else value for value in columns[at].tolist()]  # noqa: PLR0124  not a number
    if facts["ogr_types"][at].startswith("OFTInteger"):  # which are floats if one is missing
        return [value if value is None else int(value) for value in values]
    return [value if isinstance(value, bool | int | float | str | None) else str(value) for value in values]


if __name__ == "__main__":
    main(*sys.argv[1:])
