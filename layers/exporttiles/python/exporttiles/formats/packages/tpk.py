"""Documents of a tile package of ArcMap (.tpk): pkinfo, iteminfo.xml, mapserver.json.

Esri publishes no specification. Source: packages by ArcMap 10.3, whose members,
elements and order are kept, and the elements that tpkutils 0.8.2 reads. The
``.lyr`` files that ArcMap adds are left out: their format is not published,
and no other reader opens them.
"""

import json
from typing import Any

from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.formats.esri.esri_json import write_extent, write_spatial_reference
from exporttiles.formats.esri.esri_xml import DECLARATION, CoordinateDomain, esri_wkt, number, text
from exporttiles.formats.packages.tpkx import item_guid, units

PKINFO = "esriinfo/item.pkinfo"
ITEMINFO = "esriinfo/iteminfo.xml"
THUMBNAIL = "esriinfo/thumbnail/thumbnail.png"
MAPSERVER = "servicedescriptions/mapserver/mapserver.json"
MAP_NAME = "Layers"
MAP_FOLDER = f"v101/{MAP_NAME}"
"""The folder of conf.xml: the version of the cache, and the name of the map in it."""

ITEM_TYPE = "Tile Package"
TYPE_KEYWORDS = ("Data", ITEM_TYPE, "ArcMap", "ArcGlobe", "tpk")

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_STYLESHEET = '<?xml-stylesheet type="text/xsl" href="http://www.arcgisonline.com/home/pkinfostylesheet.xsl"?>'


def write_pkinfo(service: ImageService, *, job_id: str) -> bytes:
    """Return item.pkinfo: the type and the id of the item."""
    members = (
        text("ID", item_guid(job_id)),
        text("name", service.short_name),
        text("version", "10.3"),
        number("size", -1),
        text("created", ""),
        text("type", ITEM_TYPE),
        text("servable", "false"),
        text("packagelocation", ""),
        text("pkinfolocation", ""),
    )
    return _lines(DECLARATION, _STYLESHEET, "<pkinfo Culture='en-US'>", *members, "</pkinfo>")


def write_iteminfo(service: ImageService, extent: Extent, *, job_id: str) -> bytes:
    """Return iteminfo.xml: the texts that a portal shows.

    Args:
        service: the cache that the tiles come from.
        extent: of the export, in the scheme's reference; written in degrees.
        job_id: decides the item's id, so that equal jobs write equal bytes.

    Raises:
        AreaError: the extent cannot be expressed in degrees.
    """
    degrees = extent.to(WGS84)
    first_line = service.description.partition("\n")[0]
    return _lines(
        DECLARATION,
        "<ESRI_ItemInformation Culture='en-US'>",
        text("name", service.short_name),
        text("guid", item_guid(job_id)),
        text("catalogpath", ""),
        text("snippet", first_line),
        text("description", service.description),
        text("summary", first_line),
        text("title", service.map_title),
        text("tags", ""),
        text("type", ITEM_TYPE),
        "<typekeywords>",
        *(text("typekeyword", word) for word in TYPE_KEYWORDS),
        "</typekeywords>",
        text("thumbnail", THUMBNAIL.removeprefix("esriinfo/")),
        text("documentation", ""),
        text("url", ""),
        text("datalastmodifiedtime", ""),
        "<extent>",
        *(number(side, getattr(degrees, side)) for side in _SIDES),
        "</extent>",
        text("spatialreference", esri_wkt(extent.spatial_reference).split('"', 2)[1]),
        text("accessinformation", service.copyright_text),
        text("licenseinfo", ""),
        "</ESRI_ItemInformation>",
    )


def write_mapserver(service: ImageService, extent: Extent) -> bytes:
    """Return mapserver.json: the description of a map service without layers.

    Raises:
        AreaError: the extent cannot be expressed in degrees.
    """
    reference = extent.spatial_reference
    box, domain = write_extent(extent), CoordinateDomain.of(reference)
    degrees = {side: getattr(extent.to(WGS84), side) for side in _SIDES}
    title = {"Title": service.map_title, "Author": "", "Comments": "", "Subject": "", "Category": "", "Keywords": ""}
    contents: dict[str, Any] = {
        "currentVersion": 10.31,
        "serviceDescription": service.description,
        "mapName": MAP_NAME,
        "description": service.description,
        "copyrightText": service.copyright_text,
        "supportsDynamicLayers": False,
        "layers": [],
        "tables": [],
        "spatialReference": write_spatial_reference(reference),
        "singleFusedMapCache": False,
        "initialExtent": box,
        "fullExtent": box,
        "minScale": 0,
        "maxScale": 0,
        "units": units(reference),
        "supportedImageFormatTypes": "PNG32,PNG24,PNG,JPG,DIB,TIFF,EMF,PS,PDF,GIF,SVG,SVGZ,BMP",
        "documentInfo": title,
        "capabilities": "Map,Query,Data",
        "supportedQueryFormats": "JSON, AMF",
        "exportTilesAllowed": False,
        "maxRecordCount": 1000,
        "maxImageHeight": 4096,
        "maxImageWidth": 4096,
    }
    corners = {"xmin": domain.origin, "ymin": domain.origin, "xmax": domain.end, "ymax": domain.end}
    document = {
        "name": "MapServer",
        "contents": contents,
        "resourceInfo": {
            "geoFullExtent": degrees,
            "spatialReferenceDomain": corners,
            "geoInitialExtent": degrees,
        },
        "resources": [
            {"name": "layers", "resources": []},
            {"name": "tables", "resources": []},
            {"name": "legend", "contents": {"layers": []}},
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
