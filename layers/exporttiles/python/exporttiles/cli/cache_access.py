"""The rights that a stack needs to read a tile cache in another bucket, and messages about those that are missing."""

import json
from collections.abc import Sequence

from botocore.exceptions import ClientError

from exporttiles.cli.stack import Outputs, aws_client
from exporttiles.domain.errors import RequestError, SourceDeniedError
from exporttiles.domain.service import bucket_of

_KEY_ACTION = "kms:Decrypt"


def require_named(url: str, stack: str) -> None:
    """Check that the stack may read the bucket of a cache.

    Raises:
        RequestError: the bucket is neither the tile bucket nor named in CacheBuckets.
    """
    bucket, outputs = bucket_of(url), Outputs(stack)
    named = [name for name in outputs.parameters.get("CacheBuckets", "").split(",") if name]
    if bucket not in {outputs["TileBucketName"], *named}:
        raise RequestError(
            f"'{url}' is in a bucket that the stack {stack} may not read. Deploy the stack again with "
            f"--parameter-overrides CacheBuckets={','.join([*named, bucket])}, or copy the cache into the tile bucket.",
            "source",
        )


def explained(error: SourceDeniedError, url: str, stack: str | None) -> SourceDeniedError:
    """Return the error with the rights that are missing.

    Args:
        error: of the command, when it read the cache.
        url: of the cache.
        stack: that is to read the cache; None if it is not known.
    """
    is_about_key = _KEY_ACTION in str(error)
    actions = _KEY_ACTION if is_about_key else "s3:GetObject and s3:ListBucket"
    advice = f"Your AWS user or role needs {actions}."
    if is_about_key:
        advice += " The stack needs the ARN of the key in its parameter CacheKeyArns."
    if stack:
        owned = "key" if is_about_key else "bucket"
        readers = [aws_client("sts").get_caller_identity()["Arn"], *_roles(stack)]
        statement = _statement(bucket_of(url), readers, is_about_key=is_about_key)
        advice += f" If the {owned} is in another account, its policy also needs this statement: {statement}"
    return SourceDeniedError(f"{url}: {str(error).rstrip('.')}. {advice}")


def other_account_note(url: str, stack: str) -> str:
    """Return a note on the policy of a bucket in another account than the stack; '' for the account of the stack."""
    bucket, roles = bucket_of(url), _roles(stack)
    account = roles[0].split(":")[4]
    try:
        aws_client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError:  # the bucket was read a moment ago
        statement = _statement(bucket, roles, is_about_key=False)
        return (
            f"The bucket {bucket} is not in account {account}. The stack can read it only if the policy of the bucket "
            f"has this statement: {statement}"
        )
    return ""


def _roles(stack: str) -> Sequence[str]:
    return Outputs(stack)["CacheReaderRoleArns"].split(",")


def _statement(bucket: str, readers: Sequence[str], *, is_about_key: bool) -> str:
    """Return the JSON of a statement for the policy of a bucket or key."""
    partition = readers[0].split(":")[1]
    arn = f"arn:{partition}:s3:::{bucket}"
    action = _KEY_ACTION if is_about_key else ["s3:GetObject", "s3:ListBucket"]
    resource = "*" if is_about_key else [arn, f"{arn}/*"]
    return json.dumps(
        {"Effect": "Allow", "Principal": {"AWS": list(readers)}, "Action": action, "Resource": resource},
    )
