"""What `sam build` made is what Lambda can load: run by `make build`, after it."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam" / "build"
OWN_LAYER = ROOT / "layers" / "exporttiles" / "python"
UNZIPPED_LIMIT_BYTES = 250 * 2**20  # of a function and its layers together
UNCHECKED_HASH = 0b01  # flags of a .pyc, see PEP 552
AARCH64 = 0xB7  # e_machine of an ELF file
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
# What the Lambda runtime brings by itself.
RUNTIME = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}


def size_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def requirements(path, names=None):
    """Return the blocks of a hashed requirement file, of some packages or of all."""
    blocks = re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(block for block in blocks if names is None or re.split(r"[=\[; ]", block)[0] in names)


def install(text, target, folder):
    lock = folder / f"{target.name}.txt"
    lock.write_text(text)
    options = ["--quiet", "--require-hashes", "--no-deps", "--target", str(target), "-r", str(lock)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)


@pytest.fixture(scope="session")
def layers(tmp_path_factory):
    """The dependencies of the layer, for this machine, and what the runtime brings."""
    folder = tmp_path_factory.mktemp("layers")
    install(requirements(ROOT / "layers" / "dependencies" / "requirements.txt"), folder / "dependencies", folder)
    install(requirements(ROOT / "requirements" / "development.txt", RUNTIME), folder / "runtime", folder)
    return [OWN_LAYER, folder / "dependencies", folder / "runtime"]


def test_the_layers_fit_into_a_function():
    assert size_bytes(BUILD / "DependenciesLayer") + size_bytes(OWN_LAYER) < UNZIPPED_LIMIT_BYTES


def test_every_binary_is_for_the_architecture_of_the_functions():
    binaries = [path for path in (BUILD / "DependenciesLayer").rglob("*.so*") if path.is_file()]

    assert binaries
    for path in binaries:
        header = path.read_bytes()[:20]
        assert header.startswith(b"\x7fELF")
        assert struct.unpack_from("<H", header, 18) == (AARCH64,), path.name


def test_bytecode_is_for_the_python_of_the_functions_and_taken_as_it_is():
    compiled = list((BUILD / "DependenciesLayer").rglob("*.pyc"))

    compiler = which("python3.13")
    can_compile = bool(compiler) and subprocess.run([compiler, "-c", ""], check=False).returncode == 0
    assert bool(compiled) == can_compile
    for path in compiled:
        assert path.name.endswith(".cpython-313.pyc")
        assert struct.unpack_from("<I", path.read_bytes(), 4) == (UNCHECKED_HASH,), path.name


def test_the_layer_leaves_out_what_the_runtime_brings():
    packages = {path.name for path in (BUILD / "DependenciesLayer" / "python").iterdir()}

    assert not packages & {"boto3", "botocore", "s3transfer"}


def test_nested_stacks_are_built_with_the_stack():
    nested = {path.stem for path in (ROOT / "templates").glob("*.yaml") if "." not in path.stem}

    assert nested == {path.parent.name.lower() for path in BUILD.glob("*/template.yaml")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_handler_is_imported_from_the_layers_alone(layers, function):
    paths = [str(ROOT / "functions" / function), *map(str, layers)]
    code = f"import sys; sys.path[:0] = {json.dumps(paths)}; import app; assert callable(app.handler)"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
