"""Complex areas of interest in Web Mercator."""

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.area import Area
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

VERTICES = 400
_WORLD = -2 * WEB_MERCATOR_256.origin_x  # metres


def star(width: float = 0.99) -> Area:
    """Return a star-like polygon of 400 vertices around the middle of the world.

    Args:
        width: between its farthest points, as a share of the world's.
    """
    return Area(((_ring(width / 2),),), WEB_MERCATOR_256.spatial_reference)


def river(level: int, tiles_wide: int = 12) -> Area:
    """Return a band along the outline of a star: many bundles, few tiles in each.

    Args:
        level: where its width is counted.
        tiles_wide: its width.
    """
    half = tiles_wide / 2 / 2**level
    return Area(((_ring(0.4 + half), _ring(0.4 - half)),), WEB_MERCATOR_256.spatial_reference)


def _ring(radius: float) -> NDArray[np.float64]:
    angle = 2 * np.pi * np.arange(VERTICES) / VERTICES
    waves = 0.8 + 0.1 * np.sin(7 * angle) + 0.07 * np.sin(23 * angle + 1) + 0.03 * np.sin(61 * angle + 2)
    return np.column_stack([np.cos(angle), np.sin(angle)]) * (radius * waves * _WORLD)[:, None]
