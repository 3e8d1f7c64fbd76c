"""Choose the documents that describe a cache: conf.xml with its conf.cdi, root.json, or those of TMS and TileJSON."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML, ROOT_JSON, CacheInfo, read_conf_xml, read_root_json
from exporttiles.formats.caches.tms_documents import TILE_JSONS, TILE_MAP

_SAME_RESOLUTION = 1e-6
_SHOWN_DOCUMENTS = 5


def find_documents(
    read: Callable[[str], bytes], documents: Collection[str], folders: Collection[str]
) -> tuple[CacheInfo | None, list[Message]]:
    """Read the document nearest to the tiles; return its contents, and warnings about other documents.

    Names are compared without regard to capitals, as Windows and GDAL do. In
    one folder, conf.xml goes before root.json, which belongs to packages. A
    document that does not lie above the tiles is used if it is the only one.

    Args:
        read: returns the bytes of a document.
        documents: their paths.
        folders: parents of the level folders.

    Raises:
        DamagedCacheError: the document cannot be used, or several lie apart
            from the tiles and state different schemes.
    """
    if not folders:
        return None, []
    known = [path for path in documents if name_of(path) in {CONF_XML, ROOT_JSON}]
    above = sorted(
        (path for path in known if any(folder.startswith(folder_of(path)) for folder in folders)), key=_order
    )
    if above:
        info = _read(read, documents, above[0])
        warnings = [text for path in above[1:] if (text := _disagreement(read, documents, path, info))]
    elif apart := sorted(known, key=_order):
        info, warnings = _apart(read, documents, apart)
    else:
        return None, []
    in_order = sorted(info.tiling_scheme.lods, key=attrgetter("level"))  # some programs begin with the finest
    scheme = replace(info.tiling_scheme, lods=tuple(in_order))
    return replace(info, tiling_scheme=scheme), [Message(MessageKind.WARNING, text) for text in warnings]


def documents_of_files(documents: Collection[str], folders: Collection[str]) -> tuple[list[str], list[Message]]:
    """Return the documents that may state the grid of files, nearest first, and a warning about others.

    A document that does not lie above the tiles is used if it is the only one.

    Args:
        documents: paths of all documents.
        folders: parents of the level folders.
    """
    if above := [path for path in documents if any(folder.startswith(folder_of(path)) for folder in folders)]:
        return sorted(above, key=lambda path: -path.count("/")), []
    apart = sorted(path for path in documents if name_of(path) in {TILE_MAP, *TILE_JSONS})
    if len(apart) == 1:
        text = f"{apart[0]} does not lie in a folder above the tiles. It is used because no other document does."
        return apart, [Message(MessageKind.WARNING, text)]
    if apart:
        text = (
            f"{apart[0]} and {apart[1]} do not lie in a folder above the tiles. They are not used, nor any like them."
        )
        return [], [Message(MessageKind.WARNING, text)]
    return [], []


def passed_over(documents: Collection[str]) -> list[Message]:
    """Return warnings about documents that do not apply to caches of ArcGIS."""
    return [
        Message(
            MessageKind.WARNING,
            f"{path} is not used: it describes files named level/column/row. A cache of ArcGIS has conf.xml.",
        )
        for path in documents
        if name_of(path) in {TILE_MAP, *TILE_JSONS}
    ]


def _apart(
    read: Callable[[str], bytes], documents: Collection[str], paths: Sequence[str]
) -> tuple[CacheInfo, list[str]]:
    """Return the contents of documents outside of the folders above the tiles, if all agree."""
    infos = [_read(read, documents, path) for path in paths]
    if any(not _is_same(infos[0].tiling_scheme, info.tiling_scheme) for info in infos):
        raise DamagedCacheError(
            f"{_listed(paths)} state different tiling schemes, and none of them lies in a folder above the tiles. "
            "Move the one of this cache beside its level folders."
        )
    return infos[0], [
        f"{paths[0]} does not lie in a folder above the tiles. It is used because no other document does."
    ]


def _read(read: Callable[[str], bytes], documents: Iterable[str], path: str) -> CacheInfo:
    if name_of(path) == ROOT_JSON:
        return read_root_json(read(path), path)
    beside = sorted(other for other in documents if folder_of(other) == folder_of(path) and name_of(other) == CONF_CDI)
    cdi_path = beside[-1] if beside else CONF_CDI  # lower case sorts behind upper case
    return read_conf_xml(read(path), read(cdi_path) if beside else None, path, cdi_path)


def _disagreement(read: Callable[[str], bytes], documents: Collection[str], path: str, used: CacheInfo) -> str | None:
    """Return a warning if an unused document contradicts the one that is used."""
    try:
        is_same = _is_same(_read(read, documents, path).tiling_scheme, used.tiling_scheme)
    except DamagedCacheError as error:
        return f"{error} {used.document} is used."
    return None if is_same else f"{path} states another tiling scheme than {used.document}, which is used."


def _is_same(one: TilingScheme, other: TilingScheme) -> bool:
    """Return True if two schemes agree on the tiles of all levels that they share."""
    resolutions = {lod.level: lod.resolution for lod in one.lods}
    shared = [(lod.resolution, resolutions[lod.level]) for lod in other.lods if lod.level in resolutions]
    return (
        bool(shared)
        and one.tile_size == other.tile_size
        and all(math.isclose(*pair, rel_tol=_SAME_RESOLUTION) for pair in shared)
        and math.isclose(one.origin_x, other.origin_x, abs_tol=min(map(min, shared)))
        and math.isclose(one.origin_y, other.origin_y, abs_tol=min(map(min, shared)))
        and one.spatial_reference.is_same_as(other.spatial_reference)
    )


def _order(path: str) -> tuple[int, bool, bool, str]:
    """Return a sort key: nearest to the tiles first, conf.xml before root.json, lower case before upper case."""
    name = path.rpartition("/")[2]
    return -path.count("/"), name_of(path) == ROOT_JSON, name != name.lower(), path


def name_of(path: str) -> str:
    """Return the last part of a path, in lower case."""
    return path.rpartition("/")[2].lower()


def folder_of(path: str) -> str:
    """Return a path up to and with its last slash."""
    return path[: path.rfind("/") + 1]


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN_DOCUMENTS} more" if len(paths) > _SHOWN_DOCUMENTS else ""
    return ", ".join(paths[:_SHOWN_DOCUMENTS]) + more
