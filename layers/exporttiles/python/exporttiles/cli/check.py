"""The command ``exporttiles check``: is a package or a dataset sound?"""

import argparse
from functools import partial
from pathlib import Path, PurePath

from exporttiles.adapters.object_stores import open_store
from exporttiles.domain.errors import SourceError
from exporttiles.domain.wording import counted
from exporttiles.formats.archive_check import Scope
from exporttiles.formats.check import check_archive_file, check_folder
from exporttiles.formats.package_check import PackageReport
from exporttiles.formats.ranged_file import RangedFile


def add_check_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    check = commands.add_parser("check", help="check the structure of a package or a dataset")
    check.add_argument(
        "package",
        help="a .tpkx or .tpk, or a cache raster dataset as .zip: a path, or as s3://bucket/World.tpkx; "
        "or a folder: a dataset, or an unpacked .tpkx",
    )
    check.add_argument(
        "--structure",
        action="store_true",
        help="of an archive read directory, documents, headers and indexes, and no tile: quick, by few ranges",
    )
    check.set_defaults(run=_check)


def _report(package: str, *, structure_only: bool) -> PackageReport:
    """Return what is wrong with a package or a dataset."""
    scope = Scope(contents=(), tiles=False) if structure_only else Scope()
    if "://" in package:
        return check_archive_file(_in_store(package), PurePath(package).suffix, scope)
    path = Path(package)
    if not path.exists():
        raise SourceError(f"There is no file or folder {path}.")
    if path.is_dir():
        files = {found.relative_to(path).as_posix(): found for found in sorted(path.rglob("*")) if found.is_file()}
        sizes_bytes = {name: found.stat().st_size for name, found in files.items()}
        return check_folder(sizes_bytes, lambda name: files[name].open("rb"))
    with path.open("rb") as file:
        return check_archive_file(RangedFile.of(file), path.suffix, scope)


def _in_store(url: str) -> RangedFile:
    folder, _, name = url.rpartition("/")
    store = open_store(folder)
    (size_bytes,) = store.sizes_bytes([name])
    if size_bytes is None:
        raise SourceError(f"There is no object {url}.")
    return RangedFile(size_bytes, partial(store.read_ranges, name))


def _check(options: argparse.Namespace) -> int:
    report = _report(options.package, structure_only=options.structure)
    name = options.package.rstrip("/").rpartition("/")[2]
    for finding in report.findings:
        print(f"{finding.path or name}: {finding.text}")
    for level, tile_count in report.tile_counts.items():
        print(f"level {level:2d}: {tile_count:>9,} {'tile' if tile_count == 1 else 'tiles'}")
    count = len(report.findings)
    print(f"{counted(count, 'finding')}." if count else "The package is sound.")
    return 1 if count else 0
