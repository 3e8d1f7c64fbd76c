"""Drawing takes no more memory than the planner reserves for it, whatever the file."""

import subprocess
import sys

import numpy as np
import pytest
from affine import Affine

from exporttiles.domain.plan import DRAWING_BYTES
from tests.rasters import write_geotiff

WORKER_BYTES = 200 * 10**6  # of a worker without its fragment, see `exporttiles.domain.plan`
DRAW = """
import resource, sys
from pathlib import Path
from tests.rasters import drawn_tiles, inspected
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256

objects, found = inspected(Path(sys.argv[1]), rescale=((0.0, 255.0),))
for level in found.service.max_level - 2, found.service.max_level - 4:
    drawn_tiles(objects, found.service, WEB_MERCATOR_256.tile_range(found.service.full_extent, level))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_the_largest_strips_are_drawn_within_the_memory_that_is_reserved(tmp_path):
    row = (np.arange(8_000) % 249 + 1).astype(np.uint8)
    picture = np.broadcast_to(row, (1, 8_300, 8_000))
    place = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    strips = {"tiled": False, "blockysize": 4190, "zlevel": 1}
    write_geotiff(tmp_path / "a.tif", picture, "EPSG:32632", place, nodata=0, **strips)

    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )

    assert DRAWING_BYTES / 2 < int(done.stdout) < WORKER_BYTES + DRAWING_BYTES
