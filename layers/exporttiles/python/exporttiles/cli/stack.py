"""A deployed stack, and the options of commands that name one."""

import os
from collections.abc import Callable
from typing import Any

import boto3
import click
from botocore.exceptions import ClientError

from exporttiles.adapters.object_stores import ObstoreObjects, open_store
from exporttiles.cli.command import NO_CREDENTIALS, ExclusiveOption, filled
from exporttiles.domain.errors import ExportTilesError, RequestError

_REFRESHED = {"env", "iam-role", "container-role"}
"""Providers of credentials that the object store reads by itself."""

stack_option = click.option(
    "--stack", callback=filled, metavar="NAME", default="exporttiles", show_default=True, help="Name of the stack."
)


class StackError(ExportTilesError):
    """AWS is not set up, or the stack does not allow what is asked."""


max_tiles_option = click.option(
    "--max-tiles",
    type=click.IntRange(min=1),
    metavar="N",
    default=100_000,
    show_default=True,
    help="Maximum number of tiles that one export may select.",
)
"""The option --max-tiles, of services and keys."""


def tile_bucket_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options --stack and --bucket, which name the tile bucket."""
    add = click.option(
        "--bucket",
        callback=filled,
        cls=ExclusiveOption,
        excludes=["stack"],
        metavar="NAME",
        help="Name of the tile bucket, instead of --stack, for users who may not describe the stack.",
    )
    return stack_option(add(command))


def tile_bucket(stack: str, bucket: str | None) -> ObstoreObjects:
    """Return the tile bucket that the options name.

    Raises:
        RequestError: there is no such stack.
        StackError: AWS is not set up.
    """
    session()  # S3 needs its settings, too
    return open_store(f"s3://{bucket or Outputs(stack)['TileBucketName']}")


def services_url(stack: str, bucket: str | None) -> str:
    """Return the address of the services directory, or '' where only the tile bucket is named."""
    return "" if bucket else Outputs(stack)["ServicesUrl"]


def session() -> boto3.Session:
    """Return the AWS settings that boto3 finds, and put them into the environment, where the object store reads them.

    Raises:
        StackError: there is no region, or there are no credentials; says how to set them.
    """
    found = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    if not found.region_name:
        raise StackError(
            "AWS_REGION: No region is set. Set it, as in export AWS_REGION=eu-central-1. For the local stack, run the "
            "export line that make serve prints."
        )
    credentials = found.get_credentials()
    if credentials is None:
        raise StackError(NO_CREDENTIALS)
    os.environ.setdefault("AWS_REGION", found.region_name)
    if credentials.method not in _REFRESHED:  # a profile, which the object store does not read
        frozen = credentials.get_frozen_credentials()
        values = {
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_SESSION_TOKEN": frozen.token,
        }
        os.environ.update({name: value for name, value in values.items() if value})
    return found


def aws_client(service: str) -> Any:
    """Return the client of an AWS service; its types are not among those that we install.

    Raises:
        StackError: AWS is not set up.
    """
    return session().client(service)  # type: ignore[call-overload]


class Outputs:
    """The outputs of a stack, by key.

    Attributes:
        parameters: of the stack, by name.

    Raises:
        RequestError: there is no such stack, or it has no such output.
    """

    def __init__(self, stack: str) -> None:
        try:
            (found,) = aws_client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            reason = error.response["Error"]["Message"]
            text = f"'{stack}' cannot be used in {session().region_name}: {reason}"
            raise RequestError(text, "stack") from error
        self._stack = stack
        self.parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}
        self._values = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def __contains__(self, key: str) -> bool:
        """Return True if the stack has an output."""
        return key in self._values

    def __getitem__(self, key: str) -> str:
        """Return an output."""
        if key not in self._values:
            raise RequestError(f"'{self._stack}' has no output {key}. Is it a stack of exporttiles?", "stack")
        return str(self._values[key])
