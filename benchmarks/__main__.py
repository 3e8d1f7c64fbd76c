"""Run benchmarks: `python -m benchmarks [SECTION ...]`; all sections if none is named.

The results of each section are kept in `.cache/benchmarks`, so that RESULTS.md can be written after running one.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.caches import LARGE, SMALL
from benchmarks.growth import growth
from benchmarks.limits import client, memory, planning, requests
from benchmarks.packages import UnequalPackagesError
from benchmarks.rendering import rendering
from benchmarks.results import Section, page
from benchmarks.sparse import sparse
from benchmarks.speed import clipping, copying, recompressing
from benchmarks.starts import starts
from local.cloud import ROOT, LocalCloudError

RESULTS = Path(__file__).with_name("RESULTS.md")
CHART = RESULTS.with_name("growth.png")
KEPT = ROOT / ".cache" / "benchmarks"
_NEEDED_BYTES = {True: 3 * 10**9, False: 12 * 10**9}


def sections(folder: Path, *, is_quick: bool) -> dict[str, Callable[[], Section]]:
    """Return the sections by name."""
    rounds, large = (1, None) if is_quick else (5, LARGE)
    return {
        "copying": lambda: copying(folder, SMALL, large, rounds),
        "clipping": lambda: clipping(folder, SMALL, rounds),
        "recompressing": lambda: recompressing(folder, SMALL, 6 if is_quick else 8, 1 if is_quick else 3),
        "rendering": lambda: rendering(folder / "rasters", 16 if is_quick else 32, 1 if is_quick else 3),
        "sparse": lambda: sparse(folder, rounds),
        "planning": lambda: planning(10 if is_quick else 12),
        "requests": lambda: requests(folder, large or SMALL),
        "client": lambda: client(folder, SMALL, 7),
        "memory": lambda: memory(folder, large or SMALL),
        "starts": lambda: starts(rounds),
        "growth": lambda: (
            growth(folder, SMALL, range(5, 11), range(5, 12, 3), folder / CHART.name)
            if is_quick
            else growth(folder, LARGE, range(5, 16), range(5, 21, 3), CHART)
        ),
    }


def main() -> None:
    """Run the sections that the command line names, and write RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(sections(Path(), is_quick=True)))
    parser.add_argument(
        "--folder", type=Path, help="folder of caches and packages (default: one in memory, if there is enough)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="smaller inputs, in two minutes; RESULTS.md is not written"
    )
    parser.add_argument("--remark", default="", help="text to add to RESULTS.md")
    options = parser.parse_args()
    folder = options.folder or _folder(_NEEDED_BYTES[options.quick])
    click.echo(f"Caches and packages are in {folder}")
    measured = sections(folder, is_quick=options.quick)
    if unknown := set(options.sections) - measured.keys():
        parser.error(f"there is no section {', '.join(unknown)}; there are {', '.join(measured)}")
    found = []
    for name, measure in measured.items():
        kept = KEPT / f"{name}.json"
        if name in options.sections or not options.sections:
            click.echo(f"Measuring: {name}")
            found.append(section := measure())
            click.echo(page([section]))
            if not options.quick:
                section.write(kept)
        elif kept.exists() and not options.quick:
            found.append(Section.read(kept))
    if not options.quick:
        RESULTS.write_text(page(found, options.remark))
        click.echo(f"{RESULTS.relative_to(ROOT)} is written")


def _folder(needed_bytes: int) -> Path:
    """Return a folder in memory with enough room, or one on disk: the speed of a disk would blur the figures."""
    memory = Path("/dev/shm")  # noqa: S108 (it is for temporary files)
    name = "exporttiles-benchmarks"
    here = memory / name if memory.is_dir() else KEPT
    there = sum(path.stat().st_size for path in here.rglob("*") if path.is_file())
    if here != KEPT and shutil.disk_usage(memory).free + there < needed_bytes:
        click.echo(f"{memory} has no room for {needed_bytes / 1e9:.0f} GB: using a disk, which makes times uneven")
        return KEPT
    return here


if __name__ == "__main__":
    try:
        main()
    except (LocalCloudError, UnequalPackagesError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
