"""`exporttiles export` on a full disk: a clear error, no partial output, and no loss of earlier files."""

import resource
import shutil
import subprocess
import sys
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from obstore.store import LocalStore
from PIL import Image

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.cli.main import main
from exporttiles.domain.parts import MIN_PART_BYTES
from tests.caches import put_xyz

COMMAND = f"{sys.prefix}/bin/exporttiles"
SUFFIXES = (".tpkx", ".tpk", ".zip", "")
IS_A_DISK_TO_BE_HAD = not subprocess.run(
    ["/usr/bin/env", "unshare", "-rm", "true"], check=False, capture_output=True
).returncode

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a cache whose one bundle is large enough to be a part of its package as it is."""
    folder = tmp_path_factory.mktemp("world")
    put_xyz(
        ObstoreObjects(LocalStore(folder)), {(3, row, column): noise(row, column) for row, column in np.ndindex(8, 8)}
    )
    return folder


def noise(row, column):
    body = BytesIO()
    pixels = np.random.default_rng([row, column]).integers(0, 256, (256, 256, 3), np.uint8)
    Image.fromarray(pixels).save(body, "JPEG", quality=97)
    return body.getvalue()


@pytest.fixture(scope="module")
def calm(world, tmp_path_factory):
    """Suffix -> what the command makes where there is room, by name."""
    folder = tmp_path_factory.mktemp("calm")
    for suffix in SUFFIXES:
        assert main(arguments(world, folder / f"World{suffix}")) == 0
    return {suffix: contents(folder / f"World{suffix}") for suffix in SUFFIXES}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Suffix -> a small output of an earlier export, which `--force` may replace."""
    folder = tmp_path_factory.mktemp("earlier")
    put_xyz(ObstoreObjects(LocalStore(folder / "cache", mkdir=True)), {(3, 4, 4): noise(4, 4)})
    for suffix in SUFFIXES:
        assert main(arguments(folder / "cache", folder / f"World{suffix}")) == 0
    return {suffix: folder / f"World{suffix}" for suffix in SUFFIXES}


def arguments(world, out):
    return ["export", str(world), str(out), "--levels=3", "--force"]


def contents(path):
    files = [path] if path.is_file() else [found for found in sorted(path.rglob("*")) if found.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def copy(path, out):
    """Copy a file, or a folder and all that is in it."""
    (shutil.copytree if path.is_dir() else shutil.copy)(path, out)


def is_told(done, out):
    """Return True if a command failed in one line that says what to do."""
    (line,) = done.stderr.splitlines()
    return (
        done.returncode == 1
        and line.startswith(f"exporttiles: There is no room for {out.name} in {out.parent}: ")
        and line.endswith("Free some space, or write elsewhere.")
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("at", ["the first byte", "the plan", "the first bundle", "the last bytes"])
def test_a_file_that_cannot_grow_fails_the_export_and_leaves_what_was_there(
    world, calm, earlier, tmp_path, *, suffix, at
):
    out = tmp_path / f"World{suffix}"
    copy(earlier[suffix], out)
    largest_bytes = max(map(len, calm[suffix].values()))
    most_bytes = {
        "the first byte": 0,
        "the plan": 100,
        "the first bundle": MIN_PART_BYTES,
        "the last bytes": largest_bytes - 1,
    }[at]

    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    command = [COMMAND, *arguments(world, out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)

    assert is_told(done, out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert contents(out) == contents(earlier[suffix])
    if at == "the last bytes":
        assert main(arguments(world, out)) == 0
        assert contents(out) == calm[suffix]


@pytest.mark.skipif(not IS_A_DISK_TO_BE_HAD, reason="this machine lets nobody mount a small disk")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_on_whatever_disk_an_export_is_whole_or_leaves_what_was_there(world, calm, earlier, tmp_path, suffix):
    """A disk of memory, mounted for one shell alone; it is made larger until the export fits."""
    disk, told = tmp_path / "disk", tmp_path / "told"
    disk.mkdir()
    told.mkdir()
    out = disk / f"World{suffix}"
    kept_bytes = sum(map(len, contents(earlier[suffix]).values())) + (24 << 10)
    size_bytes = sum(map(len, calm[suffix].values()))
    sizes = [kept_bytes + int(size_bytes * share) for share in (0, 0.5, 0.99, 1.01, 1.5, 2.1, 2.5, 4)]
    script = f"""
        mount -t tmpfs -o size={sizes[0]} tmpfs {disk} && cp -r {earlier[suffix]} {out} && cd {disk} || exit 3
        for size in {" ".join(map(str, sizes))}; do
            mount -o remount,size=$size {disk} || exit 3
            {COMMAND} {" ".join(arguments(world, out))} > /dev/null 2> {told}/$size && break
            cp -r {out.name} {told}/$size.kept && ls -A > {told}/$size.names
        done
        cp -r {out} {tmp_path}
    """
    done = subprocess.run(
        ["/usr/bin/env", "unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stderr == ""
    assert contents(tmp_path / out.name) == calm[suffix]
    failed = [size for size in map(str, sizes) if (told / f"{size}.kept").exists()]
    assert len(failed) >= 3
    for size in failed:
        assert is_told(subprocess.CompletedProcess([], 1, stderr=(told / size).read_text()), out)
        assert contents(told / f"{size}.kept") == contents(earlier[suffix])
        assert (told / f"{size}.names").read_text() == f"{out.name}\n"
