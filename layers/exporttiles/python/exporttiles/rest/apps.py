"""Apps that read packages, and the storage format of each: people choose an app, not a format.

Source: docs/formats.md, "Who reads it".
"""

from collections.abc import Collection, Mapping

from exporttiles.domain.export import StorageFormat

_APPS: Mapping[StorageFormat, str] = {
    StorageFormat.COMPACT_V2: "ArcGIS Field Maps, ArcGIS Pro (.tpkx)",
    StorageFormat.GEOPACKAGE: "QGIS, QField (GeoPackage)",
    StorageFormat.MBTILES: "ATAK, ODK Collect, Locus Map, AlpineQuest (MBTiles)",
    StorageFormat.PMTILES: "Web maps with MapLibre (PMTiles)",
    StorageFormat.COMPACT: "ArcMap, older ArcGIS apps (.tpk)",
}
"""Each storage format -> the apps that it suits best; the most common first."""


def apps_for(legal: Collection[str]) -> Mapping[StorageFormat, str]:
    """Return the apps whose format is among the legal ones of a service."""
    return {storage_format: apps for storage_format, apps in _APPS.items() if storage_format in legal}
