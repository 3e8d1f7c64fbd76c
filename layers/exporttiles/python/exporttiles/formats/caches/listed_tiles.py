"""Files of tiles and bundles in a listing: their levels, their ranges, and the template of their paths."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeVar

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.bundles.names import BundleName, BundleNames
from exporttiles.formats.caches.path_template import TilePlace, find_shard, literal

Span = tuple[tuple[int, int], tuple[int, int]]
"""Half-open ranges of rows, as the names count them, and of columns."""

_KEPT_PREFIXES = 256

_Level = TypeVar("_Level")


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
                raise naming_error(widths.get(width) or next(iter(self._examples.values())), name, "as many digits")
        return (f"0{width}" if width > 1 else "") + self._letters(base, width)

    def _letters(self, base: int, width: int) -> str:
        if base != 16:
            return "d" if width > 1 else ""
        small = next((name for (_, is_small, is_capital), name in self._examples.items() if not is_capital), None)
        capital = next((name for (_, is_small, is_capital), name in self._examples.items() if not is_small), None)
        if small and capital:
            raise naming_error(small, capital, "the same letters, capital or small")
        return "X" if capital else "x"


def _field(name: str, spec: str) -> str:
    """Return the field of a path template."""
    return f"{{{name}:{spec}}}" if spec else f"{{{name}}}"


@dataclass(slots=True)
class ListedLevel:
    """Count, size and ranges of the files of one level.

    Attributes:
        first, second: half-open ranges of the two numbers in the paths, rows
            and columns in whichever order.
        examples: keys with their numbers, spread over the listing.
    """

    count: int = 0
    size_bytes: int = 0
    first: tuple[int, int] = (2**62, 0)
    second: tuple[int, int] = (2**62, 0)
    examples: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, key: str, size_bytes: int, first: int, second: int) -> None:
        """Count a file."""
        self.count += 1
        self.size_bytes += size_bytes
        self.first = min(self.first[0], first), max(self.first[1], first + 1)
        self.second = min(self.second[0], second), max(self.second[1], second + 1)
        if self.count & (self.count - 1) == 0:  # the first, second, fourth, eighth and so on
            self.examples.append((key, first, second))


@dataclass
class ListedFiles:
    """Tiles in files whose names differ in numbers only.

    Attributes:
        is_exploded: named as ArcGIS does, in hexadecimal digits.
        is_row_first: the row stands before the column in the paths.
        words: the text before the level, between the numbers and after the last one.
        levels: by the digits of the level.
        extensions: how many files have each.
        prefixes: the folders before the level; some, if they are many.
    """

    is_exploded: bool
    words: tuple[str, ...]
    is_row_first: bool = False
    levels: dict[str, ListedLevel] = field(default_factory=dict)
    extensions: Counter[str] = field(default_factory=Counter)
    prefixes: set[str] = field(default_factory=set)
    first_numerals: Numerals = field(default_factory=Numerals)
    second_numerals: Numerals = field(default_factory=Numerals)

    def add(self, match: re.Match[str], size_bytes: int) -> None:
        """Count a file."""
        key, prefix, level, first, second, extension = match.group(0, 1, 3, 5, 7, 9)
        base = 16 if self.is_exploded else 10
        found = self.levels.get(level)
        if found is None:
            found = self.levels[level] = ListedLevel()
        found.add(key, size_bytes, int(first, base), int(second, base))
        self.first_numerals.add(first, key)
        self.second_numerals.add(second, key)
        self.extensions[extension[1:]] += 1
        if len(self.prefixes) < _KEPT_PREFIXES:
            self.prefixes.add(prefix)

    @property
    def count(self) -> int:
        """Return the number of files."""
        return sum(level.count for level in self.levels.values())

    @property
    def example(self) -> str:
        """Return the path of one of the files."""
        return next(iter(self.levels.values())).examples[0][0]

    def span(self, digits: str) -> Span:
        """Return the ranges of rows and of columns of a level."""
        level = self.levels[digits]
        return (level.first, level.second) if self.is_row_first else (level.second, level.first)

    def spans(self, level_base: int) -> dict[int, Span]:
        """Return the ranges of rows and of columns of each level, ascending."""
        return _by_number({digits: self.span(digits) for digits in self.levels}, level_base)

    def places(self, level_base: int) -> Iterator[tuple[str, TilePlace]]:
        """Yield some keys with their places, rows as the paths count them."""
        for level, found in _by_number(self.levels, level_base).items():
            for key, first, second in found.examples:
                yield key, TilePlace(level, *((first, second) if self.is_row_first else (second, first)))

    def template(self, row_field: str, level_base: int) -> str:
        """Return the template of the paths, see `PathTemplate`.

        Args:
            row_field: ``row`` or ``row_from_bottom``.
            level_base: 10 or 16, of the digits of the levels.

        Raises:
            DamagedCacheError: no single template gives all paths.
        """
        prefix = self._prefix(level_base)
        base, usual_level, usual_number = (16, 2, 8) if self.is_exploded else (10, 1, 1)
        level_numerals = Numerals()
        for digits, level in self.levels.items():
            level_numerals.add(digits, level.examples[0][0])
        first, second = (row_field, "column") if self.is_row_first else ("column", row_field)
        before, between, then, behind = self.words
        return (
            f"{prefix}{before}{_field('level', level_numerals.spec(level_base, usual_level))}"
            f"{between}{_field(first, self.first_numerals.spec(base, usual_number))}"
            f"{then}{_field(second, self.second_numerals.spec(base, usual_number))}"
            f"{behind}{self._ending}"
        )

    @property
    def file_extensions(self) -> tuple[str, ...]:
        """Return `TileCache.extensions`: the most frequent first, none where all files have the same."""
        if len(self.extensions) == 1:
            return ()
        dot = "." if "" in self.extensions else ""  # of files of which some have no extension
        return tuple(dot + extension if extension else "" for extension, _ in self.extensions.most_common())

    @property
    def _ending(self) -> str:
        """Return the template of the extension."""
        if len(self.extensions) > 1:
            return "{extension}" if "" in self.extensions else ".{extension}"
        (extension,) = self.extensions
        return f".{extension}" if extension else ""

    def _prefix(self, level_base: int) -> str:
        """Return the template of the folders before the level."""
        folders = {prefix.rstrip("/").rpartition("/")[0] for prefix in self.prefixes}
        if len(self.prefixes) > 1 and len(folders) == 1:
            folder = f"{found}/" if (found := folders.pop()) else ""
            shard = find_shard(folder, list(self.places(level_base)))
            if shard:
                return f"{literal(folder)}{shard}/"
        return literal(only_one(self.prefixes, "caches, or their tiles are named in several ways"))


@dataclass
class ListedBundles:
    """Bundles of a cache.

    Attributes:
        levels: by the digits of the level, row and column of the top-left tile of each.
        count, offset_count: how many bundles there are, and files of offsets (.bundlx).
        words: the text before the level, the row and the column.
        extensions: of the bundles, and of the files of offsets.
    """

    levels: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    count: int = 0
    offset_count: int = 0
    folders: set[str] = field(default_factory=set)
    words: dict[tuple[str, str, str], str] = field(default_factory=dict)
    extensions: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    numerals: tuple[Numerals, Numerals, Numerals] = field(default_factory=lambda: (Numerals(), Numerals(), Numerals()))
    example: str = ""

    def add(self, key: str, name: BundleName) -> None:
        """Add a bundle, or the file of its offsets."""
        is_offsets = name.extension.lower() == "bundlx"
        self.extensions[is_offsets].setdefault(name.extension, key)
        self.words.setdefault(name.words, key)
        for numerals, digits in zip(self.numerals, name.digits, strict=True):
            numerals.add(digits, key)
        if is_offsets:
            self.offset_count += 1
            return
        self.count += 1
        self.example = self.example or key
        self.folders.add(name.folder)
        self.levels.setdefault(name.digits[0], []).append(name.place)

    def span(self, digits: str) -> Span:
        """Return the ranges of rows and of columns of a level."""
        rows, columns = zip(*self.levels[digits], strict=True)
        return (min(rows), max(rows) + PACKET_SIZE), (min(columns), max(columns) + PACKET_SIZE)

    def by_level(self, level_base: int = 10) -> dict[int, list[BundleIndex]]:
        """Return the bundles of each level, ascending."""
        places = _by_number(self.levels, level_base)
        return {level: [BundleIndex(level, *place) for place in found] for level, found in places.items()}

    def names(self, level_base: int = 10) -> BundleNames:
        """Return how the bundles are named.

        Raises:
            DamagedCacheError: they lie in several folders, or no single rule gives all names.
        """
        for ways in (self.words, *self.extensions):
            if len(ways) > 1:
                one, other = list(ways.values())[:2]
                raise naming_error(one, other, "the same letters, capital or small: L05/R0080C0100.bundle")
        ((before, row_word, column_word),) = self.words
        level, row, column = self.numerals
        return BundleNames(
            folder=only_one(self.folders, "caches"),
            template=(
                f"{before}{_field('level', level.spec(level_base, 2))}{row_word}"
                f"{_field('row', row.spec(16, 4))}{column_word}{_field('column', column.spec(16, 4))}"
            ),
            extensions=tuple(next(iter(found)) for found in self.extensions if found),
        )


def only_one(names: Iterable[str], what: str) -> str:
    """Return the only name.

    Raises:
        DamagedCacheError: there are several.
    """
    first, *others = sorted(names)
    if others:
        shown = ", ".join(f"'{name}'" for name in [first, *others][:5])
        raise DamagedCacheError(f"There are several {what}: {shown}. Name one of them as the source.")
    return first


def naming_error(one: str, other: str, shared: str) -> DamagedCacheError:
    """Return the error for files that no single rule names.

    Args:
        one: path of a file.
        other: path of a file that is named in another way.
        shared: what the names of all files should have in common.
    """
    return DamagedCacheError(
        f"The files are named in several ways: '{one[-120:]}' and '{other[-120:]}'. "
        f"Rename them so that all have {shared}."
    )


def _by_number(levels: Mapping[str, _Level], base: int) -> dict[int, _Level]:
    """Return levels by number instead of by digits, ascending."""
    return dict(sorted(((int(digits, base), level) for digits, level in levels.items()), key=itemgetter(0)))
