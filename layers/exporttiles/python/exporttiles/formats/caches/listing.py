"""Listing a cache: recognise its layout from the names of its objects, in one pass.

Known layouts: bundles (``L05/R0080C0100.bundle``), ArcGIS's exploded tiles
(``L05/R0000000a/C0000001f.png``), folders and files that are three numbers
(``5/31/10.png``), PMTiles archives, and GeoTIFFs. Letters may be capital or small, and
numbers may begin with zeros. Memory does not grow with the number of tiles.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.tiling import PACKET_SIZE
from exporttiles.domain.wording import counted
from exporttiles.formats.bundles.names import split_bundle_name
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, ROOT_JSON
from exporttiles.formats.caches.listed_tiles import ListedBundles, ListedFiles, naming_error
from exporttiles.formats.caches.tms_documents import TILE_JSONS, TILE_MAP

DOCUMENTS = frozenset({CONF_XML, CONF_CDI, ROOT_JSON, TILE_MAP, *TILE_JSONS})
"""Names of documents in lower case; any case is accepted."""

_NUMBERED = re.compile(r"((?:.*/)?)()([0-9]{1,2})(/)([0-9]{1,10})(/)([0-9]{1,10})(@[0-9]x|)((?:\.\w+){0,2})", re.ASCII)
_EXPLODED = re.compile(
    r"((?:.*/)?)(L)([0-9a-f]{1,2})(/R)([0-9a-f]{1,12})(/C)([0-9a-f]{1,12})()(\.\w+)", re.ASCII | re.IGNORECASE
)
_BUNDLE_LIKE = re.compile(r"(?:.*/)?R[0-9a-f]+C[0-9a-f]+\.bundl[ex]", re.ASCII | re.IGNORECASE)
_WITH_NUMBER = re.compile(r"[^/]*[0-9][^/]*", re.ASCII)

_NO_TILES = frozenset(
    {"aux", "html", "jgw", "jpgw", "json", "kml", "lock", "md", "pgw", "pngw", "tmp", "txt", "wld", "xml", "yaml"}
)
"""Extensions of files that programs write beside tiles, under their names."""

_IMAGES = frozenset({"avif", "gif", "jpeg", "jpg", "lerc", "png", "webp"})

RASTERS = ("tif", "tiff")
"""Extensions of GeoTIFFs, which tiles are drawn from."""

_OTHER_RASTERS = frozenset({"asc", "bil", "ecw", "geotiff", "gtiff", "hgt", "img", "j2k", "jp2", "nc", "sid"})
"""Extensions of rasters that are not read, and of GeoTIFFs that are not recognised."""

_LAYOUTS = (
    (re.compile(r"(?:.*/)?\w+_[0-9]{2}/[0-9]+_[0-9]+/[0-9]+_[0-9]+\.\w+", re.ASCII), "GeoWebCache"),
    (re.compile(r"(?:.*/)?[0-9]+(?:/[0-9]{3}){6}\.\w+", re.ASCII), "MapCache and TileCache, three digits a folder"),
    (re.compile(r"(?:.*/)?[^/]*[^/0-9][0-9]{1,2}/[0-9]+/[0-9]+\.\w+", re.ASCII), "WMTS"),
    (re.compile(r"(?:.*/)?[0-9]+/(?:[0-9]+/)?[0-9]+[_-][0-9]+\.\w+", re.ASCII), "level/column_row"),
    (re.compile(r"(?:.*/)?[0-3]+\.\w+", re.ASCII), "quadkeys"),
)
"""Names of tiles in the layouts of other programs, which are not read."""


@dataclass
class CacheListing:
    """Documents, archives, bundles, tiles and rasters of a cache.

    Attributes:
        is_row_first: the row stands before the column in the paths of numbered files.
        unread: the first file that looks like a tile, by its extension and a number, but has an unknown name.
        unread_count: number of such files.
        other: the first file that is not a tile.
        other_rasters: files beside the rasters that are rasters of another kind, or have another name.
    """

    is_row_first: bool = False
    documents: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    rasters: list[str] = field(default_factory=list)
    bundles: ListedBundles = field(default_factory=ListedBundles)
    numbered: dict[tuple[str, ...], ListedFiles] = field(default_factory=dict)
    exploded: dict[tuple[str, ...], ListedFiles] = field(default_factory=dict)
    unread: str = ""
    unread_count: int = 0
    other: str = ""
    other_rasters: list[str] = field(default_factory=list)

    @cached_property
    def files(self) -> ListedFiles | None:
        """Return the tiles that are files of their own.

        Raises:
            DamagedCacheError: capital and small letters differ among them.
        """
        if len(self.exploded) > 1:
            one, other = [files.example for files in self.exploded.values()][:2]
            raise naming_error(one, other, "the same letters, capital or small: L05/R0000000a/C0000001f.png")
        if self.exploded:
            return next(iter(self.exploded.values()))
        # Tiles of twice the size (@2x) stand beside those of the plain name.
        return min(self.numbered.values(), key=lambda files: files.words, default=None)

    @property
    def is_rasters(self) -> bool:
        """Return True if there are GeoTIFFs, and no tiles."""
        return bool(self.rasters) and not (self.bundles.levels or self.files or self.archives)

    @property
    def refusal(self) -> str:
        """Return the message for a place without a readable cache: the known names, and one found."""
        legal = (
            "Bundles (L00/R0000C0000.bundle), files named level/column/row, a .pmtiles archive and GeoTIFFs can be read"
        )
        if self.unread:
            layout = next((name for pattern, name in _LAYOUTS if pattern.fullmatch(self.unread)), None)
            like = f" (it looks like {layout})" if layout else ""
            return f"'{self.unread}' has a name that cannot be read{like}. {legal}: copy the tiles to such names."
        if example := next(iter(self.documents), self.other):
            return f"There is no tile cache, only files such as '{example}'. {legal}."
        return f"There is no tile cache, and no file at all. {legal}."

    @property
    def rasters_left_out(self) -> list[Message]:
        """Return a warning about rasters in the folder that are not part of the mosaic."""
        if not self.other_rasters:
            return []
        count, example = len(self.other_rasters), min(self.other_rasters)
        more = f" So it is with {counted(count - 1, 'other file')}." if count > 1 else ""
        text = (
            f"{example}: It is left out: only GeoTIFFs that end in .tif or .tiff are read. Convert or rename it.{more}"
        )
        return [Message(MessageKind.WARNING, text)]

    @property
    def left_out(self) -> list[Message]:
        """Return warnings about tiles that are ignored because others are exported."""
        kinds = [(self.bundles.count, self.bundles.example)] if self.bundles.levels else []
        kinds += [(files.count, files.example) for files in self.exploded.values()]
        kinds += [(files.count, files.example) for _, files in sorted(self.numbered.items())]
        kinds += [(1, archive) for archive in self.archives]
        kinds += [(len(self.rasters), self.rasters[0])] if self.rasters else []
        left_out = kinds[1:] + ([(self.unread_count, self.unread)] if self.unread else [])
        return [
            Message(
                MessageKind.WARNING,
                f"{counted(count, 'file')} named like '{example}' {'is' if count == 1 else 'are'} ignored; the tiles "
                f"that are read are named like '{kinds[0][1]}'.",
            )
            for count, example in left_out
        ]

    @classmethod
    def of(cls, objects: Iterable[tuple[str, int]], *, is_row_first: bool = False) -> "CacheListing":
        """List objects.

        Args:
            objects: their keys, and their sizes in bytes.
            is_row_first: the row stands before the column in the paths of numbered files.

        Raises:
            DamagedCacheError: a bundle is not at multiples of 128 rows and columns.
        """
        listing = cls(is_row_first)
        for key, size_bytes in objects:
            listing._add(key, size_bytes)
        return listing

    def _add(self, key: str, size_bytes: int) -> None:
        name = key.rpartition("/")[2]
        extension = name.rpartition(".")[2].lower()
        if extension in {"bundle", "bundlx"}:
            self._add_bundle(key)
        elif extension == "pmtiles":
            self.archives.append(key)
        elif name.lower() in DOCUMENTS:
            self.documents.append(key)
        elif extension in _NO_TILES:
            self.other = self.other or key
        elif match := _NUMBERED.fullmatch(key):
            self._files(self.numbered, match, is_exploded=False).add(match, size_bytes)
        elif match := _EXPLODED.fullmatch(key):
            self._files(self.exploded, match, is_exploded=True).add(match, size_bytes)
        elif extension in RASTERS:
            self.rasters.append(key)
        elif extension in _IMAGES and _WITH_NUMBER.fullmatch(name):
            self._add_unread(key)
        else:
            self.other = self.other or key
            if extension in _OTHER_RASTERS:
                self.other_rasters.append(key)

    def _add_bundle(self, key: str) -> None:
        if name := split_bundle_name(key):
            self.bundles.add(key, name)
        elif _BUNDLE_LIKE.fullmatch(key):
            raise DamagedCacheError(
                f"'{key[-120:]}' is not the name of a bundle, like L05/R0080C0100.bundle: a level, and the row and "
                f"column of its first tile in hexadecimal digits, multiples of {PACKET_SIZE}."
            )
        else:
            self._add_unread(key)

    def _files(
        self, kinds: dict[tuple[str, ...], ListedFiles], match: re.Match[str], *, is_exploded: bool
    ) -> ListedFiles:
        words = match.group(2, 4, 6, 8)
        found = kinds.get(words)
        if found is None:
            found = kinds[words] = ListedFiles(is_exploded, words, is_row_first=is_exploded or self.is_row_first)
        return found

    def _add_unread(self, key: str) -> None:
        self.unread = self.unread or key
        self.unread_count += 1
