"""Find out what a tile cache is, from what lies in its store.

Nobody types levels of detail by hand: they come from the cache's own
documents, or from a well-known scheme and a listing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import CacheLayout, ImageService, TileCache, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, TileRange, TilingScheme
from exporttiles.formats.bundle import RECORDS_OFFSET, parse_bundle_path, read_index
from exporttiles.formats.cache_documents import CacheInfo, read_conf_xml, read_root_json
from exporttiles.formats.tile_image import estimate_jpeg_quality, image_size, sniff
from exporttiles.ports import ObjectStore

_FILE = re.compile(r"((?:.+/)?)(\d{1,2})/(\d+)/(\d+)\.(\w+)", re.ASCII)
_BUNDLE = re.compile(r"((?:.+/)?)(L\d{2}/R[0-9a-f]{4,}C[0-9a-f]{4,}\.bundle)", re.ASCII)
_FORMATS = {"jpeg": TileFormat.JPEG, "png": TileFormat.PNG, "lerc": TileFormat.LERC}
_READ_BUNDLES = 64
"""Bundles whose index is read; more would tell little more."""


@dataclass(slots=True)
class _Level:
    """What a listing shows of one level."""

    keys: int = 0
    size_bytes: int = 0
    rows: tuple[int, int] = (2**62, 0)
    columns: tuple[int, int] = (2**62, 0)
    sample: str = ""

    def add(self, key: str, size_bytes: int, row: int, column: int) -> None:
        self.keys += 1
        self.size_bytes += size_bytes
        self.rows = min(self.rows[0], row), max(self.rows[1], row + 1)
        self.columns = min(self.columns[0], column), max(self.columns[1], column + 1)
        self.sample = self.sample or key


@dataclass(slots=True)
class _Listing:
    """One pass over a cache; its size does not grow with the number of tiles."""

    documents: list[str] = field(default_factory=list)
    files: dict[int, _Level] = field(default_factory=dict)
    templates: set[str] = field(default_factory=set)
    bundles: dict[int, list[str]] = field(default_factory=dict)
    bundle_folders: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, objects: ObjectStore) -> "_Listing":
        listing = cls()
        for stored in objects.list(""):
            if bundle := _BUNDLE.fullmatch(stored.key):
                listing.bundle_folders.add(bundle[1])
                listing.bundles.setdefault(int(bundle[2][1:3]), []).append(stored.key)
            elif tile := _FILE.fullmatch(stored.key):
                listing.templates.add(f"{tile[1]}{{level}}/{{column}}/{{row}}.{tile[5]}")
                level = listing.files.setdefault(int(tile[2]), _Level())
                level.add(stored.key, stored.size_bytes, row=int(tile[4]), column=int(tile[3]))
            elif stored.key.rpartition("/")[2] in {"conf.xml", "root.json"}:
                listing.documents.append(stored.key)
        return listing


def inspect_cache(name: str, url: str, objects: ObjectStore, scheme: TilingScheme) -> ImageService:
    """Return the service that a cache can be, without any texts.

    Args:
        name: of the service.
        url: where the cache lies.
        objects: the store at that address.
        scheme: of a cache that does not tell its own.

    Raises:
        DamagedCacheError: there is no cache that can be read; it says why.
    """
    listing = _Listing.of(objects)
    if listing.bundles:
        return _bundle_service(name, url, objects, listing, scheme)
    if listing.files:
        return _file_service(name, url, objects, listing, scheme)
    raise DamagedCacheError(
        f"There is no tile cache at {url}: neither bundles (L00/R0000C0000.bundle) nor files called level/column/row."
    )


def _file_service(name: str, url: str, objects: ObjectStore, listing: _Listing, scheme: TilingScheme) -> ImageService:
    if len(listing.templates) > 1:
        raise DamagedCacheError(f"The tiles at {url} are called in several ways: {sorted(listing.templates)}.")
    levels = listing.files
    sample = objects.read(levels[max(levels)].sample)
    tile_format, quality = _format(sample, url, scheme)
    ranges = {level: TileRange(level, *found.rows, *found.columns) for level, found in levels.items()}
    template = listing.templates.pop()
    count = sum(level.keys for level in levels.values())
    total_bytes = sum(level.size_bytes for level in levels.values())
    return ImageService(
        name=name,
        cache=TileCache(url, CacheLayout.FILES, template, max(1, total_bytes // count)),
        tiling_scheme=scheme,
        min_level=min(levels),
        max_level=max(levels),
        tile_format=tile_format,
        compression_quality=quality,
        full_extent=_full_extent(scheme, ranges),
    )


def _bundle_service(name: str, url: str, objects: ObjectStore, listing: _Listing, scheme: TilingScheme) -> ImageService:
    if len(listing.bundle_folders) > 1:
        raise DamagedCacheError(f"There are several caches at {url}: {sorted(listing.bundle_folders)}.")
    folder = listing.bundle_folders.pop()
    info = _read_documents(objects, listing.documents)
    scheme = info.tiling_scheme if info else scheme
    ranges, average_bytes, sample = _read_bundles(objects, folder, listing.bundles)
    tile_format, quality = (info.tile_format, info.compression_quality) if info else _format(sample, url, scheme)
    return ImageService(
        name=name,
        cache=TileCache(url, CacheLayout.COMPACT_V2, folder, average_bytes),
        tiling_scheme=scheme,
        min_level=min(listing.bundles),
        max_level=max(listing.bundles),
        tile_format=tile_format,
        compression_quality=quality,
        lerc_error=info.lerc_error if info else 0.0,
        full_extent=(info and info.full_extent) or _full_extent(scheme, ranges),
    )


def _read_documents(objects: ObjectStore, documents: list[str]) -> CacheInfo | None:
    if not documents:
        return None
    key = documents[0]
    body = objects.read(key)
    if key.endswith("root.json"):
        return read_root_json(body)
    try:
        cdi = objects.read(key.removesuffix(".xml") + ".cdi")
    except KeyError:
        cdi = None
    return read_conf_xml(body, cdi)


def _read_bundles(
    objects: ObjectStore, folder: str, bundles: Mapping[int, list[str]]
) -> tuple[dict[int, TileRange], int, bytes]:
    """Return the tiles that each level spans, the mean size of a tile, and one tile."""
    ranges: dict[int, TileRange] = {}
    count = total_bytes = 0
    sample = b""
    for level, keys in bundles.items():
        # Evenly spread, the first and the last included; a level of more
        # bundles is taken to reach to the edges of those between.
        chosen = keys if len(keys) <= _READ_BUNDLES else keys[:: len(keys) // _READ_BUNDLES] + keys[-1:]
        rows: list[int] = []
        columns: list[int] = []
        for key in keys:
            place = parse_bundle_path(key.removeprefix(folder))
            if key not in chosen:
                rows += [place.row, place.row + PACKET_SIZE]
                columns += [place.column, place.column + PACKET_SIZE]
                continue
            (head,) = objects.read_ranges(key, [(0, RECORDS_OFFSET)])
            index = read_index(head)
            found = np.argwhere(index.size)
            if not len(found):
                continue
            (first_row, first_column), (last_row, last_column) = found.min(0), found.max(0)
            rows += [place.row + int(first_row), place.row + int(last_row) + 1]
            columns += [place.column + int(first_column), place.column + int(last_column) + 1]
            count += len(found)
            total_bytes += int(index.size.sum())
            if not sample:
                at = index.offset[tuple(found[0])]
                (body,) = objects.read_ranges(key, [(int(at), int(at + index.size[tuple(found[0])]))])
                sample = bytes(body)
        if rows:
            ranges[level] = TileRange(level, min(rows), max(rows), min(columns), max(columns))
    if not count:
        raise DamagedCacheError("The bundles of the cache hold no tiles.")
    return ranges, max(1, total_bytes // count), sample


def _format(sample: bytes, url: str, scheme: TilingScheme) -> tuple[TileFormat, int]:
    """Return the format and the JPEG quality of a cache, from one of its tiles."""
    image = sniff(sample)
    if image not in _FORMATS:
        raise DamagedCacheError(
            f"The tiles at {url} are {image or 'no images that are known'}; Esri's packages hold JPEG, PNG or LERC."
        )
    size = image_size(sample)
    if size is not None and size != (scheme.tile_size, scheme.tile_size):
        raise DamagedCacheError(
            f"The tiles at {url} are {size[1]} x {size[0]} pixels; "
            f"the tiling scheme has {scheme.tile_size} x {scheme.tile_size}."
        )
    return _FORMATS[image], estimate_jpeg_quality(sample) if image == "jpeg" else 0


def _full_extent(scheme: TilingScheme, ranges: Mapping[int, TileRange]) -> Extent:
    """Return the envelope of all tiles, as tight as the levels tell.

    A coarse tile reaches far beyond what was drawn on it: a level widens the
    extent only where it has tiles that the finer levels do not account for.
    """
    extent: Extent | None = None
    for level in sorted(ranges, reverse=True):
        found = ranges[level]
        if extent is not None and _holds(scheme.tile_range(extent, level), found):
            continue
        first = scheme.tile_extent(level, found.row_start, found.column_start)
        last = scheme.tile_extent(level, found.row_stop - 1, found.column_stop - 1)
        boxes = [box for box in (extent, first, last) if box]
        extent = Extent(
            min(box.xmin for box in boxes),
            min(box.ymin for box in boxes),
            max(box.xmax for box in boxes),
            max(box.ymax for box in boxes),
            scheme.spatial_reference,
        )
    if extent is None:
        raise DamagedCacheError("The cache holds no tiles.")
    return extent


def _holds(outer: TileRange, inner: TileRange) -> bool:
    return outer.intersection(inner) == inner
