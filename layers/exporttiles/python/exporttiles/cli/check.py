"""The command ``exporttiles check``: is a package or a dataset sound?"""

import argparse
from io import BytesIO
from pathlib import Path

from exporttiles.formats.cache_check import check_cache_archive, check_cache_folder
from exporttiles.formats.package_check import PackageReport, check_package


def add_check_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    check = commands.add_parser("check", help="check the structure of a package or a dataset")
    check.add_argument("package", type=Path, help="a .tpkx or .tpk, or a cache raster dataset: a .zip or a folder")
    check.set_defaults(run=_check)


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
