"""Listing a cache: recognise its layout from the names of its objects, in one pass.

Known are bundles (``L05/R0080C0100.bundle``), ArcGIS's exploded tiles
(``L05/R0000000a/C0000001f.png``), any three numbers in a row (``5/31/10.png``)
and PMTiles archives; capital and small letters alike, with any zeros before
numbers. Memory does not grow with the number of tiles.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.bundles.names import BundleName, BundleNames, split_bundle_name
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, ROOT_JSON
from exporttiles.formats.caches.path_template import TilePlace, find_shard, literal
from exporttiles.formats.caches.tms_documents import TILE_JSONS, TILE_MAP
from exporttiles.formats.esri.numerals import Numerals
from exporttiles.formats.esri.numerals import field as number_field

DOCUMENTS = frozenset({CONF_XML, CONF_CDI, ROOT_JSON, TILE_MAP, *TILE_JSONS})
"""Names of documents in lower case; any case is accepted."""

_NUMBERED = re.compile(r"((?:.*/)?)()([0-9]{1,2})(/)([0-9]{1,10})(/)([0-9]{1,10})(@[0-9]x|)((?:\.\w+){0,2})", re.ASCII)
_EXPLODED = re.compile(
    r"((?:.*/)?)(L)([0-9a-f]{1,2})(/R)([0-9a-f]{1,12})(/C)([0-9a-f]{1,12})()(\.\w+)", re.ASCII | re.IGNORECASE
)
_BUNDLE_LIKE = re.compile(r"(?:.*/)?R[0-9a-f]+C[0-9a-f]+\.bundl[ex]", re.ASCII | re.IGNORECASE)
_WITH_NUMBER = re.compile(r"[^/]*[0-9][^/]*", re.ASCII)

_NO_TILES = frozenset(
    {"aux", "html", "jgw", "jpgw", "json", "kml", "lock", "md", "pgw", "pngw", "tmp", "txt", "wld", "xml", "yaml"}
)
"""Extensions of files that programs write beside tiles, under their names."""

_IMAGES = frozenset({"avif", "gif", "jpeg", "jpg", "lerc", "png", "tif", "tiff", "webp"})

_LAYOUTS = (
    (re.compile(r"(?:.*/)?\w+_[0-9]{2}/[0-9]+_[0-9]+/[0-9]+_[0-9]+\.\w+", re.ASCII), "GeoWebCache"),
    (re.compile(r"(?:.*/)?[0-9]+(?:/[0-9]{3}){6}\.\w+", re.ASCII), "MapCache and TileCache, three digits a folder"),
    (re.compile(r"(?:.*/)?[^/]*[^/0-9][0-9]{1,2}/[0-9]+/[0-9]+\.\w+", re.ASCII), "WMTS"),
    (re.compile(r"(?:.*/)?[0-9]+/(?:[0-9]+/)?[0-9]+[_-][0-9]+\.\w+", re.ASCII), "level/column_row"),
    (re.compile(r"(?:.*/)?[0-3]+\.\w+", re.ASCII), "quadkeys"),
)
"""Names of tiles in the layouts of other programs, which are not read."""

_KEPT_PREFIXES = 256


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


class _Listed(ABC):
    """Files of one kind: tiles, or bundles."""

    @property
    @abstractmethod
    def level_digits(self) -> Iterable[str]:
        """Return the levels as they are written in the names."""

    @property
    def level_base(self) -> int | None:
        """Return 10 or 16, as the digits of the levels show; None if both are possible."""
        if any(not digits.isdecimal() for digits in self.level_digits):
            return 16
        return 10 if max(map(int, self.level_digits)) < 10 else None

    @abstractmethod
    def span(self, digits: str, *, is_row_first: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the half-open ranges of rows and of columns of a level, rows as the names count them."""


@dataclass
class ListedFiles(_Listed):
    """Tiles in files whose names differ in numbers only.

    Attributes:
        is_exploded: named as ArcGIS does, in hexadecimal digits.
        words: the text before the level, between the numbers and after the last one.
        levels: by the digits of the level.
        extensions: how many files have each.
        prefixes: the folders before the level; some, if they are many.
    """

    is_exploded: bool
    words: tuple[str, ...] = ("", "/", "/", "")
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

    @property
    def level_digits(self) -> Iterable[str]:
        """Return the levels as they are written in the names."""
        return self.levels

    @property
    def level_base(self) -> int | None:
        """Return 10 or 16, as the digits of the levels show; None if both are possible."""
        return super().level_base if self.is_exploded else 10

    def span(self, digits: str, *, is_row_first: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the half-open ranges of rows and of columns of a level, rows as the names count them."""
        level = self.levels[digits]
        return (level.first, level.second) if is_row_first else (level.second, level.first)

    def by_level(self, level_base: int = 10) -> dict[int, ListedLevel]:
        """Return the levels by number, ascending."""
        return {
            int(digits, level_base): self.levels[digits]
            for digits in sorted(self.levels, key=_level_number(level_base))
        }

    def places(self, *, is_row_first: bool, level_base: int = 10) -> Iterator[tuple[str, TilePlace]]:
        """Yield some keys with their places, rows as the paths count them."""
        for level, found in self.by_level(level_base).items():
            for key, first, second in found.examples:
                yield key, TilePlace(level, *((first, second) if is_row_first else (second, first)))

    def template(self, *, is_row_first: bool, row_field: str, level_base: int = 10) -> str:
        """Return the template of the paths, see `PathTemplate`.

        Args:
            is_row_first: the row stands before the column.
            row_field: ``row`` or ``row_from_bottom``.
            level_base: 10 or 16, of the digits of the levels.

        Raises:
            DamagedCacheError: no single template gives all paths.
        """
        prefix = self._prefix(is_row_first=is_row_first, level_base=level_base)
        base, usual_level, usual_number = (16, 2, 8) if self.is_exploded else (10, 1, 1)
        level_numerals = Numerals()
        for digits, level in self.levels.items():
            level_numerals.add(digits, level.examples[0][0])
        first, second = (row_field, "column") if is_row_first else ("column", row_field)
        before, between, then, behind = self.words
        return (
            f"{prefix}{before}{number_field('level', level_numerals.spec(level_base, usual_level))}"
            f"{between}{number_field(first, self.first_numerals.spec(base, usual_number))}"
            f"{then}{number_field(second, self.second_numerals.spec(base, usual_number))}"
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

    def _prefix(self, *, is_row_first: bool, level_base: int) -> str:
        """Return the template of the folders before the level."""
        folders = {prefix.rstrip("/").rpartition("/")[0] for prefix in self.prefixes}
        if len(self.prefixes) > 1 and len(folders) == 1:
            folder = f"{found}/" if (found := folders.pop()) else ""
            shard = find_shard(folder, list(self.places(is_row_first=is_row_first, level_base=level_base)))
            if shard:
                return f"{literal(folder)}{shard}/"
        return literal(only_one(self.prefixes, "caches, or their tiles are named in several ways"))


@dataclass
class ListedBundles(_Listed):
    """Bundles of a cache.

    Attributes:
        places: by the digits of the level, row and column of the top-left tile of each.
        count, offset_count: how many bundles there are, and files of offsets (.bundlx).
        words: the text before the level, the row and the column.
        extensions: of the bundles, and of the files of offsets.
    """

    places: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
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
        self.places.setdefault(name.digits[0], []).append(name.place)

    @property
    def level_digits(self) -> Iterable[str]:
        """Return the levels as they are written in the names."""
        return self.places

    def span(self, digits: str, *, is_row_first: bool = True) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the half-open ranges of rows and of columns of a level."""
        del is_row_first  # the row always comes first in the names of bundles
        rows, columns = zip(*self.places[digits], strict=True)
        return (min(rows), max(rows) + PACKET_SIZE), (min(columns), max(columns) + PACKET_SIZE)

    def by_level(self, level_base: int = 10) -> dict[int, list[BundleIndex]]:
        """Return the bundles of each level, ascending."""
        return {
            int(digits, level_base): [BundleIndex(int(digits, level_base), *place) for place in self.places[digits]]
            for digits in sorted(self.places, key=_level_number(level_base))
        }

    def names(self, level_base: int = 10) -> BundleNames:
        """Return how the bundles are named.

        Raises:
            DamagedCacheError: they lie in several folders, or no single rule gives all names.
        """
        for ways in (self.words, *self.extensions):
            if len(ways) > 1:
                one, other = list(ways.values())[:2]
                raise DamagedCacheError(
                    f"The files are named in several ways: '{one}' and '{other}'. Rename them so that all have "
                    "the same letters, capital or small: L05/R0080C0100.bundle."
                )
        ((before, row_word, column_word),) = self.words
        level, row, column = self.numerals
        return BundleNames(
            folder=only_one(self.folders, "caches"),
            template=(
                f"{before}{number_field('level', level.spec(level_base, 2))}{row_word}"
                f"{number_field('row', row.spec(16, 4))}{column_word}{number_field('column', column.spec(16, 4))}"
            ),
            extensions=tuple(next(iter(found)) for found in self.extensions if found),
        )


@dataclass
class CacheListing:
    """Documents, archives, bundles and tiles of a cache."""

    documents: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    bundles: ListedBundles = field(default_factory=ListedBundles)
    numbered: dict[tuple[str, ...], ListedFiles] = field(default_factory=dict)
    exploded: dict[tuple[str, ...], ListedFiles] = field(default_factory=dict)
    unread_count: int = 0
    unread: list[str] = field(default_factory=list)
    """The first file with the extension of a tile and a number, but an unknown name."""
    others: list[str] = field(default_factory=list)
    """The first file that is no tile."""

    @cached_property
    def files(self) -> ListedFiles | None:
        """Return the tiles that are files of their own.

        Raises:
            DamagedCacheError: capital and small letters differ among them.
        """
        if len(self.exploded) > 1:
            one, other = [files.example for files in self.exploded.values()][:2]
            raise DamagedCacheError(
                f"The files are named in several ways: '{one}' and '{other}'. Rename them so that all have "
                "the same letters, capital or small: L05/R0000000a/C0000001f.png."
            )
        if self.exploded:
            return next(iter(self.exploded.values()))
        # Tiles of twice the size (@2x) stand beside those of the plain name.
        return min(self.numbered.values(), key=lambda files: files.words, default=None)

    @property
    def refusal(self) -> str:
        """Return the message for a place without a readable cache: the known names, and one found."""
        known = "bundles (L00/R0000C0000.bundle), files named level/column/row, a .pmtiles"
        if self.unread:
            layout = next((name for pattern, name in _LAYOUTS if pattern.fullmatch(self.unread[0])), None)
            like = f", like those of {layout}" if layout else ""
            return (
                f"'{self.unread[0]}' is named in a way that is not read{like}. What is read: {known}. Copy the "
                "tiles to such names."
            )
        if self.others or self.documents:
            return (
                f"There is no tile cache, only files such as '{(self.documents + self.others)[0]}'. Read are {known}."
            )
        return f"There is no tile cache, and no file at all. Read are {known}."

    @property
    def left_out(self) -> list[Message]:
        """Return warnings about tiles that are ignored because others are exported."""
        kinds = [(self.bundles.count, self.bundles.example)] if self.bundles.places else []
        kinds += [(files.count, files.example) for files in self.exploded.values()]
        kinds += [(files.count, files.example) for _, files in sorted(self.numbered.items())]
        kinds += [(1, archive) for archive in self.archives]
        left_out = kinds[1:] + ([(self.unread_count, self.unread[0])] if self.unread else [])
        return [
            Message(
                MessageKind.WARNING,
                f"'{example}' and its like, {count:,} {'file' if count == 1 else 'files'}, are left out; the tiles "
                f"that are read are named like '{kinds[0][1]}'.",
            )
            for count, example in left_out
        ]

    @classmethod
    def of(cls, objects: Iterable[tuple[str, int]]) -> "CacheListing":
        """List objects by their keys and sizes in bytes.

        Raises:
            DamagedCacheError: a bundle is not at multiples of 128 rows and columns.
        """
        listing = cls()
        for key, size_bytes in objects:
            listing._add(key, size_bytes)
        return listing

    def _add(self, key: str, size_bytes: int) -> None:
        name = key.rpartition("/")[2]
        extension = name.rpartition(".")[2].lower()
        if extension in {"bundle", "bundlx"}:
            self._add_bundle(key)
        elif extension == "pmtiles":
            self.archives.append(key)
        elif name.lower() in DOCUMENTS:
            self.documents.append(key)
        elif extension in _NO_TILES:
            self._pass_over(key)
        elif match := _NUMBERED.fullmatch(key):
            self._files(self.numbered, match, is_exploded=False).add(match, size_bytes)
        elif match := _EXPLODED.fullmatch(key):
            self._files(self.exploded, match, is_exploded=True).add(match, size_bytes)
        elif extension in _IMAGES and _WITH_NUMBER.fullmatch(name):
            self._leave_unread(key)
        else:
            self._pass_over(key)

    def _add_bundle(self, key: str) -> None:
        if name := split_bundle_name(key):
            self.bundles.add(key, name)
        elif _BUNDLE_LIKE.fullmatch(key):
            raise DamagedCacheError(
                f"'{key[-120:]}' is not the name of a bundle, like L05/R0080C0100.bundle: a level, and the row and "
                f"column of its first tile in hexadecimal digits, multiples of {PACKET_SIZE}."
            )
        else:
            self._leave_unread(key)

    @staticmethod
    def _files(kinds: dict[tuple[str, ...], ListedFiles], match: re.Match[str], *, is_exploded: bool) -> ListedFiles:
        words = match.group(2, 4, 6, 8)
        found = kinds.get(words)
        if found is None:
            found = kinds[words] = ListedFiles(is_exploded, words)
        return found

    def _leave_unread(self, key: str) -> None:
        self.unread_count += 1
        if not self.unread:
            self.unread.append(key)

    def _pass_over(self, key: str) -> None:
        if not self.others:
            self.others.append(key)


def _level_number(base: int) -> Callable[[str], int]:
    return lambda digits: int(digits, base)


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
