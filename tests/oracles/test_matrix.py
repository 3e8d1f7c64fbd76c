"""Every source into every output: independent readers find each tile and no other.

Tiles arrive byte for byte; those of WebP in outputs that hold none are converted, with the same pixels.
A new source is a function that stores tiles in its layout, listed in
`tests.caches`; a new output is a reader, listed in `READERS`. What a cache is,
is found out by inspection, as the command `exporttiles publish` does it.
"""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from exporttiles.domain.service import TileFormat
from tests.builders import a_service
from tests.caches import CACHES
from tests.fakes import memory
from tests.oracles.build_package import a_tile
from tests.oracles.exports import OUTPUTS, by_mapproxy, by_pmtiles, by_sqlite, by_tpkutils, decoded, export, neighbours

PLACES = [(0, 0, 0)]
PLACES += [(7, row, column) for row in (63, 64) for column in (63, 64)]
PLACES += [(8, row, column) for row in (126, 127, 128) for column in (127, 128, 129)]
TILES = {place: a_tile(place) for place in PLACES}
HOLDING_WEBP = ("PMTiles", "MBTiles", "GeoPackage")


def a_webp(place):
    body = BytesIO()
    Image.open(BytesIO(a_tile(place))).save(body, "WEBP", lossless=True, exact=True)
    return body.getvalue()


WEBP_TILES = {place: a_webp(place) for place in PLACES}


READERS = {
    "tpkx": lambda path, places: by_mapproxy(path.with_name("tile"), places, version=2),
    "tpk": lambda path, _: by_tpkutils(path),
    "dataset V2": lambda path, places: by_mapproxy(path.with_suffix("") / "Layers/_alllayers", places, version=2),
    "dataset V1": lambda path, places: by_mapproxy(path.with_suffix("") / "Layers/_alllayers", places, version=1),
    "PMTiles": lambda path, _: by_pmtiles(path),
    "MBTiles": lambda path, _: by_sqlite(path, rows_from_bottom=True),
    "GeoPackage": lambda path, _: by_sqlite(path, rows_from_bottom=False),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", CACHES)
def test_every_tile_arrives_as_it_was_and_no_other(tmp_path, source, output):
    objects = memory()
    service = a_service(objects, url=CACHES[source](objects, TILES))

    path = export(objects, service, range(9), output, tmp_path)

    assert READERS[output](path, neighbours(PLACES)) == TILES


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", CACHES)
def test_every_webp_tile_arrives_as_it_was_or_converted_and_no_other(tmp_path, source, output):
    objects = memory()
    service = a_service(objects, url=CACHES[source](objects, WEBP_TILES))
    converted = {} if output in HOLDING_WEBP else {"tile_format": TileFormat.PNG}

    path = export(objects, service, range(9), output, tmp_path, **converted)

    found = READERS[output](path, neighbours(PLACES))
    if output in HOLDING_WEBP:
        assert found == WEBP_TILES
    else:
        assert found.keys() == WEBP_TILES.keys()
        assert all(np.array_equal(decoded(tile), decoded(WEBP_TILES[place])) for place, tile in found.items())
