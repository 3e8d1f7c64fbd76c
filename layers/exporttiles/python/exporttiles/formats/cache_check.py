"""Checks the folder of a cache, in a ``.tpk``, in a ``.zip`` or on a disk.

What is wrong with conf.xml most readers pass over, and show the tiles of one
level as those of another. This says it, in words.

Source: what GDAL, MapProxy, GeoWebCache and tpkutils demand; packages by ArcMap 10.3.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import StorageFormat
from exporttiles.formats import cache_conf, tile_package_v1
from exporttiles.formats.archive_check import StoredMember, check_archive, read_at
from exporttiles.formats.bundle import DATASET_RECORD_COUNT, parse_bundle_path
from exporttiles.formats.bundle_check import check_bundle
from exporttiles.formats.bundle_v1_check import check_bundle_v1
from exporttiles.formats.cache_documents import CacheInfo, read_conf_xml
from exporttiles.formats.esri_xml import read_document
from exporttiles.formats.findings import Findings
from exporttiles.formats.item_check import check_thumbnail
from exporttiles.formats.json_check import part, read_object
from exporttiles.formats.package_check import MAX_DOCUMENT_BYTES, PackageReport, expected_tiles
from exporttiles.formats.root_check import check_lods, is_usable

_ITEM = (tile_package_v1.PKINFO, tile_package_v1.ITEMINFO, tile_package_v1.THUMBNAIL, tile_package_v1.MAPSERVER)
_LYR = re.compile(r"v10\d/[^/]+\.lyr", re.ASCII)  # ArcMap's own, in packages by ArcMap
_CONFS = (cache_conf.CONF_CDI, cache_conf.CONF_PROPERTIES, cache_conf.CONF_XML)
_ITEM_TEXTS = ("title", "summary", "tags", "description", "accessinformation", "licenseinfo")


@dataclass(frozen=True, slots=True)
class CacheFiles:
    """The files of a cache: where each lies, and in which file on disk."""

    members: Mapping[str, StoredMember]
    open: Callable[[str], BinaryIO]

    def read(self, name: str) -> bytes | None:
        """Return a document; None if there is none, or it is too long to be one."""
        member = self.members.get(name)
        if member is None or member.size_bytes > MAX_DOCUMENT_BYTES:
            return None
        return read_at(self.open(name), member.offset, member.size_bytes)


def check_cache_archive(file: BinaryIO, *, is_package: bool) -> PackageReport:
    """Read a whole ``.tpk``, or a dataset in an archive, and report on it.

    Args:
        file: seekable, opened for reading bytes.
        is_package: it is a ``.tpk``, with the documents of an item.
    """
    findings = Findings()
    members = {member.name: member for member in check_archive(file, findings)}
    files = CacheFiles(members, lambda _: file)
    if is_package:
        _check_item(files, findings)
    tile_counts = _check_cache(files, findings)
    return PackageReport(file.seek(0, 2), tile_counts, tuple(findings.all))


def check_cache_folder(sizes_bytes: Mapping[str, int], open_file: Callable[[str], BinaryIO]) -> PackageReport:
    """Read a dataset in a folder and report on it.

    Args:
        sizes_bytes: of all files, by their paths below the folder.
        open_file: opens one of them, seekable, for reading bytes.
    """
    findings = Findings()
    members = {name: StoredMember(name, size, 0, 0, 0) for name, size in sizes_bytes.items()}
    tile_counts = _check_cache(CacheFiles(members, open_file), findings)
    return PackageReport(sum(sizes_bytes.values()), tile_counts, tuple(findings.all))


def _check_cache(files: CacheFiles, findings: Findings) -> dict[int, int]:
    """Return how many tiles each level has, ascending; none if conf.xml cannot be used."""
    found = [name for name in files.members if name.rpartition("/")[2] == cache_conf.CONF_XML]
    if not findings.require(len(found) == 1, cache_conf.CONF_XML, f"There are {len(found)} of them instead of 1."):
        return {}
    conf, folder = found[0], found[0].removesuffix(cache_conf.CONF_XML)
    try:
        info = read_conf_xml(files.read(conf) or b"", files.read(f"{folder}{cache_conf.CONF_CDI}"))
    except DamagedCacheError as error:
        findings.add(conf, str(error))
        return {}
    if not findings.require(is_usable(info.tiling_scheme), conf, "It has numbers that no tiling scheme can have."):
        return {}
    check_lods(conf, info.tiling_scheme, findings)
    findings.require(info.full_extent, f"{folder}{cache_conf.CONF_CDI}", "It is missing.")
    tile_counts: Counter[int] = Counter()
    for name in files.members:
        if name.startswith(f"{folder}{cache_conf.LEVELS_FOLDER}/"):
            level, count = _check_bundle(files, name, conf, info, findings)
            tile_counts[level] += count
        elif name not in _ITEM and not _LYR.fullmatch(name):
            known = name.removeprefix(folder) in _CONFS
            findings.require(known, name, "It has no place in the folder of a cache.")
    findings.require(tile_counts, "", "The cache has no bundles.")
    return {level: count for level, count in sorted(tile_counts.items()) if count}


def _check_bundle(files: CacheFiles, name: str, conf: str, info: CacheInfo, findings: Findings) -> tuple[int, int]:
    """Return the level of a bundle, and how many tiles it holds."""
    stem, _, suffix = name.rpartition(".")
    is_v1 = info.storage_format == StorageFormat.COMPACT
    path = f"{stem}.bundle".removeprefix(f"{conf.removesuffix(cache_conf.CONF_XML)}{cache_conf.LEVELS_FOLDER}/")
    try:
        bundle = parse_bundle_path(path)
    except DamagedCacheError as error:
        findings.add(name, str(error))
        return 0, 0
    if suffix != "bundle":
        partner = is_v1 and suffix == "bundlx" and f"{stem}.bundle" in files.members
        findings.require(partner, name, "It belongs to no bundle.")
        return bundle.level, 0
    expected = expected_tiles(
        conf, bundle, findings, tile_format=info.tile_format, scheme=info.tiling_scheme, extent=info.full_extent
    )
    file, member = files.open(name), files.members[name]
    if is_v1:
        return bundle.level, check_bundle_v1(file, member, files.read(f"{stem}.bundlx") or b"", expected, findings)
    return bundle.level, check_bundle(file, member, replace(expected, record_count=DATASET_RECORD_COUNT), findings)


def _check_item(files: CacheFiles, findings: Findings) -> None:
    """Note what is wrong with the documents that make a cache a package."""
    bodies = {name: files.read(name) for name in _ITEM}
    for name, body in bodies.items():
        findings.require(body, name, "It is missing, or empty.")
    if thumbnail := bodies[tile_package_v1.THUMBNAIL]:
        check_thumbnail(thumbnail, findings, path=tile_package_v1.THUMBNAIL)
    for name, texts in ((tile_package_v1.PKINFO, ("ID", "name")), (tile_package_v1.ITEMINFO, _ITEM_TEXTS)):
        try:
            root = read_document(bodies[name] or b"<none/>")
        except ValueError as error:
            findings.add(name, f"{error}.")
            continue
        for text in texts if bodies[name] else ():
            findings.require(root.find(text) is not None, name, f"{text} is missing.")
    if mapserver := bodies[tile_package_v1.MAPSERVER]:
        types = {"name": str, "contents": dict, "resourceInfo": dict, "resources": list}
        document = read_object(tile_package_v1.MAPSERVER, mapserver, types, findings)
        extent = part(part(document, "resourceInfo"), "geoFullExtent")
        sides = all(isinstance(extent.get(side), int | float) for side in ("xmin", "ymin", "xmax", "ymax"))
        findings.require(sides, tile_package_v1.MAPSERVER, "resourceInfo.geoFullExtent is no envelope.")
