"""Options of an area: text files in any Unicode encoding, and the distance of a buffer."""

import json
import re
from pathlib import Path

from exporttiles.domain.errors import RequestError
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_bytes, kind_of_text

MAX_BYTES = 64 * 2**20
"""Size limit of a file; the most vertices that an area may have take a tenth of it."""

BUFFER_HELP = "Buffer the lines, points and polygons of --area by this distance: in metres, or such as 5km or 300ft."
"""Help of the option --buffer."""

_DISTANCE = re.compile(r"([-+]?[\d.].*?)\s*([A-Za-z]*)", re.ASCII)
_BINARY = "It is a binary file: convert it to GeoJSON."


def read_area_file(path: Path) -> str:
    """Return the text of a file of polygons.

    Raises:
        RequestError: there is no such file, it is empty or too large, or its
            kind or encoding is not supported.
    """
    if path.is_dir():
        raise _refusal("It is a folder. Name a file of polygons in Esri JSON or GeoJSON.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refusal(f"{error.strerror}.") from error
    kind = kind_of_bytes(data[:HEAD_BYTES])
    if kind:
        raise _refusal(f"It is {kind}: convert it to GeoJSON.")
    if len(data) > MAX_BYTES:
        raise _refusal(f"It has more than {MAX_BYTES:,} bytes: simplify the area.")
    text = _decoded(data)
    if not text.strip():
        raise _refusal("It is empty.")
    kind = kind_of_text(text)
    if kind:
        raise _refusal(f"It is {kind}: convert it to GeoJSON.")
    return text


def buffer_parameters(distance: str | None, area: Path | None) -> dict[str, str]:
    """Return the request parameters of a distance, which may have a unit: `5km`.

    Raises:
        RequestError: there is no area.
    """
    if distance is None:
        return {}
    if area is None:
        raise RequestError("It buffers --area, which is missing.", "bufferDistance")
    found = _DISTANCE.fullmatch(distance.strip())
    if not (found and found[2]):
        return {"bufferDistance": distance}
    return {"bufferDistance": found[1], "bufferUnit": found[2]}


def _decoded(data: bytes) -> str:
    encoding = json.detect_encoding(data)  # by a byte order mark, or where zeros are
    try:
        text = data.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if encoding.endswith(("-le", "-be")):  # guessed from zeros alone
            raise _refusal(_BINARY) from error
        name = encoding.upper().removesuffix("-SIG")
        found = f"byte {error.start:,} is 0x{data[error.start]:02X}"
        raise _refusal(f"Its encoding is not {name}: {found}. Save it in UTF-8.") from error
    if "\0" in text:
        raise _refusal(_BINARY)
    return text


def _refusal(reason: str) -> RequestError:
    return RequestError(reason, "areaOfInterest")
