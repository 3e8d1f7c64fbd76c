"""GeoTIFFs exported on the command line: drawn by several processes as by one."""

import signal
import subprocess
import sys

import pytest
import rasterio

from exporttiles.adapters.tile_sources import rasters
from exporttiles.cli.main import main
from tests.rasters import an_orthophoto


@pytest.fixture
def ortho(tmp_path, monkeypatch):
    """An orthophoto in three parts that processes draw."""
    monkeypatch.setattr(rasters, "_FEW_DRAWINGS", 1)
    return an_orthophoto(tmp_path / "ortho.tif", size=(4000, 1800), compress="jpeg", photometric="ycbcr")


def exported(ortho, processors, monkeypatch, *options):
    """Return the package that some processors make."""
    out = ortho.with_name(f"{processors}.tpkx")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    assert main(["export", str(ortho), str(out), "--name", "Ortho", *options]) == 0
    return out.read_bytes()


@pytest.mark.parametrize("options", [[], ["--clip", "--extent", "9.0,46.92,9.01,46.95", "--extent-wkid", "4326"]])
def test_drawing_in_processes_makes_the_bytes_of_one(ortho, monkeypatch, options):
    parts, apart = [], rasters.RasterTiles._apart
    monkeypatch.setattr(
        rasters.RasterTiles, "_apart", lambda *asked: (parts.append(part) or part for part in apart(*asked))
    )

    one, two = (exported(ortho, processors, monkeypatch, *options) for processors in (1, 2))

    assert one == two
    assert len(parts) > 3


def test_a_damaged_block_leaves_the_same_tiles_out_in_processes_as_in_one(ortho, monkeypatch, capsys):
    with rasterio.open(ortho) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", bidx=1))
    with ortho.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(200))
    said = []
    packages = []
    for processors in (1, 2):
        packages.append(exported(ortho, processors, monkeypatch, "--levels", "17"))
        said.append(capsys.readouterr().out.replace(f"{processors}.tpkx", ""))

    assert packages[0] == packages[1]
    assert "left out" in said[0]
    assert "level 17, row" in said[0]
    assert said[0].splitlines()[-3:] == said[1].splitlines()[-3:]


def test_a_file_that_vanishes_is_named_by_a_process_that_draws(ortho, monkeypatch, capsys):
    (ortho.parent / "folder").mkdir()
    ortho = ortho.rename(ortho.parent / "folder" / ortho.name)
    draw = rasters.RasterTiles.read_bundle

    def vanish(self, bundle, selected):
        ortho.unlink(missing_ok=True)
        yield from draw(self, bundle, selected)

    monkeypatch.setattr(rasters.RasterTiles, "read_bundle", vanish)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})

    assert main(["export", str(ortho), str(ortho.parent.with_name("out.tpkx"))]) == 1

    assert "There is no file ortho.tif." in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_stopped_while_it_draws_leaves_no_process_and_no_file(ortho, number):
    program = """
import os, signal, sys
from exporttiles.adapters.tile_sources import rasters
from exporttiles.cli import main, run_export

def pause(self, bundle, selected):
    tiles = self._source.read_bundle(bundle, selected)
    yield next(tiles)
    print("drawing", flush=True)
    signal.pause()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.sched_getaffinity = lambda _: {0, 1}
    rasters._FEW_DRAWINGS = 1
    run_export._ReportingSource.read_bundle = pause
    sys.exit(main.main(sys.argv[1:]))
"""
    script = ortho.with_name("script.py")
    script.write_text(program)
    command = [sys.executable, str(script), "export", str(ortho), str(ortho.with_name("out.tpkx")), "--levels", "17"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() not in {"drawing\n", ""}:
            pass
        process.send_signal(number)
        _, said = process.communicate(timeout=60)  # until every process has closed its output

    assert (process.returncode, said.lstrip()) == (130, "exporttiles: stopped\n")
    assert sorted(path.name for path in ortho.parent.iterdir()) == ["ortho.tif", "script.py"]
