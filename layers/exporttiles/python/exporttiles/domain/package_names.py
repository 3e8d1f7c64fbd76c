"""File names of packages, from values of an attribute in any script."""

import unicodedata
from collections.abc import Iterable

MAX_NAME_CHARACTERS = 100
"""Longest name without its suffix, as for packages that a client names."""

_MAX_NAME_BYTES = 180  # in UTF-8; file systems allow 255, some encrypted ones 143 characters, with the suffix
_KEPT = "_-."
_NAMELESS = "package"  # for values without a letter or digit
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³")}
"""Names that Windows reserves, with any suffix. Source: Microsoft, "Naming Files, Paths, and Namespaces"."""


def package_names(values: Iterable[str]) -> list[str]:
    """Return a file name without its suffix for each value, in their order.

    A name keeps the letters and digits of its value, in any script; each run of
    other characters becomes an underscore. No two names are the same file on a disk
    that ignores case or Unicode normalisation: later ones get a number.
    """
    names: list[str] = []
    taken: set[str] = set()
    for value in values:
        plain = name = _file_name(value)
        number = 1
        while _folded(name) in taken:
            number += 1
            ending = f"_{number}"
            name = _shortened(plain, len(ending)) + ending
        taken.add(_folded(name))
        names.append(name)
    return names


def _file_name(value: str) -> str:
    text = unicodedata.normalize("NFC", value)
    kept = "".join(character if _is_kept(character) else " " for character in text)
    name = _shortened("_".join(kept.split()).strip(_KEPT)).rstrip(_KEPT)
    if not any(map(str.isalnum, name)):
        return _NAMELESS
    return f"{name}_" if name.partition(".")[0].upper() in _DEVICES else name


def _is_kept(character: str) -> bool:
    """Return True for letters, digits and the marks that belong to them (Devanagari, Arabic), and for ``_-.``."""
    return character.isalnum() or character in _KEPT or unicodedata.category(character) in {"Mn", "Mc"}


def _shortened(name: str, spare: int = 0) -> str:
    """Cut a name to its limits, less some ASCII characters."""
    data = name[: MAX_NAME_CHARACTERS - spare].encode()[: _MAX_NAME_BYTES - spare]
    return data.decode(errors="ignore")


def _folded(name: str) -> str:
    """Return a key that is equal for names that any file system takes for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).upper().casefold())
