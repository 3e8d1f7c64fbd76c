"""Growth of time, memory, requests and cost with the work: real exports, then larger ones with simulated workers."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from rasterio.windows import Window

from benchmarks.caches import Cache, make
from benchmarks.processes import step
from benchmarks.results import Section, Table, Target
from benchmarks.speed import clear
from exporttiles.domain.cost import Usage, bill
from exporttiles.domain.parts import MAX_PARTS

_MINUTES = 10
_WORKER_GIGABYTES = 1769 / 1024  # as the template sets it
_WRITES = 3  # a work item: fragment, report, and its copy into the package
_ZIP_BYTES, _ZIP_MEMBERS = 2**32, 2**16  # beyond which an archive needs ZIP64

Found = dict[str, Any]


def growth(folder: Path, cache: Cache, worlds: range, rivers: range, image: Path) -> Section:
    """Measure exports of growing size.

    Args:
        folder: folder of caches and jobs.
        cache: of the real exports.
        worlds: last levels of exports of the whole world: bundles are full.
        rivers: last levels of exports of a narrow band: many bundles, little in each.
        image: where the chart goes.
    """
    v2, job = make(folder, cache) / "v2", folder / "job"

    def grown(name: str, first: object, levels: range) -> list[Found]:
        found = []
        for level in levels:
            clear(job)
            run = step(name, v2, job, first, level)
            found.append(json.loads(run.output) | {"peak": run.peak_bytes, "drawn": None})
            if name == "simulate":
                found[-1]["drawn"] = _is_drawn_by_gdal(job / found[-1]["package"], found[-1]["place"])
        return found

    series = {
        "real": grown("export", 1.0, range(4, cache.max_level + 1)),
        "world": grown("simulate", "world", worlds),
        "river": grown("simulate", "river", rivers),
    }
    clear(job)
    last = series["real"][-1]
    rate = last["tiles"] / last["seconds"]
    for found in (each for several in series.values() for each in several):
        puts = _WRITES * found["work_items"]
        used = Usage(max(0, found["requests"] - puts), puts, found["tiles"] / rate * _WORKER_GIGABYTES)
        found["dollars"] = bill(used, found["work_items"], at_once=False).dollars
    draw(series, image)
    return Section("Growth", [_table(series)], _targets(series), image.name)


def draw(series: dict[str, list[Found]], path: Path) -> None:
    """Draw a chart for each figure, over the number of tiles."""
    figures = {
        "seconds": "seconds",
        "peak": "peak memory, bytes",
        "requests": "requests of S3",
        "dollars": "US dollars",
    }
    image, charts = plt.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
    for chart, (figure, title) in zip(charts.flat, figures.items(), strict=True):
        for name, marker in (("real", "o"), ("world", "s"), ("river", "^")):
            chart.loglog(
                [each["tiles"] for each in series[name]],
                [each[figure] for each in series[name]],
                marker=marker,
                label=_TITLES[name],
            )
        chart.set_title(title)
        chart.grid(visible=True, alpha=0.3)
    for chart in charts[1]:
        chart.set_xlabel("tiles")
    image.legend(*charts[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    image.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(image)


_TITLES = {
    "real": "real export, all steps in one process",
    "world": "world: submit, plan, pack",
    "river": "river: submit, plan, pack",
}


def _table(series: dict[str, list[Found]]) -> Table:
    rows = [
        (
            name,
            f"{each['tiles']:,}",
            f"{each['bundles']:,}",
            f"{each['work_items']:,}",
            f"{each['parts']:,}",
            f"{each['bytes'] / 1e9:,.2f}",
            f"{each['written_bytes'] / each['bytes']:.3%}",
            f"{each['seconds']:.2f}",
            f"{each['peak'] / 1e6:,.0f}",
            f"{each['requests']:,}",
            f"{each['dollars']:.4f}",
            {None: "", True: "yes", False: "no"}[each["drawn"]],
        )
        for name, several in series.items()
        for each in several
    ]
    columns = (
        "", "tiles", "bundles", "work items", "parts", "GB", "through the packer", "seconds", "peak MB", "requests",
        "$", "GDAL draws a tile",
    )  # fmt: skip
    note = (
        "Real: every step, one worker after the other. World and river (a band of twelve tiles along 400 "
        "vertices): submitting, planning, packing and verifying are real and timed, on a store whose fragments are "
        "made when they are read; workers only pretend, and their requests are counted on some of their bundles. "
        "Of a river there is the last level alone. Fragments of the largest world are 2 GB and need a `WorkerMemory` "
        "of 2,100 MB. "
        "Dollars as in the messages of a job, at the speed of the largest real export, without storage and download."
    )
    return Table("", columns, rows, note)


def _targets(series: dict[str, list[Found]]) -> list[Target]:
    every = [each for several in series.values() for each in several]
    largest = max(every, key=lambda each: each["tiles"])
    zip64 = [each for each in every if each["bytes"] > _ZIP_BYTES and each["bundles"] > _ZIP_MEMBERS and each["drawn"]]
    drawn = [each for each in every if each["drawn"] is not None]
    slopes = {name: max(_slope(several, "seconds"), _slope(several, "peak")) for name, several in series.items()}
    steepest = max(slopes.values())
    minutes = largest["seconds"] / 60
    real = series["real"][-1]
    dollars = real["dollars"] / real["tiles"] * 100_000
    return [
        Target("cost of 100,000 tiles from V2 bundles", "at most $0.003", f"${dollars:.4f}", dollars <= 0.003),
        Target("growth of time and memory", "no faster than the work", f"tiles ^ {steepest:.2f}", steepest <= 1.05),
        Target(
            f"planning and packing {largest['tiles']:,} tiles", f"at most {_MINUTES} minutes", f"{minutes:.1f} min",
            minutes <= _MINUTES,
        ),
        Target(
            "work items and parts of the largest package", "nearly 10,000, and no more",
            f"{largest['work_items']:,} and {largest['parts']:,}", largest["parts"] in range(9_500, MAX_PARTS + 1),
        ),
        Target(
            "packages that GDAL opens and draws", "all", f"{sum(each['drawn'] for each in drawn)} of {len(drawn)}",
            all(each["drawn"] for each in drawn),
        ),
        Target(
            "ZIP64: over 4 GiB and 65,535 members, drawn by GDAL", "one at least",
            ", ".join(f"{each['bytes'] / 1e9:,.0f} GB, {each['bundles']:,} bundles" for each in zip64) or "none",
            bool(zip64),
        ),
    ]  # fmt: skip


def _slope(several: list[Found], figure: str) -> float:
    """Return the exponent of a figure's growth with the number of tiles, over the largest two orders of magnitude."""
    large = [each for each in several if each["tiles"] * 100 >= several[-1]["tiles"]]
    tiles, values = ([each[name] for each in large] for name in ("tiles", figure))
    return float(np.polyfit(np.log(tiles), np.log(values), 1)[0]) if len(large) > 1 else 0.0


def _is_drawn_by_gdal(package: Path, place: tuple[int, int, int]) -> bool:
    """Return True if GDAL draws a tile of the deepest level."""
    _, row, column = place
    with rasterio.open(package, EXTENT_SOURCE="TILING_SCHEME") as dataset:
        drawn = dataset.read((1, 2, 3), window=Window(column * 256, row * 256, 256, 256))
    return bool(drawn.std() > 1)
