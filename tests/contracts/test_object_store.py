"""Contract of object stores: in memory, in a folder, in S3 (moto)."""

from datetime import UTC, datetime

import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from exporttiles.adapters import object_stores
from exporttiles.adapters.object_stores import ObstoreObjects, open_store
from exporttiles.domain.errors import SourceError
from exporttiles.ports.objects import StoredFolder, StoredObject


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request, tmp_path):
    if request.param == "memory":
        return ObstoreObjects(MemoryStore())
    if request.param == "folder":
        return ObstoreObjects(LocalStore(tmp_path))
    endpoint, bucket = request.getfixturevalue("s3_endpoint"), request.getfixturevalue("bucket")
    return ObstoreObjects(
        S3Store(
            bucket,
            endpoint=endpoint,
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
            client_options={"allow_http": True},
        )
    )


def test_written_objects_are_read(store):
    store.write("a/b", b"12345")

    assert store.read("a/b") == b"12345"


def test_many_objects_are_written_together(store):
    bodies = {f"written/{number}": b"%d" % number for number in range(50)}

    store.write_many(bodies)

    assert dict(zip(bodies, store.read_many([*bodies]), strict=True)) == bodies


def test_a_missing_object_is_a_key_error(store):
    with pytest.raises(KeyError):
        store.read("nothing")
    with pytest.raises(KeyError):
        list(store.read_ranges("nothing", [(0, 1)]))


def test_many_objects_come_in_the_order_of_their_keys(store):
    keys = [f"many/{number}" for number in range(50)]
    for key in keys[::2]:
        store.write(key, key.encode())

    assert list(store.read_many(keys)) == [key.encode() if number % 2 == 0 else None for number, key in enumerate(keys)]


def test_ranges_are_half_open_and_end_with_the_object(store):
    store.write("ranges", b"0123456789")

    found = list(store.read_ranges("ranges", [(0, 3), (2, 5), (8, 20)]))

    assert found == [b"012", b"234", b"89"]


def test_modification_times_of_objects_are_returned(store):
    began = datetime.now(UTC).replace(microsecond=0)
    store.write("dated", b"1")

    (written, nothing) = store.modified_at(["dated", "nothing"])

    assert began <= written <= datetime.now(UTC)
    assert written.microsecond == 0
    assert nothing is None


def test_an_object_that_is_replaced_while_it_is_read_is_refused_not_mixed(store):
    store.write("replaced", b"0123456789")
    store.read_start("replaced", 2)
    store.write("replaced", b"abcdefghij")

    with pytest.raises(SourceError, match="was replaced while it was read"):
        list(store.read_ranges("replaced", [(2, 4)]))

    assert store.read_start("replaced", 2) == (b"ab", 10)
    assert list(store.read_ranges("replaced", [(2, 4)])) == [b"cd"]


def test_sizes_are_returned_without_reading_tiles(store):
    store.write("sized", b"12345")

    assert list(store.sizes_bytes(["sized", "nothing"])) == [5, None]


def test_a_key_can_be_created_once(store):
    assert store.create("once", b"first")
    assert not store.create("once", b"second")
    assert store.read("once") == b"first"


def test_listing_goes_by_prefix_in_key_order(store):
    for key in ("list/b", "list/a", "list/c/d", "other"):
        store.write(key, b"x")

    assert sorted(store.list("list/"), key=lambda stored: stored.key) == [
        StoredObject(key, 1) for key in ("list/a", "list/b", "list/c/d")
    ]


def test_a_folder_lists_its_direct_contents(store):
    for key in ("tree/b", "tree/a", "tree/d/e", "tree/c/f/g", "treetop"):
        store.write(key, b"xy")

    found = store.list_folder("tree/")

    assert found == StoredFolder([StoredObject("tree/a", 2), StoredObject("tree/b", 2)], ["tree/c/", "tree/d/"])
    assert store.list_folder("tree/c/") == StoredFolder([], ["tree/c/f/"])
    assert store.list_folder("tre/") == StoredFolder([], [])
    assert store.list_folder("tree/a/") == StoredFolder([], [])


def test_deleting_ignores_missing_objects(store):
    store.write("gone/1", b"x")
    store.write("gone/2", b"x")

    store.delete(["gone/0", "gone/1", "gone/2"])
    store.delete([])

    assert list(store.list("gone")) == []


def test_a_large_object_is_written_whole(store):
    body = bytes(range(256)) * 4 * 2**12

    store.write("large", body)

    assert store.read("large") == body


def test_an_object_may_be_written_in_pieces(store, monkeypatch):
    pieces = [bytes([number % 256]) * (number % 700) for number in range(4000)]
    for name in ("small", "large"):
        store.write(name, [memoryview(piece) for piece in pieces])
        assert store.read(name) == b"".join(pieces)
        monkeypatch.setattr(object_stores, "_MULTIPART_BYTES", 1000)


def test_large_ranges_are_read_a_few_at_a_time_and_come_in_their_order(store, monkeypatch):
    monkeypatch.setattr(object_stores, "_AHEAD_BYTES", 30)
    body = bytes(range(256))
    store.write("ranges", body)
    spans = [(start, start + 16) for start in range(0, 256, 16)]

    assert [bytes(found) for found in store.read_ranges("ranges", spans)] == [body[start:stop] for start, stop in spans]


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://host/x", "file:///no/such/folder/anywhere"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SourceError, match="not the address"):
        open_store(url)


def test_the_start_of_an_object_comes_with_its_length(store):
    store.write("started", b"0123456789")
    store.write("empty", b"")

    assert store.read_start("started", 4) == (b"0123", 10)
    assert store.read_start("started", 40) == (b"0123456789", 10)
    assert store.read_start("empty", 4) == (b"", 0)
    with pytest.raises(KeyError):
        store.read_start("nothing", 4)
