"""The command ``exporttiles publish``."""

from dataclasses import replace
from datetime import UTC, datetime

import click

from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.cli.command import Command
from exporttiles.cli.source import SourceOptions, inspect, open_address, print_messages, source_options
from exporttiles.cli.stack import tile_bucket, tile_bucket_options


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
    s3://bucket/caches/Name.
    """
    catalog = ServiceCatalog(tile_bucket(stack, bucket))
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
