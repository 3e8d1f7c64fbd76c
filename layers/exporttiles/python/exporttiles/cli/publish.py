"""The command ``exporttiles publish``: a tile cache becomes an image service."""

import argparse
from dataclasses import replace

from exporttiles.adapters.archives import open_cache
from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.formats.tiling_schemes import WELL_KNOWN
from exporttiles.usecases.inspect_cache import InspectCache
from exporttiles.usecases.survey_files import FileOrder


def add_publish_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    publish = commands.add_parser("publish", help="publish a tile cache as an image service")
    publish.add_argument("name", help="Name or Folder/Name of the service")
    publish.add_argument("url", help="folder, .tpkx, .tpk or .pmtiles, such as s3://bucket/caches/Name")
    publish.add_argument("--bucket", required=True, help="the tile bucket of the stack")
    publish.add_argument(
        "--scheme",
        choices=sorted(WELL_KNOWN),
        default="web_mercator_256",
        help="tiling scheme of a cache without conf.xml or root.json (default: %(default)s)",
    )
    publish.add_argument(
        "--rows-from-bottom",
        action="store_true",
        help="files are called level/column/row with row 0 at the bottom (TMS)",
    )
    publish.add_argument("--row-before-column", action="store_true", help="files are called level/row/column (WMTS)")
    publish.add_argument("--description", default="", help="what the map shows")
    publish.add_argument("--copyright", default="", help="to whom it is owed")
    publish.add_argument(
        "--max-tiles", type=int, default=100_000, help="tiles one export may select (default: %(default)s)"
    )
    publish.set_defaults(run=_publish)


def _publish(options: argparse.Namespace) -> int:
    print(f"Looking through {options.url} ...")
    order = FileOrder(is_row_first=options.row_before_column, is_from_bottom=options.rows_from_bottom)
    inspect_cache = InspectCache(open_cache(options.url), read_cache, WELL_KNOWN[options.scheme], order)
    service = replace(
        inspect_cache(options.name, options.url),
        description=options.description,
        copyright_text=options.copyright,
        max_export_tiles_count=options.max_tiles,
    )
    ServiceCatalog(open_store(f"s3://{options.bucket}")).put(service)
    print(
        f"Published {service.name}: {service.tile_format}, levels "
        f"{service.min_level}-{service.max_level}, {service.cache.layout} cache."
    )
    return 0
