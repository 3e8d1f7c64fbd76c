"""Checking SQLite files of tiles: MBTiles 1.3, and the tiles of GeoPackages.

Source: mapbox/mbtiles-spec, 1.3/spec.md; OGC 12-128r17 (GeoPackage 1.3), clause 2.2.
"""

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from exporttiles.domain.wording import counted
from exporttiles.formats.archives.untrusted_database import Row, UntrustedDatabase, failure, quoted
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.bundle_check import TILE_HEAD_BYTES
from exporttiles.formats.checks.checked_files import PackageReport, check_gaps
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.packages import geopackage
from exporttiles.formats.packages.web_mercator import MAX_ZOOM
from exporttiles.formats.tiles.image import DAMAGED_WEBP, image_size, is_damaged_webp, kind_of_compression, sniff

DATABASES = (".mbtiles", ".gpkg")

_MAX_TABLES = 100
_GEOPACKAGE_IDS = {geopackage.APPLICATION_ID, 0x47503130, 0x47503131}  # of 1.2 and later, of 1.0, of 1.1
_MBTILES_FORMATS = {"png": {"png", "jpeg"}, "jpg": {"jpeg"}, "jpeg": {"jpeg"}, "webp": {"webp"}}
"""Images that each format stands for; PNG is written for caches of both, so that transparency is expected."""

_GEOPACKAGE_TABLES = ("gpkg_spatial_ref_sys", "gpkg_contents", "gpkg_tile_matrix_set", "gpkg_tile_matrix")
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Checked:
    """A database and what was found in it so far."""

    database: UntrustedDatabase
    scope: Scope
    damage: Findings = field(default_factory=Findings)
    remarks: Findings = field(default_factory=Findings)
    tile_counts: Counter[int] = field(default_factory=Counter)

    def rows(self, query: str, *values: object) -> Iterator[Row]:
        """Yield the rows of a query."""
        return self.database.rows(query, *values)


def check_database(path: Path, scope: Scope) -> PackageReport:
    """Check a file of tiles, which its tables show to be MBTiles or a GeoPackage.

    Args:
        path: of the file; nothing is written beside it.
        scope: if `tiles`, every page of the file and the beginning of every tile is read.
    """
    with UntrustedDatabase(path) as database:
        checked = _Checked(database, scope)
        try:
            _check(checked, path.suffix.lower())
        except (sqlite3.Error, UnicodeDecodeError) as error:
            checked.damage.add("", failure(path, error))
    return PackageReport.of(path.stat().st_size, checked.tile_counts, checked.damage, checked.remarks)


def _check(checked: _Checked, suffix: str) -> None:
    names = checked.database.tables()
    is_geopackage = "gpkg_contents" in names
    kind = ".gpkg" if is_geopackage else ".mbtiles"
    if not is_geopackage and not {"tiles", "metadata"} <= names:
        checked.damage.add("", "It is an SQLite database with neither the tables of MBTiles nor of a GeoPackage.")
        return
    checked.remarks.require(suffix in {"", kind}, "", f"Its name ends in '{suffix}'; readers want {kind}, which it is.")
    if checked.scope.tiles:
        for (text,) in checked.rows("PRAGMA integrity_check(20)"):
            checked.damage.require(text == "ok", "", f"SQLite finds: {text}")
    if is_geopackage:
        _check_geopackage(checked, names)
    else:
        _check_mbtiles(checked)
    checked.damage.require(checked.tile_counts, "", "It holds no tiles.")
    check_gaps("", checked.tile_counts, checked.remarks)


def _check_mbtiles(checked: _Checked) -> None:
    query = "SELECT substr(name, 1, 100), substr(value, 1, 10000) FROM metadata LIMIT 1000"
    texts = {str(name): str(value) for name, value in checked.rows(query)}
    for name in ("name", "format"):
        checked.damage.require(texts.get(name), "metadata", f"It has no row '{name}', which is required.")
    tile_format = texts.get("format", "")
    is_known = tile_format in _MBTILES_FORMATS or not tile_format
    checked.damage.require(is_known, "metadata", f"The format is '{tile_format[:40]}'; viewers show png, jpg and webp.")
    sides = _numbers(texts.get("bounds", "-180,-85,180,85"))
    is_box = len(sides) == 4 and sides[0] < sides[2] and sides[1] < sides[3]
    checked.damage.require(is_box, "metadata", f"The bounds '{texts.get('bounds', '')[:80]}' are no box.")
    _check_places(checked, "tiles", lambda zoom: (2**zoom, 2**zoom) if 0 <= zoom <= MAX_ZOOM else None)
    levels = sorted(checked.tile_counts)
    for name, level in (("minzoom", min(levels, default=0)), ("maxzoom", max(levels, default=0))):
        text = f"{name} is '{texts.get(name, '')[:40]}'; tiles are there for {level}."
        checked.remarks.require(texts.get(name) in {None, str(level)}, "metadata", text)
    if checked.scope.tiles:
        _check_tiles(checked, "tiles", _MBTILES_FORMATS.get(tile_format, {"png", "jpeg", "webp"}), None)


def _check_geopackage(checked: _Checked, names: set[str]) -> None:
    (application_id,) = next(checked.rows("PRAGMA application_id"))
    text = "Its application id is not that of a GeoPackage."
    checked.remarks.require(application_id in _GEOPACKAGE_IDS, "", text)
    for name in _GEOPACKAGE_TABLES:
        checked.damage.require(name in names, name, "The table is missing.")
    if checked.damage.all:
        return
    if checked.scope.tiles:
        for table, row, parent, _ in checked.rows("PRAGMA foreign_key_check"):
            checked.damage.add(str(table), f"Row {row} refers to a row of {parent} that is missing.")
    query = "SELECT table_name, srs_id FROM gpkg_contents WHERE data_type = 'tiles' LIMIT ?"
    for table, srs_id in list(checked.rows(query, _MAX_TABLES)):
        if checked.damage.require(table in names, str(table)[:80], "The table is missing."):
            _check_tile_table(checked, table, srs_id)


def _check_tile_table(checked: _Checked, table: str, srs_id: object) -> None:
    damage = checked.damage
    known = next(checked.rows("SELECT count(*) FROM gpkg_spatial_ref_sys WHERE srs_id IS ?", srs_id))
    damage.require(known == (1,), table, f"Its spatial reference {srs_id} is not among gpkg_spatial_ref_sys.")
    sets = list(
        checked.rows("SELECT max_x - min_x, max_y - min_y FROM gpkg_tile_matrix_set WHERE table_name IS ?", table)
    )
    if not damage.require(len(sets) == 1, table, f"It has {len(sets)} rows in gpkg_tile_matrix_set instead of 1."):
        return
    matrices = list(
        checked.rows(
            "SELECT zoom_level, matrix_width, matrix_height, tile_width, tile_height, pixel_x_size, pixel_y_size "
            "FROM gpkg_tile_matrix WHERE table_name IS ? ORDER BY zoom_level LIMIT 100",
            table,
        )
    )
    if not all(isinstance(value, int | float) for row in [*sets, *matrices] for value in row):
        damage.add(table, "Its tile matrices hold values that are not numbers.")
        return
    by_zoom: Mapping[int, Row] = {row[0]: row[1:] for row in matrices}
    for zoom, (columns, rows, width, height, pixel_x, pixel_y) in by_zoom.items():
        is_box = math.isclose(columns * width * pixel_x, sets[0][0], rel_tol=_ROUNDING) and math.isclose(
            rows * height * pixel_y, sets[0][1], rel_tol=_ROUNDING
        )
        text = f"The tiles of zoom level {zoom} do not fill the box of gpkg_tile_matrix_set."
        checked.remarks.require(is_box, table, text)
    is_finer = all(before[4] > after[4] for before, after in pairwise(by_zoom.values()))
    damage.require(is_finer, table, "Its zoom levels are not each finer than the one before.")
    _check_places(checked, table, lambda zoom: by_zoom[zoom][:2] if zoom in by_zoom else None)
    if checked.scope.tiles:
        sizes = {zoom: (int(row[3]), int(row[2])) for zoom, row in by_zoom.items()}
        found = _check_tiles(checked, table, {"png", "jpeg", "webp"}, sizes)
        text = f"It does not register {geopackage.WEBP_EXTENSION} for the WebP tiles of {table}."
        damage.require("webp" not in found or _registers_webp(checked, table), "gpkg_extensions", text)


def _registers_webp(checked: _Checked, table: str) -> bool:
    known = next(checked.rows("SELECT count(*) FROM sqlite_master WHERE name = 'gpkg_extensions'"))
    query = "SELECT 1 FROM gpkg_extensions WHERE lower(table_name) = lower(?) AND extension_name = ?"
    return known != (0,) and any(checked.rows(query, table, geopackage.WEBP_EXTENSION))


def _check_places(checked: _Checked, table: str, matrix: Any) -> None:
    """Count the tiles of each level, and check that they lie inside of it, each once."""
    columns = (
        "zoom_level, count(*), min(tile_column), max(tile_column), min(tile_row), max(tile_row), "
        "count(DISTINCT tile_column || ' ' || tile_row)"
    )
    query = f"SELECT {columns} FROM {quoted(table)} GROUP BY zoom_level LIMIT 100"  # noqa: S608
    for zoom, count, *sides, places in checked.rows(query):
        if not all(isinstance(value, int) for value in (zoom, *sides)):
            checked.damage.add(table, "It holds tiles whose zoom level, column or row is not a whole number.")
            continue
        checked.tile_counts[zoom] += count
        checked.damage.require(places == count, table, f"Tiles of zoom level {zoom} are there more than once.")
        inside = matrix(zoom)
        if not checked.damage.require(inside, table, f"There is no place for {counted(count, 'tile')} of zoom {zoom}."):
            continue
        left, right, top, bottom = sides
        is_inside = left >= 0 and top >= 0 and right < inside[0] and bottom < inside[1]
        text = f"Tiles of zoom level {zoom} lie outside of its {inside[0]:,} columns and {inside[1]:,} rows."
        checked.damage.require(is_inside, table, text)


def _check_tiles(
    checked: _Checked, table: str, encodings: set[str], sizes: Mapping[int, tuple[int, int]] | None
) -> set[str]:
    """Check encoding and size in pixels of every tile; all have one size if it is not stated.

    Returns:
        The encodings of the tiles.
    """
    found = Counter[tuple[int, int]]()
    seen = set[str]()
    columns = f"zoom_level, tile_column, tile_row, substr(tile_data, 1, {TILE_HEAD_BYTES}), length(tile_data)"
    query = f"SELECT {columns} FROM {quoted(table)}"  # noqa: S608
    for zoom, column, row, head, size_bytes in checked.rows(query):
        place = f"Zoom level {zoom}, column {column}, row {row}"
        image = sniff(head) if isinstance(head, bytes) else None
        if image not in encodings:
            kind = (image or (kind_of_compression(head) if isinstance(head, bytes) else "") or "unknown").upper()
            checked.damage.add(table, f"{place}: the tile is {kind}; expected is {' or '.join(sorted(encodings))}.")
            continue
        seen.add(image)
        text = f"{place}: the tile is {DAMAGED_WEBP}."
        checked.damage.require(not is_damaged_webp(head, size_bytes), table, text)
        if size := image_size(head):
            found[size] += 1
            wanted = sizes.get(zoom, size) if sizes else size
            text = f"{place}: the tile has {size[1]} x {size[0]} pixels instead of {wanted[1]} x {wanted[0]}."
            checked.damage.require(size == wanted, table, text)
    checked.damage.require(sizes or len(found) <= 1, table, f"Its tiles have {len(found)} different sizes in pixels.")
    return seen


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        return []
