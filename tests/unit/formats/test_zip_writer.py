"""Stored zip archives."""

import struct
import zipfile
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import PackageError
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.archives.zip_writer import (
    DOS_EPOCH,
    ZipMember,
    archive_crc32,
    central_directory,
    local_header,
)
from exporttiles.formats.checks.archive_check import Scope, check_archive
from exporttiles.formats.checks.findings import Findings
from tests.oracles.build_package import pack

GIB = 2**30
names = st.text("abdefgRLC/0123456789.", min_size=1, max_size=30).filter(lambda name: not name.endswith("/"))
contents = st.dictionaries(names, st.binary(max_size=200), max_size=6)


@given(contents)
def test_another_reader_finds_every_member(members):
    with zipfile.ZipFile(BytesIO(pack(members))) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == members


@given(contents)
def test_a_strict_reader_finds_nothing_wrong(members):
    findings = Findings()

    body = BytesIO(pack({name.lower(): data for name, data in members.items()}))

    check_archive(RangedFile.of(body), findings, Scope())

    assert findings.all == []


def test_members_are_stored_as_arcgis_stores_them():
    with zipfile.ZipFile(BytesIO(pack({"tile/L00/R0000C0000.bundle": b"tiles"}))) as archive:
        (info,) = archive.infolist()

    assert info.compress_type == zipfile.ZIP_STORED
    assert (info.flag_bits, info.create_system, info.create_version) == (0, 0, 20)
    assert (info.extract_version, info.external_attr, info.extra) == (10, 0x20, b"")
    assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_the_known_bytes_of_a_header():
    member = ZipMember("a.txt", 5, 0x12345678)

    assert local_header(member) == bytes.fromhex(
        "504b0304 0a00 0000 0000 0000 2100 78563412 05000000 05000000 0500 0000 612e747874"
    )


def test_the_time_of_a_member_can_be_given():
    noon = (44 << 9 | 2 << 5 | 29) << 16 | 12 << 11
    member = ZipMember("a", 1, zlib.crc32(b"x"))

    data = local_header(member, modified=noon) + b"x" + central_directory([(member, 0)], modified=noon)

    assert zipfile.ZipFile(BytesIO(data)).getinfo("a").date_time == (2024, 2, 29, 12, 0, 0)
    assert noon > DOS_EPOCH


def test_an_empty_archive_is_only_its_end():
    assert central_directory([]) == b"PK\5\6" + bytes(18)


@pytest.mark.parametrize("name", ["", "Straße", "new\nline", "x" * 70_000])
def test_a_name_that_cannot_be_written_is_refused(name):
    with pytest.raises(PackageError, match="cannot be the name"):
        local_header(ZipMember(name, 1, 0))


def test_a_member_in_the_wrong_place_is_refused():
    first, second = ZipMember("a", 10, 0), ZipMember("b", 10, 0)

    with pytest.raises(PackageError, match="'b' begins at byte 40, but the members so far end at 41"):
        central_directory([(first, 0), (second, 40)])


@given(contents, st.randoms())
def test_members_may_be_listed_in_another_order_than_they_lie(members, random):
    listed, pieces = [], b""
    for name, data in members.items():
        member = ZipMember(name, len(data), zlib.crc32(data))
        listed.append((member, len(pieces)))
        pieces += local_header(member) + data
    random.shuffle(listed)
    directory = central_directory(listed)
    findings = Findings()

    found = check_archive(RangedFile.of(BytesIO(pieces + directory)), findings, Scope())

    assert [member.name for member in found] == [member.name for member, _ in listed]
    assert [finding for finding in findings.all if "twice" not in finding.text] == []
    assert archive_crc32(listed, directory) == zlib.crc32(pieces + directory)


def test_a_name_appears_once():
    member = ZipMember("a", 10, 0)

    with pytest.raises(PackageError, match="twice"):
        central_directory([(member, 0), (member, 41)])


# ZIP64


def test_zip64_appears_only_where_it_is_needed():
    below = ZipMember("a", 0xFFFFFFFE, 0)
    above = ZipMember("a", 0xFFFFFFFF, 0)

    assert len(local_header(below)) == 30 + 1
    assert len(local_header(above)) == 30 + 1 + 20
    assert b"PK\6\6" not in central_directory([(ZipMember("a", 4 * GIB - 33, 0), 0)])
    assert b"PK\6\6" in central_directory([(above, 0)])


def test_a_member_above_four_gibibytes_and_one_behind_it_are_read(tmp_path):
    huge, last = ZipMember("huge", 4 * GIB + 5, 0), ZipMember("last", 4, zlib.crc32(b"tile"))
    path = tmp_path / "large.zip"
    with path.open("wb") as file:  # sparse: the middle is never written
        file.write(local_header(huge))
        file.seek(huge.size_bytes, 1)
        offset = file.tell()
        file.write(local_header(last) + b"tile" + central_directory([(huge, 0), (last, offset)]))

    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [4 * GIB + 5, 4]
        assert archive.getinfo("last").header_offset == offset > 0xFFFFFFFF
        assert archive.read("last") == b"tile"
        assert archive.getinfo("huge").extract_version == 45


def test_more_members_than_sixteen_bits_count_are_read():
    members = [ZipMember(f"{number:05}", 0, 0) for number in range(65_600)]
    size = len(local_header(members[0]))

    data = b"".join(map(local_header, members)) + central_directory(
        [(member, number * size) for number, member in enumerate(members)]
    )

    assert struct.unpack_from("<H", data, len(data) - 14) == (0xFFFF,)
    assert len(zipfile.ZipFile(BytesIO(data)).namelist()) == 65_600
