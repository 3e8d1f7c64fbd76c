"""The command ``exporttiles services``."""

import click

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.cli.command import Command
from exporttiles.cli.stack import services_url, tile_bucket, tile_bucket_options
from exporttiles.domain.errors import DamagedCacheError


@click.command(cls=Command)
@tile_bucket_options
def services(stack: str, bucket: str | None) -> None:
    """List the published services.

    One line each: name, layout of the cache, levels, format of the tiles, and the address, if the stack is known.
    """
    catalog, directory = ServiceCatalog(tile_bucket(stack, bucket)), services_url(stack, bucket)
    for name in catalog.names():
        address = f"{directory}/{name}/ImageServer" if directory else ""
        print(f"{name:24} {_description(catalog, name):32} {address}".rstrip())


def _description(catalog: ServiceCatalog, name: str) -> str:
    try:
        service = catalog.get(name)
    except DamagedCacheError as error:  # the others are listed all the same
        return f"cannot be read: {error}"
    levels = f"levels {service.min_level}-{service.max_level}"
    return f"{service.cache.layout:10} {levels:13} {service.tile_format}"
