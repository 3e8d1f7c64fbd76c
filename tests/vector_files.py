"""Builders of vector files, written by GDAL."""

import warnings
import zipfile

import numpy as np
import pyogrio.raw
import shapely

DRIVERS = {
    ".shp": "ESRI Shapefile",
    ".gpkg": "GPKG",
    ".fgb": "FlatGeobuf",
    ".kml": "LIBKML",
    ".gpx": "GPX",
    ".geojson": "GeoJSON",
}
SHAPEFILE = (".shp", ".shx", ".dbf", ".prj")
KML = '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{}</Document></kml>'
PLACEMARK = (
    "<Placemark><name>{}</name><Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing>"
    "</outerBoundaryIs></Polygon></Placemark>"
)
POINTS = "<Placemark><name>{}</name><Point><coordinates>{}</coordinates></Point></Placemark>"


def write(path, shapes, crs="EPSG:4326", *, layer=None, names=(), append=False, **options):
    """Write geometries by the driver of the suffix, each with an attribute NAME."""
    wkb = np.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes], dtype=object)
    texts = np.array([names[at] if at < len(names) else f"n{at}" for at in range(len(shapes))], dtype=object)
    kinds = {shape.geom_type for shape in shapes if shape is not None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        pyogrio.raw.write(
            path,
            wkb,
            [texts],
            ["NAME"],
            layer=layer,
            driver=DRIVERS[path.suffix],
            geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
            crs=crs,
            append=append,
            **options,
        )
    return path


def zipped(path, *files, folder=""):
    """Write a zip archive of files, and of the other parts of shapefiles."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            for suffix in SHAPEFILE if file.suffix == ".shp" else [file.suffix]:
                if file.with_suffix(suffix).exists():
                    archive.write(file.with_suffix(suffix), folder + file.stem + suffix)
    return path


def ring(box):
    """Return the corners of a box as KML has them."""
    xmin, ymin, xmax, ymax = box
    return f"{xmin},{ymin} {xmax},{ymin} {xmax},{ymax} {xmin},{ymax} {xmin},{ymin}"
