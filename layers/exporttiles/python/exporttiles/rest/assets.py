"""Scripts and style sheets of the pages, which `make web` builds from the folder `web`.

Their names hold a hash of their contents, so that browsers keep them for ever.
"""

import gzip
from functools import cache
from pathlib import Path

from exporttiles.rest.addresses import ROOT
from exporttiles.rest.call import Call
from exporttiles.rest.errors import NotFoundError
from exporttiles.rest.http import Response

FOLDER = Path(__file__).with_name("static")

_MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".txt": "text/plain"}
_LIFETIME_SECONDS = 31_536_000  # a year, the most that RFC 9111 allows


def asset(call: Call) -> Response:
    """Return a script or a style sheet.

    Raises:
        NotFoundError: there is none of this name.
    """
    name = call.arguments["asset"]
    if name not in _files():
        raise NotFoundError("There is no such file.")
    headers = {
        "content-type": _MEDIA_TYPES[Path(name).suffix],
        "cache-control": f"public, max-age={_LIFETIME_SECONDS}, immutable",
        "vary": "accept-encoding",
    }
    if not call.request.accepts_gzip:
        return Response(200, headers, (FOLDER / name).read_bytes())
    return Response(200, {**headers, "content-encoding": "gzip"}, _compressed(name))


@cache
def asset_path(stem: str, suffix: str) -> str:
    """Return the path of the asset with a name before its hash, such as ``page`` and ``.css``."""
    (name,) = (name for name in _files() if name.rpartition("-")[0] == stem and name.endswith(suffix))
    return f"{ROOT}/static/{name}"


@cache
def _files() -> frozenset[str]:
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in _MEDIA_TYPES)


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress((FOLDER / name).read_bytes(), mtime=0)
