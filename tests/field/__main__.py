"""`python -m tests.field [NAME or KIND ...]`: judge the inputs that people had, and print each fault."""

import shutil
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from tests.field.judge import faults
from tests.field.make_inputs import INPUTS


def judge_all(chosen: list[str]) -> int:
    """Judge inputs by their names or kinds, all if none is named; return how many are wrong."""
    wrong = 0
    for found in INPUTS:
        if chosen and not {found.name, found.name.partition("/")[0]} & set(chosen):
            continue
        folder, started = Path(mkdtemp()), time.monotonic()
        named = list(faults(found, folder))
        wrong += bool(named)
        print(f"{'WRONG' if named else 'right'} {found.name}  {time.monotonic() - started:.1f} s", flush=True)
        for fault in named:
            print(f"      {fault.strip()[:600]}", flush=True)
        shutil.rmtree(folder)
    return wrong


if __name__ == "__main__":
    sys.exit(f"{count} are wrong" if (count := judge_all(sys.argv[1:])) else 0)
