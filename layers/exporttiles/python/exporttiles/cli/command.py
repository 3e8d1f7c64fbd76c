"""Commands of click that end in one line and an exit status when they cannot do what was asked."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from exporttiles.domain.errors import ExportTilesError
from exporttiles.domain.export import CONVERSIONS

TILE_FORMAT_OPTION = click.option(
    "--tile-format",
    type=click.Choice(list(CONVERSIONS), case_sensitive=False),
    metavar="FORMAT",
    help=f"Convert the tiles to {', '.join(CONVERSIONS[:-1])} or {CONVERSIONS[-1]} (PNG where transparent, else JPEG).",
)

_METADATA_SERVICE = "169.254.169.254"  # asked for credentials where the environment has none
NO_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID: No credentials are found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or "
    "run aws configure. For the local stack, run the export line that make serve prints."
)
_STAND_FOR = {
    "areaOfInterest": "area",
    "areas": "area",
    "tiles": "tile",
    "bufferDistance": "buffer",
    "bufferUnit": "buffer",
    "exportExtent": "extent",
    "compressionQuality": "quality",
    "clipColor": "clip_color",
    "tileFormat": "tile_format",
    "skipBlank": "skip_blank",
    "skipOneColor": "skip_one_color",
    "overviewLevels": "overview_levels",
    "name": "package_name",
    "packageBy": "package_by",
    "since": "since_last",
    "quietMinutes": "quiet_minutes",
}
"""Parameter of a request -> the option that stands for it, where their names differ."""

_ELEMENT = re.compile(r"areas\[([0-9]+)\](?: \([^\n]*?\)(?=: ))?(?:\.(\w+))?: ", re.ASCII)
"""An area of several, or a member of it, at the beginning of a message."""


class Command(click.Command):
    """A command that turns errors a user can fix into one line. Any other error is a bug and keeps its traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            UsageError: they cannot be used; it names the command.
        """
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            UsageError: an argument or option cannot be used.
            ClickException: the command failed for another reason.
        """
        try:
            return super().invoke(ctx)
        except Exception as error:
            text = _message(error)
            if not text:
                raise
            named = with_option(text)
            raise (click.ClickException(text) if named == text else click.UsageError(named, ctx)) from error


class CommandGroup(click.Group):
    """A command with sub-commands."""

    command_class = Command


class ExclusiveOption(click.Option):
    """An option that cannot be combined with certain others.

    Args:
        excludes: parameter names of the others.
    """

    def __init__(self, *declarations: Any, excludes: Sequence[str], **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self._excludes = excludes

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Return the value of the option.

        Raises:
            UsageError: an excluded option is given, too.
        """
        for other in self._excludes:
            if self.name in opts and other in opts:
                raise click.UsageError(f"{self.opts[0]} and --{other.replace('_', '-')} exclude each other.", ctx)
        return super().handle_parse_result(ctx, opts, args)


def filled(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Refuse an empty text: it is most likely a shell variable that is not set.

    Raises:
        BadParameter: the text is empty.
    """
    if text is not None and not text.strip():
        raise click.BadParameter("It is empty.")
    return text


def with_option(text: str) -> str:
    """Rename the request parameter that a message begins with to the option or argument of the running command.

    Args:
        text: any message; one that begins with something else is returned unchanged.
    """
    name, colon, rest = text.partition(": ")
    context = click.get_current_context()
    if element := _ELEMENT.match(text):
        name, rest = element[2] or "areaOfInterest", text[element.end() :]
    parameters = {parameter.name or "": parameter for parameter in context.command.params}
    found = parameters.get(_STAND_FOR.get(name, name)) or parameters.get(name)
    if not colon or found is None:
        return text
    files: Sequence[object] = context.params.get("area") or ()
    if element:
        of = " " if found.name == "area" else " of "
        return f"{label(found)}{of}{files[int(element[1])]}: {rest}"
    file = f" {files[0]}" if found.name == "area" and len(files) == 1 else ""
    return f"{label(found)}{file}: {rest}"


def label(parameter: click.Parameter) -> str:
    """Return a parameter as the usage line shows it: `--area`, `SOURCE`."""
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name


def _message(error: Exception) -> str:
    """Return the message of an error that a user can fix, or '' for any other."""
    if isinstance(error, ExportTilesError):
        return NO_CREDENTIALS if _METADATA_SERVICE in str(error) else str(error)
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    if type(error).__module__.startswith("botocore."):  # which export does not load
        return f"AWS: {' '.join(str(error).split())}"
    return ""
