import hashlib
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from local.cloud import ROOT
from local.world_cache import make_xyz_cache
from tests.local.processes import HEARS_CTRL_C, group_ends


def digest(folder):
    files = sorted(path for path in folder.rglob("*.jpg"))
    return hashlib.sha256(b"".join(path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in files))


def test_a_cache_holds_every_tile_of_its_levels(tmp_path):
    count = make_xyz_cache(tmp_path, source="etopo", max_level=2)

    assert count == 1 + 4 + 16
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("1/*/*.jpg")) == [
        "1/0/0.jpg",
        "1/0/1.jpg",
        "1/1/0.jpg",
        "1/1/1.jpg",
    ]
    with Image.open(tmp_path / "2" / "3" / "0.jpg") as tile:
        assert (tile.format, tile.size) == ("JPEG", (256, 256))


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    make_xyz_cache(tmp_path / "one", source="etopo", max_level=2, processes=1)
    make_xyz_cache(tmp_path / "two", source="etopo", max_level=2, processes=2)

    assert digest(tmp_path / "one").digest() == digest(tmp_path / "two").digest()


def test_a_complete_cache_is_not_made_again(tmp_path):
    make_xyz_cache(tmp_path, source="etopo", max_level=1)
    tile = tmp_path / "1" / "0" / "0.jpg"
    tile.write_bytes(b"mine")

    make_xyz_cache(tmp_path, source="etopo", max_level=1)
    assert tile.read_bytes() == b"mine"
    make_xyz_cache(tmp_path, source="etopo", max_level=2)
    assert tile.read_bytes() != b"mine"


def test_africa_is_land_and_the_pacific_is_water(tmp_path):
    """Level 3, by row and column: the Sahara is warmer in colour than the sea is."""
    make_xyz_cache(tmp_path, source="bluemarble", max_level=3)

    def colour(row, column):
        with Image.open(tmp_path / "3" / str(column) / f"{row}.jpg") as tile:
            return tile.resize((1, 1)).getpixel((0, 0))

    sahara, pacific = colour(3, 4), colour(3, 0)
    assert sahara[0] > sahara[2]
    assert pacific[2] > pacific[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_processes(tmp_path, number):
    command = [*HEARS_CTRL_C, sys.executable, "-m", "local.world_cache", tmp_path / "cache", "--processes", "2"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True) as cutting:
        while not (tmp_path / "cache" / "4" / "0" / "0.jpg").exists():
            time.sleep(0.05)

        cutting.send_signal(number)

        assert cutting.wait(10) != 0
    assert group_ends(cutting.pid)
    assert not (tmp_path / "cache.complete").exists()
