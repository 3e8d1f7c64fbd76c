"""Sparse caches compared with dense ones of as many tiles: both should take as long."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks import peers
from benchmarks.caches import Place
from benchmarks.processes import Command, alternate, median_of
from benchmarks.results import Section, Table, Target
from benchmarks.speed import clear
from exporttiles.adapters.object_stores import open_store
from tests.builders import a_tile
from tests.caches import CACHES

_LAYOUTS = ("XYZ", "exploded", "Compact V1", "Compact V2", "tpkx", "PMTiles")
_ARCHIVES = {"tpkx": "World.tpkx", "PMTiles": "World.pmtiles"}
_TIMES = 3


def _block(level: int, row: int, column: int, columns: int = 2) -> list[Place]:
    return [(level, *place) for place in product((row, row + 1), range(column, column + columns))]


def _world(levels: range) -> list[Place]:
    return [(level, row, column) for level in levels for row, column in product(range(2**level), repeat=2)]


_CACHES: Mapping[str, tuple[list[Place], list[Place]]] = {
    "two cities at level 17": (
        [*_block(17, 42985, 70414), *_block(17, 58322, 29440)],
        _block(17, 42985, 70414, columns=4),
    ),
    "levels 0-4, a town at 14": ([*_world(range(5)), *_block(14, 5373, 8801)], [*_world(range(5)), *_block(5, 10, 17)]),
    "levels 0-3, a house at 23": (
        [*_world(range(4)), *_block(23, 2751087, 4506546)],
        [*_world(range(4)), *_block(4, 5, 8)],
    ),
}
"""Name -> tiles of the sparse cache and of the dense one."""

_AREA = {"type": "Polygon", "coordinates": [[[-179, -85], [179, -85], [179, 85], [0, 80], [-179, 85], [-179, -85]]]}


def sparse(folder: Path, rounds: int, names: Sequence[str] = tuple(_CACHES)) -> Section:
    """Export each sparse cache in turn with the dense one, in every layout, and once in a large area.

    Args:
        folder: for caches and packages.
        rounds: how often each is exported.
        names: of the pairs of caches to export.
    """
    home = folder / "sparse"
    clear(home)
    rows, worst = [], 0.0
    for title, commands in contenders(home, names):
        runs = alternate({kind: partial(_itself, command) for kind, command in commands.items()}, rounds)
        seconds = {kind: median_of(each).wall_seconds for kind, each in runs.items()}
        times = seconds["sparse"] / seconds["dense"]
        worst = max(worst, times)
        rows.append((title, f"{seconds['sparse']:.2f}", f"{seconds['dense']:.2f}", f"{times:.2f}"))
    clear(home)
    columns = ("", "sparse, wall s", "dense, wall s", "sparse / dense")
    bar = f"at most {_TIMES} times"
    target = Target("a sparse cache against a dense one of as many tiles", bar, f"{worst:.2f} times", worst <= _TIMES)
    return Section("Sparse caches", [Table("The whole command", columns, rows)], [target])


def contenders(home: Path, names: Sequence[str] = tuple(_CACHES)) -> Iterator[tuple[str, Mapping[str, Command]]]:
    """Make pairs of caches below a folder; yield the title of each pair and the commands that export the two."""
    area = home / "area.geojson"
    area.write_text(json.dumps(_AREA))
    for name, layout, options in _cases(area):
        if name in names:
            yield (
                f"{name}, {layout}{', in a large area' if options else ''}",
                {
                    kind: _command(home / kind / name / layout, layout, places, options)
                    for kind, places in zip(("sparse", "dense"), _CACHES[name], strict=True)
                },
            )


def _cases(area: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for name, layout in product(_CACHES, _LAYOUTS):
        yield name, layout, ()
    for layout in _LAYOUTS:
        yield "levels 0-4, a town at 14", layout, ("--area", str(area))


def _itself(command: Command) -> Command:
    return command


def _command(folder: Path, layout: str, places: list[Place], options: tuple[str, ...]) -> Command:
    """Make a cache, unless it exists, and return the command that exports it."""
    source = folder / _ARCHIVES.get(layout, "")
    if not folder.exists():
        folder.mkdir(parents=True)
        CACHES[layout](open_store(f"file://{folder}"), {place: a_tile(*place) for place in places})
    return [peers.BIN / "exporttiles", "export", source, f"{folder}.out.tpkx", "--force", *options]
