"""The command ``exporttiles``: finds the command that is asked for, and prints why it could not be done."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from exporttiles import __version__
from exporttiles.cli.command import STOPPED_STATUS

COMMANDS = {
    "export": "Export tiles of a cache into a package, without AWS.",
    "publish": "Publish a tile cache as an image service.",
    "services": "List the published services.",
    "unpublish": "Remove a published service, but not its tiles.",
    "token": "Create, list and revoke API keys.",
    "schedule": "Add, list and remove schedules of exports.",
    "replay": "Retry the requests by file or event that failed.",
    "resume": "Resume an export that failed.",
    "check": "Check the structure of a package or a dataset.",
}
"""Every command, in the order of the help. A test compares the texts with those of the commands."""

_OPTIONAL_PACKAGES = ("boto3", "botocore")


class LazyCommands(click.Group):
    """The commands, each imported when it runs: the others, and all they need, cost no start time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click calls it
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click calls it
        """Return a stand-in with the name and the help of a command, for help and completion."""
        return click.Command(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that runs, with its name and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name and command else None, rest


def load_command(name: str) -> click.Command:
    """Import a command.

    Raises:
        ClickException: it needs a package that is not installed.
    """
    try:
        command: click.Command = getattr(import_module(f"exporttiles.cli.{name}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL_PACKAGES:
            raise
        message = f"{error.name} is not installed, which commands on AWS need: pip install 'exporttiles[cli]'"
        raise click.ClickException(message) from error
    return command


@click.command(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def exporttiles() -> None:
    """Export tiles, publish tile caches, run a stack, check packages."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 if it could not do what was asked; 2 if it was called wrongly; 130 if it was stopped.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # there is no algebra here for more, and each has to start
    try:
        status: int | None = exporttiles.main(arguments, prog_name="exporttiles", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "exporttiles"
        return _refuse(command, _message(error), error.exit_code)
    except click.ClickException as error:
        return _refuse("exporttiles", error.format_message(), error.exit_code)
    except click.Abort:
        return _refuse("exporttiles", "stopped", STOPPED_STATUS)
    return status or 0


def _message(error: click.UsageError) -> str:
    """Return the message of a wrong call; one of a value begins with its option, as every other error does."""
    if not isinstance(error, click.BadParameter) or isinstance(error, click.MissingParameter) or error.param is None:
        return error.format_message()
    option = error.param.get_error_hint(error.ctx).strip("'")
    return f"{option}: {error.message.replace('a valid integer', 'a whole number')}"


def _refuse(command: str, message: str, status: int) -> int:
    print(f"{command}: {message}", file=sys.stderr)
    return status
