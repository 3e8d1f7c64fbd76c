"""Parse the parameters of `exportTiles` and `estimateExportTilesSize`, as real clients send them.

Source: ArcGIS REST API, "Export Tiles (Image Service)". Empty parameters count as
absent, the case of keywords does not matter, and unknown parameters are ignored.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import (
    CONVERSIONS,
    CONVERTED_QUALITY,
    ESRI_FORMATS,
    Blank,
    Clip,
    ExportRequest,
    StorageFormat,
)
from exporttiles.domain.job import is_job_id
from exporttiles.domain.service import ESRI_TILE_FORMATS, ImageService, TileFormat
from exporttiles.domain.wording import level_names
from exporttiles.rest.errors import ExportNotAllowedError
from exporttiles.rest.parameter_names import STORAGE_NAMES, area_parameter

DEFAULT_QUALITY = 75
"""JPEG quality if a client asks to optimise but names none; the default of Esri's own client."""

_CONVERT = f"Add tileFormat={', '.join(CONVERSIONS[:-1])} or {CONVERSIONS[-1]}, which converts them."

_LEGAL_COLOR = "It must be red, green and blue from 0 to 255, such as 255,255,255."
_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_STORAGE_FORMATS = {name.lower(): name for name in StorageFormat}
_SHORT_STORAGE_FORMATS = {name.removeprefix("esriMapCacheStorageMode").lower(): name for name in StorageFormat}


def read_export_request(
    parameters: Mapping[str, str], service: ImageService, *, must_name_reference: bool = False
) -> ExportRequest:
    """Return the export that the parameters request, with defaults filled in.

    Args:
        parameters: by name, after URL decoding.
        service: gives the spatial reference, the levels and the quality that
            the client leaves out.
        must_name_reference: refuse coordinates that look like degrees but
            have no spatial reference, instead of adding a warning.

    Raises:
        RequestError: a parameter cannot be used; the message names it and says what is legal.
    """
    if not service.export_tiles_allowed:
        raise ExportNotAllowedError(f"The service {service.name} does not allow its tiles to be exported.")
    from exporttiles.rest.export_areas import read_export_areas

    texts = {name: value.strip().removeprefix("\ufeff").strip() for name, value in parameters.items()}
    sent = {name: text for name, text in texts.items() if text}
    selected = read_export_areas(sent, service, must_name_reference=must_name_reference)
    tile_format, format_notes = _read_tile_format(sent, service)
    asked = replace(service, tile_format=tile_format or service.tile_format)
    quality, quality_warnings = _read_quality(sent, asked, is_converted=tile_format is not None)
    if tile_format and not service.cache.mosaic:
        format_notes = (_conversion_note(service, tile_format, quality),)
    since, since_job = _read_since(sent)
    clip = _read_clip(sent, asked)
    skipped, skip_warnings = _read_skipped(sent, asked, clip)
    tile_package = _read_boolean(sent, "tilePackage")
    storage_format = _read_storage_format(sent)
    request = ExportRequest(
        service_name=service.name,
        areas=selected.areas,
        tile_package=tile_package,
        storage_format=storage_format,
        compression_quality=quality,
        since=since,
        clip=clip,
        skipped=skipped,
        tile_format=tile_format,
        since_job=since_job,
        notes=(*selected.notes, *format_notes),
    )
    if service.cache.mosaic and (tile_format or quality is not None):
        request = replace(
            request, notes=(*request.notes, _drawing_note(replace(request, clip=None).delivered(service)))
        )
    _check_storage_format(asked, storage_format, request.levels, tile_package=tile_package)
    warnings = (*selected.warnings, *_empty_levels(request, service), *quality_warnings, *skip_warnings)
    return replace(request, warnings=warnings)


def _empty_levels(request: ExportRequest, service: ImageService) -> Iterator[str]:
    """Yield warnings about levels without tiles, and areas that have no other levels."""
    empty = {level for level in request.levels if not service.min_level <= level <= service.max_level}
    if empty:
        yield f"levels: The cache has no tiles of {level_names(sorted(empty))}."
    for each in request.areas if len(request.areas) > 1 else ():
        if empty.issuperset(each.levels):
            yield f"{each.name}: It is left out, for the cache has no tiles of {level_names(each.levels)}."


def _read_tile_format(sent: Mapping[str, str], service: ImageService) -> tuple[TileFormat | None, tuple[str, ...]]:
    """Return the format to convert tiles to, or None if they stay as they are, and a note if that is not as asked."""
    text = sent.get("tileFormat", "")
    if not text:
        return None, ()
    target = next((each for each in CONVERSIONS if each.lower() == text.lower()), None)
    if target is None:
        raise InvalidParameterError("tileFormat", text, f"It must be one of {', '.join(CONVERSIONS)}.")
    if service.tile_format is TileFormat.LERC:
        raise InvalidParameterError(
            "tileFormat", text, "LERC tiles cannot be converted: they hold values, not pictures."
        )
    if keeps_tiles(service.tile_format, target):
        return None, (f"tileFormat: The tiles stay as they are: {service.tile_format}.",)
    return target, ()


def keeps_tiles(tile_format: TileFormat, target: TileFormat) -> bool:
    """Return True if tiles of a format need no conversion to another one."""
    return tile_format.encodings <= target.encodings - {"png"} or tile_format.encodings == target.encodings


def _conversion_note(service: ImageService, target: TileFormat, quality: int | None) -> str:
    quality = CONVERTED_QUALITY if quality is None else quality
    return {
        TileFormat.JPEG: f"tileFormat: {service.tile_format} tiles become JPEG of quality {quality}; transparent "
        "pixels become white.",
        TileFormat.PNG: f"tileFormat: {service.tile_format} tiles become PNG.",
        TileFormat.MIXED: f"tileFormat: {service.tile_format} tiles become PNG if they have transparent pixels, and "
        f"otherwise JPEG of quality {quality}.",
    }[target]


def _drawing_note(drawn: ImageService) -> str:
    quality = f"JPEG of quality {drawn.compression_quality}"
    return {
        TileFormat.PNG: "tileFormat: Tiles are drawn as PNG, without loss.",
        TileFormat.MIXED: f"compressionQuality: Tiles are drawn as {quality}, or PNG if they have transparent pixels.",
    }.get(drawn.tile_format, f"tileFormat: Tiles are drawn as {quality}; transparent pixels become white.")


def _read_quality(
    sent: Mapping[str, str], service: ImageService, *, is_converted: bool
) -> tuple[int | None, tuple[str, ...]]:
    """Return the JPEG quality to recompress to, or None to copy tiles unchanged, and warnings.

    Esri's Python client always sends 75, so warn instead of refusing where a cache
    holds PNG tiles or tiles of a lower quality.
    """
    if not _read_boolean(sent, "optimizeTilesForSize"):
        return None, ()
    text = sent.get("compressionQuality", str(DEFAULT_QUALITY))
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= 100):
        raise InvalidParameterError("compressionQuality", text, "It must be a whole number from 0 to 100.")
    unchanged = "compressionQuality: Tiles are copied unchanged"
    if service.tile_format not in (TileFormat.JPEG, TileFormat.MIXED):
        return None, (f"{unchanged}: {service.tile_format} tiles have no JPEG quality.",)
    if not is_converted and not service.cache.mosaic and 0 < service.compression_quality <= int(text):
        return None, (f"{unchanged}: their quality is {service.compression_quality} already.",)
    return int(text), ()


def _read_clip(sent: Mapping[str, str], service: ImageService) -> Clip | None:
    """Return how pixels outside the area are painted; None if tiles stay whole."""
    text = sent.get("clipColor", "")
    if not _read_boolean(sent, "clip"):
        if text:
            raise InvalidParameterError("clipColor", text, "It is a parameter of clip=true.")
        return None
    if service.tile_format is TileFormat.LERC:
        raise InvalidParameterError("clip", "true", "LERC tiles cannot be clipped: they hold values, not pictures.")
    if service.tile_format is TileFormat.WEBP:
        raise InvalidParameterError("clip", "true", f"WEBP tiles can be clipped if they are converted. {_CONVERT}")
    if area_parameter(sent) not in sent:
        raise InvalidParameterError(
            "clip", "true", "Without areaOfInterest or exportExtent there is nothing to clip to."
        )
    return Clip(_read_color(text) if text else None)


def _read_skipped(
    sent: Mapping[str, str], service: ImageService, clip: Clip | None
) -> tuple[Blank | None, tuple[str, ...]]:
    """Return which tiles without contents are left out, or None if all are kept, and warnings."""
    asked = [blank for blank in Blank if _read_boolean(sent, blank)]
    if not asked:
        return None, ()
    if service.tile_format is TileFormat.LERC:
        raise InvalidParameterError(asked[-1], "true", "LERC tiles hold values: none of them is blank.")
    if service.tile_format is TileFormat.WEBP:
        legal = f"WEBP tiles are decoded only if they are converted: it is not known which are blank. {_CONVERT}"
        raise InvalidParameterError(asked[-1], "true", legal)
    delivered = clip.tile_format(service.tile_format) if clip else service.tile_format
    if asked[-1] is Blank.TRANSPARENT and delivered is TileFormat.JPEG:
        return None, (f"{Blank.TRANSPARENT}: No tile is left out: JPEG tiles are never transparent.",)
    return asked[-1], ()


def _read_color(text: str) -> tuple[int, int, int]:
    """Return red, green and blue of a color such as 255,255,255 or, as JSON, [255,255,255]."""
    parts = [part.strip() for part in text.removeprefix("[").removesuffix("]").split(",")]
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise InvalidParameterError("clipColor", text, _LEGAL_COLOR)
    red, green, blue = map(int, parts)
    if max(red, green, blue) > 255:
        raise InvalidParameterError("clipColor", text, _LEGAL_COLOR)
    return red, green, blue


def _read_since(sent: Mapping[str, str]) -> tuple[datetime | None, str]:
    """Return the time or the job id in `since`; None and '' if it is absent.

    A time is in ISO 8601, in UTC unless it names another zone, or in milliseconds
    since 1970, as Esri writes times.
    """
    text = sent.get("since", "")
    if not text or is_job_id(text):
        return None, text
    try:
        if text.isascii() and text.isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC), ""
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC), ""
    except (ValueError, OverflowError, OSError) as error:
        legal = "It must be a time, such as 2026-11-23T05:00:00Z, or the id of an earlier job."
        raise InvalidParameterError("since", text, legal) from error


def _read_storage_format(sent: Mapping[str, str]) -> StorageFormat:
    for name in STORAGE_NAMES:
        if name in sent:
            word = sent[name].lower()
            found = _STORAGE_FORMATS.get(word) or _SHORT_STORAGE_FORMATS.get(word)
            if found is None:
                raise InvalidParameterError(name, sent[name], f"It must be one of {', '.join(StorageFormat)}.")
            return found
    return StorageFormat.COMPACT_V2


def _check_storage_format(
    service: ImageService, storage_format: StorageFormat, levels: tuple[int, ...], *, tile_package: bool
) -> None:
    """Refuse a storage format that does not suit the service."""
    if storage_format in ESRI_FORMATS and service.tile_format in ESRI_TILE_FORMATS:
        return
    from exporttiles.formats.packages.storage_formats import format_obstacle, legal_formats

    if storage_format not in ESRI_FORMATS and not tile_package:
        raise InvalidParameterError("tilePackage", "false", f"{storage_format} is one file: it must be true.")
    if why := format_obstacle(service, storage_format, levels):
        legal = ", ".join(legal_formats(service))
        advice = f"It must be one of {legal}." if legal else "No other storage format holds them either."
        if service.tile_format is TileFormat.WEBP:
            advice += f" {_CONVERT}"
        raise InvalidParameterError(STORAGE_NAMES[0], storage_format, f"{why} {advice}")


def _read_boolean(sent: Mapping[str, str], name: str) -> bool:
    """Return a boolean parameter; False, as documented, if it is absent."""
    value = _BOOLEANS.get(sent.get(name, "false").lower())
    if value is None:
        raise InvalidParameterError(name, sent[name], "It must be true or false.")
    return value
