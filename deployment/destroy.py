"""Delete a stack after listing its contents: `make destroy STACK=exporttiles`."""

import argparse
import sys
from collections.abc import Sequence

import click
from botocore.exceptions import BotoCoreError, ClientError

from deployment.removal import Holding, delete_bucket, delete_stack, holdings, remaining, running_executions
from deployment.stack import DeploymentError, Stack
from exporttiles.domain.wording import counted

_OUTPUTS = {"ServicesUrl", "StateMachineArn", "TileBucketName"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Delete the stack that the command line names.

    Raises:
        SystemExit: the stack was not deleted, or not completely; states the reason.
    """
    parser = argparse.ArgumentParser(prog="python -m deployment.destroy", description=__doc__)
    parser.add_argument("--stack", default="exporttiles", help="name of the stack (exporttiles)")
    parser.add_argument("--confirm", default="", help="name of the stack again, instead of typing it")
    parser.add_argument("--tile-bucket", default="", help="name of the tile bucket, to delete it and all tiles, too")
    options = parser.parse_args(arguments)
    try:
        _destroy(options.stack, options.confirm, options.tile_bucket)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"AWS: {error}")
    except DeploymentError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _destroy(name: str, confirmed: str, tile_bucket: str) -> None:
    stack = Stack(name)
    if missing := _OUTPUTS - stack.outputs.keys():
        raise DeploymentError(f"STACK: '{name}' is not a stack of exporttiles: it has no output {min(missing)}.")
    found = holdings(stack)
    tiles = stack.outputs["TileBucketName"]
    if tile_bucket and tile_bucket != tiles:
        raise DeploymentError(f"TILE_BUCKET: '{tile_bucket}' is not the tile bucket of {name}, which is '{tiles}'.")
    _announce(stack, found, tile_bucket)
    confirmed = confirmed or _typed(name)
    if confirmed != name:
        raise DeploymentError(f"CONFIRM: '{confirmed}' is not the name of the stack, '{name}'. Nothing was deleted.")
    delete_stack(stack, click.echo)
    if tile_bucket:
        click.echo(f"deleting the tile bucket {tile_bucket}")
        delete_bucket(tile_bucket)
    left = remaining(found)
    click.echo(f"{name} is deleted.")
    if left:
        click.echo("These remain, and are paid for until you delete them:")
    for each in left:
        click.echo(f"  {each}")


def _announce(stack: Stack, found: Sequence[Holding], tile_bucket: str) -> None:
    """List the resources that will be deleted, and those that stay."""
    region, account = stack.arn.split(":")[3:5]
    click.echo(f"The stack {stack.name} in {region}, account {account} ({stack.services_url}) will be deleted with")
    for each in found:
        if each.name == tile_bucket or not each.is_retained:
            click.echo(f"  {each}")
    click.echo(f"  and {len(stack.resources) - len(found)} resources without data: functions, roles, queues, alarms")
    if running := len(running_executions(stack)):
        click.echo(f"It will stop {counted(running, 'running export')}")
    for each in found:
        if each.is_retained and each.name != tile_bucket:
            click.echo(f"It will leave {each}")


def _typed(name: str) -> str:
    try:
        return input(f"Type {name} to delete it: ")
    except EOFError:
        raise DeploymentError(
            f"CONFIRM: Nobody can be asked. Set CONFIRM={name} to delete it. Nothing was deleted."
        ) from None


if __name__ == "__main__":
    main()
