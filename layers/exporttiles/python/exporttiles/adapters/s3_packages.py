"""Packages in S3, joined on the server side.

Source: Amazon S3 User Guide, "Checking object integrity", full object checksums of multipart uploads.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zlib import crc32 as crc32_of

from botocore.exceptions import BotoCoreError, ClientError

from exporttiles.adapters.process import METER
from exporttiles.domain.errors import DamagedPackageError, PackageError, SourceError
from exporttiles.domain.job import Package
from exporttiles.domain.parts import COPIERS, CopiedPart, Part, WrittenPart, checked_parts
from exporttiles.messages.keys import FOLDERS
from exporttiles.ports.packages import BINARY, UploadEndedError

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_WRITERS = 4
"""Parts that pass through memory at a time."""

_DAMAGES = {"BadDigest", "InvalidDigest"}
_REFUSALS = {
    *("EntityTooLarge", "EntityTooSmall", "InvalidArgument", "InvalidPartOrder", "InvalidRequest"),
    *("404", "NoSuchBucket", "NoSuchKey"),
}
"""Error codes that a retry cannot change. InvalidPart is none: another packer may have uploaded a part again."""

_MISSING = {"404", "NoSuchKey", "NotFound"}


class S3Packages:
    """Finished packages in a bucket that also holds their fragments.

    Args:
        client: must sign with SigV4; newer regions refuse other links.
        bucket: of fragments and packages.
        link_seconds: how long a download link works at most; it also ends with the credentials of the client.
    """

    def __init__(self, client: "S3Client", bucket: str, link_seconds: int) -> None:
        self._client = client
        self._bucket = bucket
        self._link_seconds = link_seconds

    def begin(self, key: str) -> str:
        """Begin an upload; return its id."""
        METER.count(puts=1)
        with _translated(key):
            return self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                ContentType=BINARY,
                ChecksumAlgorithm="CRC32",
                ChecksumType="FULL_OBJECT",
            )["UploadId"]

    def join(
        self, key: str, upload_id: str, parts: Sequence[Part], crc32: int, has_time: Callable[[], bool] = lambda: True
    ) -> bool:
        """Upload the parts that an upload lacks, then join all of them to one object."""
        try:
            with _translated(key):
                is_complete = self._join(_Upload(key, upload_id), parts, crc32, has_time)
                if is_complete:
                    self._compare(key, crc32)
                return is_complete
        except PackageError:
            with suppress(PackageError, SourceError):  # CloseJob aborts it later
                self.abort(key, upload_id)
            raise

    def _join(self, upload: "_Upload", parts: Sequence[Part], crc32: int, has_time: Callable[[], bool]) -> bool:
        numbered = dict(checked_parts(parts))
        try:
            found = self._uploaded(upload)
        except self._client.exceptions.NoSuchUpload as error:
            if self._checksum(upload.key) != _as_header(crc32):
                raise UploadEndedError(upload.key) from error
            return True  # an earlier call completed it, but its response was lost
        done = {number: part for number, part in found.items() if part.size_bytes == numbered[number].size_bytes}
        missing = [number for number in numbered if number not in done]

        def upload_in_time(number: int) -> None:
            if number == missing[0] or has_time():
                done[number] = self._upload(upload, number, numbered[number])

        copied = [number for number in missing if isinstance(numbered[number], CopiedPart)]
        written = [number for number in missing if isinstance(numbered[number], WrittenPart)]
        for threads, numbers in ((COPIERS, copied), (_WRITERS, written)):
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(upload_in_time, numbers))  # raises what they raised
        if len(done) < len(numbered) or (missing and not has_time()):
            return False
        METER.count(puts=1)
        with suppress(self._client.exceptions.NoSuchUpload):  # a retry after a lost response: `_compare` decides
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=upload.key,
                UploadId=upload.upload_id,
                MultipartUpload={"Parts": [{"PartNumber": number, **done[number].seals} for number in numbered]},
                ChecksumType="FULL_OBJECT",
                ChecksumCRC32=_as_header(crc32),
            )
        return True

    def _uploaded(self, upload: "_Upload") -> dict[int, "_UploadedPart"]:
        """Return the parts that an upload has, by number.

        Raises:
            NoSuchUpload: it is not open.
        """
        parts = {}
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=upload.key, UploadId=upload.upload_id
        )
        for page in pages:
            METER.count(puts=1)
            for part in page.get("Parts", []):
                parts[part["PartNumber"]] = _UploadedPart.of(part["Size"], part)
        return parts

    def _compare(self, key: str, crc32: int) -> None:
        """Compare the checksum that S3 computed: a compatible store may ignore the one it was sent."""
        found = self._checksum(key)
        if found != _as_header(crc32):
            raise DamagedPackageError(f"S3 has the checksum {found} of the package instead of {_as_header(crc32)}.")

    def _checksum(self, key: str) -> str | None:
        """Return the checksum of a whole object; None if there is no object, or none of its checksum."""
        METER.count(gets=1)
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return found.get("ChecksumCRC32") if found.get("ChecksumType") == "FULL_OBJECT" else None

    def owners(self, beginning: str) -> Iterator[str]:
        """Yield the ids with a prefix of all jobs that own objects; an id may be repeated."""
        for folder in FOLDERS:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{folder}{beginning}", Delimiter="/"
            )
            for page in pages:
                for found in page.get("CommonPrefixes", []):
                    yield found["Prefix"].removeprefix(folder).rstrip("/")

    def abort_uploads(self, prefix: str, is_unwanted: Callable[[str], bool] = lambda _: True) -> int:
        """Abort incomplete uploads; return how many."""
        count = 0
        with _translated(prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for upload in page.get("Uploads", []):
                    if is_unwanted(upload["Key"]):
                        self.abort(upload["Key"], upload["UploadId"])
                        count += 1
        return count

    def download_url(self, package: Package) -> str:
        """Return a presigned link that saves the file under the package's name."""
        return self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": package.key,
                "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(package.name)}",
            },
            ExpiresIn=self._link_seconds,
        )

    def abort(self, key: str, upload_id: str) -> None:
        """Abort an upload with all of its parts, if it is open."""
        with _translated(key), suppress(self._client.exceptions.NoSuchUpload):  # completed or aborted already
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def _upload(self, upload: "_Upload", number: int, part: Part) -> "_UploadedPart":
        METER.count(puts=1)
        if isinstance(part, CopiedPart):
            copied = self._client.upload_part_copy(
                Bucket=self._bucket,
                Key=upload.key,
                UploadId=upload.upload_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket, "Key": part.key},
                CopySourceRange=f"bytes={part.start}-{part.start + part.size_bytes - 1}",
            )
            return _UploadedPart.of(part.size_bytes, copied["CopyPartResult"])
        body = part.read()
        written = self._client.upload_part(
            Bucket=self._bucket,
            Key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=number,
            Body=body,
            ChecksumCRC32=_as_header(crc32_of(body)),
        )
        return _UploadedPart.of(len(body), written)


@dataclass(frozen=True, slots=True)
class _Upload:
    """A multipart upload of an object."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class _UploadedPart:
    """A part that S3 has.

    Attributes:
        size_bytes: its length.
        seals: the ETag, and the checksum if S3 returned one. Completing the upload repeats both: S3 refuses to complete
            uploads with composite checksums without them (https://github.com/apache/arrow-rs-object-store/issues/568).
    """

    size_bytes: int
    seals: "CompletedPartTypeDef"

    @classmethod
    def of(cls, size_bytes: int, answer: Mapping[str, Any]) -> "_UploadedPart":
        """Return the part of an answer of S3."""
        seals: CompletedPartTypeDef = {"ETag": answer["ETag"]}
        if "ChecksumCRC32" in answer:  # not of every compatible store
            seals["ChecksumCRC32"] = answer["ChecksumCRC32"]
        return cls(size_bytes, seals)


def _as_header(crc32: int) -> str:
    """Return a checksum in the form of the S3 headers: base64 of its bytes."""
    return b64encode(crc32.to_bytes(4, "big")).decode()


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _DAMAGES:
            raise DamagedPackageError(f"The store has other bytes of '{key}' than it was sent: {error}") from error
        if code in _REFUSALS:
            raise PackageError(f"The store did not accept '{key}': {error}") from error
        raise SourceError(f"The store did not answer for '{key}': {error}") from error
    except BotoCoreError as error:
        raise SourceError(f"The store did not answer for '{key}': {error}") from error
