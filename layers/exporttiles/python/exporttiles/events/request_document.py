"""A request for an export as a JSON document: in a file, or as the detail of an event.

Its members are the parameters of `exportTiles`, as text or as JSON values, and
those of `OWN_NAMES`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exporttiles.domain.api_key import is_token
from exporttiles.domain.errors import InvalidParameterError, RequestError
from exporttiles.domain.export import LAST
from exporttiles.rest.json_text import read_object
from exporttiles.rest.parameter_names import KNOWN_NAMES

MAX_REQUEST_BYTES = 2**20
"""Size limit of a document; areas of many vertices have a few hundred thousand bytes."""

MAX_CALLBACK_CHARACTERS = 2048
"""Size limit of callback data as JSON: every event of the job carries it."""

MAX_KEPT = 1_000
"""Largest legal value of `keep`."""

OWN_NAMES = ("service", "name", "callbackData", "key", "keep")
"""Members that are not parameters of `exportTiles`."""

_LEGAL = 'It must be a JSON object such as {"service": "World_Imagery", "levels": "0-7", "tilePackage": true}.'
# It becomes a file name and part of a URL.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_LEGAL_NAME = "It must have 1 to 100 letters, digits and _ . -, with {date} for the day, and not begin with . or -."


@dataclass(frozen=True, slots=True)
class RequestDocument:
    """A request document, not yet checked against the service.

    Attributes:
        service_name: ``Name`` or ``Folder/Name``.
        parameters: of `exportTiles`, as text, as clients send them over HTTP.
        package_name: file name of the package without a suffix; '' for the default.
        key_name: name of the API key that owns the export; '' for none.
        callback_data: JSON that every event of the job repeats; '' for none.
        name_pattern: `name` as written, with ``{date}``: the same for all exports of a series.
        keep: number of packages of the series to keep; 0 for an export without a series.
        is_since_last: export only tiles that changed since the previous export of the series.
    """

    service_name: str
    parameters: Mapping[str, str]
    package_name: str
    key_name: str
    callback_data: str
    name_pattern: str
    keep: int
    is_since_last: bool


def read_request_document(body: bytes, now: datetime) -> RequestDocument:
    """Parse a request document.

    Args:
        body: JSON in UTF-8.
        now: replaces ``{date}`` in the name, in UTC.

    Raises:
        RequestError: a member cannot be used; the message says why and what is legal.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise RequestError(f"It is too large: more than {MAX_REQUEST_BYTES:,} bytes.", "request")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"It is not UTF-8 text. {_LEGAL}", "request") from error
    document = read_object("request", text, _LEGAL)
    unknown = sorted(document.keys() - KNOWN_NAMES - set(OWN_NAMES))
    if unknown:
        legal = f"The members are {', '.join(sorted({*KNOWN_NAMES, *OWN_NAMES}))}."
        raise InvalidParameterError("request", ", ".join(unknown), f"There is no such member. {legal}")
    service_name = document.get("service")
    if not isinstance(service_name, str) or not service_name:
        raise InvalidParameterError("service", service_name, "It must be the name of an image service, as text.")
    keep, is_since_last = _read_keep(document), document.get("since") == LAST
    if is_since_last and not keep:
        raise InvalidParameterError("since", LAST, "Set keep and name, too: they define the series.")
    own_meaning = {"since"} if is_since_last else set()
    try:
        return RequestDocument(
            service_name=service_name,
            parameters={name: _as_text(document[name]) for name in document.keys() & KNOWN_NAMES - own_meaning},
            package_name=_read_name(document.get("name", ""), now),
            key_name=_read_key_name(document.get("key", "")),
            callback_data=_read_callback_data(document.get("callbackData")),
            name_pattern=document.get("name", ""),
            keep=keep,
            is_since_last=is_since_last,
        )
    except RecursionError as error:
        raise RequestError("It is nested too deeply.", "request") from error


def _as_text(value: Any) -> str:
    """Return a JSON value as text, as it would stand in a query string."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(_with_integers(value))


def _with_integers(value: Any) -> Any:
    """Convert whole floats in a JSON value back to integers: every number was read as a float."""
    if isinstance(value, dict):
        return {name: _with_integers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_integers(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _read_name(name: Any, now: datetime) -> str:
    if name == "":
        return ""
    dated = name.replace("{date}", f"{now:%Y-%m-%d}") if isinstance(name, str) else ""
    if not _NAME.fullmatch(dated):
        raise InvalidParameterError("name", name, _LEGAL_NAME)
    return dated


def _read_keep(document: Mapping[str, Any]) -> int:
    """Return the number of packages to keep; 0 if the document does not set it."""
    keep = document.get("keep")
    if keep is None:
        return 0
    if not isinstance(keep, float) or not keep.is_integer() or not 1 <= keep <= MAX_KEPT:
        raise InvalidParameterError("keep", keep, f"It must be a whole number from 1 to {MAX_KEPT:,}.")
    if not document.get("name"):
        raise InvalidParameterError(
            "keep", int(keep), "Give the packages a name, such as district-{date}, to keep some."
        )
    return int(keep)


def _read_key_name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidParameterError("key", name, "It must be the name of an API key, as text.")
    if is_token(name.strip()):  # an error message would reveal it
        raise RequestError("This is a key itself, not its name. Send the name, and revoke this key.", "key")
    return name


def _read_callback_data(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(_with_integers(value))
    if len(text) > MAX_CALLBACK_CHARACTERS:
        legal = f"It may have {MAX_CALLBACK_CHARACTERS:,} characters as JSON, and has {len(text):,}."
        raise InvalidParameterError("callbackData", text, legal)
    return text
