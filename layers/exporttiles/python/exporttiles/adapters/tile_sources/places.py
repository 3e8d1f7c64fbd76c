"""Conversion of a bundle's mask to rows and columns of the scheme."""

from exporttiles.domain.tiling import BundleIndex
from exporttiles.ports.tiles import Mask


def selected_places(bundle: BundleIndex, selected: Mask) -> list[tuple[int, int]]:
    """Return row and column in the scheme of each selected tile, in row-major order."""
    rows, columns = selected.nonzero()
    return list(zip((rows + bundle.row).tolist(), (columns + bundle.column).tolist(), strict=True))
