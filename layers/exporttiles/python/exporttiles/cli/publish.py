"""The command ``exporttiles publish``: a tile cache becomes an image service."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime

from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.cli.source import add_source_options, inspect, open_address, print_messages
from exporttiles.cli.stack import add_tile_bucket_options, tile_bucket


def add_publish_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    publish = commands.add_parser("publish", help="publish a tile cache as an image service")
    publish.add_argument("name", help="Name or Folder/Name of the service")
    publish.add_argument("url", help="folder, .tpkx, .tpk or .pmtiles, such as s3://bucket/caches/Name")
    add_tile_bucket_options(publish)
    add_source_options(publish)
    publish.add_argument(
        "--max-tiles", type=int, default=100_000, help="tiles one export may select (default: %(default)s)"
    )
    publish.set_defaults(run=_publish)


def _publish(options: argparse.Namespace) -> int:
    catalog = ServiceCatalog(tile_bucket(options))
    print(f"Looking through {options.url} ...")
    found = inspect(options, open_address(options.url), options.name, options.url)
    print_messages(found.messages)
    published_at = datetime.now(UTC).isoformat()
    service = replace(found.service, max_export_tiles_count=options.max_tiles, published_at=published_at)
    catalog.put(service)
    print(
        f"Published {service.name}: {service.tile_format}, levels "
        f"{service.min_level}-{service.max_level}, {service.cache.layout} cache."
    )
    return 0
