"""Export parameters other than levels and areas, and their defaults."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import Blank, Clip, StorageFormat
from exporttiles.domain.service import TileFormat
from exporttiles.formats.esri.tiling_schemes import WGS84_512
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import WORLD, a_service

SERVICE = a_service()


def read(service=SERVICE, **parameters):
    return read_export_request(parameters, service)


def test_without_parameters_all_tiles_of_the_cache_are_exported():
    request = read()

    assert request.service_name == "World_Imagery"
    assert request.levels == tuple(range(20))
    assert request.areas[0].area.extent.sides == WORLD.sides
    assert request.tile_package is False
    assert request.storage_format is StorageFormat.COMPACT_V2
    assert request.compression_quality is None
    assert request.warnings == ()


def test_an_empty_parameter_counts_as_absent():
    names = ["storageFormatType", "tilePackage", "exportExtent", "optimizeTilesForSize", "compressionQuality"]
    names += ["exportBy", "levels", "areaOfInterest", "polygon", "extent", "storageFormat"]

    request = read(**dict.fromkeys(names, "  "))

    assert (request.levels, request.compression_quality) == (tuple(range(20)), None)


def test_a_byte_order_mark_before_a_value_is_ignored():
    assert read(levels="\ufeff1-2").levels == (1, 2)
    assert read(levels="1", areaOfInterest='\ufeff{"rings":[[[0,0],[0,1e6],[1e6,1e6]]]}').levels == (1,)


def test_unknown_parameters_are_ignored():
    assert read(useToken="true", levels="1", LEVELS="nonsense").levels == (1,)


@pytest.mark.parametrize("name", ["storageFormatType", "storageFormat"])
@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("esriMapCacheStorageModeCompactV2", StorageFormat.COMPACT_V2),
        ("CompactV2", StorageFormat.COMPACT_V2),
        ("compactv2", StorageFormat.COMPACT_V2),
        ("esriMapCacheStorageModeCompact", StorageFormat.COMPACT),
        ("ESRIMAPCACHESTORAGEMODECOMPACT", StorageFormat.COMPACT),
        ("Compact", StorageFormat.COMPACT),
    ],
)
def test_a_storage_format_has_a_long_and_a_short_name_under_two_parameters(name, value, meant):
    assert read(**{name: value}).storage_format is meant


def test_an_unknown_storage_format_is_refused():
    with pytest.raises(
        InvalidParameterError, match="It must be one of esriMapCacheStorageModeCompact, esriMapCacheStorage"
    ):
        read(storageFormatType="esriMapCacheStorageModeExploded")


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "on", "1"])
def test_true_values(value):
    assert read(tilePackage=value).tile_package is True


@pytest.mark.parametrize("value", ["false", "False", "off", "0"])
def test_false_values(value):
    assert read(tilePackage=value).tile_package is False


@pytest.mark.parametrize("name", ["tilePackage", "optimizeTilesForSize"])
def test_a_value_that_is_neither_true_nor_false_is_refused(name):
    with pytest.raises(InvalidParameterError, match=f"^{name}: 'maybe' cannot be used. It must be true or false"):
        read(**{name: "maybe"})


@pytest.mark.parametrize("value", ["LevelID", "levelId", "levelid", "LEVELID"])
def test_keywords_are_read_in_any_case(value):
    assert read(exportBy=value, levels="3").levels == (3,)


def test_an_unknown_export_by_is_refused():
    with pytest.raises(InvalidParameterError, match="It must be one of LevelID, Scale, Resolution"):
        read(exportBy="zoom")


def test_levels_without_tiles_are_exported_with_a_warning():
    request = read(levels="18-21")

    assert request.levels == (18, 19, 20, 21)
    assert request.warnings == ("levels: The cache has no tiles of levels 20-21.",)


def test_without_levels_all_levels_with_tiles_are_exported():
    assert read(a_service(min_level=5, max_level=7)).levels == (5, 6, 7)


def test_an_area_of_interest_supersedes_an_extent_even_one_that_cannot_be_read():
    polygon = '{"rings":[[[0,0],[0,9],[9,9]]]}'

    assert read(areaOfInterest=polygon, exportExtent="nonsense").areas[0].area.extent.sides == (0, 0, 9, 9)
    assert read(polygon=polygon, exportExtent="DEFAULT").areas[0].area.extent.sides == (0, 0, 9, 9)


def test_an_extent_may_come_under_its_name_of_vector_tile_services():
    assert read(extent="0,0,9,9").areas[0].area.extent.sides == (0, 0, 9, 9)


def test_tiles_are_recompressed_only_on_request():
    assert read(compressionQuality="60").compression_quality is None
    assert read(optimizeTilesForSize="false", compressionQuality="nonsense").compression_quality is None
    assert read(optimizeTilesForSize="true", compressionQuality="60").compression_quality == 60
    assert read(optimizeTilesForSize="true", compressionQuality="0").compression_quality == 0


def test_the_quality_of_esris_python_client_is_the_default():
    assert read(optimizeTilesForSize="true").compression_quality == 75


@pytest.mark.parametrize("value", ["101", "-1", "60.5", "high", "\u0666\u0660", "9" * 5000])
def test_an_invalid_quality_is_refused(value):
    with pytest.raises(InvalidParameterError, match="It must be a whole number from 0 to 100"):
        read(optimizeTilesForSize="true", compressionQuality=value)


@pytest.mark.parametrize("quality", ["95", "100"])
def test_tiles_are_copied_unchanged_unless_their_quality_exceeds_the_requested_one(quality):
    request = read(optimizeTilesForSize="true", compressionQuality=quality)

    assert request.compression_quality is None
    assert request.warnings == ("compressionQuality: Tiles are copied unchanged: their quality is 95 already.",)


@pytest.mark.parametrize("tile_format", [TileFormat.PNG, TileFormat.PNG8, TileFormat.PNG32, TileFormat.LERC])
def test_tiles_without_a_quality_are_copied_unchanged(tile_format):
    request = read(a_service(tile_format=tile_format, compression_quality=0), optimizeTilesForSize="true")

    assert request.compression_quality is None
    assert request.warnings == (
        f"compressionQuality: Tiles are copied unchanged: {tile_format} tiles have no JPEG quality.",
    )


def test_the_jpeg_tiles_of_a_mixed_cache_are_recompressed():
    service = a_service(tile_format=TileFormat.MIXED, compression_quality=0)

    assert read(service, optimizeTilesForSize="true", compressionQuality="60").compression_quality == 60


def test_tiles_are_clipped_only_on_request():
    assert read(exportExtent="0,0,1000,1000").clip is None
    assert read(exportExtent="0,0,1000,1000", clip="false").clip is None
    assert read(exportExtent="0,0,1000,1000", clip="True").clip == Clip()


@pytest.mark.parametrize("value", ["255,128,0", " 255, 128, 0 ", "[255,128,0]", "[255, 128, 0]"])
def test_clipped_pixels_may_have_a_color(value):
    assert read(exportExtent="0,0,1000,1000", clip="true", clipColor=value).clip == Clip((255, 128, 0))


@pytest.mark.parametrize(
    "value", ["white", "#ffffff", "255", "255,255", "255,255,255,255", "256,0,0", "-1,0,0", "1e2,0,0"]
)
def test_another_color_is_refused(value):
    with pytest.raises(InvalidParameterError, match=r"clipColor: .* red, green and blue from 0 to 255"):
        read(exportExtent="0,0,1000,1000", clip="true", clipColor=value)


def test_a_color_without_clip_is_refused():
    with pytest.raises(InvalidParameterError, match=r"clipColor: .* clip=true"):
        read(exportExtent="0,0,1000,1000", clipColor="0,0,0")


def test_to_clip_without_an_area_is_refused():
    with pytest.raises(InvalidParameterError, match=r"clip: .* there is nothing to clip to"):
        read(clip="true")


def test_values_cannot_be_clipped():
    with pytest.raises(InvalidParameterError, match=r"clip: .* LERC tiles cannot be clipped"):
        read(a_service(tile_format=TileFormat.LERC), exportExtent="0,0,1000,1000", clip="true")


WEBP = a_service(tile_format=TileFormat.WEBP, compression_quality=0)
TO_PMTILES = {"tilePackage": "true", "storageFormatType": "PMTiles"}


@pytest.mark.parametrize("storage_format", ["", "Compact", "CompactV2"])
@pytest.mark.parametrize("tile_package", ["true", "false"])
def test_no_package_or_dataset_of_arcgis_holds_webp(tile_package, storage_format):
    with pytest.raises(InvalidParameterError) as refused:
        read(WEBP, tilePackage=tile_package, storageFormatType=storage_format)

    assert str(refused.value).startswith("storageFormatType: 'esriMapCacheStorageModeCompact")
    assert str(refused.value).endswith(
        "Tile packages and cache datasets hold JPEG, PNG or LERC; the tiles of this service are WEBP. "
        "It must be one of PMTiles, MBTiles, GeoPackage. Add tileFormat=JPEG, PNG or MIXED, which converts them."
    )


def test_webp_in_a_grid_that_no_format_holds_can_only_be_converted():
    level, *_ = WGS84_512.lods
    scheme = replace(WGS84_512, lods=(level, replace(level, level=level.level + 1)))
    service = a_service(tile_format=TileFormat.WEBP, tiling_scheme=scheme)

    with pytest.raises(
        InvalidParameterError, match=r"are WEBP\. No other storage format holds them either\. Add tileFormat="
    ):
        read(service, levels="0-1", exportExtent='{"xmin":0,"ymin":0,"xmax":1,"ymax":1,"spatialReference":4326}')


@pytest.mark.parametrize("name", ["clip", *Blank])
def test_webp_tiles_are_exported_as_they_are_or_converted(name):
    assert read(WEBP, **TO_PMTILES).storage_format is StorageFormat.PMTILES
    with pytest.raises(InvalidParameterError, match=f"^{name}: 'true' cannot be used. WEBP tiles "):
        read(WEBP, **TO_PMTILES, exportExtent="0,0,1000,1000", **{name: "true"})
    asked = {"tileFormat": "PNG", "exportExtent": "0,0,1000,1000", name: "true"}
    assert read(WEBP, **asked).clip or read(WEBP, **asked).skipped


@pytest.mark.parametrize("value", ["JPEG", "jpeg", " Jpeg "])
def test_tiles_are_converted_to_the_format_that_is_asked_for(value):
    request = read(WEBP, tilePackage="true", tileFormat=value)

    assert (request.tile_format, request.compression_quality) == (TileFormat.JPEG, None)
    assert request.notes == ("tileFormat: WEBP tiles become JPEG of quality 85; transparent pixels become white.",)
    assert request.delivered(WEBP).tile_format is TileFormat.JPEG
    assert request.delivered(WEBP).compression_quality == 85


@pytest.mark.parametrize(
    ("cached", "target", "is_converted"),
    [
        ("JPEG", "JPEG", False),
        ("JPEG", "MIXED", False),
        ("JPEG", "PNG", True),
        ("MIXED", "JPEG", True),
        ("MIXED", "MIXED", False),
        ("PNG8", "PNG", False),
        ("PNG32", "MIXED", True),
        ("PNG", "JPEG", True),
        ("WEBP", "PNG", True),
    ],
)
def test_tiles_that_have_the_format_stay_and_a_note_says_so(cached, target, is_converted):
    request = read(a_service(tile_format=TileFormat(cached)), tileFormat=target)

    assert request.tile_format == (TileFormat(target) if is_converted else None)
    assert (request.notes == (f"tileFormat: The tiles stay as they are: {cached}.",)) is not is_converted


@pytest.mark.parametrize("value", ["WEBP", "PNG8", "jpg", "LERC", "1"])
def test_tiles_are_converted_to_no_other_format(value):
    with pytest.raises(InvalidParameterError, match=r"^tileFormat: .* It must be one of JPEG, PNG, MIXED\.$"):
        read(WEBP, tileFormat=value)


def test_values_are_not_converted():
    with pytest.raises(InvalidParameterError, match=r"^tileFormat: .* LERC tiles cannot be converted"):
        read(a_service(tile_format=TileFormat.LERC), tileFormat="PNG")


def test_the_quality_of_converted_tiles_is_that_of_optimize():
    asked = {"tileFormat": "MIXED", "optimizeTilesForSize": "true", "compressionQuality": "60"}

    assert read(WEBP, **asked).compression_quality == 60
    assert read(WEBP, **asked).notes[0].endswith("and otherwise JPEG of quality 60.")
    assert read(WEBP, **asked | {"tileFormat": "PNG"}).warnings == (
        "compressionQuality: Tiles are copied unchanged: PNG tiles have no JPEG quality.",
    )


def test_webp_tiles_are_not_recompressed_and_a_warning_says_so():
    request = read(WEBP, **TO_PMTILES, optimizeTilesForSize="true", compressionQuality="50")

    assert request.compression_quality is None
    assert request.warnings == ("compressionQuality: Tiles are copied unchanged: WEBP tiles have no JPEG quality.",)


def test_tiles_without_contents_are_left_out_only_on_request():
    png = a_service(tile_format=TileFormat.PNG)

    assert read(png).skipped is None
    assert read(png, skipBlank="true").skipped is Blank.TRANSPARENT
    assert read(png, skipOneColor="true").skipped is Blank.ONE_COLOR
    assert read(png, skipBlank="true", skipOneColor="true").skipped is Blank.ONE_COLOR


def test_jpeg_tiles_are_transparent_only_if_they_are_clipped():
    assert read(skipBlank="true").skipped is None
    assert read(skipBlank="true").warnings == ("skipBlank: No tile is left out: JPEG tiles are never transparent.",)
    assert read(skipBlank="true", clip="true", exportExtent="0,0,9,9").skipped is Blank.TRANSPARENT
    assert read(skipOneColor="true").skipped is Blank.ONE_COLOR


@pytest.mark.parametrize("name", list(Blank))
def test_values_are_never_blank(name):
    with pytest.raises(InvalidParameterError, match=f"{name}: .* LERC tiles hold values"):
        read(a_service(tile_format=TileFormat.LERC), **{name: "true"})


@pytest.mark.parametrize(
    "value",
    ["2026-11-23T05:00:00Z", "2026-11-23T05:00", "2026-11-23 06:00:00+01:00", "20261123T050000Z", "1795410000000"],
)
def test_since_is_a_time(value):
    request = read(since=value)

    assert (request.since, request.since_job) == (datetime(2026, 11, 23, 5, tzinfo=UTC), "")


def test_since_may_be_a_job():
    request = read(since="j" + "0f" * 16)

    assert (request.since, request.since_job) == (None, "j" + "0f" * 16)


@pytest.mark.parametrize(
    "value",
    ["yesterday", "j0f", "J" + "0f" * 16, "2026-13-01", "1" * 16, "1" * 5000, "-1", "٣", "0001-01-01T00:00+14:00"],
)
def test_since_refuses_all_else(value):
    with pytest.raises(InvalidParameterError, match=r"^since: "):
        read(since=value)
