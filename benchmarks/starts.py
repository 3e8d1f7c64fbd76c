"""Cold starts: processor time until a function has its handler, its use case, and the first clients."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

from benchmarks.processes import Command, Run, alternate, median_of
from benchmarks.results import Section, Table, Target
from local.cloud import ROOT

_SECONDS = 1.0
ASKED_FIRST: Mapping[str, tuple[str, ...]] = {
    "api": ("jobs", "services", "submit_export"),
    "request_export": ("inbox", "services", "submit_export"),
    "submit_package": ("submit_package",),
    "export_at_once": ("export_at_once",),
    "plan_export": ("plan_export",),
    "export_tile_range": ("export_tile_range",),
    "pack_tile_package": ("pack_tile_package",),
    "close_job": ("close_job",),
    "watch_jobs": ("watch_jobs", "delete_orphans"),
    "announce_job": ("announcer",),
    "receive_imagery": ("services", "subscriptions", "timers"),
}
"""Function -> the properties of the runtime that its handler reads."""

ENVIRONMENT = {
    "TILE_BUCKET": "tiles", "PACKAGE_BUCKET": "packages", "JOB_TABLE": "jobs", "INBOX_BUCKET": "inbox",
    "EVENT_BUS": "bus", "EVENT_BUS_ARN": "arn", "TIMER_GROUP": "timers", "TIMER_ROLE_ARN": "arn",
    "STATE_MACHINE_ARN": "arn", "OPENBLAS_NUM_THREADS": "1",
    "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "-", "AWS_SECRET_ACCESS_KEY": "-",
}  # fmt: skip


def starts(rounds: int, names: Sequence[str] = tuple(ASKED_FIRST)) -> Section:
    """Start functions as Lambda does, each in its own process.

    As deployed, all has bytecode but our own code; nothing of it is kept from one start to the next.

    Args:
        rounds: how often each function starts.
        names: the functions to start.
    """
    with TemporaryDirectory() as folder:
        for package in ("functions", "layers/exporttiles/python/exporttiles"):
            copytree(ROOT / package, Path(folder) / Path(package).name, ignore=ignore_patterns("__pycache__"))
        deployed = {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        _medians(names, 1, {"PYTHONPATH": str(ROOT)})  # writes missing bytecode of dependencies
        compiled = _medians(names, rounds, deployed)
        bare = _medians(names, rounds, deployed | {"PYTHONPYCACHEPREFIX": folder})
    slowest = max(compiled, key=lambda name: compiled[name].cpu_seconds)
    seconds = compiled[slowest].cpu_seconds
    rows = [
        (
            name, f"{compiled[name].cpu_seconds:.2f}", f"{compiled[name].wall_seconds:.2f}",
            f"{compiled[name].peak_bytes / 1e6:.0f}", f"{bare[name].cpu_seconds:.2f}",
        )
        for name in names
    ]  # fmt: skip
    note = (
        "Python, handler, use cases and the clients of the first request. As deployed: the layer has bytecode of the "
        "dependencies, and exporttiles is compiled at each start. Without any bytecode: that of the standard library "
        "and of botocore, which are part of the runtime, is missing as well."
    )
    columns = ("", "CPU s", "wall s", "peak MB", "CPU s without any bytecode")
    bar = f"less than {_SECONDS:.0f} s"
    target = Target("start of the slowest function, CPU", bar, f"{seconds:.2f} s ({slowest})", seconds < _SECONDS)
    return Section("Cold start", [Table("", columns, rows, note)], [target])


def _medians(names: Sequence[str], rounds: int, more: Mapping[str, str]) -> dict[str, Run]:
    settings = [f"{name}={value}" for name, value in {**ENVIRONMENT, **more}.items()]
    contenders = {name: partial(_command, name, settings) for name in names}
    return {name: median_of(runs) for name, runs in alternate(contenders, rounds).items()}


def _command(name: str, settings: Sequence[str]) -> Command:
    asked = "; ".join(f"runtime().{port}" for port in ASKED_FIRST[name])
    code = f"from functions.{name}.app import from_environment as runtime; {asked}"
    return ["env", *settings, sys.executable, "-P", "-c", code]
