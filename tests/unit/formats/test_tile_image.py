"""Encoded tiles: size without decoding, recompression, and damaged or hostile images."""

import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.tiles.codec import decode, estimate_jpeg_quality, recompress_jpeg
from exporttiles.formats.tiles.image import image_size, is_damaged_webp, sniff, start_to_size


@cache
def a_picture(mode="RGB"):
    noise = np.random.default_rng(7).normal(128, 45, (32, 32, 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC).convert(mode)


def encoded(image_format="JPEG", *, mode="RGB", **options):
    body = BytesIO()
    a_picture(mode).save(body, image_format, **options)
    return body.getvalue()


def pixels(data):
    return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(float)


def difference(data, other):
    return np.abs(pixels(data) - pixels(other)).mean()


def error_of_a_plain_encoder(source, quality):
    body = BytesIO()
    Image.open(BytesIO(source)).convert("RGB").save(body, "JPEG", quality=quality)
    return difference(body.getvalue(), source)


def steps(data):
    return Image.open(BytesIO(data)).quantization


# Formats


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded("JPEG"), "jpeg"),
        (encoded("PNG"), "png"),
        (encoded("WEBP"), "webp"),
        (b"Lerc2 \4\0\0\0", "lerc"),
        (b"CntZImage \0", "lerc"),
        (encoded("GIF"), None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_a_format_is_recognised_by_the_first_bytes(data, name):
    assert sniff(data) == sniff(memoryview(data)) == name


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_the_size_is_read_without_decoding(image_format):
    body = BytesIO()
    Image.new("RGB", (300, 200)).save(body, image_format, exif=b"Exif\0\0" + bytes(500))

    assert image_size(body.getvalue()) == (200, 300)
    assert image_size(body.getvalue()[:20]) is None


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_images_of_one_size_begin_alike_up_to_the_size(image_format):
    def start(*size, colour="red"):
        body = BytesIO()
        Image.new("RGB", size, colour).save(body, image_format)
        return start_to_size(body.getvalue())

    assert start(256, 256) == start(256, 256, colour="blue") != b""
    assert start(256, 256) not in {start(256, 255), start(255, 256), start(512, 512)}
    assert start_to_size(b"Lerc2 ") == start_to_size(b"\xff\xd8\xff") == b""


@given(st.binary(max_size=60).map(lambda data: b"\xff\xd8\xff" + data))
def test_no_bytes_upset_the_reading_of_a_size(data):
    size = image_size(data)

    assert size is None or len(size) == 2


# WebP


WEBP_KINDS = {
    "VP8": {"quality": 50},
    "VP8L": {"lossless": True},
    "VP8X": {"quality": 50, "exif": b"Exif\0\0" + bytes(20)},
}


def a_webp(size, mode="RGB", **options):
    body = BytesIO()
    Image.new(mode, size, 7).save(body, "WEBP", **options)
    return body.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.sampled_from(["RGB", "RGBA"]),
    st.sampled_from(list(WEBP_KINDS)),
)
def test_the_size_of_a_webp_is_that_which_pillow_reads(width, height, mode, kind):
    data = a_webp((width, height), mode, **WEBP_KINDS[kind])

    assert image_size(data) == image_size(data[:30]) == (height, width)
    assert Image.open(BytesIO(data)).size == (width, height)
    assert not is_damaged_webp(data, len(data))


@pytest.mark.parametrize(("kind", "chunk"), [("VP8", b"VP8 "), ("VP8L", b"VP8L"), ("VP8X", b"VP8X")])
def test_each_kind_of_webp_is_written_for_these_tests(kind, chunk):
    assert a_webp((256, 256), **WEBP_KINDS[kind])[12:16] == chunk


@pytest.mark.parametrize("kind", WEBP_KINDS)
def test_a_webp_with_fewer_bytes_than_its_header_states_is_damaged(kind):
    data = a_webp((256, 256), **WEBP_KINDS[kind])

    assert all(is_damaged_webp(data[:length], length) for length in range(12, len(data)))
    assert is_damaged_webp(data[:30], len(data) - 1)
    assert not is_damaged_webp(data[:30], len(data))
    assert not is_damaged_webp(data + b"more", len(data) + 4)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_other_images_do_not_state_their_length(image_format):
    assert not is_damaged_webp(encoded(image_format)[:30], 30)


@pytest.mark.parametrize("kind", WEBP_KINDS)
@pytest.mark.parametrize("length", [12, 15, 16, 20, 24])
def test_a_webp_without_its_header_has_no_size(kind, length):
    assert image_size(a_webp((256, 256), **WEBP_KINDS[kind])[:length]) is None


@pytest.mark.parametrize(
    ("kind", "at", "value"),
    [("VP8", 20, b"\x01"), ("VP8", 23, b"\0\0\0"), ("VP8L", 20, b"\0"), ("VP8X", 12, b"ALPH")],
    ids=["no key frame", "no start code", "no signature", "another chunk first"],
)
def test_a_webp_with_a_damaged_header_has_no_size(kind, at, value):
    data = bytearray(a_webp((256, 256), **WEBP_KINDS[kind]))
    data[at : at + len(value)] = value

    assert image_size(bytes(data)) is None
    assert is_damaged_webp(bytes(data), len(data))


@pytest.mark.parametrize("at", [4, 16], ids=["file", "chunk"])
def test_a_webp_that_states_a_length_beyond_its_end_is_damaged(at):
    data = bytearray(a_webp((256, 256)))
    data[at : at + 4] = struct.pack("<I", len(data))

    assert is_damaged_webp(bytes(data), len(data))


def test_webps_that_begin_alike_may_differ_in_length_so_that_each_is_looked_at():
    assert start_to_size(encoded("WEBP")) == b""


@given(st.binary(max_size=40).map(lambda data: b"RIFF\0\0\0\0WEBPVP8" + data))
def test_no_bytes_of_a_webp_upset_the_reading_of_a_size(data):
    size = image_size(data)

    assert size is None or min(size) >= 0
    assert is_damaged_webp(data, len(data)) in {True, False}


@pytest.mark.parametrize("damage", [lambda tile: tile[:-1], lambda tile: tile[:20], lambda tile: tile[:12] + b"JUNK"])
def test_a_damaged_webp_is_not_decoded(damage, monkeypatch):
    tile = damage(encoded("WEBP"))
    monkeypatch.setattr(Image, "open", lambda *_, **__: 1 // 0)

    with pytest.raises(DamagedCacheError, match=r"header"):
        decode(tile)


# Smaller JPEGs


def test_a_lower_quality_makes_a_tile_smaller():
    source = encoded(quality=90)

    smaller = recompress_jpeg(source, 60)

    assert len(smaller) < 0.6 * len(source)
    assert steps(smaller) == steps(encoded(quality=60))
    assert difference(smaller, source) <= error_of_a_plain_encoder(source, 60)


def test_the_same_quality_again_is_the_very_same_tile():
    once = recompress_jpeg(encoded(quality=90), 60)

    assert recompress_jpeg(once, 60) is once


@pytest.mark.parametrize("quality", [75, 76, 95])
def test_no_quality_is_made_where_there_was_none(quality):
    source = encoded(quality=75)

    assert recompress_jpeg(source, quality) is source


def test_no_step_is_finer_than_the_source_had_it():
    coarse_chroma = [[2] * 64, [90] * 64]
    source = encoded(qtables=coarse_chroma)

    smaller = recompress_jpeg(source, 80)

    target = steps(encoded(quality=80))
    assert steps(smaller) == {0: [max(2, step) for step in target[0]], 1: [max(90, step) for step in target[1]]}


def test_a_tile_is_never_made_longer():
    plain = BytesIO()
    Image.new("RGB", (256, 256), "navy").save(plain, "JPEG", quality=76, optimize=True, progressive=True)

    assert len(recompress_jpeg(plain.getvalue(), 75)) <= len(plain.getvalue())


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}, {"optimize": True}],
    ids=str,
)
def test_every_kind_of_stream_is_read(options):
    source = encoded(quality=90, **options)

    assert difference(recompress_jpeg(source, 60), source) <= error_of_a_plain_encoder(source, 60)


@pytest.mark.parametrize("sampling", [0, 1, 2])
def test_chroma_keeps_its_sampling(sampling):
    smaller = recompress_jpeg(encoded(quality=90, subsampling=sampling), 60)

    assert get_sampling(Image.open(BytesIO(smaller))) == sampling


def test_a_grey_tile_stays_grey():
    source = encoded(mode="L", quality=90)

    smaller = recompress_jpeg(source, 60)

    assert len(smaller) < len(source)
    assert Image.open(BytesIO(smaller)).mode == "L"


def test_a_tile_stored_as_red_green_and_blue_keeps_its_colours():
    source = encoded(quality=90, keep_rgb=True, subsampling=0)

    smaller = recompress_jpeg(source, 60)

    assert len(smaller) < len(source)
    assert difference(smaller, source) <= error_of_a_plain_encoder(source, 60)


def test_metadata_goes():
    source = encoded(quality=90, comment=b"by me", exif=b"Exif\0\0secret", icc_profile=b"profile", dpi=(300, 300))

    smaller = recompress_jpeg(source, 60)

    assert set(Image.open(BytesIO(smaller)).info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(
    "data",
    [encoded("PNG"), encoded("WEBP"), b"Lerc2 blob", b"", encoded(mode="CMYK", quality=95)],
    ids=["PNG", "WEBP", "LERC", "empty", "CMYK"],
)
def test_everything_else_passes_untouched(data):
    assert recompress_jpeg(data, 10) is data


# Damage


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_tile_is_reported(share):
    source = encoded(quality=90)

    with pytest.raises(DamagedCacheError):
        recompress_jpeg(source[: int(share * len(source))], 60)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_is_worse_than_a_damaged_tile(data):
    source = bytearray(encoded(quality=90))
    for _ in range(data.draw(st.integers(1, 4))):
        source[data.draw(st.integers(3, 700))] = data.draw(st.integers(0, 255))
    source = bytes(source)

    with suppress(DamagedCacheError):
        assert len(recompress_jpeg(source, 60)) <= len(source)


def test_a_tile_that_claims_to_be_enormous_is_not_decoded():
    source = bytearray(encoded(quality=90))
    at = source.index(b"\xff\xc0") + 5
    source[at : at + 4] = struct.pack(">2H", 65_000, 65_000)

    with pytest.raises(DamagedCacheError, match="claims to be 65000 x 65000 pixels"):
        recompress_jpeg(bytes(source), 60)


def test_a_second_header_does_not_hide_the_size():
    source = encoded(quality=90)
    at = source.index(b"\xff\xc0")
    frame = bytearray(source[at : at + 19])
    frame[5:9] = struct.pack(">2H", 9_000, 9_000)

    with pytest.raises(DamagedCacheError, match="two headers"):
        decode(source[: at + 19] + bytes(frame) + source[at + 19 :])


def test_a_tile_without_its_quantization_table_is_reported():
    source = bytearray(encoded(quality=90))
    source[source.index(b"\xff\xc0") + 12] = 3  # of luma

    with pytest.raises(DamagedCacheError, match="lacks quantization table 3"):
        recompress_jpeg(bytes(source), 60)


def test_threads_do_not_disturb_each_other():
    sources = [encoded(quality=quality) for quality in range(70, 96)] * 4

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(recompress_jpeg, sources, [60] * len(sources)))

    assert found == [recompress_jpeg(source, 60) for source in sources]


# Bombs: few bytes that would take long to decode, or much memory


def with_scans(count):
    data = encoded(mode="L", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


@pytest.mark.parametrize(
    "data",
    [
        with_scans(200),
        b"\xff\xd8" + b"\xff\xe1\0\2" * 500_000 + encoded()[2:],
        b"\xff\xd8" + b"\xff" * 1_000_000 + encoded()[2:],
        encoded()[:2] + encoded()[2:].replace(b"\xff\xda", b"\xff\xe9"),
    ],
    ids=["scans", "segments", "fill bytes", "no scan"],
)
def test_a_jpeg_that_keeps_the_decoder_busy_is_refused_unseen(data, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: 1 // 0)

    for read in (decode, estimate_jpeg_quality, lambda tile: recompress_jpeg(tile, 50)):
        with pytest.raises(DamagedCacheError, match=r"scans or 1,000 segments|no readable"):
            read(data)


def test_a_jpeg_of_many_scans_and_segments_as_cameras_write_them_is_read():
    data = with_scans(80)

    assert decode(data[:2] + b"\xff\xe1\0\6Exif" * 200 + data[2:]).size == (256, 256)


@pytest.mark.parametrize("size", [(100_000, 100_000), (4097, 1), (0, 1)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_tile_that_claims_to_be_huge_or_nothing_is_refused_unseen(image_format, size, monkeypatch):
    data, (width, height) = bytearray(encoded(image_format)), size
    if image_format == "PNG":
        data[16:24] = struct.pack(">2I", width, height)
    else:
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">2H", min(height, 65_535), min(width, 65_535))
    monkeypatch.setattr(Image, "open", lambda *_, **__: 1 // 0)

    with pytest.raises(DamagedCacheError, match="claims to be"):
        decode(bytes(data))


@pytest.mark.parametrize("chunk", [b"zTXt", b"iCCP", b"iTXt"])
def test_a_text_in_a_png_that_unpacks_to_megabytes_is_refused(chunk):
    packed = zlib.compress(bytes(50_000_000))
    content = (b"a\0\1\0\0\0" if chunk == b"iTXt" else b"a\0\0") + packed
    png = encoded("PNG")
    bomb = struct.pack(">I", len(content)) + chunk + content + struct.pack(">I", zlib.crc32(chunk + content))

    with suppress(DamagedCacheError):
        tracemalloc.start()
        decode(png[:33] + bomb + png[33:])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 20 * 2**20
