"""The tables of tiles in SQLite files: MBTiles, and the tiles of GeoPackages.

The tables decide which tiles exist; what is said about them is compared with them.

Source: mapbox/mbtiles-spec, 1.3/spec.md; OGC 12-128r17 (GeoPackage 1.3), clause 2.2.
"""

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporttiles.domain.errors import DamagedCacheError, UnknownSpatialReferenceError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WEB_MERCATOR_WKIDS, SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TileRange, TilingScheme
from exporttiles.formats.archives.untrusted_database import (
    Row,
    UntrustedDatabase,
    failure,
    quoted,
    require_no_pending_changes,
)
from exporttiles.formats.caches.tms_documents import Box

DATABASES = (".mbtiles", ".gpkg")
MBTILES_TABLE = "tiles"

_MAX_ZOOM = 30
_MAX_TABLES = _MAX_LEVELS = 100
_ROUNDING = 1e-6
_DPI = 96
_INCHES_A_METRE = 1 / 0.0254


@dataclass(frozen=True, slots=True)
class TileTable:
    """A table of tiles, and what the file says about it.

    Attributes:
        name: of the table or view.
        levels: level -> the block around its tiles, with rows as the table counts them.
        scheme: None for MBTiles, which are always in Web Mercator.
        extent: as the file states it, in the reference of the scheme; None if it is unknown.
        bounds: of MBTiles, in degrees; None if it has none that can be used.
        declared_format: of MBTiles, such as ``png``; '' for others.
        description, attribution: of the map; of MBTiles alone.
        remarks: where the file contradicts itself.
    """

    name: str
    levels: Mapping[int, TileRange]
    scheme: TilingScheme | None = None
    extent: Extent | None = None
    bounds: Box | None = None
    declared_format: str = ""
    description: str = ""
    attribution: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def is_mbtiles(self) -> bool:
        """Return True if rows are counted from the bottom of the world."""
        return self.scheme is None


@contextmanager
def open_database(path: Path) -> Iterator[UntrustedDatabase]:
    """Yield a database, and explain errors of reading it.

    Raises:
        DamagedCacheError: it cannot be read, or its last changes are in another file.
    """
    require_no_pending_changes(path)
    try:
        with UntrustedDatabase(path) as database:
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise DamagedCacheError(f"{path.name}: {failure(path, error)}") from error


def read_tile_table(path: Path, layer: str = "") -> TileTable:
    """Return the table of tiles of a file.

    Args:
        path: of the file.
        layer: name of the table; '' if there is only one.

    Raises:
        DamagedCacheError: there is no such table, or it cannot be used.
    """
    with open_database(path) as database:
        names = database.tables()
        try:
            if "gpkg_contents" in names:
                return _read_geopackage(database, names, layer)
            if {"tiles", "metadata"} <= names:
                return _read_mbtiles(database, layer)
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{path.name}: {error}") from error
    raise DamagedCacheError(f"{path.name}: It has neither the tables of MBTiles nor those of a GeoPackage.")


def _read_mbtiles(database: UntrustedDatabase, layer: str) -> TileTable:
    if layer not in {"", MBTILES_TABLE}:
        raise DamagedCacheError(f"It is MBTiles, which have no layer '{layer[:40]}' (--layer).")
    query = "SELECT substr(name, 1, 100), substr(value, 1, 10000) FROM metadata LIMIT 1000"
    texts = {str(name): str(value) for name, value in database.rows(query)}
    levels = _levels(database, MBTILES_TABLE)
    remarks = []
    for level, tiles in levels.items():
        if level > _MAX_ZOOM or not _is_within(tiles, 2**level, 2**level):
            raise DamagedCacheError(f"Tiles of zoom level {level} lie outside of the world.")
    for name, level in (("minzoom", min(levels)), ("maxzoom", max(levels))):
        if texts.get(name, str(level)) != str(level):
            remarks.append(f"metadata: {name} is '{texts[name][:40]}'; the tiles begin or end with {level}.")
    bounds = _box(texts.get("bounds", ""))
    if bounds is None and "bounds" in texts:
        remarks.append(f"metadata: The bounds '{texts['bounds'][:80]}' are no box in degrees, and are ignored.")
    return TileTable(
        MBTILES_TABLE,
        levels,
        bounds=bounds,
        declared_format=texts.get("format", "").lower(),
        description=texts.get("description", ""),
        attribution=texts.get("attribution", ""),
        remarks=tuple(remarks),
    )


def _read_geopackage(database: UntrustedDatabase, names: set[str], layer: str) -> TileTable:
    for needed in ("gpkg_spatial_ref_sys", "gpkg_tile_matrix_set", "gpkg_tile_matrix"):
        if needed not in names:
            raise DamagedCacheError(f"The table {needed} is missing: it holds no tiles.")
    query = "SELECT substr(table_name, 1, 1000), substr(data_type, 1, 40) FROM gpkg_contents LIMIT 1000"
    contents = list(database.rows(query))
    tables = [str(table) for table, kind in contents if kind == "tiles"]
    table = _chosen(tables, layer, sorted({str(kind) for _, kind in contents}))
    if table not in names:
        raise DamagedCacheError(f"The table '{table[:80]}' is missing, although gpkg_contents lists it.")
    scheme, sides, remarks = _read_scheme(database, table)
    levels = _levels(database, table)
    for level, tiles in levels.items():
        if level not in sides:
            raise DamagedCacheError(f"{table}: gpkg_tile_matrix has no row for its tiles of zoom level {level}.")
        if not _is_within(tiles, *sides[level]):
            columns, rows = sides[level]
            raise DamagedCacheError(
                f"{table}: Tiles of zoom level {level} lie outside of its {columns:,} columns and {rows:,} rows."
            )
    query = "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name IS ?"
    extent = None
    if box := _numbers(next(database.rows(query, table), ())):
        xmin, ymin, xmax, ymax = box
        extent = Extent(xmin, ymin, xmax, ymax, scheme.spatial_reference) if xmin < xmax and ymin < ymax else None
    return TileTable(table, levels, scheme, extent, remarks=tuple(remarks))


def _chosen(tables: Sequence[str], layer: str, kinds: Sequence[str]) -> str:
    """Return the table to read."""
    listed = ", ".join(f"'{table[:80]}'" for table in tables[:_MAX_TABLES])
    if layer:
        if layer in tables:
            return layer
        raise DamagedCacheError(f"It has no layer of tiles '{layer[:80]}' (--layer); there is {listed or 'none'}.")
    if not tables:
        raise DamagedCacheError(f"It holds no tiles, only {', '.join(kinds) or 'empty tables'}.")
    if len(tables) > 1:
        raise DamagedCacheError(f"It has {len(tables)} layers of tiles: {listed}. Choose one with --layer.")
    return tables[0]


def _read_scheme(
    database: UntrustedDatabase, table: str
) -> tuple[TilingScheme, Mapping[int, tuple[int, int]], list[str]]:
    """Return the tiling scheme of a table, columns and rows of each level, and contradictions."""
    query = "SELECT srs_id, min_x, min_y, max_x, max_y FROM gpkg_tile_matrix_set WHERE table_name IS ? LIMIT 2"
    sets = list(database.rows(query, table))
    box = _numbers(sets[0][1:]) if len(sets) == 1 else None
    if box is None:
        raise DamagedCacheError(f"{table}: gpkg_tile_matrix_set must have one row for it, of numbers.")
    reference, remarks = _read_reference(database, table, sets[0][0])
    query = (
        "SELECT zoom_level, matrix_width, matrix_height, tile_width, tile_height, pixel_x_size, pixel_y_size "
        "FROM gpkg_tile_matrix WHERE table_name IS ? ORDER BY zoom_level LIMIT 100"
    )
    matrices = list(database.rows(query, table))
    sides: dict[int, tuple[int, int]] = {}
    lods: list[LevelOfDetail] = []
    tile_sizes = set[int]()
    for row in matrices:
        zoom, columns, rows, width, height = row[:5]
        pixel = _numbers(row[5:])
        is_whole = all(isinstance(value, int) and value >= 0 for value in row[:5])
        if not is_whole or pixel is None or min(columns, rows, width, height, *pixel) <= 0:
            raise DamagedCacheError(f"{table}: gpkg_tile_matrix has a row that cannot be used: {str(row)[:120]}.")
        if not math.isclose(*pixel, rel_tol=_ROUNDING):
            raise DamagedCacheError(
                f"{table}: Pixels of zoom level {zoom} are not square: {pixel[0]:.10g} x {pixel[1]:.10g} units."
            )
        if width != height:
            raise DamagedCacheError(f"{table}: Tiles of zoom level {zoom} are not square: {width} x {height} pixels.")
        if lods and pixel[0] >= lods[-1].resolution:
            raise DamagedCacheError(f"{table}: Zoom level {zoom} is not finer than the one before.")
        filled = columns * width * pixel[0], rows * height * pixel[1]
        if not all(math.isclose(*pair, rel_tol=_ROUNDING) for pair in zip(filled, _lengths(box), strict=True)):
            remarks.append(
                f"{table}: The tiles of zoom level {zoom} do not fill the box of gpkg_tile_matrix_set; they are placed "
                "from its upper left corner."
            )
        tile_sizes.add(width)
        sides[zoom] = columns, rows
        scale = pixel[0] * reference.metres_per_unit * _DPI * _INCHES_A_METRE
        lods.append(LevelOfDetail(zoom, pixel[0], scale))
    if len(tile_sizes) != 1:
        listed = " and ".join(map(str, sorted(tile_sizes))) or "no"
        raise DamagedCacheError(f"{table}: Its zoom levels have tiles of {listed} pixels; one size is needed.")
    return TilingScheme(reference, box[0], box[3], tile_sizes.pop(), _DPI, tuple(lods)), sides, remarks


def _read_reference(database: UntrustedDatabase, table: str, srs_id: object) -> tuple[SpatialReference, list[str]]:
    """Return the spatial reference of a table, and contradictions."""
    query = "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id IS ?"
    found = list(database.rows(f"{query} LIMIT 2", srs_id))
    if len(found) != 1:
        raise DamagedCacheError(f"{table}: gpkg_spatial_ref_sys has {len(found)} rows for its srs_id {srs_id}.")
    organization, code, definition = found[0]
    text = str(definition or "").strip()
    by_text = SpatialReference(wkt=text) if text and text.lower() != "undefined" else None
    by_id = None
    if str(organization).upper() in {"EPSG", "ESRI"} and isinstance(code, int) and code > 0:
        is_mercator = code in WEB_MERCATOR_WKIDS
        by_id = SpatialReference(102100, 3857) if is_mercator else SpatialReference(code, code)
    references = [each for each in (by_id, by_text) if each and _is_known(each)]
    if not references:
        raise DamagedCacheError(f"{table}: Its spatial reference {organization} {code} (srs_id {srs_id}) is unknown.")
    if len(references) == 2 and not references[0].is_same_as(references[1]):
        text = f"its definition in gpkg_spatial_ref_sys is another one, '{references[1].crs.name[:60]}', and is ignored"
        return references[0], [f"{table}: The spatial reference is {organization}:{code}; {text}."]
    return references[0], []


def _is_known(reference: SpatialReference) -> bool:
    try:
        return bool(reference.crs)
    except UnknownSpatialReferenceError:
        return False


def _levels(database: UntrustedDatabase, table: str) -> dict[int, TileRange]:
    """Return the block around the tiles of each level, with rows as the table counts them.

    Raises:
        DamagedCacheError: there are no tiles, or a number is no whole number.
    """
    columns = "min(tile_row), max(tile_row), min(tile_column), max(tile_column)"
    query = f"SELECT zoom_level, {columns} FROM {quoted(table)} GROUP BY zoom_level LIMIT {_MAX_LEVELS + 1}"  # noqa: S608
    levels: dict[int, TileRange] = {}
    for level, *sides in database.rows(query):
        if not all(isinstance(value, int) for value in (level, *sides)) or level < 0:
            raise DamagedCacheError(f"{table}: It has tiles whose zoom level, column or row is no whole number.")
        top, bottom, left, right = sides
        levels[level] = TileRange(level, top, bottom + 1, left, right + 1)
    if not levels:
        raise DamagedCacheError(f"{table}: It holds no tiles.")
    if len(levels) > _MAX_LEVELS:
        raise DamagedCacheError(f"{table}: It has tiles of more than {_MAX_LEVELS} zoom levels.")
    return dict(sorted(levels.items()))


def _is_within(tiles: TileRange, columns: int, rows: int) -> bool:
    return min(tiles.row_start, tiles.column_start) >= 0 and tiles.row_stop <= rows and tiles.column_stop <= columns


def _box(text: str) -> Box | None:
    try:
        sides = _numbers([float(each) for each in text.split(",")])
    except ValueError:
        return None
    if sides is None or len(sides) != 4:
        return None
    west, south, east, north = sides
    is_box = -180 <= west < east <= 180 and -90 <= south < north <= 90
    return (west, south, east, north) if is_box else None


def _numbers(values: Row) -> list[float] | None:
    """Return finite numbers; None if a value is no such number."""
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None
    return [float(value) for value in values]


def _lengths(box: Sequence[float]) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]
