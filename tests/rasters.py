"""GeoTIFFs for tests, written by GDAL, and the tiles that are drawn from them."""

from io import BytesIO

import numpy as np
import rasterio
from affine import Affine
from obstore.store import LocalStore
from PIL import Image
from rasterio.enums import ColorInterp, Resampling

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.tiling import PACKET_SIZE
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from exporttiles.usecases.inspection.survey_raster import Rendering


def imagery(rows, columns, bands=3, seed=2026):
    """Return samples (bands, rows, columns) with detail of every size, such as imagery has."""
    random = np.random.default_rng(seed)
    picture = np.full((bands, rows, columns), 128.0)
    for size, strength in ((4, 6), (16, 14), (64, 25), (256, 30)):
        for band in range(bands):
            coarse = Image.fromarray(random.normal(size=(rows // size + 2, columns // size + 2)).astype(np.float32))
            picture[band] += strength * np.asarray(coarse.resize((columns, rows), Image.Resampling.BICUBIC))
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_geotiff(path, samples, crs, transform, *, overviews=(), mask=None, alpha=False, colormap=None, **profile):
    """Write samples (bands, rows, columns) as a GeoTIFF; return its path."""
    bands, rows, columns = samples.shape
    tiling = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    options = {"driver": "GTiff", "height": rows, "width": columns, "count": bands, "dtype": samples.dtype, "crs": crs}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", transform=transform, **options | tiling | profile) as dataset,
    ):
        if alpha:
            dataset.colorinterp = [*dataset.colorinterp[: bands - 1], ColorInterp.alpha]
        if colormap:
            dataset.write_colormap(1, colormap)
        dataset.write(samples)
        if mask is not None:
            dataset.write_mask(mask)
    if overviews:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
            dataset.build_overviews(overviews, Resampling.average)
    return path


def an_orthophoto(path, crs="EPSG:32632", corner=(500_000, 5_200_000), pixel=1.0, size=(1500, 1800), **profile):
    """Write imagery of square pixels, with overviews; return its path."""
    profile = {"overviews": (2, 4, 8)} | profile
    return write_geotiff(path, imagery(*size), crs, Affine(pixel, 0, corner[0], 0, -pixel, corner[1]), **profile)


def inspected(folder, name="", scheme=WEB_MERCATOR_256, **rendering):
    """Return the store of a folder, and the service that a file of it, or all of them, make up."""
    objects = ObstoreObjects(LocalStore(folder))
    url = f"file://{folder}/{name}".rstrip("/")
    inspect = InspectCache(objects, read_cache, scheme, rendering=Rendering(**rendering))
    return objects, inspect("Ortho", url)


def drawn_tiles(objects, service, tiles):
    """Return the tiles of a block: row and column -> bytes."""
    source, found = read_cache(objects, service.cache), {}
    for bundle in tiles.bundles:
        selected = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
        selected[bundle.slices(tiles.intersection(bundle.tile_range))] = True
        found |= {place: bytes(tile) for place, tile in source.read_bundle(bundle, selected)}
    return found


def picture_of(found, tiles, size):
    """Return a block of tiles as one picture (rows, columns, 4)."""
    rows, columns = tiles.row_stop - tiles.row_start, tiles.column_stop - tiles.column_start
    picture = np.zeros((rows * size, columns * size, 4), np.uint8)
    for (row, column), tile in found.items():
        top, left = (row - tiles.row_start) * size, (column - tiles.column_start) * size
        picture[top : top + size, left : left + size] = np.asarray(Image.open(BytesIO(tile)).convert("RGBA"))
    return picture
