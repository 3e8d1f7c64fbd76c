"""The options of commands that stand for parameters of requests."""

from pathlib import Path

import click

_OPTIONS = {
    "areaOfInterest": "--area",
    "exportExtent": "--extent",
    "levels": "--levels",
    "compressionQuality": "--quality",
    "service": "--service",
    "name": "--package-name",
    "keep": "--keep",
    "key": "--key",
    "since": "--since-last",
    "quietMinutes": "--quiet-minutes",
}


def with_option(text: str) -> str:
    """Return a message that begins with a parameter as one that begins with its option of the running command.

    Args:
        text: any message; one about something else stays as it is.
    """
    parameter, colon, rest = text.partition(": ")
    option = _OPTIONS.get(parameter, "")
    values, name = click.get_current_context().params, option.removeprefix("--").replace("-", "_")
    if not colon or name not in values:
        return text
    file = f" {values[name]}" if isinstance(values[name], Path) else ""
    return f"{option}{file}: {rest}"
