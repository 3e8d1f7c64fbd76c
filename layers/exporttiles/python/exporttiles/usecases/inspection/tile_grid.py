"""Decide the grid of tiles in files: the tiling scheme, and whether rows count from the top or from the bottom.

Documents beside the tiles state it, but may be wrong: mb-util writes the
metadata of an MBTiles file, whose rows count from the bottom, beside files
whose rows count from the top. So each reading is compared with the bounds of the map.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.caches.tms_documents import TILE_JSONS, TILE_MAP, Box, read_tile_json, read_tile_map
from exporttiles.usecases.inspection.find_documents import folder_of, name_of
from exporttiles.usecases.inspection.tile_map_grid import place_tile_map
from exporttiles.usecases.inspection.tile_readings import (
    CHOICE,
    Reading,
    Spans,
    TileGrid,
    boxes_in,
    fits_better,
    rows_of_world,
)


@dataclass(frozen=True, slots=True)
class _Claim:
    """The order of rows that a document states."""

    path: str
    is_from_bottom: bool
    reason: str
    bounds: Box | None


def settle_grid(
    read: Callable[[str], bytes],
    documents: Collection[str],
    spans: Spans,
    scheme: TilingScheme,
    *,
    is_scheme_known: bool,
    is_from_bottom: bool | None,
) -> TileGrid:
    """Return the grid of tiles in files.

    Args:
        read: returns the bytes of a document.
        documents: paths of documents that may state the grid.
        spans: rows and columns of the tiles.
        scheme: of the cache, or assumed.
        is_scheme_known: an option or another document states it.
        is_from_bottom: the option; None lets the documents decide.

    Raises:
        DamagedCacheError: a document cannot be used, or the rows of the
            scheme cannot be counted from the bottom.
    """
    if is_from_bottom is not None and is_scheme_known:
        return _as_said(scheme, is_from_bottom=is_from_bottom)
    path = next((path for path in documents if name_of(path) == TILE_MAP), None)
    if path is not None:
        tile_map = read_tile_map(read(path), path)
        if tile_map.is_placed and not is_scheme_known:
            return place_tile_map(tile_map, path, spans, is_from_bottom=is_from_bottom)
        if is_from_bottom is None:
            return _as_claimed(scheme, _Claim(path, True, "it is of TMS", None), spans)
    if is_from_bottom is not None:
        return _as_said(scheme, is_from_bottom=is_from_bottom)
    for path in documents:
        if name_of(path) in TILE_JSONS:
            found = read_tile_json(read(path))
            if found.scheme or found.bounds or found.remark:
                reason = f"scheme is '{found.scheme[:20]}'" if found.scheme else "it states no scheme"
                claim = _Claim(path, found.scheme == "tms", reason, found.bounds)
                grid = _as_claimed(scheme, claim, spans)
                remarks = [Message(MessageKind.INFORMATIVE, f"{path}: {found.remark}")] if found.remark else []
                return replace(grid, messages=(*grid.messages, *remarks))
    return TileGrid(scheme, ())


def documents_of_files(documents: Collection[str], folders: Collection[str]) -> tuple[list[str], list[Message]]:
    """Return the documents that may state the grid of files, nearest first, and a warning about others.

    A document that does not lie above the tiles is used if it is the only one.

    Args:
        documents: paths of all documents.
        folders: parents of the level folders.
    """
    if above := [path for path in documents if any(folder.startswith(folder_of(path)) for folder in folders)]:
        return sorted(above, key=lambda path: -path.count("/")), []
    apart = sorted(path for path in documents if name_of(path) in {TILE_MAP, *TILE_JSONS})
    if len(apart) == 1:
        text = f"{apart[0]} does not lie in a folder above the tiles. It is used, as no other document does."
        return apart, [Message(MessageKind.WARNING, text)]
    if apart:
        text = (
            f"{apart[0]} and {apart[1]} do not lie in a folder above the tiles. They are not used, nor any like them."
        )
        return [], [Message(MessageKind.WARNING, text)]
    return [], []


def passed_over(documents: Collection[str]) -> list[Message]:
    """Return warnings about documents that do not apply to caches of ArcGIS."""
    return [
        Message(
            MessageKind.WARNING,
            f"{path} is not used: it describes files named level/column/row. A cache of ArcGIS has conf.xml.",
        )
        for path in documents
        if name_of(path) in {TILE_MAP, *TILE_JSONS}
    ]


def _as_said(scheme: TilingScheme, *, is_from_bottom: bool) -> TileGrid:
    reading = Reading(scheme, rows_of_world(scheme) if is_from_bottom else ())
    return TileGrid(scheme, reading.level_rows, row_order=f"{reading.words}, as the option says")


def _as_claimed(scheme: TilingScheme, claim: _Claim, spans: Spans) -> TileGrid:
    """Return the order of rows that a document states, or that its bounds show."""
    try:
        bottom = Reading(scheme, rows_of_world(scheme))
    except DamagedCacheError:
        if claim.is_from_bottom:
            raise
        return TileGrid(scheme, ())
    top = Reading(scheme)
    stated, other = (bottom, top) if claim.is_from_bottom else (top, bottom)
    boxes = boxes_in([claim.bounds] if claim.bounds else [], WGS84, scheme.spatial_reference)
    if fits_better(other, stated, spans, boxes):
        text = (
            f"{claim.path}: rows are read {other.words}, for so the tiles lie within its bounds, "
            f"although {claim.reason}. {CHOICE}."
        )
        order = f"{other.words}, by the bounds of {claim.path}"
        return TileGrid(scheme, other.level_rows, row_order=order, messages=(Message(MessageKind.WARNING, text),))
    messages: tuple[Message, ...] = ()
    if claim.path.lower().endswith(".json") and claim.is_from_bottom and not fits_better(stated, other, spans, boxes):
        text = (
            f"{claim.path}: rows are read from the bottom, for {claim.reason}; no bounds confirm it, and some "
            f"programs write so beside rows from the top. {CHOICE}."
        )
        messages = (Message(MessageKind.WARNING, text),)
    return TileGrid(scheme, stated.level_rows, row_order=f"{stated.words}, by {claim.path}", messages=messages)
