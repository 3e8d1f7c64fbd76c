"""Every source into every output: independent readers find each tile, byte for byte, and no other.

A new source is a function that stores tiles in its layout, listed in
`SOURCES`; a new output is a reader, listed in `READERS`. What a cache is, is
found out by inspection, as the command `exporttiles publish` does it.
"""

import pytest

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundle import DATASET_RECORD_COUNT, PACKAGE_RECORD_COUNT, bundle_path, write_bundle
from tests.builders import a_service
from tests.fakes import memory
from tests.oracles.build_package import a_tile
from tests.oracles.exports import OUTPUTS, by_mapproxy, by_tpkutils, export, neighbours

PLACES = [(0, 0, 0)]
PLACES += [(7, row, column) for row in (63, 64) for column in (63, 64)]
PLACES += [(8, row, column) for row in (126, 127, 128) for column in (127, 128, 129)]
TILES = {place: a_tile(place) for place in PLACES}


def files(objects, tiles):
    """One file a tile, level/column/row."""
    for (level, row, column), tile in tiles.items():
        objects.write(f"World/{level}/{column}/{row}.png", tile)


def compact_v2(objects, tiles, *, record_count=DATASET_RECORD_COUNT):
    """Bundles as the specification describes them."""
    bundles = {}
    for (level, row, column), tile in tiles.items():
        bundles.setdefault(BundleIndex.of_tile(level, row, column), {})[row, column] = tile
    for bundle, images in bundles.items():
        objects.write(f"World/{bundle_path(bundle)}", b"".join(write_bundle(images, record_count=record_count)))


def compact_v2_of_arcgis(objects, tiles):
    """Bundles with the header that ArcGIS writes."""
    compact_v2(objects, tiles, record_count=PACKAGE_RECORD_COUNT)


SOURCES = {
    "files": files,
    "Compact V2": compact_v2,
    "Compact V2 of ArcGIS": compact_v2_of_arcgis,
}

READERS = {
    "tpkx": lambda path, places: by_mapproxy(path.with_name("tile"), places, version=2),
    "tpk": lambda path, _: by_tpkutils(path),
    "dataset V2": lambda path, places: by_mapproxy(path.with_suffix("") / "Layers/_alllayers", places, version=2),
    "dataset V1": lambda path, places: by_mapproxy(path.with_suffix("") / "Layers/_alllayers", places, version=1),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_tile_arrives_as_it_was_and_no_other(tmp_path, source, output):
    objects = memory()
    SOURCES[source](objects, TILES)
    service = a_service(objects)

    path = export(objects, service, range(9), output, tmp_path)

    assert READERS[output](path, neighbours(PLACES)) == TILES
