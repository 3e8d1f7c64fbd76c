"""Esri's client in its own environment, the stack in another process: `make test-arcgis`."""

import json
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"

collect_ignore = [] if find_spec("arcgis") else ["test_client.py"]


@pytest.fixture(scope="session")
def stack():
    """Two stacks, by address, and tokens for the one that wants them."""
    with subprocess.Popen(
        [PYTHON, "-m", "tests.arcgis.stack"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = next(line for line in process.stdout if line.startswith("{"))
            yield json.loads(line)
        finally:
            process.stdin.close()  # the stack ends with it


@pytest.fixture(autouse=True)
def downloads(tmp_path, monkeypatch):
    """The client saves what it downloads to the folder for temporary files, under the name in the listing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def check():
    """Say what the command `exporttiles check` says of a package."""

    def run(package):
        done = subprocess.run(
            [PYTHON.with_name("exporttiles"), "check", package], capture_output=True, text=True, check=False
        )
        return done.stdout.splitlines()[-1]

    return run
