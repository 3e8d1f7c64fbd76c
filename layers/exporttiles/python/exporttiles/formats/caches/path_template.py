"""Path templates of caches with one file per tile, such as ``World/{level}/{column}/{row}.png``."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5
from string import Formatter


@dataclass(frozen=True, slots=True)
class TilePlace:
    """Level, row and column of a tile."""

    level: int
    row: int
    column: int


def maplibre_prefix(place: TilePlace, _rest: str) -> str:
    """Return the shard that MapLibre calls ``{prefix}``: the last hexadecimal digits of column and row."""
    return f"{place.column % 16:x}{place.row % 16:x}"


def path_md5(_place: TilePlace, rest: str) -> str:
    """Return the MD5, in hexadecimal digits, of the path behind the shard."""
    return md5(rest.encode(), usedforsecurity=False).hexdigest()


def rooted_path_md5(_place: TilePlace, rest: str) -> str:
    """Return the MD5 of the path behind the shard with its leading slash, as Tilezen has it."""
    return md5(b"/" + rest.encode(), usedforsecurity=False).hexdigest()


SHARDS: dict[str, Callable[[TilePlace, str], str]] = {
    "prefix": maplibre_prefix,
    "md5": path_md5,
    "rooted_md5": rooted_path_md5,
}
"""Names of fields that spread the tiles of a cache over many prefixes."""

_SHARD = re.compile(r"\{(" + "|".join(SHARDS) + r")(?::[^}]*)?\}/")


_NUMBERS = ("level", "row", "row_from_bottom", "column")


@dataclass(frozen=True)
class PathTemplate:
    """Builds the paths of tiles.

    Attributes:
        text: with the fields ``{level}``, ``{row}`` or ``{row_from_bottom}``,
            ``{column}``, ``{extension}`` and the names of `SHARDS`, formatted
            as Python does: ``L{level:02d}``, ``R{row:08x}``, ``{md5:.5}``.
        level_rows: how many rows each level has, for ``{row_from_bottom}``.
    """

    text: str
    level_rows: Sequence[int] = ()

    def place(self, path: str) -> TilePlace | None:
        """Return the tile that a path names; None if it is not the path of one. The inverse of `path`."""
        match = self._pattern.fullmatch(path)
        if match is None:
            return None
        try:
            numbers = {name: int(match[name], base) for name, base in self._bases.items()}
        except ValueError:
            return None
        level = numbers["level"]
        if "row_from_bottom" in numbers:
            if level >= len(self.level_rows):
                return None
            numbers["row"] = self.level_rows[level] - 1 - numbers["row_from_bottom"]
        place = TilePlace(level, numbers["row"], numbers["column"])
        extension = match["extension"] if "extension" in self._pattern.groupindex else ""
        return place if place.row >= 0 and self.path(place, extension) == path else None

    def level_prefix(self, level: int) -> str:
        """Return the folder of a level, or the deepest folder above all its tiles if a shard comes first."""
        text = ""
        for literal_text, name, spec in self._fields:
            text += literal_text
            if name not in {"level", None}:  # None: an escaped brace
                break
            text += format(level, spec or "") if name else ""
        return text[: text.rfind("/") + 1]

    @cached_property
    def _fields(self) -> list[tuple[str, str | None, str | None]]:
        """The text before each field, its name, and its format."""
        return [(literal, name, spec) for literal, name, spec, _ in Formatter().parse(self.text)]

    @cached_property
    def _bases(self) -> dict[str, int]:
        """Fields that are numbers, and their base."""
        return {name: 16 if spec and spec[-1] in "xX" else 10 for _, name, spec in self._fields if name in _NUMBERS}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Pattern of the paths; it is wider than the template, so `place` compares with `path`."""
        pattern, seen = "", set[str]()
        for literal, name, _ in self._fields:
            pattern += re.escape(literal)
            if name is not None:
                what = r"[0-9a-fA-F]{1,12}" if name in _NUMBERS else r"[^/]*"
                pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{what})"
                seen.add(name)
        return re.compile(pattern, re.ASCII)

    def path(self, place: TilePlace, extension: str = "") -> str:
        """Return the path of a tile."""
        fields: dict[str, object] = {
            "level": place.level,
            "row": place.row,
            "column": place.column,
            "extension": extension,
        }
        if self.level_rows:
            fields["row_from_bottom"] = self.level_rows[place.level] - 1 - place.row
        shard = _SHARD.search(self.text)
        if shard is None:
            return self.text.format(**fields)
        rest = self.text[shard.end() :].format(**fields)
        fields[shard[1]] = SHARDS[shard[1]](place, rest)
        return self.text[: shard.end()].format(**fields) + rest


def literal(text: str) -> str:
    """Escape the braces of a text for a template."""
    return text.replace("{", "{{").replace("}", "}}")


def find_shard(folder: str, examples: Sequence[tuple[str, TilePlace]]) -> str | None:
    """Return the template of the shard folder that all paths have, such as ``{md5:.5}``.

    Args:
        folder: before the shard in every path.
        examples: paths of tiles with their places; rows and columns as the
            path counts them.

    Returns:
        None if no rule of `SHARDS` explains the paths.
    """
    for name, rule in SHARDS.items():
        lengths = set()
        for path, place in examples:
            shard, _, rest = path.removeprefix(folder).partition("/")
            if not shard or not rule(place, rest).startswith(shard):
                break
            lengths.add(len(shard))
        else:
            if len(lengths) == 1:
                return f"{{{name}:.{lengths.pop()}}}"
    return None
