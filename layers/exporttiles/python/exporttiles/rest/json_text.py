"""Parse JSON from clients: strict and bounded, with a repair for unbalanced brackets."""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from exporttiles.domain.errors import InvalidParameterError

MAX_REPAIRS = 16
"""Limit of brackets that the repair may drop or append: more are not a typo."""

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # a lone surrogate, which UTF-8 cannot encode
_MAX_DEPTH = 1000  # of open brackets; Python's JSON parser stops sooner
_EXCERPT = 20  # characters shown on either side of an error
_CLOSER_OF = {"{": "}", "[": "]"}
# A string is one token, so that brackets inside it are ignored. The quantifiers
# are possessive: an unterminated string costs one pass instead of exponential backtracking.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def read_object(name: str, text: str, legal: str) -> dict[str, Any]:
    """Parse the JSON object of a parameter.

    Args:
        name: name of the parameter, for the error.
        text: JSON as the client sent it.
        legal: description of legal values, for the error.

    Raises:
        InvalidParameterError: the text is not one JSON object; the message says where.
    """
    document = read_json(name, text, legal)
    if not isinstance(document, dict):
        raise InvalidParameterError(name, text, legal)
    return document


def read_json(
    name: str,
    text: str,
    legal: str,
    parse_constant: Callable[[str], float] | None = None,
    parse_int: Callable[[str], float] = float,
) -> Any:
    """Parse the JSON value of a parameter.

    Args:
        name: name of the parameter, for the error.
        text: JSON as the client sent it.
        legal: description of legal values, for the error.
        parse_constant: converts NaN and Infinity, which are refused by default.
        parse_int: converts integers, by default to floats, so that one of a million digits is cheap.

    Raises:
        InvalidParameterError: the text is not JSON; the message says where.
    """
    try:
        document = json.loads(text, parse_int=parse_int, parse_constant=parse_constant or _refuse_constant)
        if _HALF_CHARACTER.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        excerpt = text[max(0, error.pos - _EXCERPT) : error.pos + _EXCERPT]
        where = f"It is not JSON: {error.msg} at character {error.pos + 1}, near '{excerpt}'."
        raise InvalidParameterError(name, text, f"{where} {legal}") from error
    except UnicodeEncodeError as error:
        raise InvalidParameterError(name, text, f"It contains half of a surrogate pair. {legal}") from error
    except RecursionError as error:
        raise InvalidParameterError(name, text, f"It is nested too deeply. {legal}") from error
    except _ConstantError as error:
        raise InvalidParameterError(name, text, f"{error} is not a number in JSON. {legal}") from error
    return document


def balance_brackets(text: str) -> str | None:
    """Balance the brackets of a text. Return None if that cannot repair it.

    Example three in the documentation of `exportTiles` closes its object too
    early, before the spatial reference. So keep the object open to the end of the
    text: drop a closing bracket that would end it or that matches no open bracket,
    and close at the end all that is still open. Only brackets change, so that no
    coordinate is invented, and members after the early end become members of the
    object. Do not repair a text that does not end in a brace: it may have been cut
    off within its coordinates.
    """
    if not text.endswith("}"):
        return None
    open_brackets: list[str] = []
    kept: list[str] = []
    position = dropped = 0
    for token in _TOKEN.finditer(text):
        bracket = token[0]
        if bracket in _CLOSER_OF:
            open_brackets.append(bracket)
            if len(open_brackets) > _MAX_DEPTH:
                return None
        elif bracket in ("}", "]"):
            if len(open_brackets) > 1 and _CLOSER_OF[open_brackets[-1]] == bracket:
                open_brackets.pop()
            else:
                kept.append(text[position : token.start()])
                position = token.end()
                dropped += 1
                if dropped > MAX_REPAIRS:
                    return None
    missing = "".join(_CLOSER_OF[bracket] for bracket in reversed(open_brackets))
    balanced = "".join([*kept, text[position:], missing])
    # A balanced text loses its last closing bracket above and gets it back here.
    return None if balanced == text or dropped + len(missing) > MAX_REPAIRS else balanced


class _ConstantError(ValueError):
    """NaN or Infinity, which Python parses although JSON forbids them."""


def _refuse_constant(constant: str) -> NoReturn:
    raise _ConstantError(constant)
