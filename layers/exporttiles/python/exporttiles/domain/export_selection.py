"""The tiles that an export selects: at each level, those of its areas."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.area import Area
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import ExportArea, ExportRequest
from exporttiles.domain.extent import Extent
from exporttiles.domain.scanline import WORK_LIMIT
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import BundleIndex


@dataclass(frozen=True, eq=False)
class ExportSelection:
    """The tiles that a request selects of a service, within its full extent.

    A level of several areas has the tiles of each of them, every tile once:
    `TileSelection` selects for each polygon on its own.
    """

    service: ImageService
    request: ExportRequest
    _selections: dict[tuple[int, ...], TileSelection] = field(default_factory=dict, init=False, repr=False)
    _counts: dict[tuple[tuple[int, ...], int], int] = field(default_factory=dict, init=False, repr=False)

    def at(self, level: int) -> TileSelection:
        """Return the selection of a level, to be asked about this level only.

        Raises:
            KeyError: it is not a level of the request.
        """
        return self._of(self._areas_at(level))

    def mask(self, bundle: BundleIndex) -> NDArray[np.bool_]:
        """Return which tiles of a bundle are selected: as `TileSelection.mask`."""
        return self.at(bundle.level).mask(bundle)

    def count(self, levels: Sequence[int] | None = None) -> int:
        """Return the number of selected tiles of some levels, or of all.

        The finest level is looked at first: an area that is too complex is
        refused before most of the work.

        Raises:
            AreaError: the areas are too complex for one of the levels.
            InvalidParameterError: they are too complex for all of them.
        """
        levels = self.request.levels if levels is None else levels
        tile_count = work = 0
        for level in sorted(levels, reverse=True):
            areas = self._areas_at(level)
            work += self._of(areas).work(level)
            if work > WORK_LIMIT:
                legal = (
                    f"The area is too complex for them together: its edges meet rows of tiles {work:,} times and more; "
                    f"{WORK_LIMIT:,} are allowed. Ask for fewer or less detailed levels, or for a simpler area."
                )
                raise InvalidParameterError("levels", ",".join(map(str, levels)), legal)
            tile_count += self._count(areas, level)
        return tile_count

    def parts(self) -> Iterator[tuple[ExportArea, int, str]]:
        """Yield each area, the number of tiles that it selects by itself, and why it selects none, or ''.

        Raises:
            AreaError: as `count`.
        """
        for number, each in enumerate(self.request.areas):
            tile_count = sum(self._count((number,), level) for level in each.levels)
            yield each, tile_count, self._of((number,)).why_empty

    @property
    def why_empty(self) -> str:
        """Return why no area selects a tile, as text for users; '' if one does."""
        reasons = [self._of((number,)).why_empty for number in range(len(self.request.areas))]
        return reasons[0] if all(reasons) else ""

    def extent(self, levels: Collection[int]) -> Extent:
        """Return an envelope around the areas of some levels that select tiles, within the full extent of the service.

        Args:
            levels: at least one of them has tiles.
        """
        areas = (self.request.areas[number] for number in self._selecting(levels))
        limit = self.service.full_extent.intersection(self.service.tiling_scheme.extent)
        return reduce(Extent.union, (each.area.extent.intersection(limit) for each in areas))

    def _selecting(self, levels: Collection[int]) -> Iterator[int]:
        """Yield the numbers of the areas that select tiles at some of the levels."""
        for number, each in enumerate(self.request.areas):
            if any(level in levels for level in each.levels) and not self._of((number,)).why_empty:
                yield number

    def _areas_at(self, level: int) -> tuple[int, ...]:
        """Return the numbers of the areas of a level."""
        areas = tuple(number for number, each in enumerate(self.request.areas) if level in each.levels)
        if not areas:
            raise KeyError(level)
        return areas

    def _of(self, areas: tuple[int, ...]) -> TileSelection:
        """Return the selection of some areas together."""
        if areas not in self._selections:
            area = Area.union([self.request.areas[number].area for number in areas])
            self._selections[areas] = TileSelection(self.service.tiling_scheme, area, self.service.full_extent)
        return self._selections[areas]

    def _count(self, areas: tuple[int, ...], level: int) -> int:
        if (areas, level) not in self._counts:
            self._counts[areas, level] = self._of(areas).count(level)
        return self._counts[areas, level]
