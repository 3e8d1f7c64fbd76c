"""The output of an export, and the rules that protect other files.

An output never overlaps its source, and replaces only what an earlier export
could have written. Paths are compared as files (device and inode), so that links,
bind mounts and file systems that ignore case make no difference.
"""

import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from exporttiles.domain.errors import DamagedCacheError, RequestError
from exporttiles.domain.export import StorageFormat
from exporttiles.formats.archives.untrusted_database import UntrustedDatabase
from exporttiles.formats.archives.zip_reader import TAIL_BYTES, find_directory, read_directory
from exporttiles.formats.caches.listing import DOCUMENTS
from exporttiles.formats.caches.pmtiles import HEADER_BYTES, read_header
from exporttiles.formats.caches.stac import STAC_SUFFIX
from exporttiles.formats.packages import geopackage, mbtiles

OUTPUTS = {
    ".tpkx": ("true", StorageFormat.COMPACT_V2),
    ".tpk": ("true", StorageFormat.COMPACT),
    ".pmtiles": ("true", StorageFormat.PMTILES),
    ".mbtiles": ("true", StorageFormat.MBTILES),
    ".gpkg": ("true", StorageFormat.GEOPACKAGE),
    ".zip": ("false", StorageFormat.COMPACT_V2),
    "": ("false", StorageFormat.COMPACT_V2),
}
"""Suffix of a file, '' of a folder -> the parameters tilePackage and storageFormatType that ask for it."""

_DOCUMENTS = {".xml", ".json", ".cdi", ".properties"}
"""Suffixes of the documents of a cache, each of which may stand for its folder."""

_DATASET_MEMBER = re.compile(
    r"Layers(?:/(?:conf\.(?:xml|cdi|properties)|_alllayers(?:/L\d\d(?:/R[0-9a-f]{4,}C[0-9a-f]{4,}\.bundl(?:e|x))?)?))?",
    re.ASCII,
)
"""Files and folders of a dataset that an export wrote, as `formats.packages.outputs` names them."""

_TABLES = {".mbtiles": mbtiles.TABLES, ".gpkg": geopackage.TABLES}
"""Suffix of a database -> the tables that an export writes: one with other tables is the user's own work."""

Identity = tuple[int, int]
"""Device and inode."""


class OutputError(RequestError):
    """The output cannot be written to this place."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "out")


@dataclass(frozen=True)
class Inputs:
    """The files and folders that a command reads, which no output may overlap.

    Attributes:
        source: file or folder of the tiles; None if it is not on this machine.
        others: further files.
    """

    source: Path | None
    others: tuple[Path, ...] = ()

    @cached_property
    def source_folders(self) -> set[Identity]:
        """Return the folder of the source and all folders below it; none if the source is a file."""
        return _identities(_folders(self.folder)) if self.folder else set()

    @cached_property
    def linked(self) -> set[Identity]:
        """Return the targets of links in the folder of the source, and the folders that hold them."""
        if self.folder is None:
            return set()
        return {found for target in _targets_of_links(self.folder) for found in _identities([target, *target.parents])}

    @property
    def folder(self) -> Path | None:
        """Return the folder of the source, or around the document of a cache; None if the source is another file."""
        if self.source is None:
            return None
        is_of_stac = self.source.name.lower().endswith(STAC_SUFFIX) and self.source.name.lower() not in DOCUMENTS
        if is_of_stac:  # it names single files, and no output has a name that such a file may have
            return None
        folder = self.source.parent if self.source.suffix.lower() in _DOCUMENTS else self.source
        return folder if folder.is_dir() else None


@dataclass(frozen=True, slots=True)
class Destination:
    """A file or folder to be written.

    Attributes:
        path: absolute, as the user named it.
        is_replaced: whether an earlier output there may be replaced (``--force``).
    """

    path: Path
    is_replaced: bool

    def check(self, inputs: Inputs) -> None:
        """Check that the output can be written there, before any work.

        Raises:
            OutputError: the suffix is unknown, the folder does not exist, the
                place overlaps an input, or it holds anything but an earlier
                output.
        """
        if self.path.suffix.lower() not in OUTPUTS:
            raise OutputError(
                f"'{self.path.name}' is not a known kind of output. "
                "Use .tpkx, .tpk, .pmtiles, .mbtiles, .gpkg or .zip, or no suffix for a folder."
            )
        if not self.path.parent.is_dir():
            raise OutputError(f"There is no folder {self.path.parent}.")
        if inputs.source and inputs.source.exists():
            self._require_apart_from(inputs.source, f"the source {inputs.source}")
            self._require_outside(inputs)
        for other in inputs.others:
            if other.exists():
                self._require_apart_from(other, str(other))
        self._require_replaceable()

    def put(self, made: Path) -> None:
        """Move a finished output into its place, in one step.

        Args:
            made: a file or folder on the same file system, in a folder of its own.

        Raises:
            OutputError: something appeared there during the export.
        """
        if not os.path.lexists(self.path):
            self._put_where_free(made)
        elif made.is_dir():
            self._exchange_folder(made)
        else:
            self._require_replaceable()
            made.replace(self.path)

    def _require_apart_from(self, input_path: Path, name: str) -> None:
        target_identity = _identity(self._target)
        if _identity(input_path) == target_identity:
            raise OutputError(f"{self.path} is {name}. An export never replaces what it reads.")
        if target_identity in _identities(Path(os.path.realpath(input_path)).parents):
            raise OutputError(f"{self.path} holds {name}. An export never replaces what it reads.")

    def _require_outside(self, inputs: Inputs) -> None:
        target_identity = _identity(self._target)
        around_target = _identities([*([self._target] if target_identity else []), *self._target.parents])
        if not around_target.isdisjoint(inputs.source_folders):
            raise OutputError(f"{self.path} lies inside the source {inputs.folder}. Write the output elsewhere.")
        if target_identity and target_identity in inputs.linked:
            raise OutputError(f"{self.path} is linked from the source {inputs.source}. Write the output elsewhere.")

    @property
    def _target(self) -> Path:
        """Return the path without links in its folders."""
        return Path(os.path.realpath(self.path.parent), self.path.name)

    def _require_replaceable(self) -> None:
        path = self.path
        if not os.path.lexists(path):
            return
        if path.is_symlink():  # neither the link nor a file that the user did not name is replaced
            raise OutputError(f"{path} is a link to {path.readlink()}. Name the file or folder itself.")
        if not self.is_replaced:
            raise OutputError(f"{path} exists already. --force replaces it.")
        _require_output(path, path.suffix.lower())

    def _put_where_free(self, made: Path) -> None:
        """Move to a free place, and replace nothing that appears there meanwhile."""
        try:
            if made.is_dir():
                made.rename(self.path)  # fails if there is a file, or anything in a folder
                return
            try:
                self.path.hardlink_to(made)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links, such as FAT
                self.path.open("xb").close()
                made.replace(self.path)
        except OSError as error:
            if os.path.lexists(self.path):
                raise OutputError(f"{self.path} appeared during the export and is not replaced.") from error
            raise

    def _exchange_folder(self, made: Path) -> None:
        self._require_replaceable()
        earlier = self.path.rename(made.parent / "replaced")  # a folder cannot be replaced by a name
        try:
            _require_output(earlier, "", shown=self.path)  # again, now that no other process can add a file
            made.rename(self.path)
        except BaseException:
            earlier.rename(self.path)
            raise


def _require_output(path: Path, suffix: str, shown: Path | None = None) -> None:
    """Check that a file or folder is an earlier output, and may be replaced."""
    refusal = f"{shown or path} is not replaced, even with --force: "
    if not suffix:
        _require_dataset_folder(path, refusal)
        return
    if not path.is_file():
        raise OutputError(f"{refusal}it is not a file.")
    try:
        is_output = _is_output(path, suffix)
    except (DamagedCacheError, sqlite3.DatabaseError) as error:
        raise OutputError(f"{refusal}it is not a {suffix} file. {error}") from error
    if not is_output:
        raise OutputError(f"{refusal}its members are not those of a {suffix} file.")


def _is_output(path: Path, suffix: str) -> bool:
    """Return True if a file holds what an export writes into a file of this kind.

    Raises:
        DamagedCacheError, sqlite3.DatabaseError: it is of another kind.
    """
    if suffix == ".pmtiles":
        with path.open("rb") as file:
            return read_header(file.read(HEADER_BYTES), path.stat().st_size).tile_type in {"jpeg", "png", "webp"}
    if tables := _TABLES.get(suffix):
        with UntrustedDatabase(path) as database:
            return bool(database.tables() == tables)
    return _is_archive_of(suffix, _members(path))


def _require_dataset_folder(path: Path, refusal: str) -> None:
    """Check that a folder is empty, or a dataset without other files."""
    if not path.is_dir():
        raise OutputError(f"{refusal}it is not a folder.")
    found = {below.relative_to(path).as_posix(): below for below in sorted(path.rglob("*"))}
    for name, below in found.items():
        if below.is_symlink() or not _DATASET_MEMBER.fullmatch(name):
            raise OutputError(f"{refusal}it contains {name}, which no export writes.")
    if found and not _is_dataset(found):
        raise OutputError(f"{refusal}it does not contain a dataset.")


def _is_dataset(names: Collection[str]) -> bool:
    return (
        "Layers/conf.xml" in names
        and any(name.startswith("Layers/_alllayers/") for name in names)
        and all(map(_DATASET_MEMBER.fullmatch, names))
    )


def _is_archive_of(suffix: str, names: Collection[str]) -> bool:
    """Return True if an archive has the members of its kind."""
    if suffix == ".tpkx":
        return "root.json" in names
    if suffix == ".tpk":
        return "esriinfo/iteminfo.xml" in names and any(name.endswith("/conf.xml") for name in names)
    tops = {name.partition("/")[0] for name in names}
    return len(tops) == 1 and _is_dataset([name.partition("/")[2] for name in names])


def _members(path: Path) -> list[str]:
    """Return the names of an archive's members, from its directory alone.

    Raises:
        DamagedCacheError: it is not a zip archive.
    """
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - TAIL_BYTES))
        place = find_directory(file.read(), size_bytes)
        file.seek(place.offset)
        return [member.name for member in read_directory(file.read(place.size_bytes), place)]


def _identity(path: Path) -> Identity | None:
    """Return the identity of the file behind a path, or None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _identities(paths: Iterable[Path]) -> set[Identity]:
    return {found for found in map(_identity, paths) if found}


def _folders(top: Path) -> Iterator[Path]:
    """Yield a folder and all folders below it, links followed, each once."""
    seen: set[Identity] = set()
    for folder, below, _ in os.walk(top, followlinks=True):
        yield Path(folder)
        fresh = [(name, identity) for name in below if (identity := _identity(Path(folder, name))) not in seen]
        seen |= {identity for _, identity in fresh if identity}
        below[:] = [name for name, _ in fresh]


def _targets_of_links(top: Path) -> Iterator[Path]:
    for folder in _folders(top):
        with os.scandir(folder) as entries:
            yield from (Path(os.path.realpath(entry)) for entry in entries if entry.is_symlink())
