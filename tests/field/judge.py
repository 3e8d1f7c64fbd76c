"""Run the command on an input and compare the result with the right one."""

import ast
import contextlib
import io
import json
import re
import shlex
import traceback
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
from rasterio.warp import transform

from exporttiles.cli.main import main
from tests.field.make_inputs import SITES, Input, colour
from tests.field.packages import Package, read_package

_ALL_OUTPUTS = {"by-text", "grids", "levels", "numbers", "resolutions", "titles"}
_DRAWN_BY_GDAL = {"by-text", "grids", "levels", "tilemapresource"}
_PYTHON = re.compile(r"Traceback|\b\w+(Error|Exception)\b|could not convert|NoneType|errno", re.IGNORECASE)
_MERCATORS = {3857, 102100, 900913, 3785, 102113}


@dataclass(frozen=True)
class Outcome:
    """Exit status and output of one command."""

    status: int
    text: str

    @property
    def is_warned(self) -> bool:
        """Return True if there are warnings besides that of missing tiles."""
        return bool(self.warnings)

    @property
    def warnings(self) -> str:
        """Return the warnings, without that of missing tiles."""
        lines = [
            line for line in self.text.splitlines() if re.match(r"(esriJobMessageType)?warning", line, re.IGNORECASE)
        ]
        return "\n".join(line for line in lines if "do not exist in the cache" not in line)


def faults(found: Input, folder: Path) -> Iterator[str]:
    """Make an input in an empty folder, run its command, and yield each fault of the result."""
    found.make(folder)
    before = _files(folder)
    kind, command = found.name.partition("/")[0], found.command.partition("    (")[0]
    suffixes = [".tpkx", ".zip", ".tpk"] if kind in _ALL_OUTPUTS or "also as" in found.right else [".tpkx"]
    if command.startswith("check"):
        yield from _faults_of_check(found, folder, run(folder, command))
        return
    variants = [command.replace(".tpkx", suffix) if suffix != ".tpkx" else command for suffix in suffixes]
    variants = [re.sub(r"^export map\.(zip|tpk) ", "export map.tpkx ", variant) for variant in variants]
    if kind == "small-sites":
        variants.append(re.sub(r"--extent=\S+ --extent-wkid \d+", "--area area.geojson", command))
    for number, variant in enumerate(variants):
        out = Path(shlex.split(variant)[2])
        renamed = out if kind == "titles" else out.with_stem(f"out{number}")
        outcome = run(folder, variant.replace(str(out), str(renamed)))
        for fault in _faults_of_export(found, folder, outcome, folder / renamed):
            yield f"{renamed.suffix}: {fault}"
    after = _files(folder)
    changed = [name for name, body in before.items() if after.get(name) != body]
    if changed:
        yield f"the export changed {changed}"


def run(folder: Path, command: str) -> Outcome:
    """Run a command in a folder."""
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = main(shlex.split(command))
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except Exception:  # noqa: BLE001 - a traceback that a user would see is a fault to report
            traceback.print_exc()
            status = 1
    return Outcome(status, said.getvalue())


def _files(folder: Path) -> dict[str, bytes]:
    made = re.compile(r"(out\d*|map\d*)\.(tpkx|tpk|zip)")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not (path.parent == folder and made.fullmatch(path.name))
    }


def _faults_of_export(found: Input, folder: Path, outcome: Outcome, out: Path) -> Iterator[str]:
    kind, right = found.name.partition("/")[0], found.right
    if word := _PYTHON.search(outcome.text):
        yield f"a word of Python, {word[0]!r}, in: {outcome.text}"
    if outcome.status:
        if out.exists():
            yield "there is a package though the command failed"
        if "refused" not in right:
            yield f"refused: {outcome.text}"
        elif not _names(right, outcome.text, folder):
            yield f"refused without naming the cause ({right}): {outcome.text}"
        return
    if right.startswith("refused"):
        yield f"not refused: {outcome.text}"
        return
    truth = json.loads((folder / "truth.json").read_text())
    package = read_package(out)
    if truth["wkid"] is not None and not _is_same(package.reference, truth["wkid"]):
        yield f"the reference is {package.reference} instead of {truth['wkid']}"
    yield from _faults_of_tiles(found, truth, package, outcome)
    yield from _faults_of_words(found, package, out)
    if kind in _DRAWN_BY_GDAL and out.suffix != ".tpk" and not re.search("GDAL|QGIS", outcome.warnings):
        yield from _faults_in_gdal(truth, out)
    checked = run(folder, f"check {shlex.quote(out.name)}")
    if checked.status and not outcome.is_warned:
        yield f"`check` finds fault with what was exported without a warning: {checked.text}"


def _is_same(reference: int | None, other: int) -> bool:
    return reference == other or {reference, other} <= _MERCATORS


def _names(right: str, text: str, folder: Path) -> bool:
    """Return True if a refusal names one of the causes that `right` lists."""
    listed = right.partition("naming ")[2].partition(";")[0]
    if not listed:
        return True
    if listed == "a file that is there":
        return any(path.name in text for path in folder.rglob("*") if path.is_file())
    listed = re.sub(r", (in words|which is wrong)", "", listed).replace("what is read: ", "")
    words = [re.sub(r"^(the|its|or) ", "", word) for word in re.split(r", | or ", listed)]
    known = {"encoding": ["encod"], "one feature a line": ["line"], "text": ["[0-9],[0-9]"], "reference": ["reference"]}
    return any(
        re.search(pattern, text, re.IGNORECASE) for word in words for pattern in known.get(word, [re.escape(word)])
    )


def _faults_of_tiles(found: Input, truth: dict, package: Package, outcome: Outcome) -> Iterator[str]:
    kind = found.name.partition("/")[0]
    tiles = {tuple(map(int, place.split("/"))): digest for place, digest in truth["level/row/column"].items()}
    if "the tiles level, row, column" in found.right:
        listed = ast.literal_eval(found.right.partition("column ")[2].partition(";")[0])
        tiles = {place: tiles[place] for place in listed}
    elif kind == "across-180":
        tiles = {place: tiles[place] for place in tiles if place[1] in {69, 70} and place[2] in {0, 126, 127}}
    elif kind == "small-sites":
        tiles = _tiles_of_site(found.name.partition("/")[2], tiles, package)
    elif found.name == "areas/esri-without-reference":
        tiles = {place: digest for place, digest in tiles.items() if tuple(place) in package.tiles}
        if {level for level, _, _ in tiles} != set(range(5)):
            yield f"levels {sorted({level for level, _, _ in package.tiles})} instead of 0-4"
    elif kind == "odd-tiles" and "399" in found.right and outcome.is_warned and len(package.tiles) == 399:
        tiles.pop((5, 11, 7))
    missing = []
    for (level, row, column), digest in tiles.items():
        step = truth["resolutions"][str(level)]
        x = truth["origin"][0] + column * step * truth["side"]
        y = truth["origin"][1] - row * step * truth["side"]
        if package.at(step, x, y) != digest:
            missing.append((level, row, column))
    may_be_left_out = outcome.is_warned and re.search("or a warning|or refused or warned", found.right)
    if missing and not may_be_left_out:
        yield f"{len(missing)} of {len(tiles)} tiles are not at their places: {missing[:5]}; said: {outcome.text}"
    if not missing and len(package.tiles) != len(tiles):
        yield f"{len(package.tiles)} tiles instead of {len(tiles)}"


def _tiles_of_site(site: str, tiles: dict, package: Package) -> dict:
    """Return the packed tiles that a site touches, one of each level at least; an absent place where none is."""
    west, south, east, north = SITES[site]
    (xmin, xmax), (ymin, ymax) = transform("EPSG:4326", "EPSG:3857", [west, east], [south, north])
    touched = {}
    for level, step in package.resolutions.items():
        span, slack = step * package.side, 0.02
        for level_of_tile, row, column in package.tiles:
            left, top = package.origin[0] + column * span, package.origin[1] - row * span
            if (
                level_of_tile == level
                and left <= xmax + slack
                and left + span >= xmin - slack
                and top >= ymin - slack
                and top - span <= ymax + slack
            ):
                touched[level, row, column] = tiles.get((level, row, column), "?")
    for level in range(17):
        if not any(place[0] == level for place in touched):
            touched[level, 0, 0] = "a tile of each level"
    return touched


def _faults_of_words(found: Input, package: Package, out: Path) -> Iterator[str]:
    right, kind = found.right, found.name.partition("/")[0]
    if match := re.search(r"fullExtent \(([^)]+)\)", right):
        wanted = [float(side) for side in match[1].split(",")]
        # Extents are converted: to a metre, or a few of its own millionths.
        if not np.allclose(package.extent, wanted, rtol=1e-6, atol=1.0):
            yield f"the extent is {package.extent} instead of {wanted}"
    if match := re.search(r"format (JPEG|PNG|LERC)", right):
        legal = {match[1], "MIXED"} if "MIXED" in right else {match[1]}
        if package.image_format not in legal:
            yield f"the format is {package.image_format} instead of {match[1]}"
    if "dpi 90.714" in right:
        whole = out.suffix == ".tpkx" and round(package.dpi) == 91
        if not (whole or abs(package.dpi - 90.714285714) < 1e-3):
            yield f"dpi is {package.dpi}"
        for level, step in package.resolutions.items():
            if abs(package.scales[level] / (step * 90.71428571428571 / 0.0254) - 1) > 1e-3:
                yield f"the scale of level {level} is {package.scales[level]}, of {step} metres a pixel"
                break
    if (match := re.search(r"root.json names (\d+)", right)) and not _is_same(package.reference, int(match[1])):
        yield f"the reference is {package.reference} instead of {match[1]}"
    if kind == "titles":
        title = _title(out)
        if title != out.stem:
            yield f"the title is {title!r}"


def _title(out: Path) -> str | None:
    with zipfile.ZipFile(out) as archive:
        if "iteminfo.json" in archive.namelist():
            return json.loads(archive.read("iteminfo.json"))["title"]
        info = next((name for name in archive.namelist() if name.endswith("iteminfo.xml")), None)
        return ET.fromstring(archive.read(info)).findtext("title") if info else out.stem


def _faults_in_gdal(truth: dict, out: Path) -> Iterator[str]:
    """Compare the colour that GDAL shows in the middle of each tile of the finest level."""
    if out.suffix == ".zip":
        with zipfile.ZipFile(out) as archive:
            conf = next(name for name in archive.namelist() if name.endswith("conf.xml"))
        address = f"/vsizip/{{{out}}}/{conf}"
    else:
        address = str(out)
    finest = max(int(place.split("/")[0]) for place in truth["level/row/column"])
    try:
        with rasterio.open(address) as dataset:
            for place in truth["level/row/column"]:
                level, row, column = map(int, place.split("/"))
                if level != finest:
                    continue
                span = truth["resolutions"][str(level)] * truth["side"]
                x, y = truth["origin"][0] + (column + 0.5) * span, truth["origin"][1] - (row + 0.5) * span
                (shown,) = dataset.sample([(x, y)])
                if np.abs(shown[:3].astype(int) - colour(place)).max() > 8:
                    yield f"GDAL shows {shown[:3].tolist()} instead of {colour(place)} in the middle of {place}"
                    return
    except rasterio.errors.RasterioIOError as error:
        yield f"GDAL: {error}"


def _faults_of_check(found: Input, folder: Path, outcome: Outcome) -> Iterator[str]:
    if word := _PYTHON.search(outcome.text):
        yield f"a word of Python, {word[0]!r}, in: {outcome.text}"
    if "exit status 1" in found.right and outcome.status != 1:
        yield f"status {outcome.status}: {outcome.text}"
    if "compressed" in found.right and "compressed" not in outcome.text:
        yield f"nothing is said of compression: {outcome.text}"
    if "no word on conf.xml" in found.right and "conf.xml" in outcome.text:
        yield f"conf.xml is named: {outcome.text}"
    if "There are 0 of them" in outcome.text or re.search(r"version 7\d\.\d", outcome.text):
        yield f"untrue: {outcome.text}"
    names = {path.name for path in folder.rglob("*")} | {"iteminfo.json", "thumbnail.png", "conf.cdi", "conf.xml"}
    for archive in folder.glob("*.*"):
        if zipfile.is_zipfile(archive):
            names |= {name.rpartition("/")[2] for name in zipfile.ZipFile(archive).namelist()}
    for name in re.findall(r"[\w-]+\.(?:bundle|bundlx|xml|cdi|json)\b(?:\.\w+)*", outcome.text):
        if name.rpartition("/")[2] not in names:
            yield f"names {name}, which is not there: {outcome.text}"
