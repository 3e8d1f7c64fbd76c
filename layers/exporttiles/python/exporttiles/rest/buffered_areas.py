"""The parameter `areaOfInterest` with `bufferDistance`. Loads shapely, which no other request needs."""

from collections import Counter, defaultdict

import numpy as np

from exporttiles.domain.area import Area, read_polygons, read_vertices, with_area
from exporttiles.domain.buffer import buffer_of, take_shorter_ways
from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
from exporttiles.domain.reprojection import VERTICES_LIMIT
from exporttiles.domain.rings import Ring, bounding_box, box_polygon
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.wording import counted
from exporttiles.rest.areas import check_units, read_geometries, union
from exporttiles.rest.buffer import Buffer


def buffered_area_of_interest(
    name: str, text: str, service: ImageService, buffer: Buffer, *, must_name_reference: bool = False
) -> tuple[Area, tuple[str, ...], str]:
    """Return all places within a distance of the geometries of an area parameter, warnings and a note.

    Args:
        name: name of the parameter.
        text: value of the parameter: as for `area_of_interest`; lines and points, too.
        service: gives the reference.
        buffer: the distance.
        must_name_reference: as for `area_of_extent`.

    Returns:
        The area in the service's reference, warnings, and a sentence that says what was buffered.

    Raises:
        InvalidParameterError: the text is not a geometry.
        AreaError: there is no coordinate, the area is too complex, or outside its reference's bounds.
    """
    target = service.tiling_scheme.spatial_reference
    geometries, warnings = read_geometries(name, text, target, has_paths=True)
    counts: Counter[str] = Counter()
    interiors: list[Area] = []
    rings: dict[SpatialReference | None, list[Ring]] = defaultdict(list)
    lines: dict[SpatialReference | None, list[Ring]] = defaultdict(list)
    for reference, polygons in geometries.polygons.items():
        read = read_polygons(polygons)
        counts["polygon"] += len(read)
        rings[reference] += [np.vstack([ring, ring[:1]]) for polygon in read for ring in polygon]
        interiors.append(Area(with_area(read), reference or target))
    for sides, reference in geometries.envelopes:
        counts["polygon"] += 1
        extent = Extent(*sides, reference or target)
        interiors.append(Area.from_extent(extent))
        rings[reference] += [np.vstack([ring, ring[:1]]) for ring in box_polygon(extent.unwound_sides)]
    for reference, paths in geometries.paths.items():
        lines[reference] = [read_vertices(path) for path in paths]
        counts["line"] += sum(len(path) > 1 for path in paths)
        counts["point"] += sum(len(path) == 1 for path in paths)
    if not rings and not lines:
        raise AreaError("The area has no coordinates.")
    buffers: list[Area] = []
    vertices_left = VERTICES_LIMIT
    for reference in {**rings, **lines}:
        extent = Extent(*bounding_box([(*rings[reference], *lines[reference])]), reference or target)
        warnings += check_units(name, extent, is_named=reference is not None, must_be_named=must_name_reference)
        shorter, jumps = take_shorter_ways(lines[reference], reference or target)
        if jumps:
            warnings.append(
                f"{name}: {counted(jumps, 'edge')} of a line would go more than half round the world; each was taken "
                "to go the shorter way, across the antimeridian."
            )
        found = buffer_of([*rings[reference], *shorter], reference or target, buffer.metres, vertices_left)
        vertices_left -= sum(len(ring) for polygon in found.polygons for ring in polygon)
        buffers.append(found)
    areas = [area.to(target) for area in (*interiors, *buffers) if area.polygons]
    buffered = " and ".join(counted(count, noun) for noun, count in counts.items() if count)
    verb = "was" if counts.total() == 1 else "were"
    return union(areas, target), tuple(warnings), f"{name}: {buffered} {verb} buffered by {buffer.text}."
