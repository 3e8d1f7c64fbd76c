"""Formats of the numbers in file names: padding with zeros, hexadecimal, upper case."""

from exporttiles.domain.errors import DamagedCacheError


class Numerals:
    """The formats of one number in many file names.

    Memory is bounded: one example of each format is kept.
    """

    __slots__ = ("_examples",)

    def __init__(self) -> None:
        # (digits, negative if they begin with a zero; without capitals; without small letters) -> name
        self._examples: dict[tuple[int, bool, bool], str] = {}

    def add(self, digits: str, name: str) -> None:
        """Add the digits of a number as they are written in a name."""
        length = -len(digits) if digits[0] == "0" and digits != "0" else len(digits)
        self._examples.setdefault((length, digits.lower() == digits, digits.upper() == digits), name)

    def spec(self, base: int, usual_width: int) -> str:
        """Return the Python format of all of them: ``04x``, ``02d``, or '' for plain decimals.

        Args:
            base: 10 or 16.
            usual_width: digits with zeros before them that are taken where several widths fit.

        Raises:
            DamagedCacheError: no single format fits all; the message names two files.
        """
        widths = {-length: name for (length, _, _), name in self._examples.items() if length < 0}
        lengths = {length: name for (length, _, _), name in self._examples.items() if length > 0}
        shortest = min(lengths, default=usual_width)
        width = min(widths, default=usual_width if shortest >= usual_width else 1)
        for length, name in [*widths.items(), *lengths.items()]:
            if length < width or (length > width and length in widths):
                raise _naming_error(widths.get(width) or next(iter(self._examples.values())), name, "as many digits")
        return (f"0{width}" if width > 1 else "") + self._letters(base, width)

    def _letters(self, base: int, width: int) -> str:
        if base != 16:
            return "d" if width > 1 else ""
        small = next((name for (_, is_small, is_capital), name in self._examples.items() if not is_capital), None)
        capital = next((name for (_, is_small, is_capital), name in self._examples.items() if not is_small), None)
        if small and capital:
            raise _naming_error(small, capital, "the same letters, capital or small")
        return "X" if capital else "x"


def field(name: str, spec: str) -> str:
    """Return the field of a path template."""
    return f"{{{name}:{spec}}}" if spec else f"{{{name}}}"


def _naming_error(one: str, other: str, shared: str) -> DamagedCacheError:
    return DamagedCacheError(
        f"The files are named in several ways: '{one[-120:]}' and '{other[-120:]}'. "
        f"Rename them so that all have {shared}."
    )
