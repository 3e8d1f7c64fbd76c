"""Approximate the curved segments of Esri JSON `curveRings` by vertices.

Source: ArcGIS REST API, "Geometry objects", Polygon: a ring begins with a
vertex; each item after it is a vertex or a curve from the last place, as
``{"c": [end, interior point]}`` (circular arc), ``{"a": [end, centre, minor,
clockwise, rotation, axis, ratio]}`` (elliptic arc, without the last three a
circular one) or ``{"b": [end, control, control]}`` (cubic Bezier curve).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from exporttiles.formats.esri.values import shown

TOLERANCE = 1e-5
"""Distance between a curve and its chords over its radius (of a Bezier curve, the length of its control polygon)."""

Place = tuple[float, float]


def trace_ring(ring: Sequence[Any]) -> Iterator[Any]:
    """Yield the vertices of a ring; a curve becomes the ends of its chords.

    Raises:
        ValueError: an item is neither a vertex nor a known curve.
    """
    last: Place | None = None
    for item in ring:
        vertices = [[*place] for place in _trace(last, item)] if isinstance(item, dict) else [item]
        yield from vertices
        last = _place(vertices[-1])


def _trace(start: Place | None, curve: dict[str, Any]) -> Iterator[Place]:
    match curve:
        case _ if start is None:
            raise ValueError("a ring of curveRings begins with a curve instead of a vertex")
        case {"c": [end, interior]}:
            return _arc_through(start, _place(interior), _place(end))
        case {"b": [end, first, second]}:
            return _bezier(start, _place(first), _place(second), _place(end))
        case {"a": [end, centre, _, clockwise]}:
            return _arc(start, _place(centre), _place(end), is_clockwise=_flag(clockwise))
        case {"a": [end, centre, _, clockwise, rotation, axis, ratio]}:
            if not (_number(axis) > 0 and _number(ratio) > 0):
                raise ValueError("an elliptic arc of curveRings has no size")
            frame = _number(rotation), _number(ratio)
            return _arc(start, _place(centre), _place(end), is_clockwise=_flag(clockwise), frame=frame)
        case _:
            raise ValueError(f"curveRings hold {shown(curve)}, which is not a known curve")


def _arc_through(start: Place, interior: Place, end: Place) -> Iterator[Place]:
    """Yield the chords of a circular arc through an interior point; a full circle if start is end."""
    if start == end:
        centre = ((start[0] + interior[0]) / 2, (start[1] + interior[1]) / 2)
        return _arc(start, centre, end, is_clockwise=False)
    # Relative to the start, so that large coordinates lose no digits.
    (ix, iy), (ex, ey) = ((x - start[0], y - start[1]) for x, y in (interior, end))
    cross = ix * ey - iy * ex
    inner, outer = ix * ix + iy * iy, ex * ex + ey * ey
    if abs(cross) <= 1e-9 * max(inner, outer):  # on a line, as far as numbers go
        return iter([interior, end])
    centre = (start[0] + (ey * inner - iy * outer) / (2 * cross), start[1] + (ix * outer - ex * inner) / (2 * cross))
    return _arc(start, centre, end, is_clockwise=cross < 0)


def _arc(
    start: Place, centre: Place, end: Place, *, is_clockwise: bool, frame: tuple[float, float] = (0.0, 1.0)
) -> Iterator[Place]:
    """Yield the chords of an arc about a centre.

    Args:
        start: where it begins.
        centre: of the circle or ellipse.
        end: where it ends, exactly; the start itself for a whole turn.
        is_clockwise: the sense of rotation.
        frame: of an ellipse, the angle of its major axis in radians and its
            minor axis over its major one.
    """
    rotation, ratio = frame
    cosine, sine = math.cos(rotation), math.sin(rotation)

    def on_circle(place: Place) -> Place:
        x, y = place[0] - centre[0], place[1] - centre[1]
        return x * cosine + y * sine, (y * cosine - x * sine) / ratio

    (ax, ay), (bx, by) = on_circle(start), on_circle(end)
    radius, last_radius = math.hypot(ax, ay), math.hypot(bx, by)
    first = math.atan2(ay, ax)
    turn = (math.atan2(by, bx) - first) % math.tau
    sweep = turn - math.tau if is_clockwise else turn or math.tau
    count = math.ceil(abs(sweep) / (2 * math.acos(1 - TOLERANCE)))
    for number in range(1, count):
        along = number / count
        angle, reach = first + along * sweep, radius + along * (last_radius - radius)
        x, y = reach * math.cos(angle), reach * math.sin(angle) * ratio
        yield centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine
    yield end


def _bezier(start: Place, first: Place, second: Place, end: Place) -> Iterator[Place]:
    """Yield the chords of a cubic Bezier curve."""
    polygon = (start, first, second, end)
    length = sum(math.dist(one, other) for one, other in pairwise(polygon))
    bend = max(
        math.hypot(*(polygon[at][axis] - 2 * polygon[at + 1][axis] + polygon[at + 2][axis] for axis in (0, 1)))
        for at in (0, 1)
    )
    # A chord of 1/n of the parameter lies within 6 * bend / (8 n^2) of its curve.
    count = max(1, math.ceil(math.sqrt(0.75 * bend / (TOLERANCE * length)))) if length else 1
    for number in range(1, count):
        t = number / count
        weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        x, y = (sum(weight * place[axis] for weight, place in zip(weights, polygon, strict=True)) for axis in (0, 1))
        yield x, y
    yield end


def _place(value: Any) -> Place:
    """Return x and y of a vertex, which may go on with z and m."""
    if not isinstance(value, list) or len(value) < 2:
        raise ValueError(f"{shown(value)} is not a vertex [x, y]")
    return _number(value[0]), _number(value[1])


def _flag(value: Any) -> bool:
    if value not in (0, 1):  # or false, true
        raise ValueError(f"{shown(value)} is not 0 or 1, for the sense of an arc")
    return bool(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{shown(value)} is not a coordinate")
    return float(value)
