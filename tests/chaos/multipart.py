"""The multipart calls of S3 in memory, with the answers that S3 gives."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from zlib import crc32

from botocore.exceptions import ClientError

from exporttiles.adapters.object_stores import ObstoreObjects


def refusal(code: str, operation: str, text: str = "Refused.") -> ClientError:
    """Return an error as boto3 raises it."""
    status = {"SlowDown": 503, "InternalError": 500, "NoSuchUpload": 404, "NoSuchKey": 404}.get(code, 400)
    return ClientError(
        {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


def checksum_of(body: bytes) -> str:
    """Return a checksum as S3 writes it."""
    return b64encode(crc32(body).to_bytes(4, "big")).decode()


class NoSuchUploadError(ClientError):
    """The upload was completed or aborted, or never existed."""


@dataclass(frozen=True, slots=True)
class Pages:
    """A paginator of a listing that fits on one page."""

    list_all: Callable[..., dict[str, Any]]

    def paginate(self, **options: Any) -> list[dict[str, Any]]:
        return [self.list_all(**options)]


class MemoryS3:
    """Multipart uploads to one bucket, whose objects are kept in a store."""

    exceptions = SimpleNamespace(NoSuchUpload=NoSuchUploadError)

    def __init__(self, objects: ObstoreObjects) -> None:
        self.objects = objects
        self.uploads: dict[str, tuple[str, dict[int, bytes]]] = {}
        """Open uploads: id -> key, and parts by number."""
        self._count = 0

    def create_multipart_upload(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self._count += 1
        self.uploads[f"upload-{self._count}"] = Key, {}
        return {"UploadId": f"upload-{self._count}"}

    def upload_part(self, *, UploadId: str, PartNumber: int, Body: bytes, **_: Any) -> dict[str, Any]:
        self._parts(UploadId, "UploadPart")[PartNumber] = bytes(Body)
        return {"ETag": f"etag-{PartNumber}", "ChecksumCRC32": checksum_of(Body)}

    def upload_part_copy(
        self, *, UploadId: str, PartNumber: int, CopySource: Mapping[str, str], CopySourceRange: str, **_: Any
    ) -> dict[str, Any]:
        parts = self._parts(UploadId, "UploadPartCopy")
        first, last = map(int, CopySourceRange.removeprefix("bytes=").split("-"))
        try:
            parts[PartNumber] = self.objects.read(CopySource["Key"])[first : last + 1]
        except KeyError as error:
            raise refusal("NoSuchKey", "UploadPartCopy", "The specified key does not exist.") from error
        return {"CopyPartResult": {"ETag": f"etag-{PartNumber}", "ChecksumCRC32": checksum_of(parts[PartNumber])}}

    def list_parts(self, *, UploadId: str, **_: Any) -> dict[str, Any]:
        parts = self._parts(UploadId, "ListParts")
        return {
            "Parts": [
                {"PartNumber": number, "ETag": f"etag-{number}", "Size": len(body), "ChecksumCRC32": checksum_of(body)}
                for number, body in sorted(parts.items())
            ]
        }

    def complete_multipart_upload(
        self, *, Key: str, UploadId: str, MultipartUpload: Mapping[str, Any], **_: Any
    ) -> None:
        parts = self._parts(UploadId, "CompleteMultipartUpload")
        numbers = [part["PartNumber"] for part in MultipartUpload["Parts"]]
        assert numbers == sorted(parts), "S3 would refuse the list of parts"
        for part in MultipartUpload["Parts"]:
            expected = checksum_of(parts[part["PartNumber"]])
            assert part["ChecksumCRC32"] == expected, (
                "S3 compares the checksum of each part with the one that it returned"
            )
        self.objects.write(Key, b"".join(parts[number] for number in numbers))
        del self.uploads[UploadId]

    def abort_multipart_upload(self, *, UploadId: str, **_: Any) -> None:
        self._parts(UploadId, "AbortMultipartUpload")
        del self.uploads[UploadId]

    def list_multipart_uploads(self, *, Prefix: str = "", **_: Any) -> dict[str, Any]:
        found = [{"Key": key, "UploadId": name} for name, (key, _) in self.uploads.items() if key.startswith(Prefix)]
        return {"Uploads": found, "IsTruncated": False} if found else {"IsTruncated": False}

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        try:
            body = self.objects.read(Key)
        except KeyError as error:
            raise refusal("404", "HeadObject", "Not Found") from error
        return {"ChecksumType": "FULL_OBJECT", "ChecksumCRC32": checksum_of(body)}

    def list_objects_v2(self, *, Prefix: str, **_: Any) -> dict[str, Any]:
        folder = Prefix[: Prefix.rindex("/") + 1]
        found = [name for name in self.objects.list_folder(folder).folders if name.startswith(Prefix)]
        return {"CommonPrefixes": [{"Prefix": name} for name in found]}

    def generate_presigned_url(self, _operation: str, *, Params: Mapping[str, str], **_: Any) -> str:
        return f"https://packages.example/{Params['Key']}?signed"

    def get_paginator(self, operation: str) -> "Pages":
        return Pages(getattr(self, operation))

    def _parts(self, upload_id: str, operation: str) -> dict[int, bytes]:
        if upload_id not in self.uploads:
            error = refusal("NoSuchUpload", operation, "The specified upload does not exist.")
            raise NoSuchUploadError(error.response, operation)
        return self.uploads[upload_id][1]
