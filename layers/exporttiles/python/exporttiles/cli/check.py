"""The command ``exporttiles check``: is a package or a dataset sound?"""

import argparse
from functools import partial
from io import BytesIO
from pathlib import Path, PurePath

from exporttiles.adapters.object_stores import open_store
from exporttiles.domain.errors import SourceError
from exporttiles.formats.archive_check import Scope
from exporttiles.formats.cache_check import check_cache_archive, check_cache_folder
from exporttiles.formats.package_check import PackageReport, check_package
from exporttiles.formats.ranged_file import RangedFile


def add_check_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    check = commands.add_parser("check", help="check the structure of a package or a dataset")
    check.add_argument(
        "package",
        help="a .tpkx or .tpk, or a cache raster dataset: a .zip, also as s3://bucket/World.tpkx, or a folder",
    )
    check.add_argument(
        "--structure",
        action="store_true",
        help="of an archive read directory, documents, headers and indexes, and no tile: quick, by few ranges",
    )
    check.set_defaults(run=_check)


def _report(package: str, *, structure_only: bool) -> PackageReport:
    """Return what is wrong with a package or a dataset, which its name tells apart."""
    scope = Scope(contents=(), tiles=False) if structure_only else Scope()
    if "://" in package:
        return _check_archive(_in_store(package), PurePath(package).suffix, scope)
    path = Path(package)
    if path.is_dir():
        files = {found.relative_to(path).as_posix(): found for found in sorted(path.rglob("*")) if found.is_file()}
        sizes_bytes = {name: found.stat().st_size for name, found in files.items()}
        return check_cache_folder(sizes_bytes, lambda name: BytesIO(files[name].read_bytes()))
    with path.open("rb") as file:
        return _check_archive(RangedFile.of(file), path.suffix, scope)


def _in_store(url: str) -> RangedFile:
    folder, _, name = url.rpartition("/")
    store = open_store(folder)
    (size_bytes,) = store.sizes_bytes([name])
    if size_bytes is None:
        raise SourceError(f"There is no object {url}.")
    return RangedFile(size_bytes, partial(store.read_ranges, name))


def _check_archive(file: RangedFile, suffix: str, scope: Scope) -> PackageReport:
    if suffix.lower() in {".tpk", ".zip"}:
        return check_cache_archive(file, scope, is_package=suffix.lower() == ".tpk")
    return check_package(file, scope)


def _check(options: argparse.Namespace) -> int:
    report = _report(options.package, structure_only=options.structure)
    for finding in report.findings:
        print(f"{finding.path}: {finding.text}")
    for level, tile_count in report.tile_counts.items():
        print(f"level {level:2d}: {tile_count:>9,} tiles")
    print("The package is sound." if not report.findings else f"{len(report.findings)} findings.")
    return 1 if report.findings else 0
