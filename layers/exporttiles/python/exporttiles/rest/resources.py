"""Read-only resources: server info, catalog, services, tiles and tile maps."""

import hashlib
from collections.abc import Iterable, Iterator

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.job import Operation
from exporttiles.domain.service import CacheLayout, ImageService, ServiceType
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.formats.tiles.image import ImageFormat, sniff
from exporttiles.ports.packages import BINARY
from exporttiles.rest import pages
from exporttiles.rest.call import Call, Document
from exporttiles.rest.errors import NotFoundError
from exporttiles.rest.http import Response
from exporttiles.rest.map_section import map_section
from exporttiles.rest.service_documents import catalog_document, info_document, service_document, tilemap_document

TILE_LIFETIME_SECONDS = 86_400
"""Time for which caches may keep a tile without asking again."""

MAX_FILE_ROWS = 32
"""Limit of rows and of columns of a tile map for a cache of files, where every tile costs a request to S3."""

_MEDIA_TYPES: dict[ImageFormat | None, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
}  # LERC has none


def server_info(call: Call) -> Document:
    """Return the version of the server, and how clients get tokens."""
    is_secured = call.runtime.settings.token_security
    token_url = f"{call.rest_url}/generateToken" if is_secured else None
    return Document(info_document(token_url), "Server info")


def catalog(call: Call) -> Document:
    """Return the services of the root, or of a folder.

    Raises:
        NotFoundError: there is no such folder.
    """
    folder = call.arguments.get("folder", "")
    content = catalog_document(call.caller.visible(call.runtime.services.names()), folder)
    if folder and not content["services"]:
        raise NotFoundError("There is no folder of this name.")
    root = f"{call.rest_url}/services"
    folders = {f"{name}/": f"{root}/{name}?f=html" for name in content["folders"]}
    sections = [pages.links(folders)] if folders else []
    if content["services"]:
        names = dict.fromkeys(found["name"] for found in content["services"])
        sections += [pages.paragraph("Choose a map, to take a part of it offline."), _service_links(names, root)]
    elif not folders:
        sections.append(pages.paragraph("No map is published here."))
    sections.append(pages.RECENT)
    return Document(content, f"Folder {folder}" if folder else "Services", tuple(sections))


def _service_links(names: Iterable[str], root: str) -> str:
    """Return a list of services: a link to the map of each, and to both of its types for those who know them."""
    lines = []
    for name in names:
        types = " ".join(pages.link(str(each), f"{root}/{name}/{each}?f=html") for each in ServiceType)
        lines.append(f"<li>{pages.link(name, f'{root}/{name}/{ServiceType.IMAGE}')} <small>{types}</small></li>")
    return f'<ul class="services">{"".join(lines)}</ul>'


def service(call: Call) -> Document:
    """Return an image service, or the same tiles as a map service."""
    targets = {str(name): f"{call.service_url}/{name}?f=html" for name in Operation}
    targets["Sample tile"] = f"{call.service_url}/{_sample_tile(call.service)}"
    content = service_document(call.service, call.service_type)
    sections = (map_section(call.service, content), pages.links(targets)) if call.format == "html" else ()
    return Document(content, call.service.map_title, sections)


def _sample_tile(service: ImageService) -> str:
    """Return the path of the tile in the middle of the coarsest level, below the service."""
    (xmin, ymin, xmax, ymax), scheme = service.full_extent.sides, service.tiling_scheme
    span = scheme.tile_span(service.min_level)
    row = int((scheme.origin_y - (ymin + ymax) / 2) / span)
    column = int(((xmin + xmax) / 2 - scheme.origin_x) / span)
    return f"tile/{service.min_level}/{row}/{column}"


def tile(call: Call) -> Response:
    """Return the bytes of a tile.

    Raises:
        NotFoundError: there is no such tile.
    """
    level, row, column = _numbers(call, "level", "row", "column")
    known = any(lod.level == level for lod in call.service.tiling_scheme.lods)
    body = call.runtime.browse_service.tile(call.service, level, row, column) if known else None
    if body is None:
        raise NotFoundError("There is no such tile.")
    headers = {
        "cache-control": f"{'private' if call.caller.key else 'public'}, max-age={TILE_LIFETIME_SECONDS}",
        "etag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    }
    if headers["etag"] in call.request.headers.get("if-none-match", ""):
        return Response(304, headers)
    media_type = _MEDIA_TYPES.get(sniff(body), BINARY)
    return Response(200, {**headers, "content-type": media_type}, body)


def tilemap(call: Call) -> Document:
    """Return the tile map of a block: the tiles that exist, within its first bundle.

    For a cache of files the map has at most `MAX_FILE_ROWS` rows and columns.

    Raises:
        InvalidParameterError: the block is empty, or its level does not exist.
    """
    level, row, column, width, height = _numbers(call, "level", "row", "column", "width", "height")
    if not (width and height):
        raise InvalidParameterError("width and height", f"{width} x {height}", "Both must be at least 1.")
    call.service.tiling_scheme.lod(level)
    asked = TileRange(level, row, row + height, column, column + width)
    tiles = asked.intersection(BundleIndex.of_tile(level, row, column).tile_range)
    if call.service.cache.layout is CacheLayout.FILES:
        tiles = tiles.intersection(TileRange(level, row, row + MAX_FILE_ROWS, column, column + MAX_FILE_ROWS))
    data = call.runtime.browse_service.tilemap(call.service, tiles)
    content = tilemap_document(tiles, adjusted=tiles != asked, data=data)
    return Document(content, f"Tile map of {call.service.name}")


def _numbers(call: Call, *names: str) -> Iterator[int]:
    return (int(call.arguments[name]) for name in names)
