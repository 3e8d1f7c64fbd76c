"""Writing GeoPackage 1.3 tiles: an SQLite file of tiles in any tiling scheme.

Every tile is stored, equal ones too: the user data table needs a primary key of
its own, and readers do not know the views that other formats share tiles by.

Source: OGC 12-128r17 (GeoPackage 1.3), clause 2.2 and annex C.
"""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.packages.database import PlacedTile, new_database

APPLICATION_ID = 0x47504B47
"""``GPKG``."""

TABLE = "tiles"

_VERSION = 10300
_OWN_SRS_ID = 100_000  # for references without an EPSG code
_UNDATED = "1980-01-01T00:00:00.000Z"  # equal exports give equal bytes
_MOST_MULTIPLES = 1024
_ROUNDING = 1e-6  # of a tile
_MOST_ROUNDING = 0.05  # of a tile, where many lie side by side: Esri's resolutions are rounded

_SCHEMA = f"""
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT
);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
);
CREATE TABLE gpkg_tile_matrix_set (
  table_name TEXT NOT NULL PRIMARY KEY, srs_id INTEGER NOT NULL,
  min_x DOUBLE NOT NULL, min_y DOUBLE NOT NULL, max_x DOUBLE NOT NULL, max_y DOUBLE NOT NULL,
  CONSTRAINT fk_gtms_table_name FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gtms_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
);
CREATE TABLE gpkg_tile_matrix (
  table_name TEXT NOT NULL, zoom_level INTEGER NOT NULL, matrix_width INTEGER NOT NULL, matrix_height INTEGER NOT NULL,
  tile_width INTEGER NOT NULL, tile_height INTEGER NOT NULL, pixel_x_size DOUBLE NOT NULL, pixel_y_size DOUBLE NOT NULL,
  CONSTRAINT pk_ttm PRIMARY KEY (table_name, zoom_level),
  CONSTRAINT fk_tmm_table_name FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name)
);
CREATE TABLE gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name)
);
CREATE TABLE {TABLE} (
  id INTEGER PRIMARY KEY AUTOINCREMENT, zoom_level INTEGER NOT NULL, tile_column INTEGER NOT NULL,
  tile_row INTEGER NOT NULL, tile_data BLOB NOT NULL, UNIQUE (zoom_level, tile_column, tile_row)
);
"""

TABLES = frozenset(
    {
        *("gpkg_spatial_ref_sys", "gpkg_contents", "gpkg_tile_matrix_set", "gpkg_tile_matrix", "gpkg_extensions"),
        *(TABLE, "sqlite_sequence"),
    }
)
"""The tables of a file."""

_UNDEFINED = [
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian coordinate reference system"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
]
_ZOOM_OTHER = (
    TABLE,
    "tile_data",
    "gpkg_zoom_other",
    "http://www.geopackage.org/spec130/#extension_zoom_other_intervals",
    "read-write",
)
WEBP_EXTENSION = "gpkg_webp"
"""The extension that a table of WebP tiles needs (annex F.7)."""

_WEBP = (TABLE, "tile_data", WEBP_EXTENSION, "http://www.geopackage.org/spec130/#extension_tiles_webp", "read-write")


@dataclass(frozen=True, slots=True)
class TileMatrixSet:
    """The grid of a GeoPackage: all levels cover the same box.

    Attributes:
        width, height: of the box, in map units.
        scheme: of the tiles; the box begins at its origin.
        levels: ascending, without gaps.
        is_exact: the tiles of every level fill the box.
    """

    width: float
    height: float
    scheme: TilingScheme
    levels: Sequence[int]
    is_exact: bool

    @classmethod
    def of(cls, scheme: TilingScheme, levels: Sequence[int], extent: Extent) -> "TileMatrixSet":
        """Return the smallest grid that covers an extent, in whole tiles of all levels if there is one.

        Args:
            scheme: of the tiles.
            levels: those with tiles, ascending, at least one.
            extent: of the tiles, in the scheme's reference.
        """
        wanted = [lod.level for lod in scheme.lods if min(levels) <= lod.level <= max(levels)]
        spans = [scheme.tile_span(level) for level in wanted]
        coarsest = max(spans)
        unit = next((n * coarsest for n in range(1, _MOST_MULTIPLES) if _divide(n * coarsest, spans)), 0.0)
        step = unit or coarsest
        sides = extent.xmax - scheme.origin_x, scheme.origin_y - extent.ymin
        width, height = (max(1, math.ceil(side / step - _ROUNDING)) * step for side in sides)
        return cls(width, height, scheme, wanted, is_exact=bool(unit))

    def matrix(self, level: int) -> tuple[int, int]:
        """Return the columns and rows of a level."""
        span = self.scheme.tile_span(level)
        columns, rows = (
            round(side / span) if self.is_exact else math.ceil(side / span - _ROUNDING)
            for side in (self.width, self.height)
        )
        return columns, rows

    @property
    def has_factor_2(self) -> bool:
        """Return True if every level is twice as fine as the one before."""
        resolutions = [self.scheme.lod(level).resolution for level in self.levels]
        return all(math.isclose(coarse, 2 * fine, rel_tol=1e-6) for coarse, fine in pairwise(resolutions))


def write_geopackage(
    path: Path,
    tiles: Iterable[PlacedTile],
    service: ImageService,
    levels: Sequence[int],
    extent: Extent,
    *,
    max_bytes: int,
) -> None:
    """Write a file.

    Args:
        path: of the file, which does not exist.
        tiles: of the service's scheme, each place once.
        service: the cache that the tiles come from.
        levels: those with tiles, ascending, at least one.
        extent: of the export, in the scheme's reference.
        max_bytes: limit of the file.

    Raises:
        PackageError: the file would be longer.
    """
    scheme = service.tiling_scheme
    grid = TileMatrixSet.of(scheme, levels, extent)
    with new_database(path, APPLICATION_ID, max_bytes) as database:
        database.execute(f"PRAGMA user_version = {_VERSION}")
        for statement in _SCHEMA.split(";\n")[:-1]:
            database.execute(statement)
        srs_id = _write_references(database, scheme.spatial_reference)
        texts = [text for text in (service.description, service.copyright_text) if text]
        contents = (TABLE, "tiles", service.map_title, "\n\n".join(texts), _UNDATED, *extent.sides, srs_id)
        database.execute("INSERT INTO gpkg_contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", contents)
        left, top = scheme.origin_x, scheme.origin_y
        box = (TABLE, srs_id, left, top - grid.height, left + grid.width, top)
        database.execute("INSERT INTO gpkg_tile_matrix_set VALUES (?, ?, ?, ?, ?, ?)", box)
        for level in grid.levels:
            side, pixel = scheme.tile_size, scheme.lod(level).resolution
            matrix = (TABLE, level, *grid.matrix(level), side, side, pixel, pixel)
            database.execute("INSERT INTO gpkg_tile_matrix VALUES (?, ?, ?, ?, ?, ?, ?, ?)", matrix)
        is_webp = service.tile_format is TileFormat.WEBP
        extensions = [*([] if grid.has_factor_2 else [_ZOOM_OTHER]), *([_WEBP] if is_webp else [])]
        database.executemany("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", extensions)
        placed = ((level, column, row, tile) for level, row, column, tile in tiles)
        database.executemany(
            "INSERT INTO tiles (zoom_level, tile_column, tile_row, tile_data) VALUES (?, ?, ?, ?)", placed
        )


def _write_references(database: sqlite3.Connection, reference: SpatialReference) -> int:
    """Write the references that every file has, and that of the tiles; return the id of the latter."""
    rows = {row[1]: row for row in [*_UNDEFINED, _reference_row(SpatialReference(4326, 4326))]}
    own = _reference_row(reference.identified)
    rows[own[1]] = own
    database.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", rows.values())
    return own[1]


def _reference_row(reference: SpatialReference) -> tuple[str, int, str, int, str, str]:
    crs = reference.crs
    authority = crs.to_authority(min_confidence=100)
    code = int(authority[1]) if authority and authority[1].isdecimal() else 0
    organization = authority[0] if authority and code else "NONE"
    return crs.name, code or _OWN_SRS_ID, organization, code or _OWN_SRS_ID, crs.to_wkt("WKT1_GDAL"), ""


def _divide(width: float, spans: Sequence[float]) -> bool:
    """Return True if a width is a whole number of every span."""
    ratios = (width / span for span in spans)
    return all(abs(ratio - round(ratio)) < min(_MOST_ROUNDING, _ROUNDING * max(1.0, ratio)) for ratio in ratios)
