"""Checking tile packages (.tpkx) for everything that any reader requires.

Readers differ: some refuse a package that others open, and tolerant ones show a
broken bundle as empty tiles without an error.

Source: Esri/tile-package-spec; Esri/raster-tiles-compactcache; packages
written by ArcGIS.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, BinaryIO

from exporttiles.domain.service import TileFormat
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.caches.documents import ROOT_JSON
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.bundle_check import (
    ExpectedTiles,
    PlacedBundle,
    check_bundles,
    find_bundle,
    touched_tiles,
)
from exporttiles.formats.checks.checked_files import CheckedFiles, PackageReport, check_archive_with, check_gaps
from exporttiles.formats.checks.item_check import check_iteminfo, check_thumbnail
from exporttiles.formats.checks.json_check import shown
from exporttiles.formats.checks.root_check import check_extents, check_root, check_scheme
from exporttiles.formats.packages.tpkx import BUNDLE_FOLDER, ITEMINFO, MEMBER_ORDER, THUMBNAIL


def check_package(file: BinaryIO | RangedFile, scope: Scope | None = None) -> PackageReport:
    """Check a tile package.

    Args:
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
    """
    return check_archive_with(check_package_files, file, scope)


def check_package_files(files: CheckedFiles) -> Mapping[int, int]:
    """Check the files of a tile package, packed or unpacked; return the number of tiles of each level."""
    by_lower_name = {member.name.lower(): member for member in files.members}
    documents = {name: _read_document(files, by_lower_name.get(name), name) for name in MEMBER_ORDER}
    root = check_root(documents[ROOT_JSON], files.remarks) if documents[ROOT_JSON] else {}
    scheme = check_scheme(root, files.remarks) if root else None
    extent = check_extents(root, scheme, files.remarks) if scheme else None
    if documents[ITEMINFO]:
        check_iteminfo(documents[ITEMINFO], root, extent, files.remarks)
    if documents[THUMBNAIL]:
        check_thumbnail(documents[THUMBNAIL], files.remarks)

    bundles = list(_bundles(files))
    if root:
        _check_levels(root, {bundle.level for bundle, _ in bundles}, files)
    bundles = [
        (bundle, member) for bundle, member in bundles if member.is_plain and files.scope.has_header(member.name)
    ]
    levels = [bundle.level for bundle, _ in bundles]
    expected = ExpectedTiles(
        _tile_format(root),
        scheme.tile_size if scheme else None,
        touched_tiles(scheme, extent, levels, ROOT_JSON, files.remarks) if scheme and extent else {},
        extent_name="fullExtent",
    )
    return check_bundles(files, bundles, expected)


def _read_document(files: CheckedFiles, member: StoredMember | None, name: str) -> bytes:
    """Return a document; b"" if it is missing, too long or compressed."""
    if member is None:
        files.damage.add(name, "It is missing.")
        return b""
    files.damage.require(member.name == name, member.name, f"Readers look for {name}, in lower case.")
    body = files.read(member)
    text = f"It has {counted(member.size_bytes, 'byte')} and is not read."
    files.damage.require(body or not member.is_plain, member.name, text)
    return body or b""


def _bundles(files: CheckedFiles) -> Iterator[PlacedBundle]:
    for member in files.members:
        name = member.name
        folder, _, path = name.partition("/")
        if name.lower() in MEMBER_ORDER:
            continue
        if folder != BUNDLE_FOLDER or not path.endswith(".bundle"):
            files.damage.add(name, "It has no place in a tile package.")
        elif bundle := find_bundle(name, path, files.damage):
            yield bundle, member


def _tile_format(root: Mapping[str, Any]) -> TileFormat | None:
    try:
        return TileFormat(root["tileImageInfo"]["format"])
    except (KeyError, TypeError, ValueError):  # reported with root.json
        return None


def _check_levels(root: Mapping[str, Any], levels: Collection[int], files: CheckedFiles) -> None:
    if not files.damage.require(levels, "", "The package has no bundles."):
        return
    for key, which, packed in (("minLOD", "first", min(levels)), ("maxLOD", "last", max(levels))):
        text = f"{key} is {shown(root.get(key))}; the {which} level with bundles is {packed}."
        files.remarks.require(key not in root or root[key] == packed, ROOT_JSON, text)
    check_gaps(ROOT_JSON, levels, files.remarks)
