"""The command ``exporttiles``: finds the sub-command, and prints errors."""

import os
from collections.abc import Sequence
from importlib import import_module

import click

from exporttiles import __version__
from exporttiles.cli.command import label

COMMANDS = {
    "export": ("export", "Export a cache or GeoTIFFs into a package, without AWS."),
    "publish": ("services", "Publish a tile cache as an image service."),
    "services": ("services", "List the published services."),
    "unpublish": ("services", "Remove a published service, but not its tiles."),
    "token": ("token", "Create, list and revoke API keys."),
    "schedule": ("schedule", "Add, list and remove scheduled exports."),
    "replay": ("recovery", "Retry failed requests made by file or event."),
    "resume": ("recovery", "Resume a failed export."),
    "check": ("check", "Check the structure of a package or a dataset."),
}
"""Module and short help of every command, in the order of the help. A test compares the texts with the commands."""

_OPTIONAL_PACKAGES = ("boto3", "botocore")
_STOPPED_STATUS = 130


class LazyCommands(click.Group):
    """The commands, each imported when it runs: the others, and all they need, cost no start time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click calls it
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click calls it
        """Return a stand-in with the name and the help of a command, for help and completion."""
        return click.Command(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

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
        command: click.Command = getattr(import_module(f"exporttiles.cli.{COMMANDS[name][0]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL_PACKAGES:
            raise
        message = f"{error.name} is not installed. Commands that use AWS need it: pip install 'exporttiles[cli]'"
        raise click.ClickException(message) from error
    return command


@click.command(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def exporttiles() -> None:
    """Export tiles, publish tile caches, operate a stack, check packages."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 if it failed; 2 if an argument or option cannot be used; 130 if it was stopped.
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
        return _refuse("exporttiles", "stopped", _STOPPED_STATUS)
    return status or 0


def _message(error: click.UsageError) -> str:
    """Return the message of a usage error; it begins with the option or argument if one is at fault."""
    if not isinstance(error, click.BadParameter) or isinstance(error, click.MissingParameter) or error.param is None:
        return error.format_message()
    return f"{label(error.param)}: {error.message.replace('a valid integer', 'a whole number')}"


def _refuse(command: str, message: str, status: int) -> int:
    click.echo(f"{command}: {' '.join(message.splitlines())}", err=True)
    return status
