"""Checking the folder of a cache, in a ``.tpk``, in a ``.zip`` or on a disk.

Most readers accept a faulty conf.xml and show the tiles of one level as those
of another, without an error.

Source: the requirements of GDAL, MapProxy, GeoWebCache and tpkutils; packages by ArcMap 10.3.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.bundles.v1 import BUNDLX_BYTES, HEADER_BYTES
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT, RECORDS_OFFSET
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, CacheInfo, read_conf_xml
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.bundle_check import ExpectedTiles, check_bundle, check_tiles, find_bundle
from exporttiles.formats.checks.bundle_v1_check import check_bundle_v1, check_tiles_v1
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.checks.item_check import check_thumbnail
from exporttiles.formats.checks.json_check import part, read_object
from exporttiles.formats.checks.package_check import (
    MAX_DOCUMENT_BYTES,
    PackageReport,
    check_archive_with,
    check_gaps,
    expected_tiles,
)
from exporttiles.formats.checks.root_check import check_lods, is_usable
from exporttiles.formats.esri.esri_xml import read_document
from exporttiles.formats.packages import conf as cache_conf
from exporttiles.formats.packages import tpk

_ITEM = (tpk.PKINFO, tpk.ITEMINFO, tpk.THUMBNAIL, tpk.MAPSERVER)
_LYR = re.compile(r"v10\d/[^/]+\.lyr", re.ASCII)  # ArcMap's own, in packages by ArcMap
_CONFS = (CONF_CDI, cache_conf.CONF_PROPERTIES, CONF_XML)
_NOTHING = StoredMember("", 0, 0, 0, 0, is_plain=False)
_SHOWN = 3
_ITEM_TEXTS = ("title", "summary", "tags", "description", "accessinformation", "licenseinfo")


@dataclass(frozen=True, slots=True)
class CacheFiles:
    """The files of a cache, inside of one file."""

    file: RangedFile
    members: Mapping[str, StoredMember]

    def read(self, name: str) -> bytes | None:
        """Return a document; None if it is missing, compressed or too long."""
        member = self.members.get(name)
        if member is None or not member.is_plain or member.size_bytes > MAX_DOCUMENT_BYTES:
            return None
        return self.file.read(member.offset, member.offset + member.size_bytes)

    def heads(self, names: Iterable[str], size_bytes: int) -> Iterator[bytes | memoryview]:
        """Yield the first bytes of files, fewer if they are shorter, none if they are missing."""
        members = (self.members.get(name, _NOTHING) for name in names)
        return self.file.ranges(member.head(size_bytes) for member in members)


def check_cache_archive(file: BinaryIO | RangedFile, scope: Scope | None = None, *, is_package: bool) -> PackageReport:
    """Check a ``.tpk``, or a dataset in an archive.

    Args:
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
        is_package: it is a ``.tpk``, with the documents of an item.
    """
    return check_archive_with(partial(check_cache_members, is_package=is_package), file, scope)


def check_cache_members(
    file: RangedFile,
    members: Sequence[StoredMember],
    scope: Scope,
    damage: Findings,
    remarks: Findings,
    *,
    is_package: bool,
) -> dict[int, int]:
    """Check the files of a cache; return the tile count of each level, ascending.

    Args:
        file: that holds them all.
        members: where they lie.
        scope: how much of it is read.
        damage: faults of the archive, of bundles and of tiles are added here.
        remarks: faults of the documents are added here.
        is_package: it is a ``.tpk``, with the documents of an item.
    """
    files = CacheFiles(file, {member.name: member for member in members})
    if is_package:
        _check_item(files, remarks)
    confs = [name for name in files.members if is_conf_xml(name)]
    if not damage.require(confs, "", f"It has no {CONF_XML}."):
        return {}
    damage.require(len(confs) == 1, "", f"It has several {CONF_XML}: {', '.join(confs[:_SHOWN])}.")
    if len(confs) > 1 or not files.members[confs[0]].is_plain:
        return {}
    return _check_cache(files, confs[0], scope, damage, remarks)


def is_conf_xml(name: str) -> bool:
    """Return True if a file is named conf.xml, in any case, as GDAL accepts it."""
    return name.rpartition("/")[2].lower() == CONF_XML


def _check_cache(files: CacheFiles, conf: str, scope: Scope, damage: Findings, remarks: Findings) -> dict[int, int]:
    """Return the tile count of each level, ascending; empty if conf.xml cannot be used."""
    folder = conf[: -len(CONF_XML)]
    cdi = next((name for name in files.members if name.lower() == f"{folder}{CONF_CDI}".lower()), None)
    try:
        cdi_body = files.read(cdi) if cdi else None
        info = read_conf_xml(files.read(conf) or b"", cdi_body, conf, cdi or CONF_CDI)
    except DamagedCacheError as error:
        damage.add(conf, str(error).removeprefix(f"{conf}: "))
        return {}
    if not damage.require(is_usable(info.tiling_scheme), conf, "It has numbers that no tiling scheme can have."):
        return {}
    first = info.tiling_scheme.lods[0].level
    text = f"The levels begin with {first}; GDAL counts them from 0, and looks for the first one in the folder L00."
    remarks.require(first == 0, conf, text)
    check_lods(conf, info.tiling_scheme, remarks, used=info.tiling_scheme.lods)
    for remark in info.remarks:
        path, _, why = remark.partition(": ")
        remarks.add(path, why)
    remarks.require(cdi, f"{folder}{CONF_CDI}", "It is missing.")
    levels = f"{folder}{cache_conf.LEVELS_FOLDER}/"
    for name in files.members:
        if not name.startswith(levels) and name not in _ITEM and not _LYR.fullmatch(name):
            is_own = name.startswith(folder) and name.removeprefix(folder).lower() in _CONFS
            damage.require(is_own, name, "It has no place in the folder of a cache.")
    is_compact = info.storage_format in list(StorageFormat)
    text = f"StorageFormat is {(info.storage_format or 'missing')[:60]}: tiles that are not in bundles are not checked."
    if not damage.require(is_compact, conf, text):
        return {}
    bundles = _bundles(files, levels, info, damage)
    damage.require(bundles, "", "The cache has no bundles.")
    check_gaps(conf, {bundle.level for bundle in bundles.values()}, remarks)
    bundles = {
        name: found for name, found in bundles.items() if scope.has_header(name) and files.members[name].is_plain
    }
    check = _check_bundles_v1 if info.storage_format == StorageFormat.COMPACT else _check_bundles
    tile_counts: Counter[int] = Counter()
    expected = {
        name: expected_tiles(
            conf,
            bundle,
            remarks,
            tile_format=info.tile_format,
            scheme=info.tiling_scheme,
            extent=info.full_extent,
            extent_name=f"the extent of {CONF_CDI}",
        )
        for name, bundle in bundles.items()
    }
    for name, count in check(files, expected, scope, damage):
        tile_counts[bundles[name].level] += count
    return {level: count for level, count in sorted(tile_counts.items()) if count}


def _bundles(files: CacheFiles, folder: str, info: CacheInfo, findings: Findings) -> dict[str, BundleIndex]:
    """Return the bundles by their names."""
    is_v1 = info.storage_format == StorageFormat.COMPACT
    bundles = {}
    for name in files.members:
        if not name.startswith(folder):
            continue
        stem, _, suffix = name.rpartition(".")
        if suffix == "bundle":
            if bundle := find_bundle(name, name.removeprefix(folder), findings):
                bundles[name] = bundle
                has_offsets = not is_v1 or f"{stem}.bundlx" in files.members
                findings.require(has_offsets, name, "The file of its offsets (.bundlx) is missing.")
        elif suffix == "bundlx":
            findings.require(is_v1 and f"{stem}.bundle" in files.members, name, "It belongs to no bundle.")
        else:
            findings.add(name, "It has no place among the levels of a cache.")
    return bundles


def _check_bundles(
    files: CacheFiles, bundles: Mapping[str, ExpectedTiles], scope: Scope, findings: Findings
) -> Iterator[tuple[str, int]]:
    """Yield the names of bundles and how many tiles each holds."""
    heads = files.heads(bundles, RECORDS_OFFSET)
    for (name, tiles), head in zip(bundles.items(), heads, strict=True):
        member, expected = files.members[name], replace(tiles, record_count=DATASET_RECORD_COUNT)
        index = check_bundle(head, member, expected, findings)
        if index is not None and scope.tiles:
            check_tiles(files.file, member, index, expected, findings)
        yield name, 0 if index is None else int((index.size > 0).sum())


def _check_bundles_v1(
    files: CacheFiles, bundles: Mapping[str, ExpectedTiles], scope: Scope, findings: Findings
) -> Iterator[tuple[str, int]]:
    """Yield the names of bundles and how many tiles each holds; skip those without readable offsets."""
    offset_files = {name: f"{name.removesuffix('.bundle')}.bundlx" for name in bundles}
    names = [name for name, offsets in offset_files.items() if files.members.get(offsets, _NOTHING).is_plain]
    heads = files.heads(names, HEADER_BYTES)
    bundlxs = files.heads((offset_files[name] for name in names), BUNDLX_BYTES + 1)
    for name, head, bundlx in zip(names, heads, bundlxs, strict=True):
        member, expected = files.members[name], bundles[name]
        offsets = check_bundle_v1(head, member, bytes(bundlx), expected, findings)
        if offsets is not None and scope.tiles:
            check_tiles_v1(files.file, member, offsets, expected, findings)
        yield name, 0 if offsets is None else int((offsets > 0).sum())


def _check_item(files: CacheFiles, findings: Findings) -> None:
    """Check the documents that a package has besides those of a cache."""
    bodies = {name: files.read(name) for name in _ITEM}
    for name in _ITEM:
        if findings.require(name in files.members, name, "It is missing."):
            findings.require(files.members[name].size_bytes, name, "It is empty.")
    if thumbnail := bodies[tpk.THUMBNAIL]:
        check_thumbnail(thumbnail, findings, path=tpk.THUMBNAIL)
    for name, texts in ((tpk.PKINFO, ("ID", "name")), (tpk.ITEMINFO, _ITEM_TEXTS)):
        try:
            root = read_document(bodies[name] or b"<none/>")
        except ValueError as error:
            findings.add(name, str(error))
            continue
        for text in texts if bodies[name] else ():
            findings.require(root.find(text) is not None, name, f"{text} is missing.")
    if mapserver := bodies[tpk.MAPSERVER]:
        types = {"name": str, "contents": dict, "resourceInfo": dict, "resources": list}
        document = read_object(tpk.MAPSERVER, mapserver, types, findings)
        extent = part(part(document, "resourceInfo"), "geoFullExtent")
        sides = all(isinstance(extent.get(side), int | float) for side in ("xmin", "ymin", "xmax", "ymax"))
        findings.require(sides, tpk.MAPSERVER, "resourceInfo.geoFullExtent is no envelope.")
