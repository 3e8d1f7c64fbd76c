"""Finding the members of a zip archive from its last bytes."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.archives.zip_reader import (
    LOCAL_HEADER_BYTES,
    TAIL_BYTES,
    Directory,
    contents_offset,
    find_directory,
    read_directory,
)
from exporttiles.formats.archives.zip_writer import ZipMember, central_directory, local_header


def listed(data, size=None):
    size = size or len(data)
    place = find_directory(data[-TAIL_BYTES:], size)
    return list(read_directory(data[place.offset - size + len(data) :][: place.size_bytes], place))


def archive(files, *, comment=b"", method=zipfile.ZIP_STORED):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
        made.comment = comment
    return body.getvalue()


@given(st.dictionaries(st.text("abcé/", min_size=1).filter(lambda name: name[-1] != "/"), st.binary(), max_size=5))
def test_members_written_by_zipfile_are_found(files):
    data = archive(files, comment=b"a comment")

    found = {}
    for member in listed(data):
        at = contents_offset(data[member.header_offset :][:LOCAL_HEADER_BYTES], member)
        found[member.name] = data[at : at + member.size_bytes]

    assert found == files


def test_members_beyond_4_gib_are_found():
    members = [(ZipMember("large", 5 * 2**30, 1), 0), (ZipMember("after", 10, 2), 5 * 2**30 + 55)]
    directory = central_directory(members)
    size = 5 * 2**30 + 55 + len(local_header(members[1][0])) + 10 + len(directory)

    assert [(member.name, member.size_bytes, member.header_offset) for member in listed(directory, size)] == [
        ("large", 5 * 2**30, 0),
        ("after", 10, 5 * 2**30 + 55),
    ]


def test_more_members_than_16_bits_count_are_found():
    offset, members = 0, []
    for number in range(70_000):
        members.append((ZipMember(f"{number:05d}", 0, 0), offset))
        offset += 35
    directory = central_directory(members)
    place = find_directory(directory[-TAIL_BYTES:], offset + len(directory))

    assert place.count == 70_000
    assert len(list(read_directory(directory[: place.size_bytes], place))) == 70_000


def test_compressed_members_are_not_plain():
    (member,) = listed(archive({"a": b"a" * 1000}, method=zipfile.ZIP_DEFLATED))

    assert not member.is_plain


END = archive({})


def zip64(count, size, offset):
    """Return an archive of no bytes whose ZIP64 end record claims a directory."""
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1) + END[:8] + b"\xff" * 12 + END[20:]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a zip archive"),
        (b"PK\5\6 cut", "not a zip archive"),
        (archive({"a": b"a"})[:-5], "not a zip archive"),
        (END[:4] + b"\1" + END[5:], "several files"),
        (END[:8] + b"\5\0\5\0" + END[12:], "claims 5 members in 0 bytes"),
        (END[:12] + struct.pack("<2I", 50, 4000) + END[20:], "not where the archive's end says"),
        (END[:12] + struct.pack("<2I", 2**31, 0) + END[20:], "it is not read"),
        (b"PK\6\7" + struct.pack("<IQI", 0, 9999, 1) + END[:8] + b"\xff" * 4 + END[12:], "ZIP64 end record"),
        (zip64(2**32, 2**25, 0), "claims 4,294,967,296 members in 33,554,432 bytes"),
        (zip64(2**64 - 1, 2**64 - 1, 0), "it is not read"),
        (zip64(1, 46, 2**64 - 1), "not where the archive's end says"),
    ],
)
def test_a_damaged_archive_is_named(data, why):
    with pytest.raises(DamagedCacheError, match=why):
        find_directory(data, len(data))


def test_a_directory_cut_short_is_named():
    with pytest.raises(DamagedCacheError, match="holds 0 of 2 members"):
        list(read_directory(b"PK\1\2", Directory(0, 4, 2)))


def test_a_member_that_reaches_into_the_directory_is_named():
    data = archive({"a": b"a"})
    place = find_directory(data, len(data))

    with pytest.raises(DamagedCacheError, match="'a' reaches into"):
        list(read_directory(data[place.offset :], Directory(20, place.size_bytes, 1)))


def test_a_name_that_climbs_is_a_name_and_nothing_else():
    names = ["../../etc/passwd", "/etc/passwd", "C:\\x", "a/../b", "a\0b", "\u202e"]

    assert [member.name for member in listed(archive(dict.fromkeys(names, b"a")))] == [
        name.partition("\0")[0] for name in names
    ]
