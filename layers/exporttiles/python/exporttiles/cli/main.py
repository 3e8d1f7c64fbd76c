"""The command ``exporttiles``: export tiles, publish a cache, make API keys, add schedules, check a package."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from exporttiles.cli.option_names import with_option
from exporttiles.domain.errors import ExportTilesError

AWS_PACKAGES = ("boto3", "botocore")
_METADATA_SERVICE = "169.254.169.254"  # asked for credentials where the environment has none
_NO_CREDENTIALS = "AWS_ACCESS_KEY_ID: No credentials are found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
COMMANDS = ("export", "publish", "token", "schedule", "replay", "resume", "check")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 when it could not do what was asked, or 130 when it was stopped."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # there is no algebra here for more, and each has to start
    arguments = list(_with_negative_values(sys.argv[1:] if arguments is None else arguments))
    options = argparse.Namespace()
    try:
        options = _parser(arguments).parse_args(arguments)
        status: int = options.run(options)
    except KeyboardInterrupt:
        print("exporttiles: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        text = _in_words(error)
        if not text:  # a bug, to be reported with its traceback
            raise
        print(f"exporttiles: {with_option(text, options)}", file=sys.stderr)
        return 1
    return status


def _in_words(error: Exception) -> str:
    """Return the message of an error that a user can mend, '' of any other."""
    if isinstance(error, ExportTilesError):
        return _NO_CREDENTIALS if _METADATA_SERVICE in str(error) else str(error)
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    if isinstance(error, ModuleNotFoundError) and error.name in AWS_PACKAGES:
        return f"{error.name} is not installed, which commands on AWS need: pip install 'exporttiles[aws]'"
    if type(error).__module__.startswith("botocore."):  # which export does not load
        return f"AWS: {' '.join(str(error).split())}"
    return ""


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
        try:
            module = import_module(f"exporttiles.cli.{name}")
        except ModuleNotFoundError as error:
            if error.name in AWS_PACKAGES and [name] != arguments[:1]:  # the help shows what there is
                continue
            raise
        getattr(module, f"add_{name}_command")(commands)
    return parser
