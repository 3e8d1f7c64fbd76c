"""Packing terabytes in virtual time: copying a part takes its size divided by a rate.

A server-side copy was measured at 57 MB/s (see `COPY_BYTES_PER_SECOND`); 50 is less, 100 is common.
"""

from concurrent.futures import Executor
from dataclasses import dataclass, field
from heapq import heappop, heappush
from threading import Lock
from typing import ClassVar
from zlib import crc32

import pytest

from exporttiles.adapters import s3_packages
from exporttiles.adapters.s3_packages import S3Packages
from exporttiles.domain.parts import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES, CopiedPart, WrittenPart, copy_seconds
from exporttiles.usecases.pack_tile_package import FINISHING_SECONDS
from tests.chaos.multipart import MemoryS3, Pages
from tests.fakes import memory
from tests.workflow.stack import RESOURCES, TEMPLATE

FUNCTION_SECONDS = RESOURCES["PackTilePackageFunction"]["Properties"]["Timeout"]
EXPORT_SECONDS = TEMPLATE["Parameters"]["ExportTimeoutSeconds"]["Default"]
TERABYTE = 10**12
READING_SECONDS = 60  # of the reports, before the first part


class VirtualPool(Executor):
    """Threads in virtual time: each item goes to the thread that is free first.

    Attributes:
        now: seconds since the invocation began, as the thread sees it that works.
    """

    now: ClassVar[float] = 0.0

    def __init__(self, threads):
        self.free_at = [VirtualPool.now] * threads

    def map(self, call, items):
        for item in items:
            VirtualPool.now = heappop(self.free_at)
            yield call(item)
            heappush(self.free_at, VirtualPool.now)
        VirtualPool.now = max(self.free_at)


@dataclass
class SlowS3:
    """An upload of which only sizes are kept."""

    bytes_per_second: float
    part_bytes: int
    done: dict = field(default_factory=dict)
    copies: int = 0
    exceptions = MemoryS3.exceptions

    def get_paginator(self, operation):
        return Pages(getattr(self, operation))

    def list_parts(self, **_):
        return {"Parts": [{"PartNumber": number, "ETag": "e", "Size": size} for number, size in self.done.items()]}

    def upload_part_copy(self, **options):
        VirtualPool.now += self.part_bytes / self.bytes_per_second
        assert VirtualPool.now < FUNCTION_SECONDS, "the function would be killed"
        self.copies += 1
        self.done[options["PartNumber"]] = self.part_bytes
        return {"CopyPartResult": {"ETag": "e"}}

    def upload_part(self, **options):
        self.done[options["PartNumber"]] = len(options["Body"])
        return {"ETag": "e"}

    def complete_multipart_upload(self, **options):
        assert VirtualPool.now < FUNCTION_SECONDS - 240, "no time to complete and verify"
        assert [part["PartNumber"] for part in options["MultipartUpload"]["Parts"]] == list(range(1, MAX_PARTS + 1))

    def head_object(self, **_):
        return {"ChecksumType": "FULL_OBJECT", "ChecksumCRC32": "AAAAAA=="}


def packed_in(size_bytes, megabytes_per_second):
    """Return the seconds that each invocation took."""
    part_bytes = size_bytes // (MAX_PARTS - 1)
    s3 = SlowS3(megabytes_per_second * 1e6, part_bytes)
    parts = [*(CopiedPart(f"{number}", part_bytes) for number in range(MAX_PARTS - 1)), WrittenPart.of(b"directory")]
    packages, seconds, is_complete = S3Packages(s3, "packages", 60), [], False
    while not is_complete:
        VirtualPool.now = READING_SECONDS
        is_complete = packages.join(
            "a", "upload", parts, 0, lambda: FUNCTION_SECONDS - VirtualPool.now > FINISHING_SECONDS
        )
        seconds.append(VirtualPool.now)
    assert s3.copies == MAX_PARTS - 1
    return seconds


@pytest.mark.parametrize(
    ("size_bytes", "megabytes_per_second", "most_invocations", "most_minutes"),
    [
        (TERABYTE, 100, 1, 4),
        (TERABYTE, 50, 1, 7),
        (5 * TERABYTE, 100, 2, 16),
        (5 * TERABYTE, 50, 4, 35),
        (16 * TERABYTE, 50, 11, 120),
        (MAX_PARTS * MAX_PART_BYTES - 2 * MAX_PART_BYTES, 50, 40, 400),
    ],
    ids=["1 TB at 100 MB/s", "1 TB at 50", "5 TB at 100", "5 TB at 50", "16 TB at 50", "48.8 TiB at 50"],
)
def test_packages_up_to_the_limit_of_s3_are_joined_long_before_an_export_times_out(
    monkeypatch, size_bytes, megabytes_per_second, most_invocations, most_minutes
):
    monkeypatch.setattr(s3_packages, "ThreadPoolExecutor", VirtualPool)

    seconds = packed_in(size_bytes, megabytes_per_second)

    assert len(seconds) <= most_invocations
    assert sum(seconds) / 60 < most_minutes < EXPORT_SECONDS / 60 / 3


def test_planning_expects_about_the_time_that_packing_takes(monkeypatch):
    monkeypatch.setattr(s3_packages, "ThreadPoolExecutor", VirtualPool)

    seconds = packed_in(5 * TERABYTE, 50)

    assert copy_seconds(5 * TERABYTE) == pytest.approx(sum(seconds) - READING_SECONDS * len(seconds), rel=0.1)


def test_few_parts_are_in_memory_at_a_time():
    """Ten thousand small fragments have 50 GB together."""
    lock, in_memory = Lock(), []
    peaks = []

    class S3(MemoryS3):
        def upload_part(self, **options):
            answer = super().upload_part(**options)
            with lock:
                in_memory.pop()
            return answer

    def read():
        with lock:
            in_memory.append(1)
            peaks.append(len(in_memory))
        return body

    body = bytes(MIN_PART_BYTES)
    packages = S3Packages(S3(memory()), "packages", 60)
    parts = [WrittenPart(len(body), read)] * 20

    assert packages.join("a", packages.begin("a"), parts, crc32(body * 20))
    assert max(peaks) <= s3_packages._WRITERS
