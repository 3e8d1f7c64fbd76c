"""What a deployed stack is made of, for the commands that work on one."""

import argparse
from typing import Any

import boto3
from botocore.exceptions import ClientError

from exporttiles.adapters.object_stores import ObjectStore, open_store
from exporttiles.domain.errors import ExportTilesError


class StackError(ExportTilesError):
    """There is no such stack, or it is not one of this project."""


def add_tile_bucket_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told on whose tile bucket it is to work: a stack's, or one that is named."""
    where = parser.add_mutually_exclusive_group()
    add_stack_option(where)
    where.add_argument("--bucket", help="name of the tile bucket, where the stack itself may not be looked at")


def tile_bucket(options: argparse.Namespace) -> ObjectStore:
    """Return the tile bucket that a command was told of.

    Raises:
        StackError: there is no such stack.
    """
    return open_store(f"s3://{options.bucket or Outputs(options.stack)['TileBucketName']}")


def add_stack_option(parser: "argparse._ActionsContainer") -> None:
    """Let a command be told which stack it is to work on."""
    parser.add_argument("--stack", default="exporttiles", help="name of the stack (default: %(default)s)")


class Outputs:
    """The outputs of a stack by their keys.

    Raises:
        StackError: when one that is not there is asked for.
    """

    def __init__(self, stack: str) -> None:
        cloudformation: Any = boto3.client("cloudformation")  # its types are not among those that we install
        try:
            (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            raise StackError(f"There is no stack '{stack}': {error}") from error
        self._stack = stack
        self._values = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def __contains__(self, key: str) -> bool:
        """Tell whether the stack has an output."""
        return key in self._values

    def __getitem__(self, key: str) -> str:
        """Return an output."""
        if key not in self._values:
            raise StackError(f"The stack '{self._stack}' has no output {key}.")
        return str(self._values[key])
