"""Outputs of `exporttiles export`: never overlap the source, and replace only earlier outputs."""

import os
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.cli.destination import OUTPUTS, Destination, Inputs, OutputError
from exporttiles.cli.main import main
from tests.builders import put_files


@pytest.fixture
def world(tmp_path):
    """A folder with a world cache of files, levels 0-2."""
    folder = tmp_path / "world"
    folder.mkdir()
    put_files(ObstoreObjects(LocalStore(folder)), 2)
    return folder


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """One output of each kind, by its suffix."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "world").mkdir()
    put_files(ObstoreObjects(LocalStore(folder / "world")), 1)
    paths = {suffix: folder / f"Earlier{suffix}" for suffix in OUTPUTS}
    for path in paths.values():
        assert main(["export", str(folder / "world"), str(path)]) == 0
    return paths


def copy(source, target):
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def state(folder):
    """Everything below a folder: bytes of files, targets of links, and None for folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = path.readlink() if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


def is_refused(folder, *arguments):
    """Run an export; return whether it was refused with all files as they were."""
    before = state(folder)
    status = main(["export", *map(str, arguments)])
    return status == 2 and state(folder) == before


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    "name", ["world", "world/out.tpkx", "world/World/0/out.zip", "world/World", ".", "link", "link/out", "../x/world"]
)
def test_an_output_never_overlaps_its_source(world, tmp_path, monkeypatch, capsys, *, name, force):
    (tmp_path / "link").symlink_to(world)
    monkeypatch.chdir(tmp_path)
    out = name.replace("../x", f"../{tmp_path.name}")

    assert is_refused(tmp_path, world, out, *force)
    assert is_refused(tmp_path, "link", out, *force)
    assert capsys.readouterr().err.startswith("exporttiles export: OUT: ")


def test_folders_that_the_source_only_links_to_are_its_own(world, tmp_path):
    (tmp_path / "deep").mkdir()
    (world / "World/2").rename(tmp_path / "deep/2")
    (world / "World/2").symlink_to(tmp_path / "deep/2")

    assert is_refused(tmp_path, world, tmp_path / "deep/2/out.tpkx")
    assert is_refused(tmp_path, world, tmp_path / "deep", "--force")


@pytest.mark.parametrize("alias", [os.link, os.symlink, shutil.copy])
def test_a_package_is_never_replaced_by_its_own_export(outputs, tmp_path, alias):
    copy(outputs[".tpkx"], tmp_path / "a.tpkx")
    alias(tmp_path / "a.tpkx", tmp_path / "b.tpkx")

    assert is_refused(tmp_path, tmp_path / "a.tpkx", tmp_path / "a.tpkx", "--force")
    assert is_refused(tmp_path, tmp_path / "a.tpkx", tmp_path / "b.tpkx", "--force") == (alias is not shutil.copy)


def test_a_document_stands_for_the_folder_of_its_cache(outputs, tmp_path):
    copy(outputs[""], tmp_path / "cache")

    assert is_refused(tmp_path, tmp_path / "cache/Layers/conf.xml", tmp_path / "cache/Layers/out.tpkx")


def test_the_file_of_the_area_is_not_replaced(world, outputs, tmp_path):
    copy(outputs[".zip"], tmp_path / "area.zip")

    assert is_refused(tmp_path, world, tmp_path / "area.zip", "--force", "--area", tmp_path / "area.zip")


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_force_replaces_an_earlier_output_of_the_same_kind(world, outputs, tmp_path, suffix):
    copy(outputs[suffix], tmp_path / f"out{suffix}")

    assert is_refused(tmp_path, world, tmp_path / f"out{suffix}")
    assert main(["export", str(world), str(tmp_path / f"out{suffix}"), "--force"]) == 0


def test_force_fills_an_empty_folder(world, tmp_path):
    (tmp_path / "out").mkdir()

    assert main(["export", str(world), str(tmp_path / "out"), "--force"]) == 0


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("kind", ["text", "zip of photos", "no bytes", "cut off", "folder of photos", "other kind"])
def test_force_replaces_nothing_else(world, outputs, tmp_path, capsys, *, suffix, kind):
    out = tmp_path / f"out{suffix}"
    if kind == "text":
        out.write_text("A novel.")
    elif kind == "zip of photos":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("photos/1.jpg", b"1")
    elif kind == "no bytes":
        out.touch()
    elif kind == "cut off":
        out.write_bytes(outputs[".tpkx"].read_bytes()[:-30])
    elif kind == "folder of photos":
        (out / "photos").mkdir(parents=True)
        (out / "photos/1.jpg").write_bytes(b"1")
    else:
        copy(outputs[".tpk" if suffix == ".tpkx" else ".tpkx"], out)

    assert is_refused(tmp_path, world, out, "--force")
    assert f"OUT: {out} is not replaced, even with --force: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["notes.txt", "Layers/notes.txt", "Layers/_alllayers/L00/notes.txt", "Layers/photos/1"]
)
def test_a_dataset_with_a_file_of_somebody_else_is_not_replaced(world, outputs, tmp_path, capsys, name):
    copy(outputs[""], tmp_path / "out")
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("keep me")
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        for path, body in state(tmp_path / "out").items():
            archive.writestr(f"World/{path}{'/' if body is None else ''}", body or b"")

    assert is_refused(tmp_path, world, tmp_path / "out", "--force")
    assert f"it contains {name if 'photos' not in name else 'Layers/photos'}" in capsys.readouterr().err
    assert is_refused(tmp_path, world, tmp_path / "out.zip", "--force")


@pytest.mark.parametrize("is_broken", [True, False])
def test_a_link_is_neither_replaced_nor_followed(world, outputs, tmp_path, capsys, is_broken):
    if not is_broken:
        copy(outputs[".tpkx"], tmp_path / "target.tpkx")
    (tmp_path / "out.tpkx").symlink_to("target.tpkx")

    assert is_refused(tmp_path, world, tmp_path / "out.tpkx", "--force")
    assert "is a link to target.tpkx. Name the file or folder itself." in capsys.readouterr().err


def test_what_comes_into_being_during_the_export_stays(tmp_path):
    made, out = tmp_path / "made.tpkx", tmp_path / "out.tpkx"
    made.write_text("made")
    destination = Destination(out, is_replaced=False)
    destination.check(Inputs(None))
    out.write_text("theirs")

    with pytest.raises(OutputError, match="exists already"):
        destination.put(made)
    with pytest.raises(OutputError, match="appeared during the export"):
        destination._put_where_free(made)
    assert out.read_text() == "theirs"


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(PermissionError(1, "No hard links")))
    made, out = tmp_path / "made.tpkx", tmp_path / "out.tpkx"
    for body in ("made", "again"):
        made.write_text(body)
        destination = Destination(out, is_replaced=False)
        if body == "made":
            destination.put(made)
        else:
            with pytest.raises(OutputError):
                destination._put_where_free(made)

    assert out.read_text() == "made"


PLACES = [
    "s",
    "s/a",
    "s/World",
    "s/World/1",
    "t",
    "t/s",
    "t/out",
    "u",
    "u/World/0",
    "f.tpkx",
    "g.tpkx",
    "t/g.tpkx",
    ".",
]


@settings(max_examples=60, deadline=None)
@given(
    source=st.sampled_from(["s", "u", "t/s", "f.tpkx", "g.tpkx"]),
    place=st.sampled_from(PLACES),
    suffix=st.sampled_from([*OUTPUTS]),
    link=st.sampled_from(["none", "s in t", "1 in u"]),
    force=st.booleans(),
)
def test_no_arrangement_of_source_output_and_links_changes_a_source(outputs, *, source, place, suffix, link, force):
    """GIVEN folders and packages with links among them, WHEN any is exported to any place, THEN all are as before."""
    with TemporaryDirectory() as name:
        top = Path(name)
        for folder in ("s", "t", "u"):
            (top / folder).mkdir()
        put_files(ObstoreObjects(LocalStore(top / "s")), 1)
        put_files(ObstoreObjects(LocalStore(top / "u")), 0)
        copy(outputs[".tpkx"], top / "f.tpkx")
        (top / "g.tpkx").hardlink_to(top / "f.tpkx")
        if link == "s in t":
            (top / "t/s").symlink_to(top / "s")
        elif link == "1 in u":
            (top / "u/World/1").symlink_to(top / "s/World/1")
        before = state(top)

        out = top / (place if Path(place).suffix else f"{place}{suffix}")
        status = main(["export", str(top / source), str(out), *(["--force"] if force else [])])

        after = state(top)
        written = out.relative_to(top).as_posix()
        assert not any(".exporttiles" in path for path in after)
        left = {path: body for path, body in after.items() if path in before and path != written}
        assert left == {path: body for path, body in before.items() if path != written}
        if status:
            assert after == before
        elif written in before:
            packages = {"f.tpkx", "g.tpkx"}
            empty = {"t"} if link != "s in t" else set()
            assert force
            assert written in packages | empty
            assert written in empty or source not in packages


def test_a_geopackage_with_other_tables_is_not_replaced(world, tmp_path, capsys):
    path = tmp_path / "Survey.gpkg"
    assert main(["export", str(world), str(path)]) == 0
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE trees (id INTEGER PRIMARY KEY, geom BLOB)")
        database.commit()

    assert is_refused(tmp_path, world, path, "--force")
    assert "its members are not those of a .gpkg file" in capsys.readouterr().err


def test_pmtiles_of_vectors_are_not_replaced(world, tmp_path):
    path = tmp_path / "Roads.pmtiles"
    assert main(["export", str(world), str(path)]) == 0
    body = path.read_bytes()
    path.write_bytes(body[:99] + b"\1" + body[100:])  # the type of the tiles

    assert is_refused(tmp_path, world, path, "--force")
