"""Vector files, such as shapefiles and KML: read by GDAL in a process of its own.

GDAL parses in C: if a file makes it crash, hang or take all memory, the command goes on and says so. See docs/adr/0034.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from exporttiles.domain.errors import RequestError

MAX_SECONDS = 60
"""Time limit of reading a file."""

MAX_MEMORY_BYTES = 2 * 2**30
"""Memory limit of reading a file."""


MISSING = "pyogrio, which is not installed: add the extra [areas]"
"""Why vector files cannot be read."""

_MAX_NAMES = 20


def refusal(reason: str, parameter: str = "areaOfInterest") -> RequestError:
    """Return the error of a file that cannot be used, or of a parameter that chooses what to read."""
    return RequestError(reason, parameter)


@dataclass(frozen=True, slots=True)
class Choice:
    """The features to read of a file.

    Attributes:
        layer: name of a layer. By default a file of KML or GPX is read whole, and any other must have one layer.
        where: condition on the attributes, in SQL of GDAL.
        attribute: name of the attribute that the features keep; by default they keep none.
    """

    layer: str | None = None
    where: str | None = None
    attribute: str | None = None


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a file.

    Attributes:
        text: JSON list of GeoJSON features.
        counts: number of features by layer.
        crs: name such as EPSG:25832, or WKT; None if the file names none.
        notes: sentences about what was assumed or left out.
    """

    text: str
    counts: Counter[str]
    crs: str | None
    notes: list[str]


def is_installed() -> bool:
    """Return True if vector files can be read."""
    return find_spec("pyogrio") is not None


def read_vector_file(path: Path, choice: Choice) -> Features:
    """Return the features of a vector file.

    Raises:
        RequestError: it cannot be read, takes too much to read, or the choice is missing or selects nothing; or the
            extra that reads such files is not installed.
    """
    if not is_installed():
        raise refusal(f"It is read by {MISSING}, or convert the file to GeoJSON.")
    with TemporaryDirectory(prefix="exporttiles.") as folder:
        command = [sys.executable, "-m", "exporttiles.cli.vector_reader"]
        arguments = [str(path.absolute()), folder, json.dumps(asdict(choice))]
        environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        try:
            ran = subprocess.run(  # noqa: S603  no shell, and the program is ours
                [*command, *arguments], env=environment, capture_output=True, timeout=MAX_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise refusal(f"It takes more than {MAX_SECONDS} seconds to read: simplify it.") from error
    if ran.returncode < 0:
        raise refusal("GDAL crashes when it reads it: it is damaged, or too large.")
    if ran.returncode:
        raise RuntimeError(ran.stderr.decode(errors="replace"))
    head, _, text = ran.stdout.decode().partition("\n")
    facts = json.loads(head)
    if "error" in facts:
        raise RequestError(facts["error"], facts["parameter"])
    return Features(text, Counter(facts["counts"]), facts["crs"], facts["notes"])


def listed(names: Iterable[object]) -> str:
    """Return names as text, the first twenty of many."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - _MAX_NAMES:,} more" if len(texts) > _MAX_NAMES else ""
    return f"{', '.join(texts[:_MAX_NAMES])}{more}"
