"""Find the rasters that a STAC document names: follow the links of static catalogs, within limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.mosaic import MosaicOrder
from exporttiles.domain.wording import counted
from exporttiles.formats.caches.stac import StacDocument, StacItem, StacReader
from exporttiles.formats.esri.values import DocumentValueError, shown
from exporttiles.ports.objects import ObjectReader
from exporttiles.usecases.inspection.inspect_rasters import MAX_FILES

MAX_DOCUMENTS = 2 * MAX_FILES
"""Limit of the documents of a catalog: one for each item, and as many catalogs."""

MAX_DEPTH = 10
MAX_DOCUMENT_BYTES = 16 * 2**20
MAX_BYTES = 256 * 2**20
"""Limit of all documents together."""

_MAX_CREDITS = 10


@dataclass(frozen=True, slots=True)
class FoundRasters:
    """The rasters of a STAC document.

    Attributes:
        keys: of the files; those at the end cover those before.
        copyright_text: providers and licenses; '' if none are stated.
    """

    keys: tuple[str, ...]
    title: str
    description: str
    copyright_text: str
    messages: tuple[Message, ...]


@dataclass(slots=True)
class FindRasters:
    """Finds rasters through STAC documents.

    Attributes:
        objects: the store of the folder that the first document lies in.
        reader: of documents in this folder.
        order: of the files; None for that by date.
    """

    objects: ObjectReader
    reader: StacReader
    order: MosaicOrder | None = None
    _read_bytes: int = field(default=0, init=False)

    def __call__(self, name: str) -> FoundRasters:
        """Return the rasters that a document of the folder names.

        Raises:
            DamagedCacheError: a document is missing, not STAC, too large, or names a file elsewhere.
            SourceError: the store failed or did not answer.
        """
        documents = list(self._documents(name))
        items = [item for document in documents for item in document.items]
        keys = self._as_stored([item.key for item in items])
        items = [replace(item, key=key) for item, key in zip(items, keys, strict=True)]
        if not items:
            raise DamagedCacheError(
                f"{name}: It has no items: neither features nor links of rel 'item' or 'child'. Items behind an API "
                "are not read: save them as an item collection."
            )
        listed = sorted(items, key=self._place)
        keys = tuple(reversed(dict.fromkeys(item.key for item in reversed(listed))))
        items.sort(key=lambda item: item.time)
        stated = list(dict.fromkeys(credit for document in documents for credit in document.credits))
        copyright_text = "; ".join(stated[:_MAX_CREDITS]) + ("; and others" if len(stated) > _MAX_CREDITS else "")
        first, last = items[0].time.date().isoformat(), items[-1].time.date().isoformat()
        period = f"Images of {first}." if first == last else f"Images from {first} to {last}."
        said = f"{period} {self._rule} (--mosaic-order)." if len(items) > 1 else period
        return FoundRasters(
            keys,
            documents[0].title,
            f"{documents[0].description} {period}".strip(),
            copyright_text,
            tuple(_messages(name, documents, items, said, copyright_text)),
        )

    @property
    def _rule(self) -> str:
        if self.order is MosaicOrder.GIVEN:
            return "Images cover those that are listed before them"
        if self.order is MosaicOrder.NAME:
            return "Images cover those whose names come before theirs"
        return "Later images cover earlier ones; of the same time, as they are listed"

    def _place(self, item: StacItem) -> tuple[str, datetime]:
        """Return the sort key of an item; items with equal keys stay in the order of the documents."""
        name = item.key if self.order is MosaicOrder.NAME else ""
        is_by_date = self.order in {None, MosaicOrder.DATE}
        return name, item.time if is_by_date else datetime.min.replace(tzinfo=UTC)

    def _documents(self, name: str) -> Iterator[StacDocument]:
        """Yield the documents, level by level; each once, whatever links lead to it."""
        seen, level, item_count = {name}, [name], 0
        for _ in range(MAX_DEPTH):
            following: dict[str, None] = {}
            for key, body in self._bodies(level):
                try:
                    document = self.reader.read(key, body)
                except DocumentValueError as error:
                    raise DamagedCacheError(f"{key}: {error}") from error
                yield document
                item_count += len(document.items)
                following |= dict.fromkeys(link for link in self._as_stored(document.links) if link not in seen)
                if item_count > MAX_FILES or len(seen) + len(following) > MAX_DOCUMENTS:
                    raise DamagedCacheError(
                        f"{key}: {name} has more than {MAX_FILES:,} items, or {MAX_DOCUMENTS:,} documents. Export "
                        "parts of it, such as one of its child catalogs."
                    )
            level = list(following)
            seen |= following.keys()
            if not level:
                return
        raise DamagedCacheError(
            f"{level[0]}: It is nested deeper than {MAX_DEPTH} catalogs. Export one of the child catalogs of {name}."
        )

    def _as_stored(self, keys: Sequence[str]) -> Sequence[str]:
        """Return keys as they are; percent-decoded, if there is a file of that name alone."""
        encoded = [key for key in dict.fromkeys(keys) if unquote(key) != key and _is_plain(unquote(key))]
        sizes = zip(encoded, self.objects.sizes_bytes(encoded), strict=True)
        missing = [key for key, size in sizes if size is None]
        sizes = zip(missing, self.objects.sizes_bytes([unquote(key) for key in missing]), strict=True)
        decoded = {key: unquote(key) for key, size in sizes if size is not None}
        return [decoded.get(key, key) for key in keys]

    def _bodies(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the documents of some keys, after their sizes have been checked."""
        for key, size in zip(keys, self.objects.sizes_bytes(keys), strict=True):
            if size is None:
                raise DamagedCacheError(f"{key}: There is no such document in {self.reader.folder}.")
            self._read_bytes += size
            if size > MAX_DOCUMENT_BYTES or self._read_bytes > MAX_BYTES:
                raise DamagedCacheError(
                    f"{key}: It has {counted(size, 'byte')}. A document may have {MAX_DOCUMENT_BYTES:,}, and all "
                    f"together {MAX_BYTES:,}. Export parts of it."
                )
        for key, body in zip(keys, self.objects.read_many(keys), strict=True):
            if body is None:
                raise DamagedCacheError(f"{key}: There is no such document in {self.reader.folder}.")
            yield key, body


def _is_plain(key: str) -> bool:
    """Return True if a key leads to no folder but those that it names."""
    return key.isprintable() and not {"", ".", ".."} & set(key.replace("\\", "/").split("/"))


def _messages(
    name: str, documents: Sequence[StacDocument], items: Sequence[StacItem], period: str, copyright_text: str
) -> Iterator[Message]:
    assets = list(dict.fromkeys(item.asset for item in items))
    names = ", ".join(f"'{shown(asset)}'" for asset in assets[:3]) + (", and others" if len(assets) > 3 else "")
    rights = f" Copyright: {copyright_text}." if copyright_text else " No provider and no license are stated."
    text = f"STAC: {name} with {counted(len(items), 'item')}, asset {names}. {period}{rights}"
    yield Message(MessageKind.INFORMATIVE, text)
    if any(document.has_next_page for document in documents):
        text = f"{name}: It is one page of several (a link of rel 'next'); the items of the others are not read."
        yield Message(MessageKind.WARNING, text)
