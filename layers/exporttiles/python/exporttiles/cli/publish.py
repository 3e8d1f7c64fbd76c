"""The command ``exporttiles publish``."""

import os
from dataclasses import replace
from datetime import UTC, datetime

import click

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.cli.command import Command
from exporttiles.cli.source import SourceOptions, inspect, local_path, open_address, print_messages, source_options
from exporttiles.cli.stack import services_url, tile_bucket, tile_bucket_options
from exporttiles.domain.errors import RequestError, SourceError


@click.command(cls=Command)
@click.argument("name")
@click.argument("url")
@tile_bucket_options
@source_options
@click.option(
    "--max-tiles",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Tiles that one export may select.",
)
def publish(name: str, url: str, *, stack: str, bucket: str | None, cache: SourceOptions, max_tiles: int) -> None:
    """Publish a tile cache as an image service.

    NAME of the service: Name or Folder/Name. URL of the cache: a folder, .tpkx, .tpk or .pmtiles, such as
    s3://bucket/caches/Name. A stack on an emulator (AWS_ENDPOINT_URL) reads paths of this machine, too.
    """
    catalog, directory = ServiceCatalog(tile_bucket(stack, bucket)), services_url(stack, bucket)
    url = _address(url)
    print(f"Looking through {url} ...")
    found = inspect(cache, open_address(url), name, url)
    print_messages(found.messages)
    published_at = datetime.now(UTC).isoformat()
    service = replace(found.service, max_export_tiles_count=max_tiles, published_at=published_at)
    catalog.put(service)
    print(
        f"Published {service.name}: {service.tile_format}, levels "
        f"{service.min_level}-{service.max_level}, {service.cache.layout} cache."
    )
    if directory:
        print(f"{directory}/{service.name}/ImageServer")


def _address(url: str) -> str:
    """Return the address by which the functions of the stack read a cache.

    Raises:
        RequestError: it is on this machine, and they are not.
        SourceError: there is no such file or folder.
    """
    path = local_path(url)
    if path is None:
        return url
    if "AWS_ENDPOINT_URL" not in os.environ:
        raise RequestError(
            f"'{url}' is on this machine, where the stack cannot read it. Put it into the tile bucket and name it as "
            "s3://BUCKET/caches/NAME: aws s3 cp --recursive FOLDER s3://BUCKET/caches/NAME",
            "URL",
        )
    if not path.exists():
        raise SourceError(f"There is no file or folder {path}.")
    return path.resolve().as_uri()
