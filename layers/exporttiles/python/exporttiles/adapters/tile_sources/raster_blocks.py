"""The blocks of rasters: read together, decoded, and kept for a while."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from PIL import Image

from exporttiles.formats.archives.ranged_file import Span
from exporttiles.formats.bundles.byte_ranges import coalesce, slice_records
from exporttiles.formats.rasters.raster import Block, Raster

_STORED_BYTES = 128 * 2**20
"""Limit of the stored blocks that are read together."""

_DECODED_BYTES = 128 * 2**20

StoredBlocks: TypeAlias = dict[tuple[str, Block], list[memoryview]]
"""Key of the file, and block -> its bytes, for each time that it is stored."""


class RasterBlocks:
    """Reads and decodes blocks; those that were decoded recently are kept, up to a size in memory.

    Args:
        requests: reads several rasters at a time.
    """

    def __init__(self, requests: ThreadPoolExecutor) -> None:
        self._requests = requests
        self._images: OrderedDict[tuple[str, Block], Image.Image] = OrderedDict()
        self._size_bytes = 0

    @property
    def keys(self) -> set[str]:
        """Return the keys of the files whose decoded blocks are kept."""
        return {key for key, _ in self._images}

    def forget(self, key: str) -> None:
        """Forget the decoded blocks of a file."""
        for each in [each for each in self._images if each[0] == key]:
            self._size_bytes -= _size_bytes(self._images.pop(each))

    def read(self, wanted: Iterable[tuple[str, Raster, Iterable[Block]]]) -> StoredBlocks:
        """Return stored blocks that are not decoded already, as many as there is room for.

        Args:
            wanted: key of a file, the raster, and its blocks; a file and a block may be named several times.
        """
        missing: defaultdict[str, dict[Block, Sequence[Span]]] = defaultdict(dict)
        rasters: dict[str, Raster] = {}
        room = _STORED_BYTES
        for key, raster, blocks in wanted:
            rasters[key] = raster
            for block in blocks:
                if block not in missing[key] and (key, block) not in self._images:
                    spans = raster.spans(block)
                    room -= sum(stop - start for start, stop in spans)
                    if room < 0:  # the others are read when they are drawn
                        break
                    missing[key][block] = spans
        found = self._requests.map(lambda key: _read(rasters[key], missing[key]), missing)
        return {(key, block): data for key, each in zip(missing, found, strict=True) for block, data in each.items()}

    def decode(self, key: str, raster: Raster, block: Block, stored: StoredBlocks) -> Image.Image | None:
        """Return a decoded block; None if the file does not hold it.

        Args:
            key: of the file.
            raster: the file.
            block: of the raster.
            stored: blocks that were read before; another one is read now.

        Raises:
            DamagedCacheError: it cannot be decoded.
        """
        image = self._images.get((key, block))
        if image is not None:
            self._images.move_to_end((key, block))
            return image
        data = stored.get((key, block))
        if data is None:
            data = _read(raster, {block: raster.spans(block)})[block]
        if not data:
            return None
        image = raster.decode(block, data)
        self._keep((key, block), image)
        return image

    def _keep(self, key: tuple[str, Block], image: Image.Image) -> None:
        self._images[key] = image
        self._size_bytes += _size_bytes(image)
        while self._size_bytes > _DECODED_BYTES and len(self._images) > 1:
            _, dropped = self._images.popitem(last=False)
            self._size_bytes -= _size_bytes(dropped)


def _read(raster: Raster, spans: Mapping[Block, Sequence[Span]]) -> dict[Block, list[memoryview]]:
    """Return the stored blocks of a raster."""
    starts = [start for each in spans.values() for start, _ in each]
    sizes = [stop - start for each in spans.values() for start, stop in each]
    ranges = coalesce(starts, sizes)
    records = iter(slice_records(ranges, raster.file.ranges(ranges), starts, sizes))
    return {block: [next(records) for _ in each] for block, each in spans.items()}


def _size_bytes(image: Image.Image) -> int:
    return image.width * image.height * (1 if image.mode == "L" else 4)
