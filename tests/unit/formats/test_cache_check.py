"""Checking caches in a .tpk, a .zip and a folder: every single fault is reported."""

import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.cli.main import main
from exporttiles.formats.checks.cache_check import check_cache_archive
from exporttiles.formats.checks.check import check_folder
from tests.oracles.build_package import pack
from tests.unit.usecases.test_outputs import OUTPUTS, export, files_of

GOLDEN = Path(__file__).parents[2] / "golden" / "states_filled.tpk"
TPK = files_of(*export("World_Imagery.tpk", levels=(1, 2)))
DATASETS = {name[:2]: files_of(*export(name, levels=(1, 2))) for name in OUTPUTS if name.endswith(".zip")}
V2 = DATASETS["V2"]
LAYERS = "World_Imagery/Layers"
CONF, CDI = f"{LAYERS}/conf.xml", f"{LAYERS}/conf.cdi"
BUNDLE = f"{LAYERS}/_alllayers/L02/R0000C0000.bundle"
TPK_BUNDLE = "v101/Layers/_alllayers/L02/R0000C0000.bundle"
ITEMINFO = "esriinfo/iteminfo.xml"


def found(files, *, is_package=False):
    return check_cache_archive(BytesIO(pack(files)), is_package=is_package).findings


def in_folder(files):
    return check_folder({name: len(body) for name, body in files.items()}, lambda name: BytesIO(files[name]))


def changed(files, name, old, new):
    assert old in files[name]
    return {**files, name: files[name].replace(old, new)}


def without(files, name):
    return {other: body for other, body in files.items() if other != name}


def cut(files, name, size):
    return {**files, name: files[name][:size]}


def with_bytes(files, name, at, new):
    return {**files, name: files[name][:at] + new + files[name][at + len(new) :]}


@pytest.mark.parametrize("files", DATASETS.values(), ids=DATASETS)
def test_our_datasets_are_sound_in_an_archive_and_in_a_folder(files):
    archive = check_cache_archive(BytesIO(pack(files)), is_package=False)
    folder = in_folder(files)

    assert (archive.findings, archive.tile_counts) == ((), {1: 4, 2: 16})
    assert (folder.findings, folder.tile_counts) == ((), {1: 4, 2: 16})


def test_our_tpk_and_one_by_arcmap_are_sound():
    assert found(TPK, is_package=True) == ()
    with GOLDEN.open("rb") as file:
        report = check_cache_archive(file, is_package=True)
    assert (report.findings, report.tile_counts) == ((), {0: 1, 1: 1, 2: 2, 3: 4, 4: 16})


FAULTS = {
    "no conf.xml": (without(V2, CONF), "It has no conf.xml"),
    "two conf.xml": ({**V2, "conf.xml": V2[CONF]}, f"It has several conf.xml: {CDI}".replace("conf.cdi", "conf.xml")),
    "no conf.cdi": (without(V2, CDI), "It is missing"),
    "conf.xml cut off": (cut(V2, CONF, 900), "It is not well-formed XML"),
    "conf.xml with an entity": (
        changed(V2, CONF, b"?><", b"?><!DOCTYPE x [<!ENTITY a 'b'>]><"),
        "It has a document type",
    ),
    "a level missing at the beginning": (
        changed(V2, CONF, b"<LevelID>0<", b"<LevelID>7<"),
        "not in order and without gaps: level 1 stands behind level 7",
    ),
    "levels that do not begin with 0": (
        {**V2, CONF: re.sub(rb"<LevelID>(\d)<", lambda match: b"<LevelID>%d<" % (int(match[1]) + 1), V2[CONF])},
        "begin with 1; GDAL counts them from 0",
    ),
    "resolutions calculated anew": (
        changed(V2, CONF, b"78271.516963999893", b"78271.516964020486"),
        "is almost Esri's",
    ),
    "numbers that are none": (
        changed(V2, CONF, b"<TileCols>256", b"<TileCols>0"),
        "TileCols 0 and TileRows 256: tiles must be square, 1 pixel or more.",
    ),
    "another format": (changed(V2, CONF, b">JPEG<", b">PNG<"), "the package's format is PNG"),
    "tiles outside of the envelope": (
        changed(V2, CDI, b"<XMax>20037508", b"<XMax>00000008"),
        "lie outside the extent of conf.cdi",
    ),
    "a strange file": ({**V2, "readme.txt": b"hello"}, "It has no place in the folder of a cache"),
    "a strange bundle": ({**V2, f"{LAYERS}/_alllayers/L02/R0001C0000.bundle": b"x"}, "not the path of a bundle"),
    "offsets without a bundle": ({**V2, BUNDLE.replace(".bundle", ".bundlx"): b"x"}, "belongs to no bundle"),
    "no bundles": ({name: V2[name] for name in (CDI, CONF)}, "no bundles"),
    "the record count of packages": (with_bytes(V2, BUNDLE, 4, bytes(4)), "record count 0; ArcGIS writes 16384"),
    "a bundle cut off": (cut(V2, BUNDLE, -5), "outside the bundle's records"),
}
PACKAGE_FAULTS = {
    "no iteminfo.xml": (without(TPK, ITEMINFO), "It is missing"),
    "iteminfo.xml without tags": (changed(TPK, ITEMINFO, b"<tags></tags>", b""), "tags is missing"),
    "iteminfo.xml cut off": (cut(TPK, ITEMINFO, 200), "It is not well-formed XML"),
    "a thumbnail that is none": ({**TPK, "esriinfo/thumbnail/thumbnail.png": b"GIF"}, "It is not a PNG"),
    "a map service without extent": (
        changed(TPK, "servicedescriptions/mapserver/mapserver.json", b"geoFullExtent", b"fullExtents"),
        "geoFullExtent is not an envelope",
    ),
    "no offsets": (without(TPK, TPK_BUNDLE.replace(".bundle", ".bundlx")), "offsets (.bundlx) is missing"),
    "an offset that points outside": (
        with_bytes(TPK, TPK_BUNDLE.replace(".bundle", ".bundlx"), 16, b"\xff\xff\xff\x00\x00"),
        "Row 0, column 0: the tile lies outside",
    ),
    "a bundle cut off in front": (cut(TPK, TPK_BUNDLE, 100), "ends before its first record"),
    "another first row": (with_bytes(TPK, TPK_BUNDLE, 44, b"\x80"), "the first row 128; ArcGIS writes 0"),
    "the bundle of another": ({**TPK, TPK_BUNDLE: b"x" * len(TPK[TPK_BUNDLE])}, "outside|version"),
}


@pytest.mark.parametrize(("files", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_a_dataset_is_reported(files, words):
    assert any(part in finding.text for finding in found(files) for part in words.split("|")), found(files)


@pytest.mark.parametrize(("files", "words"), PACKAGE_FAULTS.values(), ids=PACKAGE_FAULTS)
def test_a_fault_of_a_package_is_reported(files, words):
    told = found(files, is_package=True)
    assert any(part in finding.text for finding in told for part in words.split("|")), told


def test_a_compressed_package_is_reported():
    body = BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in TPK.items():
            archive.writestr(name, data)

    report = check_cache_archive(body, is_package=True)

    assert any("compressed" in finding.text for finding in report.findings)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_that_is_broken_breaks_the_checker(data):
    files = data.draw(st.sampled_from([TPK, V2]))
    name = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    broken = with_bytes(files, name, at, data.draw(st.binary(min_size=1, max_size=40)))

    found(broken, is_package=True)
    in_folder(cut(broken, name, at))


@pytest.mark.parametrize("kind", [".tpk", ".zip", "folder"])
def test_the_command_recognises_packages_and_datasets(tmp_path, capsys, kind):
    files = TPK if kind == ".tpk" else V2
    path = tmp_path / f"World{kind.replace('folder', '')}"
    if kind == "folder":
        for name, body in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(body)
    else:
        path.write_bytes(pack(files))

    assert main(["check", str(path)]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "The package is sound."


@pytest.mark.parametrize("options", [[], ["--structure"]])
def test_the_command_takes_the_url_of_a_file(tmp_path, capsys, options):
    (tmp_path / "World.tpk").write_bytes(pack(TPK))

    assert main(["check", (tmp_path / "World.tpk").as_uri(), *options]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "The package is sound."


def test_a_structure_check_does_not_find_a_flipped_bit_in_a_tile(tmp_path):
    package = bytearray(pack(TPK))
    package[len(package) // 2] ^= 1
    (tmp_path / "World.tpk").write_bytes(package)

    assert main(["check", str(tmp_path / "World.tpk"), "--structure"]) == 0
    assert main(["check", str(tmp_path / "World.tpk")]) == 1
