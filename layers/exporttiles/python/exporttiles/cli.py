"""The command ``exporttiles``: publish a cache, make API keys, check a package."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from exporttiles.adapters.archives import open_cache
from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli_replay import add_replay_command
from exporttiles.cli_schedule import add_schedule_command
from exporttiles.cli_tokens import add_token_command
from exporttiles.domain.errors import ExportTilesError
from exporttiles.formats.cache_check import check_cache_archive, check_cache_folder
from exporttiles.formats.package_check import PackageReport, check_package
from exporttiles.formats.tiling_schemes import WELL_KNOWN
from exporttiles.usecases.inspect_cache import InspectCache
from exporttiles.usecases.survey_files import FileOrder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 when it could not do what was asked."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ExportTilesError, OSError) as error:
        print(f"exporttiles: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exporttiles", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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

    add_token_command(commands)
    add_replay_command(commands)
    add_schedule_command(commands)

    check = commands.add_parser("check", help="check the structure of a package or a dataset")
    check.add_argument("package", type=Path, help="a .tpkx or .tpk, or a cache raster dataset: a .zip or a folder")
    check.set_defaults(run=_check)
    return parser


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


def _report(path: Path) -> PackageReport:
    """Return what is wrong with a package or a dataset, which its name tells apart."""
    if path.is_dir():
        files = {found.relative_to(path).as_posix(): found for found in sorted(path.rglob("*")) if found.is_file()}
        sizes_bytes = {name: found.stat().st_size for name, found in files.items()}
        return check_cache_folder(sizes_bytes, lambda name: BytesIO(files[name].read_bytes()))
    with path.open("rb") as file:
        if path.suffix.lower() in {".tpk", ".zip"}:
            return check_cache_archive(file, is_package=path.suffix.lower() == ".tpk")
        return check_package(file)


def _check(options: argparse.Namespace) -> int:
    report = _report(options.package)
    for finding in report.findings:
        print(f"{finding.path}: {finding.text}")
    for level, tile_count in report.tile_counts.items():
        print(f"level {level:2d}: {tile_count:>9,} tiles")
    print("The package is sound." if not report.findings else f"{len(report.findings)} findings.")
    return 1 if report.findings else 0
