"""Reading values leniently: numbers as text, white space, decimal commas, wrong encodings.

Functions raise a DocumentValueError that begins with the name of the value; the
caller adds that of the document.

Source: XML Schema part 2, 4.3.6 (white space around a number has no meaning).
"""

import codecs
import json
import math
import re
from typing import Any

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_NO_CHARACTERS = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"})
"""Python codecs that are not encodings of documents; two of them take quadratic time."""

_SHOWN_CHARACTERS = 80


class DocumentValueError(ValueError):
    """A value of a document cannot be used; the text begins with its name."""


def number(name: str, value: object, *, has_decimal_commas: bool = False) -> float:
    """Return a finite number from a number or a text.

    Args:
        name: of the value, as the document calls it.
        value: as it was read; None if it is missing.
        has_decimal_commas: other numbers of the document show that a comma is
            its decimal point. Without that, ``1,234`` could be a thousand.

    Raises:
        DocumentValueError: it is missing, no number, or not finite.
    """
    if value is None:
        raise DocumentValueError(f"{name} is missing.")
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if is_decimal_comma(text) or (has_decimal_commas and _DECIMAL_COMMA.fullmatch(text)):
        text = text.replace(",", ".")
    if _THOUSANDS.fullmatch(text):
        raise DocumentValueError(f"{name} '{shown(value)}' can be read in two ways. It must have a decimal point.")
    found = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(found):
        is_empty = isinstance(value, str) and not text
        raise DocumentValueError(f"{name} is empty." if is_empty else f"{name} '{shown(value)}' is not a number.")
    return found


def is_decimal_comma(text: str) -> bool:
    """Return True if a text is a number whose comma can only be a decimal point."""
    return bool(_DECIMAL_COMMA.fullmatch(text)) and not _THOUSANDS.fullmatch(text)


def positive_number(name: str, value: object, *, has_decimal_commas: bool = False) -> float:
    """Return a number greater than 0. Raises DocumentValueError as `number`."""
    found = number(name, value, has_decimal_commas=has_decimal_commas)
    if found <= 0:
        raise DocumentValueError(f"{name} '{shown(value)}' is not a number greater than 0.")
    return found


def whole_number(name: str, value: object, *, maximum: int) -> int:
    """Return a whole number from 0 to a maximum; ``75.0`` is one. Raises DocumentValueError as `number`."""
    legal = f"It must be a whole number from 0 to {maximum:,}."
    try:
        found = number(name, value)
    except DocumentValueError as error:
        raise DocumentValueError(f"{error} {legal}") from error
    if not (found.is_integer() and 0 <= found <= maximum):
        raise DocumentValueError(f"{name} '{shown(value)}' is not a whole number from 0 to {maximum:,}.")
    return int(found)


def shown(value: object) -> str:
    """Return a value as JSON, but a text without quotes; in one line of printable characters, cut short if long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        text = "nested too deep"
    text = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text[:1000].split()))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def read_json(body: bytes) -> dict[str, Any]:
    """Return a JSON object, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        DocumentValueError: it is not one.
    """
    try:
        document = json.loads(body.decode(json.detect_encoding(body), errors="replace"))
    except json.JSONDecodeError as error:
        raise DocumentValueError(
            f"It is not JSON: line {error.lineno}, column {error.colno} cannot be read."
        ) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; nested too deep
        raise DocumentValueError("It is not JSON that can be read.") from error
    if not isinstance(document, dict):
        raise DocumentValueError("It is not a JSON object.")
    return document


def member(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside an object.

    Raises:
        DocumentValueError: it is missing, or no object.
    """
    found = document.get(name)
    if not isinstance(found, dict):
        raise DocumentValueError(
            f"{name} is missing." if found is None else f"{name} '{shown(found)}' is not an object."
        )
    return found


def decode(body: bytes, declared: str) -> str:
    """Return the text of a document in the encoding that it declares.

    Bytes that the encoding does not have become U+FFFD: they are in comments and
    names far more often than in values. In encodings based on ASCII a byte of
    markup is never part of another character. An encoding of unknown name is
    read as ASCII: its declaration could be read as ASCII, too.
    """
    try:
        name = codecs.lookup(declared).name
        if name.replace("-", "_") not in _NO_CHARACTERS:
            return body.decode(name, errors="replace")
    except (LookupError, UnicodeError):  # LookupError also for codecs that make no text
        pass
    return body.decode("ascii", errors="replace")
