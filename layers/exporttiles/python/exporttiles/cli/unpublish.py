"""The command ``exporttiles unpublish``."""

import sys

import click

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.cli.command import Command
from exporttiles.cli.stack import tile_bucket, tile_bucket_options
from exporttiles.domain.errors import DamagedCacheError


@click.command(cls=Command)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@tile_bucket_options
def unpublish(name: str, stack: str, bucket: str | None, *, yes: bool) -> None:
    """Remove a published service, but not its tiles.

    NAME of the service: Name or Folder/Name.
    """
    catalog = ServiceCatalog(tile_bucket(stack, bucket))
    if name not in catalog.names():
        raise click.ClickException(f"NAME: There is no image service '{name}'.")
    if not yes and not _is_confirmed(f"Remove the service {name}? Its tiles stay."):
        raise click.ClickException("Nothing was removed. --yes removes without asking.")
    tiles = _place_of_tiles(catalog, name)
    catalog.delete(name)
    print(f"Unpublished {name}. The tiles stay{tiles}.")


def _is_confirmed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():  # by Ctrl-C
            raise
        click.echo(err=True)  # ends the line of the question
        return False  # nobody is there to answer


def _place_of_tiles(catalog: ServiceCatalog, name: str) -> str:
    try:
        return f" at {catalog.get(name).cache.url}"
    except DamagedCacheError:  # its descriptor cannot be read, and goes all the same
        return ""
