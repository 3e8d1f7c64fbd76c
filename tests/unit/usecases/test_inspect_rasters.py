"""GeoTIFFs as services: levels, extents and formats follow from the files; what is costly or unknown is said."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from obstore.store import LocalStore

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.main import main
from exporttiles.domain.errors import DamagedCacheError, SourceDeniedError
from exporttiles.domain.mosaic import coarsest_level, finest_level
from exporttiles.domain.service import CacheLayout, TileFormat
from exporttiles.formats.caches.service_descriptor import service_from_json, service_to_json
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.oracles.build_package import a_tile
from tests.rasters import an_orthophoto, drawn_tiles, imagery, inspected, write_geotiff

UTM = "EPSG:32632"


def texts(found, kind=""):
    return [message.text for message in found.messages if message.kind.endswith(kind)]


def test_the_finest_level_has_the_pixels_that_are_nearest_in_size():
    resolutions = {lod.level: lod.resolution for lod in WEB_MERCATOR_256.lods}

    assert finest_level(WEB_MERCATOR_256, resolutions[15]) == 15
    assert finest_level(WEB_MERCATOR_256, resolutions[15] * 1.40) == 15
    assert finest_level(WEB_MERCATOR_256, resolutions[15] * 1.42) == 14
    assert finest_level(WEB_MERCATOR_256, resolutions[15] / 1.42) == 16
    assert finest_level(WEB_MERCATOR_256, 1e-9) == 23


def test_the_coarsest_level_shows_all_on_about_one_tile():
    span = WEB_MERCATOR_256.tile_span(9)

    assert coarsest_level(WEB_MERCATOR_256, span, 15) == 9
    assert coarsest_level(WEB_MERCATOR_256, span * 1.01, 15) == 8
    assert coarsest_level(WEB_MERCATOR_256, span / 100, 12) == 12
    assert coarsest_level(WEB_MERCATOR_256, 1e12, 15) == 0


@pytest.mark.parametrize("scheme", [WEB_MERCATOR_256, WGS84_512])
def test_a_file_makes_up_a_service(tmp_path, scheme):
    an_orthophoto(tmp_path / "ortho.tif")

    _, found = inspected(tmp_path, "ortho.tif", scheme)

    service = found.service
    assert service.cache.layout is CacheLayout.RASTERS
    assert service.tiling_scheme == scheme
    assert (service.tile_format, service.compression_quality) == (TileFormat.MIXED, 80)
    assert service.tile_format is TileFormat.MIXED
    assert 500 < service.cache.average_tile_bytes < 60_000 * (scheme.tile_size / 256) ** 2
    assert service.cache.mosaic.files[0].boxes == (service.full_extent.sides,)
    assert "1 GeoTIFF in EPSG:32632" in texts(found)[1]


def test_the_files_of_a_folder_are_one_mosaic_in_the_order_of_their_names(tmp_path):
    for name in ("b.tif", "a.TIF", "sub/c.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        an_orthophoto(tmp_path / name, size=(300, 300))
    (tmp_path / "readme.txt").write_text("not a raster")

    _, found = inspected(tmp_path)

    assert [file.key for file in found.service.cache.mosaic.files] == ["a.TIF", "b.tif", "sub/c.tiff"]
    assert not texts(found, "Warning")


def test_rasters_of_other_names_in_a_folder_are_named_in_a_warning(tmp_path):
    an_orthophoto(tmp_path / "a.tif", size=(300, 300))
    shutil.copy(tmp_path / "a.tif", tmp_path / "b.geotiff")
    (tmp_path / "c.jp2").write_bytes(b"JPEG 2000")

    _, found = inspected(tmp_path)

    (warning,) = texts(found, "Warning")
    assert warning.startswith("b.geotiff: It is left out: only GeoTIFFs that end in .tif or .tiff are read.")
    assert warning.endswith("So it is with 1 other file.")


def test_beside_tiles_rasters_are_not_drawn(tmp_path):
    (tmp_path / "3/4").mkdir(parents=True)
    (tmp_path / "3/4/1.png").write_bytes(a_tile((3, 1, 4)))
    shutil.copy(an_orthophoto(tmp_path / "ortho.tif", size=(100, 100)), tmp_path / "second.tif")

    _, found = inspected(tmp_path, source_wkid=32632)

    assert found.service.cache.layout is CacheLayout.FILES
    assert any("2 files named like 'ortho.tif' are ignored" in text for text in texts(found))
    assert any("--source-wkid is not used" in text for text in texts(found))


def test_levels_that_would_read_too_much_are_left_out_with_the_command_that_helps(tmp_path):
    samples = np.zeros((1, 9_000, 9_000), np.uint8)
    corner = Affine(0.2, 0, 500_000, 0, -0.2, 5_200_000)
    write_geotiff(tmp_path / "plain.tif", samples, UTM, corner, tiled=True)
    write_geotiff(tmp_path / "cog.tif", samples, UTM, corner, overviews=(2, 4, 8, 16, 32))

    plain, cog = (inspected(tmp_path, name)[1] for name in ("plain.tif", "cog.tif"))

    assert cog.service.min_level < plain.service.min_level < plain.service.max_level == cog.service.max_level
    assert texts(cog, "Warning") == []
    (warning,) = texts(plain, "Warning")
    assert warning.startswith("Levels 1")
    assert "gdaladdo -r average plain.tif 2 4 8 16 32 64" in warning


def test_pixels_of_16_bits_are_refused_with_values_for_rescale_and_then_drawn(tmp_path, capsys):
    an_orthophoto(tmp_path / "a.tif", size=(100, 100))
    samples = imagery(400, 400).astype(np.uint16) * 12
    path = write_geotiff(tmp_path / "b.tif", samples, UTM, Affine(1, 0, 500_000, 0, -1, 5_200_000))

    with pytest.raises(DamagedCacheError, match=r"^b\.tif: Its pixels are integers of 16 bits; .* --rescale=\d+,\d+,"):
        inspected(tmp_path)
    assert main(["export", str(path), str(tmp_path / "no.tpkx"), "--rescale", "9,3"]) == 2
    assert "two ascending numbers" in capsys.readouterr().err
    assert main(["export", str(path), str(tmp_path / "b.tpkx"), "--rescale", "600,2500"]) == 0
    objects, found = inspected(tmp_path, "b.tif", rescale=((600, 2500),))
    assert service_from_json(service_to_json(found.service)) == found.service
    assert objects


def test_a_file_outside_of_the_scheme_is_named(tmp_path):
    write_geotiff(tmp_path / "pole.tif", imagery(100, 100), "EPSG:3031", Affine(2, 0, 0, 0, -2, 0))

    with pytest.raises(DamagedCacheError, match=r"^pole\.tif: It lies outside of the tiling scheme"):
        inspected(tmp_path, "pole.tif")


def test_a_whole_world_that_is_rounded_at_its_edges_is_refused_with_the_command_that_helps(tmp_path):
    """GIVEN Mollweide, where the corners of the picture lie beyond the world."""
    write_geotiff(tmp_path / "world.tif", imagery(180, 360), "ESRI:54009", Affine(1e5, 0, -1.8e7, 0, -1e5, 9e6))

    with pytest.raises(DamagedCacheError, match=r"^world\.tif: .* gdalwarp -t_srs EPSG:4326 world\.tif NEW\.tif\.$"):
        inspected(tmp_path, "world.tif")


def test_a_file_whose_pixels_are_damaged_is_refused(tmp_path):
    path = an_orthophoto(tmp_path / "cut.tif", size=(800, 800), overviews=())
    body = bytearray(path.read_bytes())
    body[2_000:] = bytes(len(body) - 2_000)
    path.write_bytes(body)

    with pytest.raises(DamagedCacheError, match=r"^cut\.tif: "):
        inspected(tmp_path, "cut.tif")


def test_a_stated_quality_is_that_of_the_tiles(tmp_path, capsys):
    path = an_orthophoto(tmp_path / "ortho.tif", size=(600, 600))

    for quality in (30, 90):
        assert main(["export", str(path), str(tmp_path / f"{quality}.tpkx"), "--quality", str(quality)]) == 0
        assert f"JPEG of quality {quality}" in capsys.readouterr().out

    assert (tmp_path / "30.tpkx").stat().st_size < (tmp_path / "90.tpkx").stat().st_size


def test_the_command_refuses_a_file_by_name_and_option(tmp_path, capsys):
    path = write_geotiff(tmp_path / "nowhere.tif", imagery(100, 100), None, Affine(1, 0, 500_000, 0, -1, 5_200_000))

    assert main(["export", str(path), str(tmp_path / "out.tpkx")]) == 1
    assert "--source-wkid" in capsys.readouterr().err
    assert main(["export", str(path), str(tmp_path / "out.tpkx"), "--source-wkid", "32632"]) == 0


def test_drawn_tiles_count_as_work_of_16_kb_at_least(tmp_path):
    samples = np.full((3, 700, 700), 90, np.uint8)
    write_geotiff(tmp_path / "plain.tif", samples, UTM, Affine(1, 0, 500_000, 0, -1, 5_200_000))

    cache = inspected(tmp_path, "plain.tif")[1].service.cache

    assert cache.average_tile_bytes < 2_000
    assert cache.work_bytes == 16 * 1024
    assert replace(cache, average_tile_bytes=50_000).work_bytes == 50_000
    assert replace(cache, mosaic=None).work_bytes == cache.average_tile_bytes


@pytest.mark.parametrize(
    ("bands", "drawn"),
    [(1, ""), (2, "band 1 is drawn, as gray"), (3, ""), (5, "bands 1, 2, 3 are drawn, as red, green and blue")],
)
def test_bands_that_are_not_drawn_are_named_in_a_warning(tmp_path, bands, drawn):
    for name in ("a.tif", "b.tif"):
        samples = imagery(300, 300, bands)
        write_geotiff(tmp_path / name, samples, UTM, Affine(1, 0, 500_000, 0, -1, 5_200_000), photometric="MINISBLACK")

    _, found = inspected(tmp_path)

    more = "--bands chooses others. So it is in 1 other file."
    warned = [f"a.tif: Of its {bands} bands, only {drawn}; {more}"] if drawn else []
    assert [text for text in texts(found, "Warning") if "bands" in text] == warned


def test_chosen_bands_are_said_stored_and_drawn(tmp_path, capsys):
    corner = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    samples = imagery(300, 300, 4)
    path = write_geotiff(tmp_path / "four.tif", samples, UTM, corner, photometric="minisblack")
    swapped = write_geotiff(tmp_path / "swapped.tif", samples[[3, 2, 1]], UTM, corner)

    objects, found = inspected(tmp_path, "four.tif", bands=(4, 3, 2))

    assert "Bands 4, 3, 2 are drawn, as red, green and blue." in texts(found)[1]
    assert texts(found, "Warning") == []
    assert service_from_json(service_to_json(found.service)) == found.service
    expected = inspected(tmp_path, "swapped.tif")
    block = WEB_MERCATOR_256.tile_range(found.service.full_extent, found.service.max_level)
    assert drawn_tiles(objects, found.service, block) == drawn_tiles(expected[0], expected[1].service, block)

    for bands in ("4,3", "0,1,2", "1,2,3,4", "red", "", "1,2,x"):
        assert main(["export", str(path), str(tmp_path / "no.tpkx"), "--bands", bands]) == 2
        assert "the number of one band for gray, or of three" in " ".join(capsys.readouterr().err.split())
    assert main(["export", str(swapped), str(tmp_path / "no.tpkx"), "--bands", "4"]) == 1
    assert "swapped.tif: It has 3 bands; --bands names band 4" in capsys.readouterr().err
    assert main(["export", str(path), str(tmp_path / "four.tpkx"), "--bands", "4,3,2"]) == 0
    assert "Bands 4, 3, 2 are drawn" in capsys.readouterr().out


def test_a_band_that_is_stated_to_be_transparency_is_drawn_as_a_colour_with_a_warning(tmp_path):
    corner = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    write_geotiff(tmp_path / "infrared.tif", imagery(300, 300, 4), UTM, corner, alpha=True)

    _, found = inspected(tmp_path, bands=(4, 3, 2))

    assert "infrared.tif: The file states that one of the bands in --bands is its transparency" in texts(found)[-1]


def test_automatic_values_are_one_range_of_all_files_said_and_stored(tmp_path, capsys):
    for number in (0, 1):
        samples = imagery(300, 300, seed=number).astype(np.uint16) * 12 + 3_000 * number
        corner = Affine(1, 0, 500_000 + 400 * number, 0, -1, 5_200_000)
        write_geotiff(tmp_path / f"{number}.tif", samples, UTM, corner, overviews=(2,))

    _, found = inspected(tmp_path, rescale="auto")

    ((low, high),) = found.service.cache.mosaic.rescale
    assert 0 < low < 12 * 255 < 3_000 + 12 * 128 < high < 3_000 + 12 * 255
    said = f"Pixel values: {low:.10g} becomes black, {high:.10g} white; 96 % of a sample of 2 files lie between them"
    assert f"{said} (--rescale={low:.10g},{high:.10g})." in texts(found)[1]
    assert service_from_json(service_to_json(found.service)) == found.service
    assert main(["export", str(tmp_path), str(tmp_path.parent / "auto.tpkx"), "--rescale", "auto"]) == 0
    assert said in capsys.readouterr().out
    assert main(["export", str(tmp_path), str(tmp_path.parent / "no.tpkx"), "--rescale=auto", "--rescale=1,2"]) == 2


@pytest.mark.filterwarnings("error")
def test_infinite_values_have_no_part_in_the_automatic_range(tmp_path):
    samples = imagery(300, 300, 1).astype(np.float32)
    samples[:, :100], samples[:, 200:] = np.inf, -np.inf
    write_geotiff(tmp_path / "a.tif", samples, UTM, Affine(1, 0, 500_000, 0, -1, 5_200_000))

    ((low, high),) = inspected(tmp_path, rescale="auto")[1].service.cache.mosaic.rescale

    assert 0 <= low < high <= 255


def test_automatic_values_are_refused_where_one_range_cannot_suit(tmp_path):
    corner = Affine(1, 0, 500_000, 0, -1, 5_200_000)
    write_geotiff(tmp_path / "a.tif", imagery(300, 300).astype(np.uint16) * 12, UTM, corner)
    write_geotiff(tmp_path / "b.tif", imagery(300, 300), UTM, corner)
    (tmp_path / "plain").mkdir()
    write_geotiff(tmp_path / "plain/c.tif", np.full((1, 99, 99), 7, np.uint16), UTM, corner)

    with pytest.raises(
        DamagedCacheError, match=r"b\.tif: Its pixels are integers of 8 bits, and those of a\.tif integers"
    ):
        inspected(tmp_path, rescale="auto")
    with pytest.raises(DamagedCacheError, match=r"c\.tif: --rescale=auto finds no range, for all values are equal"):
        inspected(tmp_path / "plain", rescale="auto")
    warned = " ".join(texts(inspected(tmp_path, rescale=((0, 3000),))[1], "Warning"))
    assert "--rescale: The same values become black and white in all files, though pixels differ" in warned
    assert "those of b.tif are integers of 8 bits" in warned


def test_files_that_gdal_would_read_beside_a_geotiff_are_refused_or_named(tmp_path):
    for name in ("a.tif", "b.tif"):
        an_orthophoto(tmp_path / name, size=(100, 100))
        (tmp_path / f"{name}.ovr").write_bytes(b"II*")
        (tmp_path / f"{name}.aux.xml").write_text(
            "<PAMDataset><PAMRasterBand band='1'><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>"
        )

    warned = texts(inspected(tmp_path)[1], "Warning")

    assert [text.partition(". ")[0] for text in warned] == [
        "a.tif: Overviews beside the file (.ovr) are not used",
        "a.tif: The file beside it (.aux.xml) states NoDataValue, which is not read",
    ]
    assert all(text.endswith("NEW.tif. So it is in 1 other file.") for text in warned)
    (tmp_path / "b.tif.msk").write_bytes(b"II*")
    with pytest.raises(DamagedCacheError, match=r"^b\.tif\.msk: A mask beside the file is not read\. Put it in"):
        inspected(tmp_path)


def test_statistics_beside_a_geotiff_need_no_word(tmp_path):
    an_orthophoto(tmp_path / "a.tif", size=(100, 100))
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><Metadata><MDI key='STATISTICS_MEAN'>7</MDI></Metadata></PAMDataset>"
    )

    assert texts(inspected(tmp_path)[1], "Warning") == []


def test_pages_that_are_not_drawn_are_named(tmp_path):
    path = an_orthophoto(tmp_path / "a.tif", size=(100, 100), overviews=())
    with rasterio.open(path) as dataset:
        profile, samples = dataset.profile, dataset.read()
    with rasterio.open(path, "w", **profile, APPEND_SUBDATASET="YES") as dataset:
        dataset.write(255 - samples)

    (warning,) = texts(inspected(tmp_path)[1], "Warning")

    assert warning.startswith(
        "a.tif: It holds 2 pictures; only the first one is drawn. Take out another: gdal_translate"
    )


class UnlistedObjects(ObstoreObjects):
    """A store like S3 for those who may not list: it denies what does not exist."""

    def sizes_bytes(self, keys):
        for key, size in zip(keys, super().sizes_bytes(keys), strict=True):
            if size is None:
                raise SourceDeniedError(f"Access to '{key}' is denied")
            yield size


def test_those_who_may_not_list_can_publish_a_geotiff(tmp_path):
    an_orthophoto(tmp_path / "a.tif", size=(100, 100))
    objects = UnlistedObjects(LocalStore(tmp_path))

    found = InspectCache(objects, read_cache, WEB_MERCATOR_256)("Ortho", f"file://{tmp_path}/a.tif")

    assert found.service.cache.mosaic.file_count == 1


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("bands", [0], "cache.bands: [0] must be one or three numbers from 1"),
        ("bands", [1, 2], "cache.bands: [1, 2] must be one or three numbers from 1"),
        ("rescale", [[5, 5]], "cache.rescale: 5.0 must be less than 5.0"),
        ("rescale", [[0, "inf"]], "cache.rescale: 0.0 must be less than inf"),
    ],
)
def test_a_descriptor_with_bands_or_values_that_cannot_be_drawn_is_refused(tmp_path, member, value, reason):
    an_orthophoto(tmp_path / "a.tif", size=(100, 100))
    document = json.loads(service_to_json(inspected(tmp_path)[1].service))
    document["cache"][member] = value

    with pytest.raises(DamagedCacheError, match=re.escape(reason)):
        service_from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"no picture"), "It is not a TIFF file"),
        (lambda path: path.write_bytes(path.read_bytes()[:1_000]), "Some of its blocks lie outside of the file"),
        (
            lambda path: write_geotiff(path, imagery(64, 64), None, Affine(1, 0, 500_000, 0, -1, 5_200_000)),
            "coordinate system",
        ),
    ],
    ids=["of another kind", "cut short", "without a coordinate system"],
)
def test_one_bad_file_of_a_mosaic_is_named(tmp_path, spoil, reason):
    path = an_orthophoto(tmp_path / "00.tif", size=(64, 64), overviews=())
    for number in range(1, 100):
        (tmp_path / f"{number:02}.tif").write_bytes(path.read_bytes())
    spoil(tmp_path / "57.tif")

    with pytest.raises(DamagedCacheError, match=rf"^57\.tif: .*{reason}"):
        inspected(tmp_path)


def test_levels_whose_tiles_would_be_drawn_from_too_many_files_are_left_out(tmp_path, monkeypatch):
    for number in range(36):
        row, column = divmod(number, 6)
        an_orthophoto(
            tmp_path / f"{number}.tif",
            corner=(500_000 + 300 * column, 5_200_000 - 300 * row),
            size=(64, 64),
            overviews=(),
        )
    least = inspected(tmp_path)[1].service.min_level

    monkeypatch.setattr("exporttiles.usecases.inspection.inspect_rasters.MAX_TILE_PIXELS", 16 * 2**13)
    _, found = inspected(tmp_path)

    assert found.service.min_level > least
    assert any("left out" in text and "too many files" in text for text in texts(found))
