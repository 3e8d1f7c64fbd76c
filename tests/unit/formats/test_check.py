"""`exporttiles check` recognises any file: it reports every fault and no false ones."""

import re
import zipfile
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.cli.main import main
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.check import check_archive_file, check_folder
from tests.oracles.build_package import pack
from tests.unit.usecases.test_outputs import OUTPUTS, export, files_of

LEVELS = range(1, 4)
SOUND = {name: files_of(*export(name, levels=LEVELS)) for name in OUTPUTS}
SUFFIXES = {name: f".{name.rpartition('.')[2]}" for name in OUTPUTS}
TPKX, V2 = SOUND["World_Imagery.tpkx"], SOUND["V2/World_Imagery.zip"]
CONF = "World_Imagery/Layers/conf.xml"
A_NAME = re.compile(r"[\w./-]+\.(?:bundle|bundlx|json|xml|cdi|png|pkinfo|lock|db)\b")
LEFTOVERS = dict.fromkeys(
    [
        "World_Imagery/Layers/_alllayers/L02/R0000C0000.bundle.lock",
        "World_Imagery/Layers/_alllayers/L02/R0000C0000.freelist",
        "World_Imagery/Layers/_alllayers/L02/Thumbs.db",
        "World_Imagery/Layers/Status.gdb/a00000001.gdbtable",
        "World_Imagery/.DS_Store",
        "__MACOSX/World_Imagery/Layers/._conf.xml",
        "desktop.ini",
    ],
    b"x",
)


def in_archive(files, suffix, *, data=None):
    return check_archive_file(RangedFile.of(BytesIO(pack(files) if data is None else data)), suffix, Scope())


def in_folder(files):
    return check_folder({name: len(body) for name, body in files.items()}, lambda name: BytesIO(files[name]))


def without(files, *parts):
    return {name: body for name, body in files.items() if not any(part in name for part in parts)}


def as_macos_packs(files):
    """Compressed, with entries for folders, .DS_Store, and 0x0314 as the version needed."""
    body = BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted({name[: at + 1] for name in files for at, sign in enumerate(name) if sign == "/"}):
            archive.writestr(folder, b"", zipfile.ZIP_STORED)
            archive.writestr(f"{folder}.DS_Store", bytes(6148))
        for name, data in files.items():
            archive.writestr(name, data)
    data = bytearray(body.getvalue())
    for signature, at in ((b"PK\3\4", 4), (b"PK\1\2", 6)):
        start = data.find(signature)
        while start >= 0:
            data[start + at : start + at + 2] = b"\x14\x03"
            start = data.find(signature, start + 4)
    return bytes(data)


# What is sound


@pytest.mark.parametrize("output", OUTPUTS)
def test_exports_have_no_findings(output):
    report = in_archive(SOUND[output], SUFFIXES[output])

    assert (report.findings, report.tile_counts) == ((), {level: 4**level for level in LEVELS})


@pytest.mark.parametrize("output", [name for name in OUTPUTS if not name.endswith(".tpk")])
def test_a_folder_is_judged_as_the_package_is(output):
    packed, unpacked = in_archive(SOUND[output], SUFFIXES[output]), in_folder(SOUND[output])

    assert (unpacked.findings, unpacked.tile_counts) == (packed.findings, packed.tile_counts)


@pytest.mark.parametrize("missing", ["iteminfo.json", "root.json", "thumbnail.png"])
def test_a_part_of_an_unpacked_package_that_is_missing_is_named(missing):
    report = in_folder(without(TPKX, missing))

    assert [(finding.path, finding.text) for finding in report.findings if "missing" in finding.text] == [
        (missing, "It is missing.")
    ]


@pytest.mark.parametrize("conf", ["Conf.xml", "CONF.XML"])
@pytest.mark.parametrize("cdi", ["conf.cdi", "Conf.cdi"])
def test_documents_of_a_cache_are_read_in_any_capitals(conf, cdi):
    renamed = {name.replace("conf.xml", conf).replace("conf.cdi", cdi): body for name, body in V2.items()}

    assert in_folder(renamed).findings == ()
    assert in_archive(renamed, ".zip").findings == ()


def test_leftovers_of_servers_and_desktops_in_a_folder_are_ignored():
    assert in_folder({**V2, **LEFTOVERS}).findings == ()


def test_leftovers_in_an_archive_are_named_as_files_too_many():
    report = in_archive({**V2, **LEFTOVERS}, ".zip")

    assert {finding.path for finding in report.findings} == LEFTOVERS.keys()
    assert all("has no place" in finding.text for finding in report.findings)


# What is missing


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_level_that_is_missing_between_others_is_found(output):
    # A cache counts its levels from 0, and here they begin with 1 as well: its scheme is the service's.
    report = in_archive(without(SOUND[output], "/L02/"), SUFFIXES[output])

    assert [finding.text for finding in report.findings] == [
        "There are no bundles of level 2, though of coarser and of finer levels."
    ]


@pytest.mark.parametrize(("lost", "told"), [("L01", "minLOD is 1; the first"), ("L03", "maxLOD is 3; the last")])
def test_a_level_that_is_missing_at_an_end_of_a_package_is_found(lost, told):
    (finding,) = in_archive(without(TPKX, f"/{lost}/"), ".tpkx").findings

    assert finding.path == "root.json"
    assert finding.text.startswith(told)


# What is of another kind


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("Photo.tif", b"II*\0", "a TIFF image"),
        ("World.mbtiles", b"SQLite format 3\0", "not an SQLite database"),
        ("World.gpkg", pack(TPKX), "a zip archive, not an SQLite database"),
        ("World.pmtiles", b"PMTiles\3", "a PMTiles archive"),
        ("empty.tpkx", b"", "It is empty"),
        ("page.zip", b"\n<!DOCTYPE html>", "an HTML page"),
        ("cut.tpkx", pack(TPKX)[:-1000], "whose end is missing"),
        ("noise.tpk", bytes(5000), "not a zip archive"),
        ("nothing.zip", pack({}), "a zip archive of no files"),
        ("texts.zip", pack({"readme.txt": b"x"}), "a zip archive of 1 file, neither"),
        ("folder/0/0/0.png", b"", "a folder of 1 file, neither"),
    ],
)
def test_a_file_that_is_not_a_package_is_named_in_one_sentence(tmp_path, capsys, name, body, words):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(body)
    top = name.partition("/")[0]

    assert main(["check", str(tmp_path / top)]) == 1

    said, count = capsys.readouterr().out.splitlines()
    assert said.startswith(f"{top}: It is ")
    assert words in said
    assert count == "1 finding."


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(["check", str(tmp_path / "World.tpkx")]) == 2

    assert "PACKAGE: There is no file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "suffix", "words"),
    [
        (TPKX, ".zip", "Its name ends in '.zip'; readers want .tpkx"),
        (SOUND["World_Imagery.tpk"], ".tpkx", "it is a .tpk"),
        (V2, ".tpkx", "it is a dataset as .zip"),
    ],
)
def test_a_file_is_checked_by_its_contents_and_a_misleading_name_is_reported(files, suffix, words):
    (finding,) = in_archive(files, suffix).findings

    assert words in finding.text


def test_a_package_inside_of_a_folder_is_reported_once():
    (finding,) = in_archive({f"map/{name}": body for name, body in TPKX.items()}, ".tpkx").findings

    assert finding.path == "map/root.json"


def test_tiles_as_single_files_are_reported_once():
    exploded = {CONF: V2[CONF].replace(b"ModeCompactV2", b"ModeExploded"), CONF.replace("xml", "cdi"): b""}
    tiles = {f"World_Imagery/Layers/_alllayers/L01/R00000000/C0000000{at}.jpg": b"" for at in range(2)}
    exploded[CONF.replace(".xml", ".cdi")] = V2[CONF.replace(".xml", ".cdi")]

    (finding,) = in_folder({**exploded, **tiles}).findings

    assert "esriMapCacheStorageModeExploded" in finding.text


# What is packed anew


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_compressed_archive_is_reported_without_faults_of_unread_members(output):
    report = in_archive({}, SUFFIXES[output], data=as_macos_packs(SOUND[output]))

    compressed = {finding.path for finding in report.findings if "compressed" in finding.text}
    others = {finding for finding in report.findings if "compressed" not in finding.text}
    assert compressed >= SOUND[output].keys()
    assert all(finding.path.endswith(".DS_Store") and "no place" in finding.text for finding in others)


@pytest.mark.parametrize("output", OUTPUTS)
def test_one_compressed_member_hides_nothing_of_the_others(output):
    files, suffix = SOUND[output], SUFFIXES[output]
    bundle = next(name for name in files if name.endswith(".bundle"))
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if name == bundle else zipfile.ZIP_STORED)

    report = in_archive({}, suffix, data=body.getvalue())

    assert {(finding.path, "compressed" in finding.text) for finding in report.findings} == {(bundle, True)}
    assert sum(report.tile_counts.values()) == 16 + 64


# Whatever is broken


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_loss_is_found_and_only_present_or_missing_files_are_named(data):
    output = data.draw(st.sampled_from(sorted(OUTPUTS)))
    files, suffix = SOUND[output], SUFFIXES[output]
    how = data.draw(st.sampled_from(["a member", "a level", "the end", "a header", "a part of a bundle"]))
    kept, body = files, None
    lost = {data.draw(st.sampled_from([name for name in files if not name.endswith("conf.properties")]))}
    bundle = data.draw(st.sampled_from([name for name in files if name.endswith(".bundle")]))
    if how == "a member":
        kept = without(files, *lost)
    elif how == "a level":
        lost = {name for name in files if "/L02/" in name}
        kept = without(files, "/L02/")
    elif how == "the end":
        body = pack(files)[: data.draw(st.integers(0, len(pack(files)) - 1))]
    elif how == "a header":
        at = data.draw(st.sampled_from([0, 8, 12, 24, 32, 36]))
        changed = files[bundle][:at] + bytes([files[bundle][at] ^ 0x41]) + files[bundle][at + 1 :]
        kept = {**files, bundle: changed}
    else:
        kept = {**files, bundle: files[bundle][: data.draw(st.integers(0, len(files[bundle]) - 1))]}

    report = in_archive(kept, suffix, data=body)

    ends = _is_at_an_end(lost, output) if how == "a member" else False
    assert report.findings or ends
    there = {part for name in kept for part in (name, name.rpartition("/")[2])}
    for finding in report.findings:
        for name in [finding.path, *A_NAME.findall(finding.text)]:
            assert not name or name in there or name in lost or name.rpartition("/")[2] in _basenames(lost), finding


def _is_at_an_end(lost, output):
    """Return True if nobody can know of a bundle: a cache does not say which levels it has."""
    return not output.endswith(".tpkx") and all(name.endswith(".bundle") and "/L02/" not in name for name in lost)


def _basenames(names):
    return {name.rpartition("/")[2] for name in names}
