"""No code forks, because a fork after an S3 client's threads have started can deadlock."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for folder in ("benchmarks", "functions", "layers", "local", "tests") for path in (ROOT / folder).rglob("*.py")
]
FORKS = {"fork", "forkpty", "Process", "Pool"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_process_is_spawned(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    for call in calls:
        function = ast.unparse(call.func)
        if function.endswith("ProcessPoolExecutor"):
            assert "spawn" in ast.unparse(call)
        assert function not in {f"{module}.{name}" for module in ("os", "multiprocessing") for name in FORKS}
