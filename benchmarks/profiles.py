"""Profiles of our processes: functions by their own time.

The thread that a user waits for is measured by the wall clock, so that waiting is seen; the others by their processor
time, as they mostly wait. Native code without a thread of Python is what remains of the process.

`python -m benchmarks.profiles FILE PROGRAM ARGUMENT...` runs a program of Python and writes what was measured.
"""

import json
import runpy
import sys
import threading
import time
from collections import Counter
from cProfile import Profile
from pathlib import Path
from pstats import Stats
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from benchmarks.processes import Command, run
from benchmarks.results import Table

_MOST = 15  # functions in a table
_IMPORTING = "importlib._bootstrap._find_and_load"
_COLUMNS = ("", "own seconds", "of the wall clock", "calls", "CPU s in other threads")


def profile(title: str, command: Command, prefix: Command = ()) -> Table:
    """Profile a Python program once, and return its functions by their own time.

    Args:
        title: what it does, and which target it explains.
        command: path of the program, or the interpreter, `-m` and a module; and arguments.
        prefix: what starts it, such as `taskset`.
    """
    program = [*command[1:]] if command[0] == sys.executable else [*command]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "profile.json"
        whole = run([*prefix, sys.executable, "-m", "benchmarks.profiles", path, *program])
        found = json.loads(path.read_text())
    wall_seconds = found["wall_seconds"]
    main, others = found["main"], Counter({name: seconds for name, (seconds, _) in found["others"].items()})
    own = Counter({name: seconds for name, (seconds, _) in main.items()})
    largest = (own + others).most_common(_MOST)
    rows = [
        (f"`{name}`", _told(own[name]), f"{own[name] / wall_seconds:.1%}", _calls(main, name), _told(others[name]))
        for name, _ in largest
    ]
    rest, other_rest = (each.total() - sum(each[name] for name, _ in largest) for each in (own, others))
    rows.append(("all other functions", _told(rest), f"{rest / wall_seconds:.1%}", "", _told(other_rest)))
    note = (
        f"{wall_seconds:.2f} s of the wall clock and {whole.cpu_seconds:.2f} s of processor time under the profiler, "
        f"which slows calls; {found['import_seconds']:.2f} s of it imports, with all that they call. Threads of Python "
        f"besides the first: {found['thread_count']}; processes that it starts count in the processor time alone."
    )
    return Table(title, _COLUMNS, rows, note)


def _told(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds >= 0.0005 else ""


def _calls(functions: dict[str, tuple[float, int]], name: str) -> str:
    return f"{functions[name][1]:,}" if name in functions else ""


def _measure(path: str, program: list[str]) -> None:
    """Run a program with a profiler in each thread, and write the functions as JSON."""
    threads: list[Profile] = []

    def enter(_frame: FrameType, _event: str, _argument: object) -> None:
        threads.append(Profile(time.thread_time))
        threads[-1].enable()

    main, start = Profile(), time.perf_counter()
    threading.setprofile(enter)
    try:
        if program[0] == "-m":
            sys.argv = program[1:]
            main.runcall(runpy.run_module, program[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = program
            main.runcall(runpy.run_path, program[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    finally:
        wall_seconds = time.perf_counter() - start
        threading.setprofile(None)
    functions, import_seconds = _functions(main), _import_seconds(main)
    others: dict[str, tuple[float, int]] = {}
    for thread in threads:
        for name, (seconds, calls) in _functions(thread).items():
            before = others.get(name, (0.0, 0))
            others[name] = (before[0] + seconds, before[1] + calls)
    document: dict[str, Any] = {
        "wall_seconds": wall_seconds,
        "import_seconds": import_seconds,
        "thread_count": len(threads),
        "main": functions,
        "others": others,
    }
    Path(path).write_text(json.dumps(document))


def _functions(profiler: Profile) -> dict[str, tuple[float, int]]:
    """Return the own seconds and the calls of each function, by its name."""
    found: dict[str, tuple[float, int]] = {}
    for (file, _, function), (_, calls, own_seconds, _, _) in _stats(profiler).items():
        name = _name(file, function)
        before = found.get(name, (0.0, 0))
        found[name] = (before[0] + own_seconds, before[1] + calls)
    return found


def _import_seconds(profiler: Profile) -> float:
    return sum(
        stats[3] for (file, _, function), stats in _stats(profiler).items() if _name(file, function) == _IMPORTING
    )


def _stats(profiler: Profile) -> dict[tuple[str, int, str], tuple[int, int, float, float, object]]:
    profiler.create_stats()
    return Stats(profiler).stats if profiler.getstats() else {}  # type: ignore[attr-defined]


def _name(file: str, function: str) -> str:
    """Return the dotted name of a function: `exporttiles.formats.bundles.v2.write_bundle`."""
    if file == "~":
        return function.strip("<>").removeprefix("built-in method ")
    if file.startswith("<frozen "):
        return f"{file.removeprefix('<frozen ').rstrip('>')}.{function}"
    path = Path(file).with_suffix("")
    roots = [Path(root) for root in sys.path if root and path.is_relative_to(root)]
    module = path.relative_to(max(roots, key=lambda root: len(root.parts))) if roots else Path(path.name)
    return f"{'.'.join(module.parts)}.{function}"


if __name__ == "__main__":
    _measure(sys.argv[1], sys.argv[2:])
