"""What the names of the objects of a cache tell about it, in one pass.

Known are bundles (``L05/R0080C0100.bundle``), ArcGIS's exploded tiles
(``L05/R0000000a/C0000001f.png``), any three numbers in a row (``5/31/10.png``)
and PMTiles archives. What is kept does not grow with the number of tiles.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundle import parse_bundle_path
from exporttiles.formats.path_template import TilePlace, find_shard, literal

DOCUMENTS = frozenset({"conf.xml", "conf.cdi", "root.json", "tilemapresource.xml", "metadata.json", "tilejson.json"})
"""Names of documents in small letters; any capitals will do."""

_NUMBERED = re.compile(r"((?:.*/)?)([0-9]{1,2})/([0-9]{1,10})/([0-9]{1,10})(?:\.(\w+))?", re.ASCII)
_EXPLODED = re.compile(r"((?:.*/)?)L([0-9a-f]{2})/R([0-9a-f]{8})/C([0-9a-f]{8})\.(\w+)", re.ASCII)
_BUNDLE = re.compile(r"((?:.*/)?)(L[0-9]{2}/R[0-9a-f]{4,15}C[0-9a-f]{4,15}\.bundle)", re.ASCII)
_NO_TILES = frozenset({"html", "json", "kml", "lock", "md", "tmp", "txt", "xml", "yaml"})
"""Extensions of what programs put beside tiles, under their names."""

_KEPT_PREFIXES = 256


@dataclass(slots=True)
class ListedLevel:
    """What a listing shows of the files of one level.

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


@dataclass(slots=True)
class ListedFiles:
    """What a listing shows of tiles that are files of one kind.

    Attributes:
        is_exploded: as ArcGIS names them, in hexadecimal digits.
        levels: by the digits of the level.
        extensions: how many files have each.
        prefixes: what stands before the level; some, if they are many.
    """

    is_exploded: bool
    levels: dict[str, ListedLevel] = field(default_factory=dict)
    extensions: Counter[str] = field(default_factory=Counter)
    prefixes: set[str] = field(default_factory=set)

    def add(self, match: re.Match[str], size_bytes: int) -> None:
        """Count a file."""
        prefix, level, first, second, extension = match.groups()
        base = 16 if self.is_exploded else 10
        self.levels.setdefault(level, ListedLevel()).add(match[0], size_bytes, int(first, base), int(second, base))
        self.extensions[extension or ""] += 1
        if len(self.prefixes) < _KEPT_PREFIXES:
            self.prefixes.add(prefix)

    @property
    def by_level(self) -> dict[int, ListedLevel]:
        """Return the levels by number, ascending."""
        # Servers before 10.1 wrote levels, too, in hexadecimal digits.
        base = 16 if any(not level.isdecimal() for level in self.levels) else 10
        return {int(level, base): self.levels[level] for level in sorted(self.levels, key=lambda text: int(text, base))}

    def places(self, *, is_row_first: bool) -> Iterator[tuple[str, TilePlace]]:
        """Yield some keys with their places, rows as the paths count them."""
        for level, found in self.by_level.items():
            for key, first, second in found.examples:
                yield key, TilePlace(level, *((first, second) if is_row_first else (second, first)))

    def template(self, *, is_row_first: bool, row_field: str) -> str:
        """Return the template of the paths, see `PathTemplate`.

        Args:
            is_row_first: the row stands before the column.
            row_field: ``row`` or ``row_from_bottom``.

        Raises:
            DamagedCacheError: the paths have nothing in common.
        """
        if len(self.prefixes) == 1:
            prefix = literal(next(iter(self.prefixes)))
        else:
            prefix = self._sharded(is_row_first=is_row_first)
        extension = "{extension}" if len(self.extensions) > 1 else next(iter(self.extensions))
        ending = f".{extension}" if extension else ""
        if self.is_exploded:
            digits = "x" if any(not level.isdecimal() for level in self.levels) else "d"
            return f"{prefix}L{{level:02{digits}}}/R{{{row_field}:08x}}/C{{column:08x}}{ending}"
        level = "{level:02d}" if any(text.startswith("0") and len(text) > 1 for text in self.levels) else "{level}"
        row = f"{{{row_field}}}"
        return (
            f"{prefix}{level}/{row}/{{column}}{ending}" if is_row_first else f"{prefix}{level}/{{column}}/{row}{ending}"
        )

    def _sharded(self, *, is_row_first: bool) -> str:
        folders = {prefix.rstrip("/").rpartition("/")[0] for prefix in self.prefixes}
        if len(folders) == 1:
            folder = f"{found}/" if (found := folders.pop()) else ""
            shard = find_shard(folder, list(self.places(is_row_first=is_row_first)))
            if shard:
                return f"{literal(folder)}{shard}/"
        shown = ", ".join(f"'{prefix}'" for prefix in sorted(self.prefixes)[:5])
        raise DamagedCacheError(f"There are several caches, or their tiles are called in several ways: {shown}.")


@dataclass(slots=True)
class CacheListing:
    """What lies in the place of a cache."""

    documents: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    bundles: dict[int, list[BundleIndex]] = field(default_factory=dict)
    bundle_folders: set[str] = field(default_factory=set)
    offset_files: int = 0
    numbered: ListedFiles = field(default_factory=lambda: ListedFiles(is_exploded=False))
    exploded: ListedFiles = field(default_factory=lambda: ListedFiles(is_exploded=True))

    @property
    def files(self) -> ListedFiles | None:
        """Return the tiles that are files of their own."""
        return next((files for files in (self.exploded, self.numbered) if files.levels), None)

    @classmethod
    def of(cls, objects: Iterable[tuple[str, int]]) -> "CacheListing":
        """Return what objects tell by their keys and sizes in bytes.

        Raises:
            DamagedCacheError: a bundle does not begin where bundles do.
        """
        listing = cls()
        for key, size_bytes in objects:
            listing._add(key, size_bytes)
        return listing

    def _add(self, key: str, size_bytes: int) -> None:
        name = key.rpartition("/")[2]
        extension = name.rpartition(".")[2].lower()
        if match := _BUNDLE.fullmatch(key):
            bundle = parse_bundle_path(match[2])
            self.bundles.setdefault(bundle.level, []).append(bundle)
            self.bundle_folders.add(match[1])
        elif extension == "bundlx":
            self.offset_files += 1
        elif extension == "pmtiles":
            self.archives.append(key)
        elif name.lower() in DOCUMENTS:
            self.documents.append(key)
        elif extension in _NO_TILES:
            return
        elif match := _EXPLODED.fullmatch(key):
            self.exploded.add(match, size_bytes)
        elif match := _NUMBERED.fullmatch(key):
            self.numbered.add(match, size_bytes)
