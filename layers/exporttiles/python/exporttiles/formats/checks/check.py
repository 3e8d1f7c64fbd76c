"""Checking a file or folder: the contents decide what it is."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO

from exporttiles.domain.wording import counted
from exporttiles.formats.archives.folder_file import read_folder
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.caches.documents import ROOT_JSON
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.cache_check import check_cache_files, is_conf_xml
from exporttiles.formats.checks.checked_files import CheckedFiles, PackageReport, check_archive_with
from exporttiles.formats.checks.package_check import check_package_files
from exporttiles.formats.checks.pmtiles_check import check_pmtiles
from exporttiles.formats.packages.tpkx import BUNDLE_FOLDER

PMTILES, TPK, TPKX = ".pmtiles", ".tpk", ".tpkx"
_PMTILES, _SQLITE = b"PMTiles", b"SQLite format 3\0"
_TPK_FOLDER = "esriinfo/"

_LEFTOVER_SUFFIXES = (".lock", ".freelist", ".bundle.done")
_LEFTOVER_NAMES = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})
_LEFTOVER_FOLDERS = ("status.gdb/", "__macosx/")


def is_database(file: RangedFile) -> bool:
    """Return True if a file is an SQLite database, which `check_database` reads, from a disk alone."""
    return file.read(0, len(_SQLITE)) == _SQLITE


def check_archive_file(file: RangedFile, suffix: str, scope: Scope) -> PackageReport:
    """Check a tile package, a dataset in an archive, or a PMTiles archive.

    Args:
        file: a .tpkx, a .tpk, a .zip or a .pmtiles.
        suffix: of its name, which should fit the contents.
        scope: how much of it is read.
    """
    if suffix.lower() == PMTILES or file.read(0, len(_PMTILES)) == _PMTILES:
        return check_pmtiles(file, suffix.lower(), scope)
    return check_archive_with(partial(_check_by_contents, suffix=suffix.lower()), file, scope)


def _check_by_contents(files: CheckedFiles, *, suffix: str) -> Mapping[int, int]:
    names = [member.name for member in files.members]
    if _is_tile_package(names):
        text = f"Its name ends in '{suffix}'; readers want {TPKX}, which it is."
        files.remarks.require(suffix in {"", TPKX}, "", text)
        return _check_package(files, names)
    is_tpk = suffix == TPK or any(name.startswith(_TPK_FOLDER) for name in names)
    if is_tpk or any(map(is_conf_xml, names)):
        text = f"Its name ends in '{suffix}'; it is a {TPK if is_tpk else 'dataset as .zip'}."
        files.remarks.require(suffix in {"", TPK if is_tpk else ".zip"}, "", text)
        return check_cache_files(files, is_package=is_tpk)
    files.damage.add("", _unknown_contents("a zip archive", names))
    return {}


def check_folder(sizes_bytes: Mapping[str, int], open_file: Callable[[str], BinaryIO]) -> PackageReport:
    """Check an unpacked tile package, or a dataset in a folder.

    Files that ArcGIS Server, Windows and macOS leave behind are ignored.

    Args:
        sizes_bytes: of all files, by their paths below the folder.
        open_file: opens one of them, seekable, for reading bytes.
    """
    file, members = read_folder({name: size for name, size in sizes_bytes.items() if not _is_leftover(name)}, open_file)
    files, names = CheckedFiles(file, members), [member.name for member in members]
    if _is_tile_package(names):
        return files.report(_check_package(files, names))
    if any(map(is_conf_xml, names)):
        return files.report(check_cache_files(files, is_package=False))
    files.damage.add("", _unknown_contents("a folder", names))
    return files.report({})


def _is_tile_package(names: Sequence[str]) -> bool:
    """Return True if a file is there that only a .tpkx has: root.json, or a bundle below tile/."""
    return any(
        name.rpartition("/")[2].lower() == ROOT_JSON
        or (name.startswith(f"{BUNDLE_FOLDER}/") and name.endswith(".bundle"))
        for name in names
    )


def _unknown_contents(container: str, names: Sequence[str]) -> str:
    count = counted(len(names), "file") if names else "no files"
    return f"It is {container} of {count}, neither a tile package nor a dataset: nothing in it describes a cache."


def _check_package(files: CheckedFiles, names: Sequence[str]) -> Mapping[int, int]:
    below = [name for name in names if name.lower().endswith(f"/{ROOT_JSON}")]
    if below and not any(name.lower() == ROOT_JSON for name in names):
        files.damage.add(below[0], "It belongs at the top of the package, with everything beside it.")
        return {}
    return check_package_files(files)


def _is_leftover(path: str) -> bool:
    path = path.lower()
    name = path.rpartition("/")[2]
    is_named_so = name in _LEFTOVER_NAMES or name.endswith(_LEFTOVER_SUFFIXES) or name.startswith("._")
    return is_named_so or any(f"/{folder}" in f"/{path}" for folder in _LEFTOVER_FOLDERS)
