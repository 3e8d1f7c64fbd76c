"""Several GeoTIFFs as one source: which files, in which order, and what is refused."""

import os

import numpy as np
import pytest
from affine import Affine
from click import BadParameter

from exporttiles.cli.main import main
from exporttiles.cli.source import read_sources
from tests.rasters import write_geotiff

UTM = "EPSG:32632"


@pytest.fixture
def folder(tmp_path):
    """Three files of one color each, in one place: b.tif is the oldest, sub/c.tif the newest."""
    (tmp_path / "sub").mkdir()
    for name, color, moment in (("a.tif", 50, 2), ("b.tif", 100, 1), ("sub/c.tif", 150, 3)):
        samples = np.full((3, 300, 300), color, np.uint8)
        write_geotiff(tmp_path / name, samples, UTM, Affine(1, 0, 500_000, 0, -1, 5_200_000))
        os.utime(tmp_path / name, (1_000_000_000 * moment, 1_000_000_000 * moment))
    return tmp_path


def exported(folder, capsys, *sources, **options):
    """Export to a package; return its messages."""
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    code = main(["export", *map(str, sources), str(folder / "out.tpkx"), "--force", "--levels", "14", *arguments])
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def top(said):
    """Return the file that lies on top."""
    return said.partition(" lies on top")[0].rpartition(" ")[2]


def test_listed_files_cover_those_before_and_the_output_may_lie_beside_them(folder, capsys):
    said = exported(folder, capsys, folder / "sub/c.tif", folder / "a.tif")

    assert "Order: as they are listed" in said
    assert top(said) == "a.tif"
    assert "2 GeoTIFFs" in said


def test_a_link_that_leads_to_no_file_is_named_in_a_warning(folder, capsys):
    (folder / "sub/lost.tif").symlink_to(folder / "elsewhere.tif")
    (folder / "sub/found.tif").symlink_to(folder / "a.tif")

    said = exported(folder, capsys, folder / "sub")

    assert "Warning: lost.tif: It is left out: the link leads to no file." in said
    assert "2 GeoTIFFs" in said
    assert said.count("It is left out") == 1


def test_a_list_in_a_file_is_read_in_its_order(folder, capsys, monkeypatch):
    (folder / "list.txt").write_text(f"sub/c.tif\n\n  b.tif \n{(folder / 'a.tif').as_uri()}\n")
    monkeypatch.chdir(folder)

    said = exported(folder, capsys, "list.txt")

    assert top(said) == "a.tif"
    assert "3 GeoTIFFs" in said


@pytest.mark.parametrize(("order", "expected"), [("name", "sub/c.tif"), ("date", "a.tif"), ("given", "b.tif")])
def test_the_order_is_chosen_and_stated(folder, capsys, order, expected):
    sources = [folder / name for name in ("a.tif", "b.tif")]
    sources = [folder / "sub/c.tif", *sources] if order == "name" else sources

    assert top(exported(folder, capsys, *sources, mosaic_order=order)) == expected


def test_the_files_of_a_folder_are_in_order_of_name_unless_another_is_chosen(folder, capsys, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")

    assert top(exported(out, capsys, folder)) == "sub/c.tif"
    os.utime(folder / "b.tif", (4e9, 4e9))
    assert top(exported(out, capsys, folder, mosaic_order="date")) == "b.tif"
    assert main(["export", str(folder), str(out / "o.tpkx"), "--mosaic-order", "given"]) == 1
    assert "--mosaic-order given: a folder states no order" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["{0}/a.tif", "{0}/a.tif"], "a.tif' is listed twice"),
        (["{0}/a.tif", "{0}/sub/../a.tif"], "a.tif' is listed twice"),
        (["{0}/a.tif", "{0}/missing.tif"], "no file or folder {0}/missing.tif"),
        (["{0}/a.tif", "{0}/sub"], "{0}/sub' is no GeoTIFF"),
        (["{0}/a.tif", "s3://bucket/b.tif"], "some are not"),
        (["s3://bucket/a.tif", "s3://other/b.tif"], "'s3://other/b.tif' is not in s3://bucket"),
        (["{0}/empty.txt"], "empty.txt' is empty"),
        (["{0}/nothing.txt"], "nothing.txt' cannot be read"),
    ],
)
def test_files_that_are_no_mosaic_are_refused_by_name(folder, sources, message):
    (folder / "empty.txt").write_text("\n")

    with pytest.raises(BadParameter) as refused:
        read_sources(None, None, tuple(source.format(folder) for source in sources))

    assert message.format(folder) in str(refused.value)


def test_addresses_of_a_bucket_are_files_below_their_common_folder():
    source = read_sources(None, None, ("s3://bucket/x/2024/a b.tif", "s3://bucket/x/2025/ü%20.tiff"))

    assert (source.address, source.files) == ("s3://bucket/x", ("2024/a b.tif", "2025/ü%20.tiff"))
    assert read_sources(None, None, ("s3://bucket/a.tif", "s3://bucket/x/b.tif")).address == "s3://bucket"
