"""The rasters of a mosaic: where each lies, and how it was opened."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.extent import Extent
from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.tiling import TileRange, TilingScheme


class MosaicFiles(Sequence[RasterFile]):
    """The rasters of a mosaic; those at the end cover those before.

    Args:
        keys: of the files.
        owners: (n) the number of the file of each box, ascending.
        boxes: (n, 4) xmin, ymin, xmax and ymax, in the scheme's reference.
        opened: returns files, by their numbers, as they were when the mosaic was made.
    """

    def __init__(
        self,
        keys: Sequence[str],
        owners: NDArray[np.int32],
        boxes: NDArray[np.float64],
        opened: Callable[[Sequence[int]], Sequence[OpenedFile]],
    ) -> None:
        self.keys, self.owners, self.boxes, self.opened = keys, owners, boxes, opened
        self._starts = np.searchsorted(owners, np.arange(len(keys) + 1))

    @classmethod
    def of(cls, files: Sequence[RasterFile], opened: Sequence[OpenedFile]) -> "MosaicFiles":
        """Return the rasters of a list."""
        owners = np.repeat(np.arange(len(files), dtype=np.int32), [len(file.boxes) for file in files])
        boxes = np.array([box for file in files for box in file.boxes], np.float64).reshape(-1, 4)
        return cls([file.key for file in files], owners, boxes, lambda numbers: [opened[number] for number in numbers])

    def __len__(self) -> int:
        """Return the number of rasters."""
        return len(self.keys)

    @overload
    def __getitem__(self, number: int) -> RasterFile: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[RasterFile]: ...
    def __getitem__(self, number: int | slice) -> RasterFile | Sequence[RasterFile]:
        """Return a raster, or some of them."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        boxes = self.boxes[self._starts[number] : self._starts[number + 1]].tolist()
        return RasterFile(self.keys[number], tuple(tuple(box) for box in boxes))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Return the number of each file, by its key."""
        return {key: number for number, key in enumerate(self.keys)}

    def versions(self) -> dict[str, str]:
        """Return the version of each file, by its key."""
        opened = self.opened(range(len(self)))
        return {key: each.version for key, each in zip(self.keys, opened, strict=True)}

    def near(self, scheme: TilingScheme, block: TileRange) -> Iterator[RasterFile]:
        """Yield the rasters that lie in a block of tiles, or less than a tile beside it."""
        if not block.count:
            return
        span = scheme.tile_span(block.level)
        left, right = (scheme.origin_x + column * span for column in (block.column_start - 1, block.column_stop + 1))
        top, bottom = (scheme.origin_y - row * span for row in (block.row_start - 1, block.row_stop + 1))
        xmin, ymin, xmax, ymax = self.boxes.T
        met = (xmin <= right) & (xmax >= left) & (ymin <= top) & (ymax >= bottom)
        yield from (self[number] for number in np.unique(self.owners[met]).tolist())


def tiles_of(file: RasterFile, scheme: TilingScheme, block: TileRange) -> Iterator[TileRange]:
    """Yield the tiles of a block that the boxes around a raster meet."""
    for box in file.boxes:
        found = scheme.tile_range(Extent(*box, scheme.spatial_reference), block.level).intersection(block)
        if found.count:
            yield found
