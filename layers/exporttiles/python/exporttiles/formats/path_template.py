"""Paths of caches of one file a tile: ``World/{level}/{column}/{row}.png`` and its kin."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import md5


@dataclass(frozen=True, slots=True)
class TilePlace:
    """Where a tile lies, as its path tells it."""

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


@dataclass(frozen=True, slots=True)
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
    """Return the template of a text that stands for itself, braces and all."""
    return text.replace("{", "{{").replace("}", "}}")


def find_shard(folder: str, examples: Sequence[tuple[str, TilePlace]]) -> str | None:
    """Return the template of the shard folder that all paths have, such as ``{md5:.5}``.

    Args:
        folder: what stands before the shard in every path.
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
