"""Checking the folder of a cache, in a ``.tpk``, in a ``.zip`` or on a disk.

Most readers accept a faulty conf.xml and show the tiles of one level as those
of another, without an error.

Source: the requirements of GDAL, MapProxy, GeoWebCache and tpkutils; packages by ArcMap 10.3.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import BinaryIO

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import StorageFormat
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, read_conf_xml
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.bundle_check import (
    ExpectedTiles,
    PlacedBundle,
    check_bundles,
    find_bundle,
    touched_tiles,
)
from exporttiles.formats.checks.bundle_v1_check import check_bundles_v1
from exporttiles.formats.checks.checked_files import CheckedFiles, PackageReport, check_archive_with, check_gaps
from exporttiles.formats.checks.item_check import check_thumbnail
from exporttiles.formats.checks.json_check import part, read_object
from exporttiles.formats.checks.root_check import check_lods, is_usable
from exporttiles.formats.esri.esri_xml import read_document
from exporttiles.formats.packages import conf as cache_conf
from exporttiles.formats.packages import tpk

_ITEM = (tpk.PKINFO, tpk.ITEMINFO, tpk.THUMBNAIL, tpk.MAPSERVER)
_LYR = re.compile(r"v10\d/[^/]+\.lyr", re.ASCII)  # ArcMap's own, in packages by ArcMap
_CONFS = (CONF_CDI, cache_conf.CONF_PROPERTIES, CONF_XML)
_SHOWN = 3
_ITEM_TEXTS = ("title", "summary", "tags", "description", "accessinformation", "licenseinfo")


def check_cache_archive(file: BinaryIO | RangedFile, scope: Scope | None = None, *, is_package: bool) -> PackageReport:
    """Check a ``.tpk``, or a dataset in an archive.

    Args:
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
        is_package: it is a ``.tpk``, with the documents of an item.
    """
    return check_archive_with(partial(check_cache_files, is_package=is_package), file, scope)


def check_cache_files(files: CheckedFiles, *, is_package: bool) -> Mapping[int, int]:
    """Check the files of a cache; return the number of tiles of each level.

    Args:
        files: of the cache.
        is_package: it is a ``.tpk``, with the documents of an item.
    """
    if is_package:
        _check_item(files)
    confs = [name for name in files.by_name if is_conf_xml(name)]
    if not files.damage.require(confs, "", f"It has no {CONF_XML}."):
        return {}
    files.damage.require(len(confs) == 1, "", f"It has several {CONF_XML}: {', '.join(confs[:_SHOWN])}.")
    if len(confs) > 1 or not files.by_name[confs[0]].is_plain:
        return {}
    return _check_cache(files, confs[0])


def is_conf_xml(name: str) -> bool:
    """Return True if a file is named conf.xml, in any case, as GDAL accepts it."""
    return name.rpartition("/")[2].lower() == CONF_XML


def _check_cache(files: CheckedFiles, conf: str) -> Mapping[int, int]:
    """Check a cache by its conf.xml; return the number of tiles of each level."""
    damage, remarks = files.damage, files.remarks
    folder = conf[: -len(CONF_XML)]
    cdi = next((name for name in files.by_name if name.lower() == f"{folder}{CONF_CDI}".lower()), None)
    try:
        cdi_body = files.read(files.by_name[cdi]) if cdi else None
        info = read_conf_xml(files.read(files.by_name[conf]) or b"", cdi_body, conf, cdi or CONF_CDI)
    except DamagedCacheError as error:
        damage.add(conf, str(error).removeprefix(f"{conf}: "))
        return {}
    scheme = info.tiling_scheme
    if not damage.require(is_usable(scheme), conf, "It has numbers that no tiling scheme can have."):
        return {}
    first = scheme.lods[0].level
    text = f"The levels begin with {first}; GDAL counts them from 0, and looks for the first one in the folder L00."
    remarks.require(first == 0, conf, text)
    check_lods(conf, scheme, remarks, used=scheme.lods)
    for remark in info.remarks:
        path, _, why = remark.partition(": ")
        remarks.add(path, why)
    remarks.require(cdi, f"{folder}{CONF_CDI}", "It is missing.")
    levels_folder = f"{folder}{cache_conf.LEVELS_FOLDER}/"
    for name in files.by_name:
        if not name.startswith(levels_folder) and name not in _ITEM and not _LYR.fullmatch(name):
            is_own = name.startswith(folder) and name.removeprefix(folder).lower() in _CONFS
            damage.require(is_own, name, "It has no place in the folder of a cache.")
    is_compact = info.storage_format in list(StorageFormat)
    text = f"StorageFormat is {(info.storage_format or 'missing')[:60]}: tiles that are not in bundles are not checked."
    if not damage.require(is_compact, conf, text):
        return {}
    is_v1 = info.storage_format == StorageFormat.COMPACT
    bundles = list(_bundles(files, levels_folder, is_v1=is_v1))
    damage.require(bundles, "", "The cache has no bundles.")
    check_gaps(conf, {bundle.level for bundle, _ in bundles}, remarks)
    bundles = [
        (bundle, member) for bundle, member in bundles if member.is_plain and files.scope.has_header(member.name)
    ]
    levels = [bundle.level for bundle, _ in bundles]
    expected = ExpectedTiles(
        info.tile_format,
        scheme.tile_size,
        touched_tiles(scheme, info.full_extent, levels, conf, remarks) if info.full_extent else {},
        f"the extent of {CONF_CDI}",
        DATASET_RECORD_COUNT,
    )
    if not is_v1:
        return check_bundles(files, bundles, expected)
    offset_files = [files.by_name.get(_offsets_name(member.name)) for _, member in bundles]
    whole = [
        (placed, bundlx) for placed, bundlx in zip(bundles, offset_files, strict=True) if bundlx and bundlx.is_plain
    ]
    return check_bundles_v1(files, [placed for placed, _ in whole], [bundlx for _, bundlx in whole], expected)


def _bundles(files: CheckedFiles, folder: str, *, is_v1: bool) -> Iterator[PlacedBundle]:
    for name, member in files.by_name.items():
        if not name.startswith(folder):
            continue
        stem, _, suffix = name.rpartition(".")
        if suffix == "bundle":
            if bundle := find_bundle(name, name.removeprefix(folder), files.damage):
                has_offsets = not is_v1 or _offsets_name(name) in files.by_name
                files.damage.require(has_offsets, name, "The file of its offsets (.bundlx) is missing.")
                yield bundle, member
        elif suffix == "bundlx":
            is_used = is_v1 and f"{stem}.bundle" in files.by_name
            files.damage.require(is_used, name, "It belongs to no bundle.")
        else:
            files.damage.add(name, "It has no place among the levels of a cache.")


def _offsets_name(bundle: str) -> str:
    return f"{bundle.removesuffix('.bundle')}.bundlx"


def _check_item(files: CheckedFiles) -> None:
    """Check the documents that a package has besides those of a cache."""
    findings = files.remarks
    bodies = {name: files.read(files.by_name.get(name)) for name in _ITEM}
    for name in _ITEM:
        if findings.require(name in files.by_name, name, "It is missing."):
            findings.require(files.by_name[name].size_bytes, name, "It is empty.")
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
        findings.require(sides, tpk.MAPSERVER, "resourceInfo.geoFullExtent is not an envelope.")
