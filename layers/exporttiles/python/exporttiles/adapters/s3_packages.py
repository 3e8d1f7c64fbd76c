"""Packages in S3, joined on the server side.

Source: Amazon S3 User Guide, "Checking object integrity", full object checksums of multipart uploads.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote
from zlib import crc32 as crc32_of

from botocore.exceptions import BotoCoreError, ClientError

from exporttiles.adapters.process import METER
from exporttiles.domain.errors import DamagedPackageError, PackageError, SourceError
from exporttiles.domain.job import Package
from exporttiles.domain.parts import CopiedPart, Part, checked_parts
from exporttiles.messages.keys import FOLDERS

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CONTENT_TYPE = "application/octet-stream"
_COPIERS = 16
_DAMAGES = {"BadDigest", "InvalidDigest"}
_REFUSALS = {
    *("EntityTooLarge", "EntityTooSmall", "InvalidArgument", "InvalidPart", "InvalidPartOrder", "InvalidRequest"),
    *("404", "NoSuchBucket", "NoSuchKey"),
}
"""Error codes that a retry cannot change."""


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

    def join(self, key: str, parts: Iterable[Part], crc32: int) -> None:
        """Join parts to one object; nothing is visible until it is complete."""
        with _translated(key):
            self._join(key, parts, crc32)
            self._compare(key, crc32)

    def _join(self, key: str, parts: Iterable[Part], crc32: int) -> None:
        upload_id = self._client.create_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            ContentType=CONTENT_TYPE,
            ChecksumAlgorithm="CRC32",
            ChecksumType="FULL_OBJECT",
        )["UploadId"]
        try:
            with ThreadPoolExecutor(_COPIERS) as copiers:
                # Consecutive numbers: S3 refuses gaps in uploads with checksums.
                done = list(copiers.map(lambda part: self._upload(key, upload_id, *part), checked_parts(parts)))
            METER.count(puts=len(done) + 2)  # plus create and complete
            with suppress(self._client.exceptions.NoSuchUpload):  # a retry after a lost response: `_compare` decides
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": done},
                    ChecksumType="FULL_OBJECT",
                    ChecksumCRC32=_as_header(crc32),
                )
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # CloseJob aborts it later
                self._abort(key, upload_id)
            raise

    def _compare(self, key: str, crc32: int) -> None:
        """Compare the checksum that S3 computed: a compatible store may ignore the one it was sent."""
        METER.count(gets=1)
        found = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        if found.get("ChecksumType") != "FULL_OBJECT" or found.get("ChecksumCRC32") != _as_header(crc32):
            raise DamagedPackageError(
                f"S3 has the checksum {found.get('ChecksumCRC32')} of the package instead of {_as_header(crc32)}."
            )

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
                        self._abort(upload["Key"], upload["UploadId"])
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

    def _abort(self, key: str, upload_id: str) -> None:
        with suppress(self._client.exceptions.NoSuchUpload):  # completed or aborted already
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def _upload(self, key: str, upload_id: str, number: int, part: Part) -> "CompletedPartTypeDef":
        if isinstance(part, CopiedPart):
            copied = self._client.upload_part_copy(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket, "Key": part.key},
            )
            etag = copied["CopyPartResult"]["ETag"]
        else:
            etag = self._client.upload_part(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=part.body,
                ChecksumCRC32=_as_header(crc32_of(part.body)),
            )["ETag"]
        return {"PartNumber": number, "ETag": etag}


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
