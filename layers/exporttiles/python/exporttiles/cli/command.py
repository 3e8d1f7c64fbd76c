"""Commands of click that end in one line and an exit status when they cannot do what was asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from exporttiles.cli.option_names import with_option
from exporttiles.domain.errors import ExportTilesError

STOPPED_STATUS = 130
_METADATA_SERVICE = "169.254.169.254"  # asked for credentials where the environment has none
_NO_CREDENTIALS = "AWS_ACCESS_KEY_ID: No credentials are found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."


class Stopped(click.ClickException):
    """The user stopped the command."""

    exit_code = STOPPED_STATUS

    def __init__(self) -> None:
        super().__init__("stopped")


class Command(click.Command):
    """A command that turns errors which a user can mend into messages; any other is a bug, and keeps its traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            UsageError: they cannot be used; it always knows the command.
        """
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            ClickException: it could not do what was asked.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stopped from error
        except Exception as error:
            text = _message(error)
            if not text:
                raise
            raise click.ClickException(with_option(text)) from error


class CommandGroup(click.Group):
    """A command with commands of its own."""

    command_class = Command


class ExclusiveOption(click.Option):
    """An option that cannot be given together with certain others.

    Args:
        excludes: names of the parameters of the others.
    """

    def __init__(self, *declarations: Any, excludes: Sequence[str], **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self._excludes = excludes

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Return the value of the option.

        Raises:
            UsageError: another option was given that it excludes.
        """
        for other in self._excludes:
            if self.name in opts and other in opts:
                raise click.UsageError(f"{self.opts[0]} and --{other.replace('_', '-')} exclude each other.", ctx)
        return super().handle_parse_result(ctx, opts, args)


def _message(error: Exception) -> str:
    """Return the message of an error that a user can mend, or '' for any other."""
    if isinstance(error, ExportTilesError):
        return _NO_CREDENTIALS if _METADATA_SERVICE in str(error) else str(error)
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    if type(error).__module__.startswith("botocore."):  # which export does not load
        return f"AWS: {' '.join(str(error).split())}"
    return ""
