"""A request for an export as a JSON document: in a file, or as the detail of an event.

Its members are the parameters of `exportTiles`, which may be written as JSON
values, and a few of its own.
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
from exporttiles.rest.parameters import KNOWN_NAMES

MAX_REQUEST_BYTES = 2**20
"""Longest document that is read; areas of many vertices have a few hundred thousand bytes."""

MAX_CALLBACK_CHARACTERS = 2048
"""Longest callback data, as JSON: every event of the job carries it."""

MAX_KEPT = 1_000
"""Most packages of a series that may be kept."""

OWN_NAMES = ("service", "name", "callbackData", "key", "keep")
"""The members that are no parameters."""

_LEGAL = 'It must be a JSON object such as {"service": "World_Imagery", "levels": "0-7", "tilePackage": true}.'
# It becomes a file name and part of an address.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_LEGAL_NAME = "Legal are up to 100 letters, digits and _ . -, with {date} for the day, not beginning with . or -."


@dataclass(frozen=True, slots=True)
class RequestDocument:
    """What a document says, before it is checked against the service.

    Attributes:
        service_name: ``Name`` or ``Folder/Name``.
        parameters: of the operation, as a client would send them over HTTP.
        package_name: what the package is to be called, without a suffix; '' for nothing.
        key_name: of the API key in whose name the export is made; '' for none.
        callback_data: JSON that comes back in the events of the job; '' for none.
        name_pattern: the name as it was written, the same for all exports of a series.
        keep: how many packages of the series are kept; 0 where it is none.
        is_since_last: only what has changed since the last of the series is wanted.
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
    """Return what a document says.

    Args:
        body: JSON in UTF-8.
        now: gives ``{date}`` in the name, in UTC.

    Raises:
        RequestError: it cannot be used; tells why and what is legal.
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
        legal = f"Legal are {', '.join(sorted({*KNOWN_NAMES, *OWN_NAMES}))}."
        raise InvalidParameterError("request", ", ".join(unknown), f"No such member is known. {legal}")
    service_name = document.get("service")
    if not isinstance(service_name, str) or not service_name:
        raise InvalidParameterError("service", service_name, "It must be the name of an image service, as text.")
    keep, is_since_last = _read_keep(document), document.get("since") == LAST
    if is_since_last and not keep:
        raise InvalidParameterError("since", LAST, "Say with keep and name of which series the last is meant.")
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
        raise RequestError("It is nested too deep.", "request") from error


def _as_text(value: Any) -> str:
    """Return a JSON value as it would stand in a query."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(_whole(value))


def _whole(value: Any) -> Any:
    """Return JSON with numbers without a fraction as integers; every number was read as a float."""
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_whole(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _read_name(name: Any, now: datetime) -> str:
    if name == "":
        return ""
    if not isinstance(name, str):
        raise InvalidParameterError("name", name, _LEGAL_NAME)
    dated = name.replace("{date}", f"{now:%Y-%m-%d}")
    if not _NAME.fullmatch(dated):
        raise InvalidParameterError("name", name, _LEGAL_NAME)
    return dated


def _read_keep(document: Mapping[str, Any]) -> int:
    """Return how many packages are kept; 0 if it is not said."""
    keep = document.get("keep")
    if keep is None:
        return 0
    if not isinstance(keep, float) or not keep.is_integer() or not 1 <= keep <= MAX_KEPT:
        raise InvalidParameterError("keep", keep, f"Legal are whole numbers from 1 to {MAX_KEPT:,}.")
    if not document.get("name"):
        raise InvalidParameterError(
            "keep", int(keep), "Give the packages a name, such as district-{date}, to keep some."
        )
    return int(keep)


def _read_key_name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidParameterError("key", name, "It must be the name of an API key, as text.")
    if is_token(name.strip()):  # an answer would spread it
        raise RequestError("This is a key itself, not its name. Send the name, and revoke this key.", "key")
    return name


def _read_callback_data(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(_whole(value))
    if len(text) > MAX_CALLBACK_CHARACTERS:
        legal = f"It may have {MAX_CALLBACK_CHARACTERS:,} characters as JSON, and has {len(text):,}."
        raise InvalidParameterError("callbackData", text, legal)
    return text
