"""Checking PMTiles v3 archives: header, directories, metadata and the beginning of every tile.

Source: protomaps/PMTiles, spec/v3/spec.md; the rules of `pmtiles verify` (protomaps/go-pmtiles).
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.caches.file_kinds import kind_of_bytes
from exporttiles.formats.caches.pmtiles import (
    HEADER_BYTES,
    MAX_DIRECTORY_BYTES,
    START_BYTES,
    Directory,
    PmtilesHeader,
    Section,
    first_id,
    read_directory,
    read_header,
    tiles_at,
    unpack,
)
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.bundle_check import TILE_HEAD_BYTES, read_records
from exporttiles.formats.checks.checked_files import PackageReport, check_gaps
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.packages.pmtiles import tile_counts
from exporttiles.formats.tiles.image import DAMAGED_WEBP, image_size, is_damaged_webp, kind_of_compression, sniff

_MAX_DEPTH = 4
_METADATA = "metadata"
_IMAGES = {"png", "jpeg", "webp"}


@dataclass(slots=True)
class _Entries:
    """Contents of the directories so far.

    Attributes:
        next_id: the position after the last tile.
        end: where the tiles so far end in their section.
        content_count: different tiles, if the archive is clustered.
    """

    next_id: int = 0
    end: int = 0
    tile_count: int = 0
    entry_count: int = 0
    content_count: int = 0
    tile_counts: Counter[int] = field(default_factory=Counter)


def check_pmtiles(file: RangedFile, suffix: str, scope: Scope) -> PackageReport:
    """Check an archive.

    Safe with hostile input: reading stops where positions do not rise, so that
    no leaf directory is read twice; memory is that of one directory.

    Args:
        file: read by ranges.
        suffix: of its name.
        scope: if tiles are looked at; header, directories and metadata always are.
    """
    damage, remarks, found = Findings(), Findings(), _Entries()
    head = file.read(0, HEADER_BYTES)
    try:
        header = read_header(head, file.size_bytes)
        text = f"Its name ends in '{suffix}'; readers want .pmtiles, which it is."
        remarks.require(suffix in {"", ".pmtiles"}, "", text)
        _check_header(header, file, damage, remarks)
        sizes = Counter[tuple[int, int]]()
        for directory in _directories(file, header, header.root, _Positions(0, 2**63 - 1), depth=0):
            _check_entries(directory, header, found, damage)
            if scope.tiles:
                _check_tiles(file, header, directory, sizes, damage)
        damage.require(len(sizes) <= 1, "", f"Its tiles have {len(sizes)} different sizes in pixels.")
        _compare_counts(header, found, damage, remarks)
    except DamagedCacheError as error:
        kind = None if head.startswith(b"PMTiles") else kind_of_bytes(head)
        damage.add("", f"It is {kind}, not a PMTiles archive." if kind else str(error))
    return PackageReport.of(file.size_bytes, found.tile_counts, damage, remarks)


@dataclass(frozen=True, slots=True)
class _Positions:
    """The positions that a directory may hold, ``[start, stop)``."""

    start: int
    stop: int


def _check_header(header: PmtilesHeader, file: RangedFile, damage: Findings, remarks: Findings) -> None:
    root = header.root
    reach = root.offset + root.size_bytes
    damage.require(reach <= START_BYTES, "", f"The root directory reaches to byte {reach:,}, beyond {START_BYTES:,}.")
    if header.tile_compression != "none":
        damage.add("", f"Its header says that tiles are compressed with {header.tile_compression}.")
    damage.require(header.tile_type in _IMAGES, "", f"Its header says that tiles are of the type {header.tile_type}.")
    west, south, east, north = header.bounds
    text = f"Its bounds {west:.7f}, {south:.7f}, {east:.7f}, {north:.7f} have no area: viewers may show nothing."
    remarks.require(west < east and south < north, "", text)
    text = f"The centre's zoom {header.center_level} is not among the zooms {header.min_level}-{header.max_level}."
    remarks.require(header.min_level <= header.center_level <= header.max_level, "", text)
    section = header.metadata
    if not damage.require(
        section.offset + section.size_bytes <= file.size_bytes and section.size_bytes <= MAX_DIRECTORY_BYTES,
        _METADATA,
        f"It has {counted(section.size_bytes, 'byte')} at byte {section.offset}, and is not read.",
    ):
        return
    try:
        packed = file.read(section.offset, section.offset + section.size_bytes)
        document = json.loads(unpack(packed, header.internal_compression)) if packed else {}
    except (DamagedCacheError, ValueError, RecursionError):
        damage.add(_METADATA, "It is not JSON.")
        return
    damage.require(isinstance(document, dict), _METADATA, "It is not a JSON object.")


def _directories(
    file: RangedFile, header: PmtilesHeader, section: Section, place: _Positions, depth: int
) -> Iterator[Directory]:
    """Yield the entries of tiles, directory by directory, in their order.

    Raises:
        DamagedCacheError: a directory is damaged, or its positions do not rise.
    """
    if depth > _MAX_DEPTH:
        raise DamagedCacheError(f"Its leaf directories are more than {_MAX_DEPTH} deep.")
    if section.size_bytes > MAX_DIRECTORY_BYTES:
        raise DamagedCacheError(f"It has a directory of {counted(section.size_bytes, 'byte')}.")
    data = file.read(section.offset, section.offset + section.size_bytes)
    directory = read_directory(data, header.internal_compression)
    ids, is_leaf = directory.tile_id, directory.run_length == 0
    if int(ids[0]) < place.start or int(ids[-1]) >= place.stop:
        raise DamagedCacheError(f"The directory at byte {section.offset} holds tiles that belong into another one.")
    stops, done = np.append(ids[1:], place.stop), 0
    for number in [*np.flatnonzero(is_leaf).tolist(), len(ids)]:
        if done < number:
            yield _part(directory, done, number)
        done = number + 1
        if number == len(ids):
            return
        offset, size = int(directory.offset[number]), int(directory.size[number])
        if offset + size > header.leaves.size_bytes:
            raise DamagedCacheError(f"A leaf directory at byte {offset:,} lies outside of their section.")
        leaf = Section(header.leaves.offset + offset, size)
        yield from _directories(file, header, leaf, _Positions(int(ids[number]), int(stops[number])), depth + 1)


def _part(directory: Directory, start: int, stop: int) -> Directory:
    columns = (directory.tile_id, directory.run_length, directory.offset, directory.size)
    return Directory(*(column[start:stop] for column in columns))


def _check_entries(directory: Directory, header: PmtilesHeader, found: _Entries, damage: Findings) -> None:
    ids, run_length = directory.tile_id, directory.run_length
    if int(run_length.max()) > 2**32:
        raise DamagedCacheError("A directory holds numbers that are too large.")
    ends = ids + run_length
    if int(ids[0]) < found.next_id or (ids[1:] < ends[:-1]).any():
        raise DamagedCacheError("Its directories list a tile twice, or not in the order of the Hilbert curve.")
    found.next_id = int(ends[-1])
    tile_ends = directory.offset + directory.size
    outside = int((tile_ends > header.tiles.size_bytes).sum())
    damage.require(not outside, "", f"{counted(outside, 'entry reaches', 'entries reach')} beyond the tiles.")
    before = np.maximum.accumulate(np.concatenate([[found.end], tile_ends]))
    is_new = directory.offset >= before[:-1]
    if header.is_clustered:
        gaps = int((is_new & (directory.offset != before[:-1])).sum())
        damage.require(not gaps, "", f"It claims to be clustered, but has gaps before {counted(gaps, 'tile')}.")
    found.end = int(before[-1])
    found.tile_count += int(run_length.sum())
    found.entry_count += len(ids)
    found.content_count += int(is_new.sum())
    found.tile_counts.update(tile_counts(directory))


def _compare_counts(header: PmtilesHeader, found: _Entries, damage: Findings, remarks: Findings) -> None:
    pairs = [
        ("addressed tiles", header.tile_count, found.tile_count),
        ("tile entries", header.entry_count, found.entry_count),
        ("tile contents", header.content_count, found.content_count if header.is_clustered else header.content_count),
    ]
    for name, stated, counted_ in pairs:
        damage.require(stated in {0, counted_}, "", f"Its header counts {stated:,} {name}; it has {counted_:,}.")
    if header.is_clustered:
        text = f"Its tiles have {counted(header.tiles.size_bytes, 'byte')}, of which {found.end:,} are listed."
        damage.require(found.end == header.tiles.size_bytes, "", text)
    levels = sorted(found.tile_counts)
    for name, stated, first in (("min zoom", header.min_level, levels[0]), ("max zoom", header.max_level, levels[-1])):
        damage.require(stated == first, "", f"Its {name} is {stated}; tiles are there for {first}.")
    check_gaps("", levels, remarks)


def _check_tiles(
    file: RangedFile, header: PmtilesHeader, directory: Directory, sizes: Counter[tuple[int, int]], damage: Findings
) -> None:
    """Check the encoding of tiles; count their sizes in pixels."""
    offsets, first = np.unique(directory.offset, return_index=True)
    lengths = directory.size[first]
    is_inside = offsets + lengths <= header.tiles.size_bytes
    offsets, lengths, first = offsets[is_inside], lengths[is_inside], first[is_inside]
    heads = read_records(file, header.tiles.offset, offsets, np.minimum(lengths, TILE_HEAD_BYTES))
    for number, head, length in zip(first.tolist(), heads, lengths.tolist(), strict=True):
        if fault := _tile_fault(head, length, header.tile_type):
            damage.add("", f"{_place(int(directory.tile_id[number]))}: the tile is {fault}")
        elif size := image_size(head):
            sizes[size] += 1


def _tile_fault(head: memoryview, size_bytes: int, tile_type: str) -> str:
    """Return the fault of a tile, which may be another type than the header states; '' if it has none."""
    image = sniff(head)
    if image not in _IMAGES:
        return f"{(image or kind_of_compression(head) or 'unknown').upper()}, which viewers do not show."
    if is_damaged_webp(head, size_bytes):
        return f"{DAMAGED_WEBP}."
    if "webp" in {image, tile_type} and tile_type in _IMAGES - {image}:
        return f"{image.upper()}; the header of the archive says {tile_type.upper()}."
    return ""


def _place(tile_id: int) -> str:
    """Return level, row and column of a position as text."""
    level = next(level for level in range(64) if tile_id < first_id(level + 1))
    rows, columns = tiles_at(level, np.array([tile_id], np.int64))
    return f"Level {level}, row {int(rows[0])}, column {int(columns[0])}"
