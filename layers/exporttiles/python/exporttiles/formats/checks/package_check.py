"""Checking tile packages (.tpkx) for everything that any reader requires.

Readers differ: some refuse a package that others open, and tolerant ones show a
broken bundle as empty tiles without an error.

Source: Esri/tile-package-spec; Esri/raster-tiles-compactcache; packages
written by ArcGIS.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import BundleIndex, TileRange, TilingScheme
from exporttiles.domain.wording import counted, level_names
from exporttiles.formats.archives.ranged_file import RangedFile, StoredMember
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET
from exporttiles.formats.checks.archive_check import Scope, check_archive
from exporttiles.formats.checks.bundle_check import ExpectedTiles, check_bundle, check_tiles, find_bundle
from exporttiles.formats.checks.findings import Finding, Findings
from exporttiles.formats.checks.item_check import check_iteminfo, check_thumbnail
from exporttiles.formats.checks.json_check import shown
from exporttiles.formats.checks.root_check import check_extents, check_root, check_scheme
from exporttiles.formats.packages.tpkx import BUNDLE_FOLDER, ITEMINFO, MEMBER_ORDER, ROOT, THUMBNAIL

MAX_DOCUMENT_BYTES = 16 * 2**20
"""Longer documents are not read; the longest known are those with legends."""

_ROUNDING_PIXELS = 0.01  # tiles may have been selected with other roundings; less than EDGE_PIXELS


@dataclass(frozen=True, slots=True)
class PackageReport:
    """Contents and faults of a package.

    Attributes:
        size_bytes: length of the file.
        members: the files in it, in the order in which they are listed.
        tile_counts: level -> tiles, ascending; levels without a bundle that was read do not appear.
        damage: faults of the archive, of bundles and of tiles: something is lost.
        remarks: faults of the documents that describe the tiles.
    """

    size_bytes: int
    members: Sequence[StoredMember]
    tile_counts: Mapping[int, int]
    damage: tuple[Finding, ...]
    remarks: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return all faults; none means that the package is sound."""
        return self.remarks + self.damage


MembersCheck = Callable[[RangedFile, Sequence[StoredMember], Scope, Findings, Findings], dict[int, int]]
"""Checks the members of an archive, adds damage and remarks, and returns the tile count of each level."""


def check_package(file: BinaryIO | RangedFile, scope: Scope | None = None) -> PackageReport:
    """Check a tile package.

    Args:
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
    """
    return check_archive_with(check_package_members, file, scope)


def check_archive_with(
    check_members: MembersCheck, file: BinaryIO | RangedFile, scope: Scope | None = None
) -> PackageReport:
    """Check an archive, then its members if they can be located.

    Safe with hostile input: only the thumbnail is decompressed, and sizes are
    bounded. Memory does not grow with the size of the archive.

    Args:
        check_members: called with the located members.
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
    """
    file = file if isinstance(file, RangedFile) else RangedFile.of(file)
    scope = scope or Scope()
    damage, remarks = Findings(), Findings()
    members = check_archive(file, damage, scope)
    tile_counts = {} if members is None else check_members(file, members, scope, damage, remarks)
    return PackageReport(file.size_bytes, members or (), tile_counts, tuple(damage.all), tuple(remarks.all))


def check_package_members(
    file: RangedFile, members: Sequence[StoredMember], scope: Scope, damage: Findings, remarks: Findings
) -> dict[int, int]:
    """Check the members of a tile package, packed or unpacked; return the tile count of each level, ascending.

    Args:
        file: that holds them all.
        members: where they lie.
        scope: how much of it is read.
        damage: faults of the archive, of bundles and of tiles are added here.
        remarks: faults of the documents are added here.
    """
    places = {member.name.lower(): member for member in members}
    documents = {name: _read_document(file, places, name, damage) for name in MEMBER_ORDER}
    root = check_root(documents[ROOT], remarks) if documents[ROOT] else {}
    scheme = check_scheme(root, remarks) if root else None
    extent = check_extents(root, scheme, remarks) if scheme else None
    if documents[ITEMINFO]:
        check_iteminfo(documents[ITEMINFO], root, extent, remarks)
    if documents[THUMBNAIL]:
        check_thumbnail(documents[THUMBNAIL], remarks)

    levels: set[int] = set()
    bundles: list[tuple[BundleIndex, StoredMember]] = []
    for bundle, member in _bundles(members, damage):
        levels.add(bundle.level)
        if member.is_plain and scope.has_header(member.name):
            bundles.append((bundle, member))
    if root:
        _check_levels(root, levels, remarks, damage)
    heads = file.ranges(member.head(RECORDS_OFFSET) for _, member in bundles)
    tile_counts: Counter[int] = Counter()
    for (bundle, member), head in zip(bundles, heads, strict=True):
        expected = expected_tiles(
            ROOT,
            bundle,
            remarks,
            tile_format=_tile_format(root),
            scheme=scheme,
            extent=extent,
            extent_name="fullExtent",
        )
        index = check_bundle(head, member, expected, damage)
        if index is not None and scope.tiles:
            check_tiles(file, member, index, expected, damage)
        tile_counts[bundle.level] += int((index.size > 0).sum()) if index is not None else 0
    return dict(sorted(tile_counts.items()))


def _read_document(file: RangedFile, places: Mapping[str, StoredMember], name: str, findings: Findings) -> bytes:
    """Return a document; b"" if it is missing, too long or compressed."""
    member = places.get(name)
    if not findings.require(member, name, "It is missing.") or member is None:
        return b""
    findings.require(member.name == name, member.name, f"Readers look for {name}, in lower case.")
    text = f"It has {counted(member.size_bytes, 'byte')} and is not read."
    if not member.is_plain or not findings.require(0 < member.size_bytes <= MAX_DOCUMENT_BYTES, member.name, text):
        return b""
    return file.read(member.offset, member.offset + member.size_bytes)


def _bundles(members: Sequence[StoredMember], findings: Findings) -> Iterator[tuple[BundleIndex, StoredMember]]:
    for member in members:
        name = member.name
        folder, _, path = name.partition("/")
        if name.lower() in MEMBER_ORDER:
            continue
        if folder != BUNDLE_FOLDER or not path.endswith(".bundle"):
            findings.add(name, "It has no place in a tile package.")
        elif bundle := find_bundle(name, path, findings):
            yield bundle, member


def _tile_format(root: Mapping[str, Any]) -> TileFormat | None:
    try:
        return TileFormat(root["tileImageInfo"]["format"])
    except (KeyError, TypeError, ValueError):  # reported with root.json
        return None


def expected_tiles(
    path: str,
    bundle: BundleIndex,
    findings: Findings,
    *,
    tile_format: TileFormat | None,
    scheme: TilingScheme | None,
    extent: Extent | None,
    extent_name: str,
) -> ExpectedTiles:
    """Return the properties of the tiles of a bundle, as the document at a path states them."""
    allowed = None
    if scheme and extent:
        try:
            allowed = _touched_tiles(scheme, extent, bundle.level)
        except (InvalidParameterError, ValueError, OverflowError):
            findings.add(path, f"The tiling scheme gives no place for the tiles of level {bundle.level}.")
    tile_size = scheme.tile_size if scheme else None
    return ExpectedTiles(tile_format, tile_size, allowed, extent_name, bundle.row, bundle.column)


def _touched_tiles(scheme: TilingScheme, extent: Extent, level: int) -> TileRange:
    """Return the tiles that an extent touches, or nearly: an export may hold any of them."""
    slack, span = _ROUNDING_PIXELS * scheme.lod(level).resolution, scheme.tile_span(level)
    xmin, ymin, xmax, ymax = extent.sides
    nearly = scheme.tile_range(
        Extent(xmin - slack, ymin - slack, xmax + slack, ymax + slack, extent.spatial_reference), level
    )
    top, bottom = (scheme.origin_y - ymax) / span, (scheme.origin_y - ymin) / span
    left, right = (xmin - scheme.origin_x) / span, (xmax - scheme.origin_x) / span
    return TileRange(
        level,
        min(nearly.row_start, math.floor(top)),
        max(nearly.row_stop, math.ceil(bottom)),
        min(nearly.column_start, math.floor(left)),
        max(nearly.column_stop, math.ceil(right)),
    )


def _check_levels(root: Mapping[str, Any], levels: Collection[int], remarks: Findings, damage: Findings) -> None:
    if not damage.require(levels, "", "The package has no bundles."):
        return
    for key, which, packed in (("minLOD", "first", min(levels)), ("maxLOD", "last", max(levels))):
        text = f"{key} is {shown(root.get(key))}; the {which} level with bundles is {packed}."
        remarks.require(key not in root or root[key] == packed, ROOT, text)
    check_gaps(ROOT, levels, remarks)


def check_gaps(path: str, levels: Iterable[int], findings: Findings) -> None:
    """Check that no level between the first and the last lacks bundles."""
    gaps = gap_names(levels)
    findings.require(not gaps, path, f"There are no bundles of {gaps}, though of coarser and of finer levels.")


def gap_names(levels: Iterable[int]) -> str:
    """Return the missing levels between others as ``level 3`` or ``levels 3, 5-7``; "" if there are none."""
    gaps = [level for lower, upper in pairwise(sorted(levels)) for level in range(lower + 1, upper)]
    return level_names(gaps) if gaps else ""
