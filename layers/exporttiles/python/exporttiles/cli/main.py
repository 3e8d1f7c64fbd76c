"""The command ``exporttiles``: export tiles, publish a cache, make API keys, add schedules, check a package."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from exporttiles.domain.errors import ExportTilesError

COMMANDS = ("export", "publish", "token", "schedule", "replay", "resume", "check")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 when it could not do what was asked, or 130 when it was stopped."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # there is no algebra here for more, and each has to start
    arguments = list(_with_negative_values(sys.argv[1:] if arguments is None else arguments))
    options = _parser(arguments).parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ExportTilesError, OSError) as error:
        print(f"exporttiles: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("exporttiles: stopped", file=sys.stderr)
        return 130
    return status


def _with_negative_values(arguments: Iterable[str]) -> Iterator[str]:
    """Yield arguments with an extent tied to its name: one that begins west of Greenwich looks like an option."""
    following = iter(arguments)
    for argument in following:
        yield f"{argument}={next(following, '')}" if argument == "--extent" else argument


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return what understands arguments; a command that is not theirs, and all it needs, is not imported."""
    parser = argparse.ArgumentParser(
        prog="exporttiles", description="Export tiles, publish tile caches, run a stack, check packages."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in [arguments[0]] if arguments and arguments[0] in COMMANDS else COMMANDS:
        add_command = getattr(import_module(f"exporttiles.cli.{name}"), f"add_{name}_command")
        add_command(commands)
    return parser
