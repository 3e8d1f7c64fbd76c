"""The names of the parameters of `exportTiles` and `estimateExportTilesSize`, and what each means."""

from collections.abc import Mapping

PARAMETERS = {
    "tilePackage": "true for one file, false for a cache raster dataset",
    "storageFormatType": "storage format of the output; PMTiles, MBTiles and GeoPackage are not part of ArcGIS",
    "exportBy": "unit of the levels: LevelID, Scale or Resolution",
    "levels": "list or ranges, such as 1-4,7-9; empty for all",
    "overviewLevels": "with an area: levels of the full extent in addition, such as 0-7; not a parameter of ArcGIS",
    "exportExtent": "xmin,ymin,xmax,ymax, or an envelope as JSON; empty for all",
    "areaOfInterest": "polygons as JSON, or lines and points with bufferDistance; supersedes the extent",
    "areas": 'areas with their own levels, as [{"areaOfInterest":{},"levels":"8-14"}]; not a parameter of ArcGIS',
    "tiles": "tiles of Web Mercator as the area: zoom/x/y or quadkeys, such as 12/2144/1436; not a parameter of ArcGIS",
    "bufferDistance": "buffers areaOfInterest by this distance, in metres; not a parameter of ArcGIS",
    "bufferUnit": "unit of bufferDistance, such as esriKilometers, esriFeet, esriMiles; not a parameter of ArcGIS",
    "packageBy": "attribute of the features in areaOfInterest: one package for each of its values; not part of ArcGIS",
    "optimizeTilesForSize": "true to recompress JPEG tiles",
    "compressionQuality": "JPEG quality from 0 to 100, with optimizeTilesForSize",
    "tileFormat": "converts the tiles to JPEG, PNG or MIXED (PNG where transparent, else JPEG); not part of ArcGIS",
    "clip": "true to make pixels outside the area transparent; not part of ArcGIS",
    "clipColor": "with clip: a color for these pixels instead, as in 255,255,255; not part of ArcGIS",
    "skipBlank": "true to leave out fully transparent tiles; not part of ArcGIS",
    "skipOneColor": "true to leave out all tiles of one color, transparent or not; not part of ArcGIS",
    "since": "export only tiles changed since this time (2026-11-23T05:00Z) or job; not part of ArcGIS",
}
"""Description of each documented parameter, and of those that ArcGIS does not have."""

AREA_NAMES = ("areaOfInterest", "polygon")
"""Names of an area of interest."""

EXTENT_NAMES = ("exportExtent", "extent")
"""Names of an extent."""

TILES = "tiles"
"""Name of the parameter for tiles by name."""

PACKAGE_BY = "packageBy"
"""Name of the parameter that makes a batch."""

_PLACES = ("areas", *AREA_NAMES, *EXTENT_NAMES, TILES)

STORAGE_NAMES = ("storageFormatType", "storageFormat")
"""Names of the storage format."""

KNOWN_NAMES = {*PARAMETERS, *AREA_NAMES, *EXTENT_NAMES, *STORAGE_NAMES}
"""Documented parameter names and the aliases clients send."""

_DOCUMENTED = {alias: names[0] for names in (AREA_NAMES, EXTENT_NAMES, STORAGE_NAMES) for alias in names[1:]}
"""Alias -> the documented name."""


def documented_names(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Return parameters by their documented names, which supersede aliases; those without a value are left out."""
    sent = {name: value for name, value in parameters.items() if value.strip()}
    return {_DOCUMENTED.get(name, name): value for name, value in sent.items()} | {
        name: value for name, value in sent.items() if name not in _DOCUMENTED
    }


def area_parameter(parameters: Mapping[str, str]) -> str:
    """Return the name of the parameter that gives the area; an area of interest supersedes an extent."""
    return next((name for name in _PLACES if parameters.get(name, "").strip()), AREA_NAMES[0])
