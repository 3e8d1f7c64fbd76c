"""The command ``exporttiles check``."""

from functools import partial
from pathlib import Path, PurePath

import click

from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.command import Command
from exporttiles.domain.errors import SourceError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.check import check_archive_file, check_folder
from exporttiles.formats.checks.checked_files import PackageReport


@click.command(cls=Command)
@click.argument("package", type=click.Path())
@click.option(
    "--structure",
    is_flag=True,
    help="Of an archive read directory, documents, headers and indexes, and no tile: quick, by few ranges.",
)
def check(package: str, *, structure: bool) -> int:
    """Check the structure of a package or a dataset.

    PACKAGE is a .tpkx or .tpk, or a cache raster dataset as .zip: a path, or an address such as
    s3://bucket/World.tpkx. It may be a folder: a dataset, or an unpacked .tpkx.

    The exit status is 1 if anything is found.
    """
    report = _report(package, structure_only=structure)
    name = package.rstrip("/").rpartition("/")[2]
    for finding in report.findings:
        print(f"{finding.path or name}: {finding.text}")
    for level, tile_count in report.tile_counts.items():
        print(f"level {level:2d}: {tile_count:>9,} {'tile' if tile_count == 1 else 'tiles'}")
    count = len(report.findings)
    print(f"{counted(count, 'finding')}." if count else "The package is sound.")
    return 1 if count else 0


def _report(package: str, *, structure_only: bool) -> PackageReport:
    """Return the findings of a package or a dataset."""
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
