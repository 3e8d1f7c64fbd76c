"""Every source into every output: independent readers find each tile, byte for byte, and no other.

A new source is a function that stores tiles in its layout, listed in
`tests.caches`; a new output is a reader, listed in `READERS`. What a cache is,
is found out by inspection, as the command `exporttiles publish` does it.
"""

import pytest

from tests.builders import a_service
from tests.caches import CACHES
from tests.fakes import memory
from tests.oracles.build_package import a_tile
from tests.oracles.exports import OUTPUTS, by_mapproxy, by_pmtiles, by_sqlite, by_tpkutils, export, neighbours

PLACES = [(0, 0, 0)]
PLACES += [(7, row, column) for row in (63, 64) for column in (63, 64)]
PLACES += [(8, row, column) for row in (126, 127, 128) for column in (127, 128, 129)]
TILES = {place: a_tile(place) for place in PLACES}


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
