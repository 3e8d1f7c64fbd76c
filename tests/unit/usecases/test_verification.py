"""Verification: a damaged package fails the job, and the report describes the package."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.domain.errors import DamagedPackageError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import JobStatus
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.cache_check import check_cache_archive
from exporttiles.formats.checks.database_check import check_database
from exporttiles.formats.checks.package_check import check_package
from exporttiles.formats.checks.pmtiles_check import check_pmtiles
from exporttiles.messages.keys import VERIFICATION_NAME, JobKeys
from exporttiles.usecases import verify_package
from tests.builders import a_request, a_service, put_files
from tests.fakes import FakePackages, a_runtime, memory, run_workflow
from tests.oracles.build_package import pack

SCHEMA = json.loads((Path(__file__).parents[3] / "events/schemas/verification.json").read_text())
TILES = memory()
put_files(TILES, 4)
OUTPUTS = {
    "tpkx": (True, StorageFormat.COMPACT_V2),
    "tpk": (True, StorageFormat.COMPACT),
    "dataset V2": (False, StorageFormat.COMPACT_V2),
    "dataset V1": (False, StorageFormat.COMPACT),
    "PMTiles": (True, StorageFormat.PMTILES),
    "MBTiles": (True, StorageFormat.MBTILES),
    "GeoPackage": (True, StorageFormat.GEOPACKAGE),
}


class DamagedPackages(FakePackages):
    """Packages that something happens to after the store has joined and compared them."""

    def __init__(self, objects, damage):
        super().__init__(objects)
        self.damage = damage

    def join(self, key, upload_id, parts, crc32, has_time=lambda: True):
        is_complete = super().join(key, upload_id, parts, crc32, has_time)
        self.objects.write(key, self.damage(self.objects.read(key)))
        return is_complete


def export(output="tpkx", *, levels=range(5), damage=None, spoil=None):
    """Run an export to its end; `damage` changes the package after it was joined, `spoil` the runtime before."""
    runtime, service = a_runtime(TILES), a_service(TILES)
    if damage:
        pack_tile_package = runtime.pack_tile_package
        object.__setattr__(pack_tile_package, "packages", DamagedPackages(runtime.objects, damage))
    tile_package, storage_format = OUTPUTS[output]
    request = replace(a_request(service, levels), tile_package=tile_package, storage_format=storage_format)
    job_id = runtime.submit_export(service, request, {}).job_id
    if spoil:
        spoil(runtime, job_id)
    return runtime, run_workflow(runtime, job_id)


def report_of(runtime, job):
    return json.loads(runtime.objects.read(JobKeys(job.job_id).delivered(VERIFICATION_NAME)))


def members_of(package):
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def flipped(package, at):
    return package[:at] + bytes([package[at] ^ 1]) + package[at + 1 :]


def in_bundle(package, at):
    """Return where byte `at` of the last bundle lies in the package."""
    last = package.rindex(b"PK\3\4")
    return last + 30 + int.from_bytes(package[last + 26 : last + 28], "little") + at


def of_the_same_length(package, members):
    """Return a valid package of other members, with a comment that fills it up."""
    other = pack(members)
    missing = len(package) - len(other)
    return other[:-2] + missing.to_bytes(2, "little") + b" " * missing


def without_a_bundle(package):
    members = members_of(package)
    members.pop(min(members, key=lambda name: len(members[name]) if name.endswith(".bundle") else 1e9))
    filler = len(package) - len(pack({**members, "tile/filler": b""}))
    return pack({**members, "tile/filler": bytes(filler)})


def with_swapped_bundles(package):
    """Return a package that is sound in itself, in which two bundles stand under each other's names."""
    members = members_of(package)
    first, second = [name for name in members if name.endswith(".bundle")][-2:]
    return pack({**members, first: members[second], second: members[first]})


DAMAGES = {
    "a bit in a tile": (lambda p: flipped(p, in_bundle(p, RECORDS_OFFSET + 100)), "checksum (CRC-32) is wrong"),
    "a bit in an index": (lambda p: flipped(p, in_bundle(p, 64)), "checksum (CRC-32) is wrong"),
    "a bit in root.json": (lambda p: flipped(p, p.index(b"tileInfo")), "root.json: Its checksum (CRC-32) is wrong"),
    "a bit in a local header": (lambda p: flipped(p, p.rindex(b"PK\3\4") + 14), "differ in crc32"),
    "a bit in the directory": (lambda p: flipped(p, p.index(b"PK\1\2") + 16), "differ in crc32"),
    "no directory": (lambda p: p[:-22] + bytes(22), "zip archive whose end is missing"),
    "the end is missing": (lambda p: p[:-1], "bytes instead of"),
    "nothing": (lambda _: b"", "has 0 bytes instead of"),
    "bytes too many": (lambda p: p + b"x", "bytes instead of"),
    "a bundle is missing": (without_a_bundle, "It is missing."),
    "two bundles are swapped": (with_swapped_bundles, "differs from what was packed"),
    "halves are swapped": (lambda p: p[len(p) // 2 :] + p[: len(p) // 2], "damaged: "),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_a_package_that_is_damaged_after_it_was_joined_is_never_announced(damage, words):
    runtime, job = export(damage=damage)

    assert job.status is JobStatus.FAILED
    assert words in job.messages[-1].text
    assert list(runtime.objects.list("packages/")) == []


@pytest.mark.parametrize("at", [0, 8, 24, 64, 64 + 5], ids=["version", "largest", "file size", "offset", "size"])
def test_headers_and_indexes_are_looked_at_even_where_no_bundle_is_read_whole(monkeypatch, at):
    monkeypatch.setattr(verify_package, "CONTENTS_BYTES", 0)

    _, job = export(damage=lambda package: flipped(package, in_bundle(package, at)))

    assert job.status is JobStatus.FAILED
    assert "The finished package is damaged: tile/L04/R0000C0000.bundle" in job.messages[-1].text


def test_a_tile_missing_in_an_index_is_found_by_the_count(monkeypatch):
    monkeypatch.setattr(verify_package, "CONTENTS_BYTES", 0)

    def without_a_tile(package):
        slot = in_bundle(package, 64 + 8 * (128 * 3 + 3))
        return package[:slot] + (4).to_bytes(8, "little") + package[slot + 8 :]

    _, job = export(damage=without_a_tile)

    assert "Tiles by level are {0: 1, 1: 4, 2: 16, 3: 64, 4: 255} in the indexes" in job.messages[-1].text


@pytest.mark.parametrize("output", OUTPUTS)
def test_checks_find_a_flipped_bit_in_every_output(output):
    _, job = export(output, damage=lambda package: flipped(package, len(package) // 2))

    assert job.status is JobStatus.FAILED
    assert "checksum (CRC-32)" in job.messages[-1].text


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_report_tells_what_an_independent_look_finds(tmp_path, output):
    runtime, job = export(output)

    report, package = report_of(runtime, job), runtime.objects.read(job.package.key)
    if output == "tpkx":
        found = check_package(io.BytesIO(package))
    elif output == "PMTiles":
        found = check_pmtiles(RangedFile.of(io.BytesIO(package)), "", Scope())
    elif output in {"MBTiles", "GeoPackage"}:
        (tmp_path / job.package.name).write_bytes(package)
        found = check_database(tmp_path / job.package.name, Scope())
    else:
        found = check_cache_archive(io.BytesIO(package), is_package=output == "tpk")
    assert found.findings == ()
    assert {level["level"]: level["packed"] for level in report["levels"]} == dict(found.tile_counts)
    assert all(level["packed"] == level["verified"] for level in report["levels"])
    assert report["tiles"]["packed"] == sum(found.tile_counts.values()) == 341
    bundles = 0 if output == "PMTiles" else 5
    assert report["bundles"] == {"packed": bundles, "verified": bundles}
    assert report["checksums"]["package"] == f"{crc32(package):08x}"
    assert report["checksums"]["readBack"] == {"members": len(found.members), "bytes": len(package)}
    assert report["remarks"] == []
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("output", ["MBTiles", "GeoPackage"])
def test_databases_are_compared_with_the_written_file_even_where_they_are_not_read_whole(monkeypatch, output):
    monkeypatch.setattr(verify_package, "CONTENTS_BYTES", 64 * 100_000)
    monkeypatch.setattr(verify_package, "_is_whole", lambda *_: False)

    _, job = export(output, damage=lambda package: flipped(package, len(package) // 3))

    assert job.status is JobStatus.FAILED
    assert "on differ from what was made." in job.messages[-1].text


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (lambda _: 72, "Its header counts"),
        (lambda _: 200, "A directory"),
        (lambda p: len(p) - 5, "metadata: It is not JSON."),
        (lambda _: 16_384 + 40, "The bytes from 16,384 on differ from what was made."),
        (lambda p: len(p) // 2, "on differ from what was made."),
    ],
    ids=["header", "root directory", "metadata", "first tile", "last fragment"],
)
def test_pmtiles_are_compared_with_their_fragments_even_where_they_are_not_read_whole(monkeypatch, at, words):
    monkeypatch.setattr(verify_package, "CONTENTS_BYTES", 64 * 2_000_000)
    monkeypatch.setattr(verify_package, "_is_whole", lambda *_: False)
    monkeypatch.setattr("exporttiles.domain.plan.FRAGMENT_TARGET_BYTES", 1)

    _, job = export("PMTiles", damage=lambda package: flipped(package, at(package)))

    assert job.status is JobStatus.FAILED
    assert words in job.messages[-1].text


@pytest.fixture(scope="module")
def verified():
    """A package, and what verifies it again after some of its bytes were changed."""
    runtime, service = a_runtime(TILES), a_service(TILES)
    seen = []

    class Remembered:
        def __call__(self, *arguments):
            seen.append(arguments)
            runtime.verify_package(*arguments)

    object.__setattr__(runtime.pack_tile_package, "verify", Remembered())
    job = run_workflow(runtime, runtime.submit_export(service, a_request(service, range(5)), {}).job_id)
    (arguments,) = seen
    package = runtime.objects.read(job.package.key)

    def verify_again(changed):
        runtime.objects.write(job.package.key, changed)
        runtime.verify_package(*arguments)

    return package, verify_again


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_bit_of_a_small_package_can_change(verified, data):
    package, verify_again = verified
    directory = package.index(b"PK\1\2")
    start, stop = data.draw(st.sampled_from([(0, len(package)), (directory, len(package)), (0, 60)]))
    at, bit = data.draw(st.integers(start, stop - 1)), data.draw(st.integers(0, 7))

    with pytest.raises(DamagedPackageError):
        verify_again(package[:at] + bytes([package[at] ^ 1 << bit]) + package[at + 1 :])
    verify_again(package)


def test_bytes_read_for_verification_are_counted_and_bounded(monkeypatch):
    monkeypatch.setattr(verify_package, "CONTENTS_BYTES", 200_000)

    runtime, job = export()

    report = report_of(runtime, job)
    assert 0 < report["checksums"]["readBack"]["bytes"] < 200_000 + 50_000  # the documents are always read
    assert report["read"]["bytes"] < 5 * RECORDS_OFFSET + 400_000
    assert report["read"]["requests"] < 30


def test_of_many_bundles_some_are_looked_at_and_the_report_says_how_many(monkeypatch):
    monkeypatch.setattr(verify_package, "INDEX_BYTES", 3 * RECORDS_OFFSET)
    monkeypatch.setattr("exporttiles.domain.plan.FRAGMENT_TARGET_BYTES", 1)

    runtime, job = export()

    report = report_of(runtime, job)
    assert report["bundles"] == {"packed": 5, "verified": 3}
    assert [level["verified"] for level in report["levels"]] == [1, 0, 16, 0, 256]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda name, body: {name: body[:-1]}, "bytes instead of"),
        (lambda name, body: {name: flipped(body, len(body) - 1)}, "The file's checksum (CRC-32) is wrong"),
        (lambda _name, _body: {"Stray/file": b"?"}, "It does not belong to the dataset"),
    ],
    ids=["cut short", "a bit", "a stray file"],
)
def test_the_files_of_a_dataset_are_compared_with_its_archive(spoil, words):
    def spoil_after_writing(runtime, _):
        write = runtime.objects.write

        def write_spoilt(key, body):
            write(key, body)
            folder, _, name = key.partition("/Layers/")
            if name.endswith("L02/R0000C0000.bundle"):
                for other, spoilt in spoil(key, body).items():
                    write(other if other == key else f"{folder}/{other}", spoilt)

        runtime.objects.write = write_spoilt

    runtime, job = export("dataset V2", spoil=spoil_after_writing)

    assert job.status is JobStatus.FAILED
    assert words in job.messages[-1].text
    assert list(runtime.objects.list("packages/")) == []


def test_tiles_that_do_not_exist_are_reported():
    runtime, job = export(levels=range(6))

    # That level 5 has none at all is known before anybody looks for one.
    assert report_of(runtime, job)["tiles"] == {
        "selected": 1365,
        "packed": 341,
        "upToDate": 0,
        "missing": {"count": 1024, "examples": []},
        "skipped": 0,
        "leftOut": {"count": 0, "examples": []},
        "unchanged": {"count": 0, "examples": []},
    }


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_report_can_be_downloaded_but_is_not_listed(output):
    runtime, job = export(output)

    assert runtime.browse_job.files(job, "verification.json").size_bytes > 0
    folder = runtime.browse_job.files(job)
    assert (folder.files, "verification.json" in folder.folders) == ((job.package.name,), False)
