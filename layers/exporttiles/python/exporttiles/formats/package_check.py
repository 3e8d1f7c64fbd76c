"""Checks a tile package (.tpkx) for all that its readers demand or take on trust.

Most readers accept what another one refuses, and the most tolerant of them
shows a broken bundle as empty tiles. This says what is wrong, in words.

Source: Esri/tile-package-spec; Esri/raster-tiles-compactcache; packages
written by ArcGIS.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from exporttiles.domain.errors import DamagedCacheError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import BundleIndex, TilingScheme
from exporttiles.formats.archive_check import Scope, StoredMember, check_archive
from exporttiles.formats.bundle import RECORDS_OFFSET, parse_bundle_path
from exporttiles.formats.bundle_check import ExpectedTiles, check_bundle, check_tiles
from exporttiles.formats.findings import Finding, Findings
from exporttiles.formats.item_check import check_iteminfo, check_thumbnail
from exporttiles.formats.ranged_file import RangedFile
from exporttiles.formats.root_check import check_extents, check_root, check_scheme
from exporttiles.formats.tile_package import BUNDLE_FOLDER, ITEMINFO, MEMBER_ORDER, ROOT, THUMBNAIL

MAX_DOCUMENT_BYTES = 16 * 2**20
"""Longer documents are not read; legends make them long, but not so long."""

_ROUNDING_PIXELS = 0.01  # tiles may have been selected with other roundings; less than EDGE_PIXELS


@dataclass(frozen=True, slots=True)
class PackageReport:
    """What a package holds and what is wrong with it.

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


def check_package(file: BinaryIO | RangedFile, scope: Scope | None = None) -> PackageReport:
    """Read a tile package and report on it.

    Safe with hostile input: nothing is decompressed but the thumbnail and
    sizes are bounded. The memory needed does not grow with the package.

    Args:
        file: of ranges; or seekable, opened for reading bytes.
        scope: how much of it is read; None for all.
    """
    file = file if isinstance(file, RangedFile) else RangedFile.of(file)
    scope = scope or Scope()
    damage, remarks = Findings(), Findings()
    members = check_archive(file, damage, scope)
    places = {member.name: member for member in members if member.name in MEMBER_ORDER}
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
        if scope.has_header(member.name):
            bundles.append((bundle, member))
    if root:
        _check_levels(root, levels, remarks, damage)
    heads = file.ranges(
        (member.offset, member.offset + min(RECORDS_OFFSET, member.size_bytes)) for _, member in bundles
    )
    tile_counts: Counter[int] = Counter()
    for (bundle, member), head in zip(bundles, heads, strict=True):
        expected = expected_tiles(ROOT, bundle, remarks, tile_format=_tile_format(root), scheme=scheme, extent=extent)
        index = check_bundle(head, member, expected, damage)
        if index is not None and scope.tiles:
            check_tiles(file, member, index, expected, damage)
        tile_counts[bundle.level] += int((index.size > 0).sum()) if index is not None else 0
    return PackageReport(
        file.size_bytes, members, dict(sorted(tile_counts.items())), tuple(damage.all), tuple(remarks.all)
    )


def _read_document(file: RangedFile, members: Mapping[str, StoredMember], name: str, findings: Findings) -> bytes:
    member = members.get(name)
    if not findings.require(member, name, "It is missing.") or member is None:
        return b""
    text = f"It has {member.size_bytes} bytes and is not read."
    if not findings.require(0 < member.size_bytes <= MAX_DOCUMENT_BYTES, name, text):
        return b""
    return file.read(member.offset, member.offset + member.size_bytes)


def _bundles(members: Sequence[StoredMember], findings: Findings) -> Iterator[tuple[BundleIndex, StoredMember]]:
    for member in members:
        name = member.name
        folder, _, path = name.partition("/")
        if name in MEMBER_ORDER:
            continue
        if folder != BUNDLE_FOLDER:
            findings.add(name, "It has no place in a tile package.")
            continue
        try:
            yield parse_bundle_path(path), member
        except DamagedCacheError as error:
            findings.add(name, str(error))


def _tile_format(root: Mapping[str, Any]) -> TileFormat | None:
    try:
        return TileFormat(root["tileImageInfo"]["format"])
    except (KeyError, TypeError, ValueError):  # told of with root.json
        return None


def expected_tiles(
    path: str,
    bundle: BundleIndex,
    findings: Findings,
    *,
    tile_format: TileFormat | None,
    scheme: TilingScheme | None,
    extent: Extent | None,
) -> ExpectedTiles:
    """Return what a bundle should hold, as the document at a path tells it; note if it cannot be told."""
    allowed = None
    if scheme and extent:
        try:
            slack = _ROUNDING_PIXELS * scheme.lod(bundle.level).resolution
            allowed = scheme.tile_range(_grown(extent, slack), bundle.level)
        except (InvalidParameterError, ValueError, OverflowError):
            findings.add(path, f"Where the tiles of level {bundle.level} lie cannot be told from the tiling scheme.")
    tile_size = scheme.tile_size if scheme else None
    return ExpectedTiles(tile_format, tile_size, allowed, bundle.row, bundle.column)


def _grown(extent: Extent, by: float) -> Extent:
    return Extent(extent.xmin - by, extent.ymin - by, extent.xmax + by, extent.ymax + by, extent.spatial_reference)


def _check_levels(root: Mapping[str, Any], levels: Collection[int], remarks: Findings, damage: Findings) -> None:
    if not damage.require(levels, "", "The package has no bundles."):
        return
    for key, packed in (("minLOD", min(levels)), ("maxLOD", max(levels))):
        remarks.require(root.get(key) == packed, ROOT, f"{key} is {root.get(key)!r}; level {packed} is packed.")
