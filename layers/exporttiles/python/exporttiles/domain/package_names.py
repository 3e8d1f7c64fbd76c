"""File names of packages, from values of an attribute in any script."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Container
from hashlib import sha256

MAX_NAME_CHARACTERS = 100
"""Longest name without its suffix, as for packages that a client names."""

_MAX_NAME_BYTES = 180  # in UTF-8; file systems allow 255, some encrypted ones 143 characters, with the suffix
_DIGEST_CHARACTERS = 6
_KEPT = "_-."
_NAMELESS = "package"  # for values without a letter or digit
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³")}
"""Names that Windows reserves, with any suffix. Source: Microsoft, "Naming Files, Paths, and Namespaces"."""


def package_names(values: Collection[str]) -> list[str]:
    """Return a file name without its suffix for each value, in their order.

    A name keeps the letters and digits of its value, in any script; each run of
    other characters becomes an underscore. No two names are the same file on a disk
    that ignores case or Unicode normalisation: such names get a digest of their
    values, so that no name depends on the order of the values.

    Args:
        values: no two are equal after normalisation.
    """
    plain = [_file_name(value) for value in values]
    counts = Counter(map(_folded, plain))
    return [
        name if counts[_folded(name)] == 1 else _with_digest(name, value, counts)
        for name, value in zip(plain, values, strict=True)
    ]


def _with_digest(name: str, value: str, taken: Container[str]) -> str:
    digest = sha256(unicodedata.normalize("NFC", value).encode(errors="surrogatepass")).hexdigest()
    endings = (f"_{digest[:length]}" for length in range(_DIGEST_CHARACTERS, len(digest)))
    names = (_shortened(name, len(ending)) + ending for ending in endings)
    return next(each for each in names if _folded(each) not in taken)


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
