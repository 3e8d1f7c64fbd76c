"""Comparison with other programs: copying and recompressing the same tiles."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import shapely

from benchmarks import peers
from benchmarks.areas import star
from benchmarks.caches import Cache, make
from benchmarks.packages import UnequalPackagesError, digests, fidelity, require_equal
from benchmarks.processes import Command, Run, alternate, median_of
from benchmarks.profiles import profile
from benchmarks.results import Section, Table, Target
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

QUALITY = 60
_GO_PMTILES = (
    "go-pmtiles, which no registry of Python packages has, extracted an area of 10,161 of these tiles in 0.14 s on "
    "such a machine: 72,000 tiles/s, from an archive of its own order."
)
_COLUMNS = ("", "wall s", "least - most", "CPU s", "tiles/s", "peak MB", "wall / ours")


def ours(source: Path, target: Path, max_level: int, *options: str) -> Command:
    """Return our command that exports all tiles up to a level."""
    return [peers.BIN / "exporttiles", "export", source, new(target), "--levels", f"0-{max_level}", *options]


def copying(folder: Path, small: Cache, large: Cache | None, rounds: int) -> Section:
    """Copy tiles unchanged, from every layout, into a format that each program can write."""
    home, out, level = make(folder, small, "files", "mbtiles", "pmtiles"), folder / "out", small.max_level
    runs = alternate(
        {
            "ours, V2 bundles to .tpkx": lambda: ours(home / "v2", out / "ours.tpkx", level),
            "`cp` of the same package": lambda: ["cp", out / "ours.tpkx", new(out / "copy.tpkx")],
            "ours, files to .tpkx": lambda: ours(home / "files", out / "files.tpkx", level),
            "ours, MBTiles to .tpkx": lambda: ours(home / "mbtiles/World.mbtiles", out / "mbtiles.tpkx", level),
            "ours, PMTiles to .tpkx": lambda: ours(home / "pmtiles/World.pmtiles", out / "pmtiles.tpkx", level),
            "ours, V2 bundles to .pmtiles": lambda: ours(home / "v2", out / "ours.pmtiles", level),
            "ours, V2 bundles to .mbtiles": lambda: ours(home / "v2", out / "ours.mbtiles", level),
            "ours, V2 bundles to .gpkg": lambda: ours(home / "v2", out / "ours.gpkg", level),
            "MapProxy, V2 bundles to V2 bundles": lambda: peers.mapproxy(small, home / "v2", new(out / "mapproxy")),
            "MapProxy, V2 bundles to .mbtiles": lambda: peers.mapproxy(
                small, home / "v2", new(out / "mapproxy.mbtiles"), "mbtile"
            ),
            "pmtiles-convert, MBTiles to PMTiles": lambda: peers.pmtiles_convert(
                home / "mbtiles/World.mbtiles", new(out / "converted.pmtiles")
            ),
        },
        rounds,
    )
    _require_equal_tiles(out, home / "v2")
    note = (
        "MapProxy writes a folder of bundles, pmtiles-convert an archive of all tiles: neither packs or cuts out "
        f"an area. {_GO_PMTILES}"
    )
    tables = [_table(f"{small.tile_count:,} tiles", small.tile_count, runs, note)]
    targets = [_against_mapproxy(small, runs), _against_mapproxy_mbtiles(small, runs), _against_tpkx(small, runs)]
    profiles = [profile(f"Copying {small.tile_count:,} tiles", ours(home / "v2", out / "ours.tpkx", level))]
    if large:
        clear(out)
        v2 = make(folder, large) / "v2"
        table, more = _copying_many(v2, out, large, rounds)
        tables, targets = [*tables, table], [*targets, *more]
        profiles += [profile(f"Copying {large.tile_count:,} tiles", ours(v2, out / "ours.tpkx", large.max_level))]
    clear(out)
    return Section("Copying", tables, targets, profiles=profiles)


def _copying_many(v2: Path, out: Path, cache: Cache, rounds: int) -> tuple[Table, list[Target]]:
    count = f"{cache.tile_count:,} tiles"
    runs = alternate(
        {
            "ours, V2 bundles to .tpkx": lambda: ours(v2, out / "ours.tpkx", cache.max_level),
            "ours, V2 bundles to .pmtiles": lambda: ours(v2, out / "ours.pmtiles", cache.max_level),
            "`cp` of the same package": lambda: ["cp", out / "ours.tpkx", new(out / "copy.tpkx")],
        },
        rounds,
    )
    new(out / "copy.tpkx")
    slow = "MapProxy, V2 bundles to V2 bundles"  # takes minutes: once is enough
    runs |= alternate({slow: lambda: peers.mapproxy(cache, v2, new(out / "mapproxy"))}, 1)
    _require_equal_tiles(out, v2)
    wall = _wall(runs, "ours, V2 bundles to .tpkx")
    floor, rate = wall / _wall(runs, "`cp`"), cache.tile_count / wall
    return _table(count, cache.tile_count, runs), [
        _against_mapproxy(cache, runs),
        _against_tpkx(cache, runs),
        Target(f"copy of {count} against `cp`", "at most 2 times", f"{floor:.2f} times", floor <= 2),
        Target(f"copy of {count}", "70,000 tiles/s", f"{rate:,.0f} tiles/s", rate >= 70_000),
    ]


def _against_mapproxy(cache: Cache, runs: Mapping[str, Sequence[Run]]) -> Target:
    times = _wall(runs, "MapProxy, V2 bundles to V2 bundles") / _wall(runs, "ours, V2 bundles to .tpkx")
    name = f"copy of {cache.tile_count:,} tiles against MapProxy"
    return Target(name, "at least 20 times as fast", f"{times:.1f} times", times >= 20)


def _against_mapproxy_mbtiles(cache: Cache, runs: Mapping[str, Sequence[Run]]) -> Target:
    times = _wall(runs, "MapProxy, V2 bundles to .mbtiles") / _wall(runs, "ours, V2 bundles to .mbtiles")
    name = f".mbtiles of {cache.tile_count:,} tiles against MapProxy"
    return Target(name, "at least 2 times as fast", f"{times:.1f} times", times >= 2)


def _against_tpkx(cache: Cache, runs: Mapping[str, Sequence[Run]]) -> Target:
    times = _wall(runs, "ours, V2 bundles to .pmtiles") / _wall(runs, "ours, V2 bundles to .tpkx")
    name = f".pmtiles of {cache.tile_count:,} tiles against .tpkx"
    return Target(name, "at most 1.2 times as long", f"{times:.2f} times", times <= 1.2)


def _require_equal_tiles(out: Path, v2: Path) -> None:
    wanted = digests(v2)
    for path in sorted(out.iterdir()):
        if path.suffix != ".yaml":
            # MapProxy counts rows as the grid does that it exports, from the top.
            require_equal(path, wanted, is_upside_down=path.name == "mapproxy.mbtiles")


def clipping(folder: Path, cache: Cache, rounds: int) -> Section:
    """Clip tiles to an area: only those on its border are decoded, and all others stay as they are."""
    v2, out, level = make(folder, cache) / "v2", folder / "out", cache.max_level
    clear(out)
    area = star(0.9 * cache.share)
    (ring,) = area.polygons[0]
    path = out / "area.json"
    path.write_text(json.dumps({"rings": [ring.tolist()], "spatialReference": {"wkid": 102100}}))
    whole, clipped = out / "whole.tpkx", out / "clipped.tpkx"
    runs = alternate(
        {
            "ours, clipped": lambda: ours(v2, clipped, level, "--area", str(path), "--clip"),
            "ours, whole tiles": lambda: ours(v2, whole, level, "--area", str(path)),
        },
        rounds,
    )
    tile_count, border = _require_clipped(clipped, whole, shapely.Polygon(ring).boundary)
    clear(out)
    seconds = median_of(runs["ours, clipped"]).cpu_seconds - median_of(runs["ours, whole tiles"]).cpu_seconds
    note = (
        f"A star of 400 vertices; {border:,} of the tiles lie on its border and become PNG, {border / seconds:,.0f} a "
        "CPU second. All others are compared with those of the export without clip, byte for byte."
    )
    share = border / tile_count
    return Section(
        "Clipping",
        [_table(f"{tile_count:,} tiles", tile_count, runs, note)],
        [
            Target("clip, tiles that are decoded", "those on the border", f"{share:.1%}", share < 0.2),
            Target("clip, border tiles", "100 a CPU second", f"{border / seconds:,.0f}", border / seconds >= 100),
        ],
    )


def _require_clipped(clipped: Path, whole: Path, border: shapely.Geometry) -> tuple[int, int]:
    """Compare a clipped package with that of whole tiles; return how many tiles it has, and how many are clipped.

    Raises:
        UnequalPackagesError: the tiles are not at the same places, or one away from the border has changed.
    """
    wanted, found = digests(whole), digests(clipped)
    changed = sorted(place for place in wanted if found.get(place) != wanted[place])
    boxes = [WEB_MERCATOR_256.tile_extent(*place).sides for place in changed]
    is_on_border = shapely.intersects(border, shapely.box(*np.array(boxes).T))
    if found.keys() != wanted.keys() or not is_on_border.all():
        raise UnequalPackagesError(f"{clipped.name}: Tiles away from the border differ, or are missing.")
    return len(wanted), len(changed)


def recompressing(folder: Path, small: Cache, max_level: int, rounds: int) -> Section:
    """Recompress JPEG tiles at a lower quality."""
    v2, out = make(folder, small) / "v2", folder / "out"
    clear(out)
    tile_count = sum(block.count for block in small.blocks[: max_level + 1])
    source = out / "source.tpkx"
    alternate({"": lambda: ours(v2, source, max_level)}, 1)

    def loop(processes: int) -> Command:
        step = [sys.executable, "-m", "benchmarks.steps", "recompress"]
        return [*step, v2, str(max_level), str(QUALITY), str(processes)]

    quality = ("--quality", str(QUALITY))
    runs = alternate(
        {
            "ours, 2 cores": lambda: ours(v2, out / "two.tpkx", max_level, *quality),
            "ours, 1 core": lambda: ["taskset", "-c", "0", *ours(v2, out / "one.tpkx", max_level, *quality)],
            "bare loop over the codec, 2 cores": lambda: loop(2),
            "bare loop over the codec, 1 core": lambda: ["taskset", "-c", "0", *loop(1)],
            "GDAL, translate and overviews": lambda: peers.gdal(source, new(out / "gdal.mbtiles"), max_level, QUALITY),
        },
        rounds,
    )
    require_equal(out / "one.tpkx", digests(out / "two.tpkx"))
    profiled = profile("Recompressing, 1 core", ours(v2, out / "one.tpkx", max_level, *quality), ["taskset", "-c", "0"])
    decibels, share = fidelity(out / "two.tpkx", source, level=max_level)
    theirs, their_share = fidelity(out / "gdal.mbtiles", source, level=max_level)
    clear(out)
    two, one = _wall(runs, "ours, 2"), _wall(runs, "ours, 1")
    times, scaling = _wall(runs, "GDAL") / two, one / two
    bare = _wall(runs, "bare loop over the codec, 2")
    ceiling, bare_scaling = bare / two, _wall(runs, "bare loop over the codec, 1") / bare
    note = (
        f"From quality 75 to {QUALITY}. Ours: {share:.3f} of the bytes at {decibels:.1f} dB; GDAL: {their_share:.3f} "
        f"at {theirs:.1f} dB, all levels but the last made anew from it. Ours runs at {ceiling:.2f} of the bare loop, "
        f"which is {bare_scaling:.2f} times as fast on two cores as on one."
    )
    return Section(
        "Recompressing",
        [_table(f"{tile_count:,} tiles", tile_count, runs, note)],
        [
            Target("recompression against GDAL", "at least 10 times as fast", f"{times:.1f} times", times >= 10),
            Target("recompression, bytes left", "at most 0.80", f"{share:.3f}", share <= 0.80),
            Target("recompression, PSNR", "at least 34 dB", f"{decibels:.1f} dB", decibels >= 34),
            Target("recompression, 2 cores against 1", "at least 1.8 times", f"{scaling:.2f} times", scaling >= 1.8),
        ],
        profiles=[profiled],
    )


def new(path: Path) -> Path:
    """Remove an earlier output. Return its path, in a folder that exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def clear(folder: Path) -> None:
    """Remove a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _wall(runs: Mapping[str, Sequence[Run]], name: str) -> float:
    (found,) = (each for contender, each in runs.items() if contender.startswith(name))
    return median_of(found).wall_seconds


def _table(title: str, tile_count: int, runs: Mapping[str, Sequence[Run]], note: str = "") -> Table:
    middle = {name: median_of(each) for name, each in runs.items()}
    first = next(iter(middle.values())).wall_seconds
    rows = [
        (
            name,
            f"{run.wall_seconds:.2f}",
            f"{min(walls := [each.wall_seconds for each in runs[name]]):.2f} - {max(walls):.2f}",
            f"{run.cpu_seconds:.2f}",
            f"{tile_count / run.wall_seconds:,.0f}",
            f"{run.peak_bytes / 1e6:,.0f}",
            f"{run.wall_seconds / first:.2f}",
        )
        for name, run in middle.items()
    ]
    return Table(title, _COLUMNS, rows, note)
