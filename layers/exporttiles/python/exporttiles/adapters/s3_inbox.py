"""The inbox: a bucket for request files."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_s3 import S3Client

_GONE = {"NoSuchKey", "NoSuchVersion", "MethodNotAllowed"}  # MethodNotAllowed: the version is a delete marker


class S3Inbox:
    """The files of one bucket, by version if the bucket is versioned."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read_start(self, key: str, version: str, size_bytes: int) -> tuple[bytes, int]:
        """Return the first bytes of a file, and its whole length; the rest is not fetched."""
        which = {"VersionId": version} if version else {}
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key, **which)  # type: ignore[arg-type]
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise KeyError(key) from error
            raise
        with found["Body"] as body:
            return body.read(size_bytes), found["ContentLength"]

    def write(self, key: str, body: bytes) -> None:
        """Store a JSON document."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
