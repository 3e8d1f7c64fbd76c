"""The harness compares what is equal, and nothing else."""

import json
from importlib import import_module

import numpy as np
import pytest

from benchmarks.caches import Cache, make, tiles_of
from benchmarks.limits import memory, requests
from benchmarks.packages import UnequalPackagesError, digests, fidelity, require_equal
from benchmarks.processes import Run, median_of, run, step
from benchmarks.profiles import profile
from benchmarks.rendering import rendering
from benchmarks.results import Section, Table, Target, page
from benchmarks.sparse import contenders, sparse
from benchmarks.speed import clipping, copying, ours
from benchmarks.starts import ASKED_FIRST, ENVIRONMENT, starts
from benchmarks.steps import fewest_requests
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from exporttiles.domain.tiling import BundleIndex
from local.cloud import ROOT
from tests.caches import put_v2

TINY = Cache("tiny", 4, 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(scope="module")
def home(folder):
    return make(folder, TINY, "files", "mbtiles", "pmtiles")


def test_no_two_tiles_are_alike_and_all_are_there(home):
    tiles = dict(tiles_of(home / "v2"))

    assert len(tiles) == TINY.tile_count == 89
    assert len(set(tiles.values())) == 89
    assert 8_000 < sum(map(len, tiles.values())) / 89 < 20_000


@pytest.mark.parametrize("layout", ["mbtiles/World.mbtiles", "pmtiles/World.pmtiles"])
def test_every_layout_holds_the_same(home, layout):
    require_equal(home / layout, digests(home / "v2"))


def test_a_cache_is_made_once(folder, home):
    before = (home / "v2").stat().st_mtime_ns

    assert make(folder, TINY) == home
    assert (home / "v2").stat().st_mtime_ns == before


@pytest.mark.slow
def test_ours_and_the_peers_make_the_same_package_and_a_table_tells(folder):
    section = copying(folder, TINY, None, rounds=1)

    text = page([section])
    assert f"| copy of {TINY.tile_count:,} tiles against MapProxy | at least 20 times as fast |" in text
    assert "| MapProxy, V2 bundles to V2 bundles |" in text
    assert f"| .mbtiles of {TINY.tile_count:,} tiles against MapProxy | at least 2 times as fast |" in text


@pytest.mark.slow
def test_a_clip_changes_the_tiles_of_the_border_alone(folder):
    section = clipping(folder, TINY, rounds=1)

    (table,) = section.tables
    assert [row[0] for row in table.rows] == ["ours, clipped", "ours, whole tiles"]
    assert "of the tiles lie on its border" in table.note


@pytest.mark.slow
def test_a_sparse_cache_stands_beside_a_dense_one_in_every_layout(tmp_path):
    (table,) = sparse(tmp_path / "measured", 1, ["two cities at level 17"]).tables
    titles = []
    (tmp_path / "exported").mkdir()
    for title, commands in contenders(tmp_path / "exported"):
        titles.append(title)
        for _, *arguments in commands.values():
            assert main([*map(str, arguments)]) == 0

    assert len(titles) == 24
    assert [row[0] for row in table.rows] == titles[:6]


def test_a_package_with_another_tile_is_not_compared(home, tmp_path):
    run(ours(home / "v2", tmp_path / "ours.tpkx", TINY.max_level))
    wanted = digests(home / "v2")
    wanted[4, 5, 6] = b"other"

    with pytest.raises(
        UnequalPackagesError, match=r"ours.tpkx holds 89 tiles instead of 89; 1 differ.* row 5, column 6"
    ):
        require_equal(tmp_path / "ours.tpkx", wanted)


def test_a_package_that_lacks_a_tile_is_not_compared(home, tmp_path):
    run(ours(home / "v2", tmp_path / "ours.tpkx", TINY.max_level - 1))

    with pytest.raises(UnequalPackagesError, match="holds 25 tiles instead of 89"):
        require_equal(tmp_path / "ours.tpkx", digests(home / "v2"))
    with pytest.raises(UnequalPackagesError, match="holds 25 tiles instead of 89"):
        fidelity(tmp_path / "ours.tpkx", home / "v2", level=4)


def test_a_recompressed_package_is_compared_by_pixels(home, tmp_path):
    run(ours(home / "v2", tmp_path / "ours.tpkx", TINY.max_level, "--quality", "60"))

    decibels, share = fidelity(tmp_path / "ours.tpkx", home / "v2", level=4)

    assert 30 < decibels < 45
    assert share < 0.85


def test_a_simulated_package_is_whole(home, tmp_path):
    found = json.loads(step("simulate", home / "v2", tmp_path, "river", 6).output)

    assert found["bytes"] == (tmp_path / found["package"]).stat().st_size
    assert found["tiles"] > 1000


def test_requests_are_counted(folder):
    section = requests(folder, TINY)

    _, tiles, gets, fewest, *_ = section.tables[0].rows[0]
    assert (tiles, gets, fewest) == ("89", "10", "10")  # an index and a range for each bundle


def test_the_fewest_requests_are_those_of_the_smallest_gaps_of_all_bundles(tmp_path):
    bundle = BundleIndex(9, 0, 0)
    tiles = {(9, 0, column): bytes([255, 216, 255, 224]) + bytes(996) for column in range(100)}
    put_v2(open_store(tmp_path.as_uri()), tiles)
    mask = np.zeros((128, 128), np.bool_)
    mask[0, [0, 1, 2, 50, *range(55, 100)]] = True  # two gaps: 47 tiles, and 4 tiles, 8 % of what is wanted

    assert fewest_requests(tmp_path, [(bundle, mask)]) == 1 + 3

    mask[0, 53] = True  # three gaps: one tile, 2 %, is read through; two tiles, 4 %, are too much besides
    assert fewest_requests(tmp_path, [(bundle, mask)]) == 1 + 3


def test_the_packer_writes_little(folder):
    (packed,) = (target for target in memory(folder, TINY).targets if target.name == "bytes through the packer")

    assert packed.measured.endswith("%")


def test_a_process_is_measured_from_start_to_end():
    found = run(["python3", "-c", "print('said'); x = bytearray(50_000_000); sum(range(10**6))"])

    assert found.output == "said\n"
    assert found.cpu_seconds > 0
    assert found.peak_bytes > 50_000_000


def test_a_process_that_fails_ends_it_all():
    with pytest.raises(SystemExit, match="no such thing"):
        run(["python3", "-c", "raise SystemExit('no such thing')"])


def test_the_median_is_taken_of_each_figure():
    runs = [Run(1.0, 30.0, 200), Run(2.0, 10.0, 300), Run(9.0, 20.0, 100)]

    assert median_of(runs) == Run(2.0, 20.0, 200)


def test_a_target_that_is_not_met_is_told(tmp_path):
    target = Target("speed", "at least 2", "1", is_met=False, note="[profile](profile.md)")
    Section("Speed", [Table("", ("", "s"), [("ours", "1")])], [target]).write(tmp_path / "speed.json")

    text = page([Section.read(tmp_path / "speed.json")])

    assert "| speed | at least 2 | 1 | **no** [profile](profile.md) |" in text
    assert "| ours | 1 |" in text


def test_a_target_that_is_not_met_points_to_the_profile_of_its_section(tmp_path):
    missed = Target("speed", "at least 2", "1", is_met=False)
    Section("Speed", [], [missed], profiles=[Table("Where it goes", ("", "s"), [("`slow`", "1")])]).write(
        tmp_path / "speed.json"
    )

    text = page([Section.read(tmp_path / "speed.json"), Section("Size", [], [missed])])

    assert text.count("| speed | at least 2 | 1 | **no** ([profile](#profiles)) |") == 1
    assert text.endswith("## Profiles\n\n**Where it goes**\n\n|  | s |\n| --- | ---: |\n| `slow` | 1 |\n")


PROGRAM = """
import hashlib, sys, threading, time

def wait():
    time.sleep(0.3)

def work(rounds):
    sum(number * number for number in range(rounds))

thread = threading.Thread(target=work, args=[10**6])
thread.start()
wait()
thread.join()
sys.exit(int(sys.argv[1]))
"""


def test_a_profile_tells_what_is_waited_for_and_what_other_threads_do(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    table = profile("waiting", [tmp_path / "program.py", "0"])

    rows = {name: figures for name, *figures in table.rows}
    seconds, _, calls, elsewhere = rows["`time.sleep`"]
    assert (float(seconds) >= 0.3, calls, elsewhere) == (True, "1", "")
    assert rows["`program.<genexpr>`"][0] == ""
    assert float(rows["`program.<genexpr>`"][3]) > 0.05


def test_a_profile_of_a_program_that_fails_is_none(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    with pytest.raises(SystemExit, match=r"program.py 3 failed"):
        profile("failing", [tmp_path / "program.py", "3"])


def test_every_function_has_a_start():
    assert ASKED_FIRST.keys() == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


@pytest.mark.parametrize("function", ASKED_FIRST)
def test_a_function_has_all_that_it_is_asked_for_at_a_start(function, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    runtime = import_module(f"functions.{function}.app").from_environment()

    assert all(getattr(runtime, port) for port in ASKED_FIRST[function])


def test_a_start_takes_longer_without_bytecode():
    (table,) = starts(1, ["announce_job"]).tables

    ((function, cpu, _, _, without),) = table.rows
    assert function == "announce_job"
    assert 0 < float(cpu) < float(without)


@pytest.mark.slow
def test_rendering_draws_the_same_tiles_as_gdal(tmp_path):
    section = rendering(tmp_path, 6, rounds=1)

    (table,) = section.tables
    counts = {name: tiles for name, tiles, *_ in table.rows}
    assert counts["ours, UTM"] == counts["GDAL, UTM"] == counts["GDAL, UTM, PNG as ours"] == counts["rio-tiler, UTM"]
    assert counts["ours, blocks that are tiles"] == "36"
    assert [target.name for target in section.targets][-1] == "cost of 100,000 drawn tiles"
