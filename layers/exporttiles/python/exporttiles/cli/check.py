"""The command ``exporttiles check``."""

from functools import partial
from pathlib import PurePath

import click

from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.command import Command
from exporttiles.cli.source import Source, read_source
from exporttiles.domain.errors import RequestError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.check import check_archive_file, check_folder, is_database
from exporttiles.formats.checks.checked_files import PackageReport
from exporttiles.formats.checks.database_check import DATABASES, check_database


@click.command(cls=Command)
@click.argument("package", type=click.Path(), callback=read_source)
@click.option(
    "--structure",
    is_flag=True,
    help="Check only the directory, documents, headers and indexes of an archive, not its tiles: fast, reads little.",
)
def check(package: Source, *, structure: bool) -> int:
    """Check the structure of a package or a dataset.

    PACKAGE is a .tpkx, a .tpk, a .pmtiles, or a cache raster dataset as .zip: a path, or an address such as
    s3://bucket/World.tpkx. On this machine it may also be a folder (a dataset, or an unpacked .tpkx), a .mbtiles
    or a .gpkg.

    The exit status is 1 if there are findings.
    """
    report = _report(package, structure_only=structure)
    name = package.address.rstrip("/").rpartition("/")[2]
    for finding in report.findings:
        print(f"{finding.path or name}: {finding.text}")
    for level, tile_count in report.tile_counts.items():
        print(f"level {level:2d}: {tile_count:>9,} {'tile' if tile_count == 1 else 'tiles'}")
    count = len(report.findings)
    print(f"{counted(count, 'finding')}." if count else "The package is sound.")
    return 1 if count else 0


def _report(package: Source, *, structure_only: bool) -> PackageReport:
    """Return the findings of a package or a dataset."""
    scope = Scope(contents=(), tiles=False) if structure_only else Scope()
    path = package.path
    if path and path.is_dir():
        files = {found.relative_to(path).as_posix(): found for found in sorted(path.rglob("*")) if found.is_file()}
        sizes_bytes = {name: found.stat().st_size for name, found in files.items()}
        return check_folder(sizes_bytes, lambda name: files[name].open("rb"))
    if path:
        with path.open("rb") as file:
            found = RangedFile.of(file)
            if is_database(found) or path.suffix.lower() in DATABASES:
                return check_database(path, scope)
            return check_archive_file(found, path.suffix, scope)
    folder, _, name = package.address.rpartition("/")
    store = open_store(folder)
    (size_bytes,) = store.sizes_bytes([name])
    if size_bytes is None:
        raise RequestError(f"There is no object {package}.", "package")
    archive = RangedFile(size_bytes, partial(store.read_ranges, name))
    if is_database(archive):
        raise RequestError("It is an SQLite database, which is checked on this machine alone. Download it.", "package")
    return check_archive_file(archive, PurePath(name).suffix, scope)
