"""The options of commands that stand for parameters of requests."""

import argparse

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


def with_option(text: str, options: argparse.Namespace) -> str:
    """Return a message that begins with a parameter as one that begins with its option.

    Args:
        text: any message; one about something else stays as it is.
        options: of the command.
    """
    parameter, colon, rest = text.partition(": ")
    option = _OPTIONS.get(parameter, "")
    if not colon or not hasattr(options, option.removeprefix("--").replace("-", "_")):
        return text
    return f"{option} {options.area}: {rest}" if option == "--area" else f"{option}: {rest}"
