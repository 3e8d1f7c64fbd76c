"""The command ``exporttiles``: publish a cache, make API keys, add schedules, check a package."""

import argparse
import sys
from collections.abc import Sequence

from exporttiles.cli.check import add_check_command
from exporttiles.cli.publish import add_publish_command
from exporttiles.cli.replay import add_replay_command
from exporttiles.cli.schedule import add_schedule_command
from exporttiles.cli.token import add_token_command
from exporttiles.domain.errors import ExportTilesError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 when it could not do what was asked."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ExportTilesError, OSError) as error:
        print(f"exporttiles: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exporttiles", description="Publish tile caches, run a stack, check packages."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_publish_command(commands)
    add_token_command(commands)
    add_schedule_command(commands)
    add_replay_command(commands)
    add_check_command(commands)
    return parser
