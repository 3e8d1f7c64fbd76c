"""Areas as JSON, as the steps of a job exchange them."""

from typing import Any

import numpy as np

from exporttiles.domain.area import Area
from exporttiles.formats.esri.esri_json import read_spatial_reference, write_spatial_reference


def write_area(area: Area) -> dict[str, Any]:
    """Return polygons of rings of [x, y], exact to the last bit, and their reference."""
    return {
        "polygons": [[ring.tolist() for ring in polygon] for polygon in area.polygons],
        "spatialReference": write_spatial_reference(area.spatial_reference),
    }


def read_area(document: dict[str, Any]) -> Area:
    """Return an area; the inverse of `write_area`.

    Raises:
        KeyError, TypeError, ValueError: the document is not from `write_area`.
    """
    return Area(
        tuple(tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in polygon) for polygon in document["polygons"]),
        read_spatial_reference(document["spatialReference"]),
    )
