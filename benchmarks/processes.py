"""Whole processes, measured from start to end: wall clock, processor time, peak memory."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from local.cloud import ROOT

Command = Sequence[str | Path]

_AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "bytecode")}
"""Environment in which Python writes bytecode, as pip does: the first run of each program writes it."""

# A process starts with the peak memory of its parent, so a small process is put in between.
_MEASURE = """
import json, os, sys, time
start = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - start
with open(sys.argv[1], "w") as file:
    json.dump([status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], file)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Resources used by a process and its children.

    Attributes:
        peak_bytes: resident memory of the largest of them.
        output: what was said on standard output.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str = ""


def run(command: Command, environment: Mapping[str, str] | None = None) -> Run:
    """Run a command.

    Raises:
        SystemExit: it failed; has its output.
    """
    with TemporaryDirectory() as folder:
        measured = Path(folder) / "measured.json"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _MEASURE, measured, *command],
            env={**os.environ, **_AS_INSTALLED, **(environment or {})},
            capture_output=True,
            text=True,
            check=True,
        )
        status, wall_seconds, cpu_seconds, peak_bytes = json.loads(measured.read_text())
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return Run(wall_seconds, cpu_seconds, peak_bytes, done.stdout)


def step(name: str, *arguments: object, module: str = "steps", environment: Mapping[str, str] | None = None) -> Run:
    """Run a step of `benchmarks.steps`, or of another module, in a process of its own."""
    return run([sys.executable, "-m", f"benchmarks.{module}", name, *map(str, arguments)], environment)


def alternate(contenders: Mapping[str, Callable[[], Command]], rounds: int) -> dict[str, list[Run]]:
    """Run contenders in turn, A B A B, so that other load on the machine affects all of them.

    Args:
        contenders: name -> makes the command; may clear away what an earlier run left.
        rounds: how often each runs.
    """
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            runs[name].append(run(command()))
    return runs


def median_of(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    return Run(
        median(each.wall_seconds for each in runs),
        median(each.cpu_seconds for each in runs),
        round(median(each.peak_bytes for each in runs)),
        runs[-1].output,
    )
