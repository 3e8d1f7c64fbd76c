"""The parameter `packageBy`: one package for each value of an attribute of the area's features."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from exporttiles.domain.errors import AreaError, InvalidParameterError, RequestError
from exporttiles.domain.package_names import package_names
from exporttiles.domain.service import ImageService
from exporttiles.domain.wording import counted
from exporttiles.messages.batch import PackageRequest
from exporttiles.messages.export import Export
from exporttiles.rest.areas import read_document
from exporttiles.rest.parameter_names import AREA_NAMES, PACKAGE_BY, area_parameter
from exporttiles.rest.parameters import read_export_request

_MAX_DEPTH = 32  # of collections inside collections
_MAX_DIGITS = 18  # of integers that are read exactly
_EXACT = 2.0**53  # floats from here on stand for several integers
_MOST_LISTED = 20  # attributes in a message
_REFERENCES = ("spatialReference", "crs")
_LEGAL = "It must be a set of features with attributes, as Esri JSON or GeoJSON."


@dataclass(frozen=True, slots=True)
class PackageArea:
    """The area of one package.

    Attributes:
        name: of the package, without its suffix: safe and unique among the packages of its area.
        value: of the attribute, as text.
        text: the features with this value, as a value of `areaOfInterest`.
    """

    name: str
    value: str
    text: str


def read_packages(parameters: Mapping[str, str], service: ImageService, max_packages: int) -> list[PackageRequest]:
    """Return the packages of a batch; none if the parameters do not ask for one.

    Args:
        parameters: by name, after URL decoding.
        service: gives what the client leaves out.
        max_packages: limit of packages.

    Raises:
        RequestError: a parameter cannot be used.
    """
    attribute = parameters.get(PACKAGE_BY, "").strip()
    if not attribute:
        return []
    name = area_parameter(parameters)
    if name not in AREA_NAMES or not parameters.get(name, "").strip():
        raise RequestError("It names an attribute of areaOfInterest, which is missing.", PACKAGE_BY)
    areas = split_area(name, parameters[name], attribute)
    if len(areas) > max_packages:
        legal = f"It has {len(areas):,} values; one request makes at most {counted(max_packages, 'package')}."
        raise InvalidParameterError(PACKAGE_BY, attribute, legal)
    packages = []
    for area in areas:
        own = {key: text for key, text in parameters.items() if key != PACKAGE_BY} | {name: area.text}
        with naming_package(area):
            request = read_export_request(own, service)
        titled = replace(service, title="" if area.value == service.short_name else area.value)
        packages.append(PackageRequest(Export(titled, replace(request, package_name=area.name)), own))
    return packages


def split_area(name: str, text: str, attribute: str) -> list[PackageArea]:
    """Divide the features of an area parameter by the value of an attribute, in the order of their first features.

    Values are compared without the blanks around them and in one Unicode
    normalisation. Features with the same value belong to one package.

    Args:
        name: name of the area parameter.
        text: value of the area parameter.
        attribute: name of the attribute.

    Raises:
        RequestError: there are no features, or one of them has no such value.
    """
    features = read_features(name, text)
    known = Counter(key for _, feature in features for key in attributes_of(feature))
    if attribute not in known:
        listed = ", ".join(list(known)[:_MOST_LISTED]) or "none"
        more = f" and {len(known) - _MOST_LISTED:,} others" if len(known) > _MOST_LISTED else ""
        raise InvalidParameterError(PACKAGE_BY, attribute, f"The attributes of the features are: {listed}{more}.")
    parts: dict[str, list[dict[str, Any]]] = {}
    for number, (reference, feature) in enumerate(features, 1):
        value = _value(attributes_of(feature).get(attribute), attribute, number)
        parts.setdefault(value, []).append(reference | {"features": [feature]})
    try:
        texts = [json.dumps(part) for part in parts.values()]
    except RecursionError as error:
        raise RequestError("It is nested too deeply.", name) from error
    return list(map(PackageArea, package_names(parts), parts, texts))


def read_features(name: str, text: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the features of an area parameter, each after the members that name its spatial reference.

    Args:
        name: name of the area parameter.
        text: value of the area parameter.

    Raises:
        RequestError: there are no features.
    """
    document, is_repaired = read_document(name, text, _read_integer)
    if is_repaired:
        raise InvalidParameterError(name, text, f"Its brackets do not match. {_LEGAL}")
    features = list(_features(name, document, {}))
    if not features:
        raise RequestError(f"It has no features. {_LEGAL}", name)
    return features


def attributes_of(feature: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a feature: `attributes` in Esri JSON, `properties` in GeoJSON."""
    found = feature.get("attributes") or feature.get("properties")
    return found if isinstance(found, dict) else {}


@contextmanager
def naming_package(area: PackageArea) -> Iterator[None]:
    """Name the package in errors about its area."""
    try:
        yield
    except RequestError as error:
        if isinstance(error, AreaError) or error.parameter in AREA_NAMES:
            error.args = (f"Package {area.value}: {Exception.__str__(error)}",)
        raise


def _features(
    name: str, value: Any, reference: dict[str, Any], depth: int = 0
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the features of a document, each after the members that name its spatial reference."""
    if depth > _MAX_DEPTH:
        raise RequestError("It is nested too deeply.", name)
    if isinstance(value, list):
        for member in value:
            yield from _features(name, member, reference, depth + 1)
        return
    if not isinstance(value, dict):
        raise RequestError(f"It has a member that is not a feature. {_LEGAL}", name)
    own = {member: value[member] for member in _REFERENCES if value.get(member) not in (None, "", {})}
    if "features" in value:
        yield from _features(name, value["features"], own or reference, depth + 1)
    elif not value.keys().isdisjoint({"geometry", "attributes", "properties"}):
        yield reference, value
    else:
        raise RequestError(f"It has a geometry that is not part of a feature, and so no attributes. {_LEGAL}", name)


def _value(value: Any, attribute: str, number: int) -> str:
    """Return the value of an attribute as text.

    Raises:
        InvalidParameterError: it is missing or empty, or not a text or number.
    """
    where = f"Feature {number:,} has"
    match value:
        case None:
            problem = "no value of it"
        case bool():
            return str(value).lower()
        case float() if abs(value) < _EXACT:
            return f"{int(value) if value.is_integer() else value}"
        case float():
            problem = "a number in it that is too long to be exact; write it as text"
        case int():
            return str(value)
        case str():
            text = unicodedata.normalize("NFC", value.strip())
            if text:
                return text
            problem = "an empty text in it"
        case _:
            problem = "neither a text nor a number in it"
    raise InvalidParameterError(PACKAGE_BY, attribute, f"{where} {problem}. Every feature must have a value.")


def _read_integer(text: str) -> float:
    """Return an integer of up to 18 digits exactly, and longer ones as floats, which are cheap."""
    return int(text) if len(text) <= _MAX_DIGITS else float(text)
