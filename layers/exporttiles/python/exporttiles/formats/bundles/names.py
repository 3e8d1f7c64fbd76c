"""Names of bundles. The case of their letters, and the number of their digits, vary between caches."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.caches.path_template import literal

_BUNDLE = re.compile(r"((?:.*/)?)(L)([0-9a-f]{1,2})(/R)([0-9a-f]{9,31})\.(bundle|bundlx)", re.ASCII | re.IGNORECASE)
# Bundles begin at multiples of 128 rows and columns, whose last hexadecimal digits are 00 or 80.
_DIGITS = re.compile(r"[0-9a-f]{2,13}[08]0", re.ASCII | re.IGNORECASE)

USUAL_TEMPLATE = "L{level:02d}/R{row:04x}C{column:04x}"
"""The digits are lower case: the upper-case ``C`` is the separator."""

_USUAL_EXTENSIONS = ("bundle", "bundlx")
_EXTENSION = ".{extension}"
_HEXADECIMAL_LEVEL = re.compile(r"\{level:\w*[xX]\}")


@dataclass(frozen=True, slots=True)
class BundleName:
    """The path of a bundle, or of the file of its offsets, in its parts.

    Attributes:
        folder: before the folder of the level.
        words: before the level, the row and the column: ``L``, ``/R`` and ``C``.
        digits: of the level, the row and the column.
    """

    folder: str
    words: tuple[str, str, str]
    digits: tuple[str, str, str]
    extension: str

    @property
    def place(self) -> tuple[int, int]:
        """Return row and column of the top-left tile."""
        _, row, column = self.digits
        return int(row, 16), int(column, 16)


def split_bundle_name(path: str) -> BundleName | None:
    """Return the parts of the path of a bundle or of its offsets; None if it is neither."""
    match = _BUNDLE.fullmatch(path)
    if match is None:
        return None
    folder, before, level, row_word, text, extension = match.groups()
    # C is a digit, too: where the text can be split in several ways, both numbers have equally many digits.
    parts = [(text[:at], letter, text[at + 1 :]) for at, letter in enumerate(text) if letter in "cC"]
    parts = [(row, word, column) for row, word, column in parts if _DIGITS.fullmatch(row) and _DIGITS.fullmatch(column)]
    if not parts:
        return None
    row, word, column = min(parts, key=lambda part: abs(len(part[0]) - len(part[2])))
    return BundleName(folder, (before, row_word, word), (level, row, column), extension)


@dataclass(frozen=True)
class BundleNames:
    """The paths of bundles, and of the files of their offsets, in a cache.

    Attributes:
        folder: before the folders of the levels.
        template: of the rest, without the extension, with the fields ``{level}``, ``{row}`` and ``{column}``.
        extensions: of bundles, and of the files of their offsets.
    """

    folder: str
    template: str = USUAL_TEMPLATE
    extensions: tuple[str, ...] = _USUAL_EXTENSIONS

    @classmethod
    def of_cache(cls, cache: TileCache) -> Self:
        """Return the names in a cache of bundles."""
        if not cache.path_template.endswith(_EXTENSION):
            return cls(cache.path_template)
        return cls("", cache.path_template.removesuffix(_EXTENSION), cache.extensions)

    @property
    def is_usual(self) -> bool:
        """Return True if bundles are named as ArcGIS names them."""
        return self.template == USUAL_TEMPLATE and self.extensions == _USUAL_EXTENSIONS[: len(self.extensions)]

    @property
    def path_template(self) -> str:
        """Return `TileCache.path_template`: the folder alone where the names are usual."""
        return self.folder if self.is_usual else f"{literal(self.folder)}{self.template}{_EXTENSION}"

    def level_folder(self, level: int) -> str:
        """Return the folder of the bundles of a level, with its slash."""
        path = self._path(BundleIndex(level, 0, 0))
        return path[: path.rfind("/") + 1]

    def bundle(self, bundle: BundleIndex) -> str:
        """Return the path of a bundle."""
        return f"{self._path(bundle)}.{self.extensions[0]}"

    def offsets(self, bundle: BundleIndex) -> str:
        """Return the path of the file of the offsets of a bundle."""
        return f"{self._path(bundle)}.{self.extensions[1]}"

    def parse(self, path: str) -> BundleIndex | None:
        """Return the bundle of the path of a bundle or of its offsets; None if it is neither."""
        name = split_bundle_name(path)
        if name is None:
            return None
        try:
            level = int(name.digits[0], self._level_base)
        except ValueError:
            return None
        bundle = BundleIndex(level, *name.place)
        return bundle if path in {f"{self._path(bundle)}.{extension}" for extension in self.extensions} else None

    @cached_property
    def _level_base(self) -> int:
        return 16 if _HEXADECIMAL_LEVEL.search(self.template) else 10

    def _path(self, bundle: BundleIndex) -> str:
        return self.folder + self.template.format(level=bundle.level, row=bundle.row, column=bundle.column)


USUAL_NAMES = BundleNames("")
"""The names that ArcGIS gives to bundles, such as ``L05/R0080C0100.bundle``."""
