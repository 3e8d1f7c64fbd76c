"""Hunt for inputs that crash a parser, guided by coverage: `make fuzz`, or `python -m tests.fuzz [TARGET ...]`.

A crash leaves its input in `.cache/fuzz/`; run a target with that file's name to see it again.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["exporttiles"], enable_loader_override=False):
    from exporttiles.domain.errors import ExportTilesError
    from tests.fuzz.targets import TARGETS

FOLDER = Path(".cache/fuzz")
MOST_SECONDS, MOST_MEGABYTES = 20, 4096  # for one input
MOST_BYTES = 32_768
MOST_RUNS = 20_000  # of one process: atheris keeps every array that was ever compared


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--input", type=Path, help="run this file once instead")
    parser.add_argument("--once", action="store_true", help="hunt in this process, which ends with the first crash")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if options.input:
        TARGETS[names[0]].read(options.input.read_bytes())
        return
    if options.once:
        hunt(names[0], options.seconds)
    failed = [name for name in names if not is_sound(name, options.seconds)]
    if failed:
        sys.exit(f"Not sound: {', '.join(failed)}. The inputs are in {FOLDER}.")


def is_sound(name: str, seconds: int) -> bool:
    """Hunt in processes of their own, which a crash ends; show the last words of one that crashed."""
    end, rounds = time.monotonic() + seconds, 0
    while (left := round(end - time.monotonic())) > 0:
        command = [sys.executable, "-m", "tests.fuzz", name, "--once", "--seconds", str(left)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            print(f"{name}: crashed", *done.stderr.rstrip().splitlines()[-40:], sep="\n", flush=True)
            return False
        rounds += 1
    print(f"{name}: sound for {seconds} seconds, {rounds} rounds of up to {MOST_RUNS:,} inputs", flush=True)
    return True


def hunt(name: str, seconds: int) -> None:
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        if len(seed) <= MOST_BYTES:
            (corpus / sha256(seed).hexdigest()).write_bytes(seed)
    limits = [
        f"-max_total_time={seconds}",
        f"-runs={MOST_RUNS}",
        f"-timeout={MOST_SECONDS}",
        f"-rss_limit_mb={MOST_MEGABYTES}",
    ]
    where = [f"-artifact_prefix={FOLDER}/{name}-", f"-max_len={MOST_BYTES}", str(corpus)]
    atheris.Setup([name, *limits, *where], refusing(TARGETS[name].read))
    atheris.Fuzz()


def refusing(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with suppress(ExportTilesError):
            read(data)

    return run


if __name__ == "__main__":
    main()
