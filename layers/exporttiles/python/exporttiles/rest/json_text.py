"""JSON from strangers: strict and bounded, with one recovery for unbalanced brackets."""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from exporttiles.domain.errors import InvalidParameterError

MAX_REPAIRS = 16
"""Brackets that the recovery may drop or append; more is no slip of the pen."""

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # JSON can spell what no log and no store can write
_MAX_DEPTH = 1000  # of brackets; the parser of JSON gives up sooner
_EXCERPT = 20  # characters shown on either side of a mistake
_CLOSER_OF = {"{": "}", "[": "]"}
# A string as one token, so that brackets inside it are not seen. The quantifiers
# are possessive: a string that never ends costs one pass, not two to the length.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def read_object(name: str, text: str, legal: str) -> dict[str, Any]:
    """Return the JSON object of a parameter.

    Args:
        name: the parameter, for the error.
        text: JSON as the client sent it.
        legal: what would be accepted, for the error.

    Raises:
        InvalidParameterError: the text is not one JSON object; tells where.
    """
    document = read_json(name, text, legal)
    if not isinstance(document, dict):
        raise InvalidParameterError(name, text, legal)
    return document


def read_json(name: str, text: str, legal: str, parse_constant: Callable[[str], float] | None = None) -> Any:
    """Return the JSON value of a parameter.

    Every number arrives as a float: an integer of a million digits costs nothing then.

    Args:
        name: the parameter, for the error.
        text: JSON as the client sent it.
        legal: what would be accepted, for the error.
        parse_constant: of NaN and Infinity, which are refused otherwise.

    Raises:
        InvalidParameterError: the text is not JSON; tells where.
    """
    try:
        document = json.loads(text, parse_int=float, parse_constant=parse_constant or _refuse_constant)
        if _HALF_CHARACTER.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        excerpt = text[max(0, error.pos - _EXCERPT) : error.pos + _EXCERPT]
        where = f"It is not JSON: {error.msg} at character {error.pos + 1}, near '{excerpt}'."
        raise InvalidParameterError(name, text, f"{where} {legal}") from error
    except UnicodeEncodeError as error:
        raise InvalidParameterError(name, text, f"It holds half of a character. {legal}") from error
    except RecursionError as error:
        raise InvalidParameterError(name, text, f"It is nested too deep. {legal}") from error
    except _ConstantError as error:
        raise InvalidParameterError(name, text, f"{error} is not a number in JSON. {legal}") from error
    return document


def balance_brackets(text: str) -> str | None:
    """Return a text with its brackets balanced, or None where that is not what ails it.

    Example three of the documentation of `exportTiles` closes its object too
    early and then goes on with the spatial reference. So the object is kept open to
    the end of the text: a closer that would end it, or that fits no open bracket,
    is dropped; what is still open at the end is closed. Nothing but brackets is
    touched, so no coordinate is ever made up, and a member that stood behind the
    early end becomes a member of the object. A text that does not end in a brace
    may have been cut off within its coordinates; it is left alone.
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
    # A text that was balanced loses its last closer and gets it back.
    return None if balanced == text or dropped + len(missing) > MAX_REPAIRS else balanced


class _ConstantError(ValueError):
    """NaN or Infinity, which Python reads and JSON does not know."""


def _refuse_constant(constant: str) -> NoReturn:
    raise _ConstantError(constant)
