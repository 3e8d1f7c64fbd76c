"""The open rasters of a mosaic, which are read as long as they are not replaced."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from exporttiles.domain.errors import DamagedCacheError, ReplacedError, SourceError
from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.mosaic_files import MosaicFiles
from exporttiles.domain.service import Mosaic
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.formats.archives.ranged_file import RangedFile, Span
from exporttiles.formats.rasters.raster import Raster
from exporttiles.ports.objects import ObjectReader, ranged_file

_MOST = 256


class OpenRasters:
    """The rasters of a mosaic that were used recently.

    The mosaic holds the bytes that opening takes, so that no file is opened anew until it is replaced.
    """

    def __init__(self, objects: ObjectReader, mosaic: Mosaic, files: MosaicFiles) -> None:
        self._objects, self._mosaic, self._files = objects, mosaic, files
        self._opened: dict[str, OpenedFile] = {}
        self._replaced: dict[str, OpenedFile] = {}
        self._versions: dict[str, str] = {}
        """Key of each raster that was opened -> its version."""
        self._rasters: OrderedDict[str, Raster] = OrderedDict()

    def __getitem__(self, key: str) -> Raster:
        """Return an open raster.

        Raises:
            DamagedCacheError: it cannot be read.
        """
        raster = self._rasters.pop(key, None)
        if raster is None:
            opened = self._replaced.get(key) or self._opened.get(key)
            opened = opened or self._files.opened([self._files.numbers[key]])[0]
            raster = self._open(key, self._file(key, opened))
            self._versions[key] = opened.version
        self._rasters[key] = raster
        if len(self._rasters) > _MOST:
            self._rasters.popitem(last=False)
        return raster

    def prepare(self, files: Sequence[RasterFile]) -> None:
        """Read the records of some rasters together."""
        keys = [file.key for file in files if file.key not in self._rasters][:_MOST]
        missing = [key for key in keys if key not in self._opened]
        if missing:
            if len(self._opened) + len(missing) > _MOST:
                self._opened = {key: self._opened[key] for key in keys if key in self._opened}
            self._opened |= zip(missing, self._files.opened([self._files.numbers[key] for key in missing]), strict=True)

    def is_replaced(self, key: str) -> bool:
        """Return True if a raster was replaced since it was opened.

        Raises:
            SourceError: it was removed, or the store failed or did not answer.
        """
        try:
            return self._objects.version(key) != self._versions[key]
        except KeyError as error:
            raise _missing(key) from error

    def reopen(self, key: str) -> None:
        """Open a raster that has been replaced.

        Raises:
            SourceError: the store failed or did not answer.
            DamagedCacheError: it cannot be read, or lies elsewhere.
        """
        before = self[key]
        try:
            version = self._objects.version(key) or ""
            now = ranged_file(self._objects, key)
        except KeyError as error:
            raise _missing(key) from error
        opened = OpenedFile(version, now.size_bytes, now.known)
        raster = self._open(key, self._file(key, opened), is_checked=False)
        if (raster.georeference, raster.shape) != (before.georeference, before.shape) or raster.pixels.needs_rescale:
            raise DamagedCacheError(
                f"{key}: It was replaced by a file of another place, size or kind. Publish the service again."
            )
        self._rasters[key], self._replaced[key], self._versions[key] = raster, opened, version

    def _open(self, key: str, file: RangedFile, *, is_checked: bool = True) -> Raster:
        wkid = self._mosaic.source_wkid
        stated = SpatialReference(wkid, wkid) if wkid else None
        try:
            raster = Raster(file, stated, self._mosaic.rescale, self._mosaic.bands)
            if not is_checked:
                raster.read_all()
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{key}: {error}") from error
        return raster

    def _file(self, key: str, opened: OpenedFile) -> RangedFile:
        """Return a raster that is read by ranges, as long as it is not replaced."""

        def read_ranges(spans: Sequence[Span]) -> Iterator[memoryview]:
            try:
                yield from self._objects.read_ranges(key, spans, opened.version)
            except ReplacedError as error:
                raise ReplacedError(key) from error
            except KeyError as error:
                raise _missing(key) from error

        return RangedFile(opened.size_bytes, read_ranges, dict(opened.known))


def _missing(key: str) -> SourceError:
    return SourceError(f"There is no file {key}. If it was removed on purpose, publish the service again.")
