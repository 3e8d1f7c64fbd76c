"""The parameter `areaOfInterest` with `bufferDistance`. Loads shapely, which no other request needs."""

from collections import Counter

import numpy as np

from exporttiles.domain.area import Area, read_polygons, read_vertices, with_area
from exporttiles.domain.buffer import buffer_of, take_shorter_ways
from exporttiles.domain.errors import AreaError
from exporttiles.domain.extent import Extent
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
    interiors, outlines = [], dict[SpatialReference | None, list[Ring]]()
    for reference, polygons in geometries.polygons.items():
        read = read_polygons(polygons)
        counts["polygon"] += len(read)
        outlines.setdefault(reference, []).extend(np.vstack([ring, ring[:1]]) for rings in read for ring in rings)
        interiors.append(Area(with_area(read), reference or target))
    for sides, reference in geometries.envelopes:
        counts["polygon"] += 1
        extent = Extent(*sides, reference or target)
        (ring,) = box_polygon(extent.unwound_sides)
        outlines.setdefault(reference, []).append(np.vstack([ring, ring[:1]]))
        interiors.append(Area.from_extent(extent))
    for reference, paths in geometries.paths.items():
        lines = [read_vertices(path) for path in paths]
        counts["point"] += sum(len(line) == 1 for line in lines)
        counts["line"] += sum(len(line) > 1 for line in lines)
        short, jumps = take_shorter_ways(lines, reference or target)
        outlines.setdefault(reference, []).extend(short)
        if jumps:
            warnings.append(
                f"{name}: {counted(jumps, 'edge')} of a line would go more than half round the world; each was taken "
                "to go the shorter way, across the antimeridian."
            )
    if not outlines:
        raise AreaError("The area has no coordinates.")
    areas = [area.to(target) for area in interiors if area.polygons]
    for reference, outline in outlines.items():
        extent = Extent(*bounding_box([tuple(outline)]), reference or target)
        warnings += check_units(name, extent, is_named=reference is not None, must_be_named=must_name_reference)
        areas.append(buffer_of(outline, reference or target, buffer.metres).to(target))
    buffered = " and ".join(counted(count, noun) for noun, count in counts.items() if count)
    verb = "was" if counts.total() == 1 else "were"
    return union(areas, target), tuple(warnings), f"{name}: {buffered} {verb} buffered by {buffer.text}."
