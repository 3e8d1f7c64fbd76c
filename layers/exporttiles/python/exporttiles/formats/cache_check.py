"""Checks the folder of a cache, in a ``.tpk``, in a ``.zip`` or on a disk.

What is wrong with conf.xml most readers pass over, and show the tiles of one
level as those of another. This says it, in words.

Source: what GDAL, MapProxy, GeoWebCache and tpkutils demand; packages by ArcMap 10.3.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby
from typing import BinaryIO

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats import cache_conf, tile_package_v1
from exporttiles.formats.archive_check import Scope, StoredMember, check_archive
from exporttiles.formats.bundle import DATASET_RECORD_COUNT, RECORDS_OFFSET, parse_bundle_path
from exporttiles.formats.bundle_check import ExpectedTiles, check_bundle, check_tiles
from exporttiles.formats.bundle_v1 import BUNDLX_BYTES, HEADER_BYTES
from exporttiles.formats.bundle_v1_check import check_bundle_v1, check_tiles_v1
from exporttiles.formats.cache_documents import CacheInfo, read_conf_xml
from exporttiles.formats.esri_xml import read_document
from exporttiles.formats.findings import Findings
from exporttiles.formats.item_check import check_thumbnail
from exporttiles.formats.json_check import part, read_object
from exporttiles.formats.package_check import MAX_DOCUMENT_BYTES, PackageReport, expected_tiles
from exporttiles.formats.ranged_file import RangedFile, Span
from exporttiles.formats.root_check import check_lods, is_usable

_ITEM = (tile_package_v1.PKINFO, tile_package_v1.ITEMINFO, tile_package_v1.THUMBNAIL, tile_package_v1.MAPSERVER)
_LYR = re.compile(r"v10\d/[^/]+\.lyr", re.ASCII)  # ArcMap's own, in packages by ArcMap
_CONFS = (cache_conf.CONF_CDI, cache_conf.CONF_PROPERTIES, cache_conf.CONF_XML)
_NOTHING = StoredMember("", 0, 0, 0, 0)
_ITEM_TEXTS = ("title", "summary", "tags", "description", "accessinformation", "licenseinfo")


@dataclass(frozen=True, slots=True)
class CacheFiles:
    """The files of a cache, wherever in one file they lie."""

    file: RangedFile
    members: Mapping[str, StoredMember]

    def read(self, name: str) -> bytes | None:
        """Return a document; None if there is none, or it is too long to be one."""
        member = self.members.get(name)
        if member is None or member.size_bytes > MAX_DOCUMENT_BYTES:
            return None
        return self.file.read(member.offset, member.offset + member.size_bytes)

    def heads(self, names: Iterable[str], size_bytes: int) -> Iterator[bytes | memoryview]:
        """Yield the first bytes of files, fewer of those that are shorter; none of one that is not there."""
        members = (self.members.get(name, _NOTHING) for name in names)
        return self.file.ranges(member.head(size_bytes) for member in members)


def check_cache_archive(file: BinaryIO | RangedFile, scope: Scope | None = None, *, is_package: bool) -> PackageReport:
    """Read a ``.tpk``, or a dataset in an archive, and report on it.

    Args:
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
        is_package: it is a ``.tpk``, with the documents of an item.
    """
    file = file if isinstance(file, RangedFile) else RangedFile.of(file)
    scope = scope or Scope()
    damage, remarks = Findings(), Findings()
    members = check_archive(file, damage, scope)
    files = CacheFiles(file, {member.name: member for member in members})
    if is_package:
        _check_item(files, remarks)
    tile_counts = _check_cache(files, scope, damage, remarks)
    return PackageReport(file.size_bytes, members, tile_counts, tuple(damage.all), tuple(remarks.all))


def check_cache_folder(sizes_bytes: Mapping[str, int], open_file: Callable[[str], BinaryIO]) -> PackageReport:
    """Read a dataset in a folder and report on it.

    Args:
        sizes_bytes: of all files, by their paths below the folder.
        open_file: opens one of them, seekable, for reading bytes.
    """
    damage, remarks = Findings(), Findings()
    ends = list(accumulate(sizes_bytes.values()))
    places = zip(sizes_bytes.items(), ends, strict=True)
    members = {name: StoredMember(name, size, 0, end - size, end - size) for (name, size), end in places}
    file = RangedFile(sum(sizes_bytes.values()), partial(_read_folder, list(members.values()), open_file))
    tile_counts = _check_cache(CacheFiles(file, members), Scope(), damage, remarks)
    return PackageReport(file.size_bytes, list(members.values()), tile_counts, tuple(damage.all), tuple(remarks.all))


def _read_folder(
    members: Sequence[StoredMember], open_file: Callable[[str], BinaryIO], spans: Sequence[Span]
) -> Iterator[bytes]:
    """Yield ranges of the files of a folder as if they stood one behind the other."""
    starts = [member.offset for member in members]
    for member, group in groupby(spans, lambda span: members[bisect_right(starts, span[0]) - 1]):
        file = RangedFile.of(open_file(member.name))
        for start, stop in group:
            yield file.read(start - member.offset, stop - member.offset)


def _check_cache(files: CacheFiles, scope: Scope, damage: Findings, remarks: Findings) -> dict[int, int]:
    """Return how many tiles each level has, ascending; none if conf.xml cannot be used."""
    found = [name for name in files.members if name.rpartition("/")[2] == cache_conf.CONF_XML]
    if not damage.require(len(found) == 1, cache_conf.CONF_XML, f"There are {len(found)} of them instead of 1."):
        return {}
    conf, folder = found[0], found[0].removesuffix(cache_conf.CONF_XML)
    try:
        info = read_conf_xml(files.read(conf) or b"", files.read(f"{folder}{cache_conf.CONF_CDI}"))
    except DamagedCacheError as error:
        damage.add(conf, str(error))
        return {}
    if not damage.require(is_usable(info.tiling_scheme), conf, "It has numbers that no tiling scheme can have."):
        return {}
    first = info.tiling_scheme.lods[0].level
    text = f"The levels begin with {first}; GDAL counts them from 0, and looks for the first one in the folder L00."
    remarks.require(first == 0, conf, text)
    check_lods(conf, info.tiling_scheme, remarks)
    remarks.require(info.full_extent, f"{folder}{cache_conf.CONF_CDI}", "It is missing.")
    levels = f"{folder}{cache_conf.LEVELS_FOLDER}/"
    for name in files.members:
        if not name.startswith(levels) and name not in _ITEM and not _LYR.fullmatch(name):
            damage.require(name.removeprefix(folder) in _CONFS, name, "It has no place in the folder of a cache.")
    bundles = _bundles(files, levels, info, damage)
    damage.require(bundles, "", "The cache has no bundles.")
    bundles = {name: bundle for name, bundle in bundles.items() if scope.has_header(name)}
    check = _check_bundles_v1 if info.storage_format == StorageFormat.COMPACT else _check_bundles
    tile_counts: Counter[int] = Counter()
    expected = {
        name: expected_tiles(
            conf, bundle, remarks, tile_format=info.tile_format, scheme=info.tiling_scheme, extent=info.full_extent
        )
        for name, bundle in bundles.items()
    }
    for name, count in check(files, expected, scope, damage):
        tile_counts[bundles[name].level] += count
    return {level: count for level, count in sorted(tile_counts.items()) if count}


def _bundles(files: CacheFiles, folder: str, info: CacheInfo, findings: Findings) -> dict[str, BundleIndex]:
    """Return the bundles by their names."""
    bundles = {}
    for name in files.members:
        if not name.startswith(folder):
            continue
        stem, _, suffix = name.rpartition(".")
        try:
            bundle = parse_bundle_path(f"{stem}.bundle".removeprefix(folder))
        except DamagedCacheError as error:
            findings.add(name, str(error))
            continue
        if suffix == "bundle":
            bundles[name] = bundle
        else:
            is_v1 = info.storage_format == StorageFormat.COMPACT
            partner = is_v1 and suffix == "bundlx" and f"{stem}.bundle" in files.members
            findings.require(partner, name, "It belongs to no bundle.")
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
    """Yield the names of bundles and how many tiles each holds."""
    heads = files.heads(bundles, HEADER_BYTES)
    offset_files = files.heads((f"{name.removesuffix('.bundle')}.bundlx" for name in bundles), BUNDLX_BYTES + 1)
    for (name, expected), head, bundlx in zip(bundles.items(), heads, offset_files, strict=True):
        member = files.members[name]
        offsets = check_bundle_v1(head, member, bytes(bundlx), expected, findings)
        if offsets is not None and scope.tiles:
            check_tiles_v1(files.file, member, offsets, expected, findings)
        yield name, 0 if offsets is None else int((offsets > 0).sum())


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
