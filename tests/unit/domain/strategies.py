"""Tiling schemes, areas and an independent oracle for the tests of the domain."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from hypothesis import strategies as st

from exporttiles.domain.area import Area
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import EDGE_PIXELS, LevelOfDetail, TilingScheme
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512

NZTM = TilingScheme(
    spatial_reference=SpatialReference(wkid=2193, latest_wkid=2193),
    origin_x=-4020900.0,
    origin_y=19998100.0,
    tile_size=256,
    dpi=96,
    lods=tuple(LevelOfDetail(n, 12700 / 2**n, 48_000_000 / 2**n) for n in range(18)),
)
SCHEMES = (WEB_MERCATOR_256, WGS84_512, NZTM)

WORLD = {
    WEB_MERCATOR_256: Extent(
        -20037508.342787, -20037508.342787, 20037508.342787, 20037508.342787, SpatialReference(102100, 3857)
    ),
    WGS84_512: Extent(-180.0, -90.0, 180.0, 90.0, WGS84),
    NZTM: Extent(827933.23, 3729820.29, 3195373.59, 7039943.58, NZTM.spatial_reference),
}
"""Full extents of services in each scheme."""


def tiles():
    """Any tile: a scheme, a level, a row and a column."""
    return st.sampled_from(SCHEMES).flatmap(
        lambda scheme: st.sampled_from([lod.level for lod in scheme.lods]).flatmap(
            lambda level: st.tuples(
                st.just(scheme), st.just(level), st.integers(0, 2**level - 1), st.integers(0, 2**level - 1)
            )
        )
    )


def rings(tile_count=8):
    """Rings in tiles from the origin, on 64ths and beyond the grid; most cross themselves."""
    place = st.integers(-64, 64 * (tile_count + 1)).map(lambda n: n / 64)
    vertices = st.lists(st.tuples(place, place), min_size=3, max_size=8)
    return vertices.filter(lambda ring: shapely.MultiPoint(ring).convex_hull.area > 0)


def unions(tile_count=8):
    """Polygons of rings, for a union."""
    return st.lists(st.lists(rings(tile_count), min_size=1, max_size=3), min_size=1, max_size=3)


def placed(polygons, scheme, level):
    """The area of polygons that are given in tiles from the origin."""
    span = scheme.tile_span(level)
    origin = np.array([scheme.origin_x, scheme.origin_y])
    return Area(
        tuple(tuple(origin + np.array(ring, float) * (span, -span) for ring in polygon) for polygon in polygons),
        scheme.spatial_reference,
    )


def region(polygon):
    """What lies within an odd number of rings, as shapely builds it.

    A ring that crosses itself is taken as the triangles from its first vertex
    to each edge: `make_valid` is not even-odd where edges lie on each other.
    On a fine grid: in floating point GEOS may lose a part of such polygons.
    """
    found = shapely.Polygon()
    for ring in polygon:
        parts = [shapely.Polygon(ring)]
        if not parts[0].is_valid:
            parts = [shapely.Polygon([ring[0], *side]) for side in pairwise(ring[1:])]
        for part in parts:
            if part.area:
                regions = shapely.get_parts(shapely.symmetric_difference(found, part, grid_size=2**-30))
                found = shapely.multipolygons(regions[shapely.get_dimensions(regions) == 2])
    return found


def brute_force(polygons, tile_size, rows, columns):
    """Which tiles polygons reach into, tile by tile: (rows, columns) booleans.

    A tile is reached by an outline, or it lies inside as its centre does.
    """
    margin = EDGE_PIXELS / tile_size
    row, column = np.mgrid[:rows, :columns]
    boxes = shapely.box(column + margin, row + margin, column + 1 - margin, row + 1 - margin)
    found = np.zeros((rows, columns), bool)
    for polygon in polygons:
        inside = np.zeros((rows, columns), bool)
        for ring in polygon:
            outline = shapely.LinearRing(ring)
            shapely.prepare(outline)
            found |= shapely.intersects(outline, boxes)
            for (x0, y0), (x1, y1) in pairwise([*ring, ring[0]]):
                if y0 != y1:
                    crossing = x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)
                    inside ^= ((y0 <= row + 0.5) != (y1 <= row + 0.5)) & (crossing < column + 0.5)
        found |= inside
    return found


_AREAS = Path(__file__).parents[2] / "data" / "areas.geojson"


def fixture_area(name):
    """One of the areas of tests/data, in longitude and latitude."""
    for feature in json.loads(_AREAS.read_text())["features"]:
        if feature["properties"]["name"] == name:
            geometry = feature["geometry"]
            coordinates = geometry["coordinates"]
            return Area.from_rings(coordinates if geometry["type"] == "MultiPolygon" else [coordinates], WGS84)
    raise KeyError(name)
