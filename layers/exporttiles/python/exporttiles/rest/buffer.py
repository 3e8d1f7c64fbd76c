"""The parameters `bufferDistance` and `bufferUnit`, which ArcGIS does not have in `exportTiles`.

Source of the units: ArcGIS REST API, "Buffer" of the geometry service (codes and names of esriSRUnitType), `units` of
feature layers, and GPLinearUnit (esriMeters).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.rest.geometry import is_number

MIN_METRES, MAX_METRES = 1.0, 1e6
"""Legal distances."""

_UNITS: dict[str, tuple[float, tuple[str, ...]]] = {  # symbol -> metres, and other names
    "m": (1.0, ("9001", "meter", "meters", "metre", "metres")),
    "km": (1000.0, ("9036", "kilometer", "kilometers", "kilometre", "kilometres")),
    "ft": (0.3048, ("9002", "foot", "feet", "intfoot", "intfeet")),
    "ftUS": (1200 / 3937, ("9003", "surveyfoot", "surveyfeet", "ussurveyfoot", "ussurveyfeet")),
    "yd": (0.9144, ("9096", "yard", "yards", "intyard", "intyards")),
    "mi": (1609.344, ("9093", "mile", "miles", "statutemile", "statutemiles", "intmile", "intmiles")),
    "miUS": (6_336_000 / 3937, ("9035", "surveymile", "surveymiles", "ussurveymile", "ussurveymiles")),
    "nmi": (1852.0, ("9030", "nauticalmile", "nauticalmiles", "intnauticalmile", "intnauticalmiles")),
}
_NAMES = {name.lower(): symbol for symbol, (_, names) in _UNITS.items() for name in (symbol, *names)}
_LEGAL_UNIT = "It must be m, km, ft, yd, mi or nmi, or Esri's name or code of such a unit, as esriMeters or 9036."
_LEGAL_DISTANCE = f"It must be a number, and stand for {MIN_METRES:g} to {MAX_METRES:,.0f} metres."


@dataclass(frozen=True, slots=True)
class Buffer:
    """A distance by which geometries are buffered.

    Attributes:
        metres: the distance.
        text: the distance and its unit as the client sent them, such as ``5 mi``.
    """

    metres: float
    text: str


def read_buffer(sent: Mapping[str, str], *, is_buffered: bool) -> Buffer | None:
    """Return the distance in the parameters, or None if they have none.

    Args:
        sent: parameters that are not empty.
        is_buffered: the request has an area of interest.

    Raises:
        InvalidParameterError: the distance or the unit cannot be used, or has nothing to belong to.
    """
    distance, unit = (sent.get(name) for name in ("bufferDistance", "bufferUnit"))
    if distance is None:
        if unit is not None:
            raise InvalidParameterError("bufferUnit", unit, "It is the unit of bufferDistance, which is missing.")
        return None
    symbol = _NAMES.get((unit or "m").lower().removeprefix("esrisrunit_").removeprefix("esri"))
    if symbol is None:
        raise InvalidParameterError("bufferUnit", unit, _LEGAL_UNIT)
    metres = float(distance) * _UNITS[symbol][0] if is_number(distance) else 0.0
    if not MIN_METRES <= metres <= MAX_METRES:
        raise InvalidParameterError("bufferDistance", distance, _LEGAL_DISTANCE)
    if not is_buffered:
        legal = "It buffers the geometries of areaOfInterest, which is missing."
        raise InvalidParameterError("bufferDistance", distance, legal)
    return Buffer(metres, f"{float(distance):,.10g} {symbol}")
