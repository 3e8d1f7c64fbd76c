"""The command ``exporttiles``: export tiles, publish a cache, make API keys, add schedules, check a package."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

from exporttiles.cli.check import add_check_command
from exporttiles.cli.export import add_export_command
from exporttiles.cli.publish import add_publish_command
from exporttiles.cli.replay import add_replay_command
from exporttiles.cli.resume import add_resume_command
from exporttiles.cli.schedule import add_schedule_command
from exporttiles.cli.token import add_token_command
from exporttiles.domain.errors import ExportTilesError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 when it could not do what was asked, or 130 when it was stopped."""
    options = _parser().parse_args(list(_with_negative_values(sys.argv[1:] if arguments is None else arguments)))
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exporttiles", description="Export tiles, publish tile caches, run a stack, check packages."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_export_command(commands)
    add_publish_command(commands)
    add_token_command(commands)
    add_schedule_command(commands)
    add_replay_command(commands)
    add_resume_command(commands)
    add_check_command(commands)
    return parser
