"""The rights that a call needs, by the service authorization reference of AWS.

Resources are named as in the templates: ``${JobTable.Arn}/index/series``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exporttiles.domain.quota import Quota
from exporttiles.ports.jobs import JobChange

Right = tuple[str, str]
"""An action of IAM, and the resource on which it is needed."""

_BUCKETS = {"tiles": "TileBucket", "objects": "PackageBucket", "s3": "PackageBucket", "inbox": "InboxBucket"}
_STEP_FUNCTIONS = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
_SCHEDULES = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${TimerGroup}"

_S3 = {  # operations of boto3, and methods of the ports of objects
    "s3:GetObject": "read read_start read_many read_ranges sizes_bytes modified_at version head_object get_object",
    "s3:PutObject": (
        "write write_many create create_multipart_upload upload_part upload_part_copy complete_multipart_upload"
    ),
    "s3:DeleteObject": "delete",
    "s3:AbortMultipartUpload": "abort_multipart_upload",
    "s3:ListMultipartUploadParts": "list_parts",
    "s3:ListBucket": "list list_folder list_objects_v2",
    "s3:ListBucketMultipartUploads": "list_multipart_uploads",
}
_OF_BUCKETS = {"s3:ListBucket", "s3:ListBucketMultipartUploads"}
TABLE = "${JobTable.Arn}"
JOBS = {  # tests/contracts/test_rights_on_dynamodb.py holds it against the adapter
    "create": {("dynamodb:PutItem", TABLE)},
    "get": {("dynamodb:GetItem", TABLE)},
    "find": {("dynamodb:BatchGetItem", TABLE)},
    "open_jobs": {("dynamodb:Query", f"{TABLE}/index/open-jobs"), ("dynamodb:GetItem", TABLE)},
    "series": {("dynamodb:Query", f"{TABLE}/index/series"), ("dynamodb:GetItem", TABLE)},
    "advance": {("dynamodb:UpdateItem", TABLE)},
    "resume": {("dynamodb:UpdateItem", TABLE)},
    "recount": {("dynamodb:UpdateItem", TABLE)},
    "count_work_item": {("dynamodb:UpdateItem", TABLE)},
    "delete": {("dynamodb:UpdateItem", TABLE)},
}
COUNTED = {
    "create": {("dynamodb:GetItem", TABLE), ("dynamodb:PutItem", TABLE), ("dynamodb:UpdateItem", TABLE)},
    "advance": {("dynamodb:GetItem", TABLE), ("dynamodb:UpdateItem", TABLE)},
    "resume": {("dynamodb:GetItem", TABLE), ("dynamodb:UpdateItem", TABLE)},
}
"""Rights for changes that also change the counts of a caller, whose quota has a limit."""


def rights_of(port: str, method: str, args: Sequence[Any], options: Mapping[str, Any]) -> Iterator[Right]:
    """Yield the rights that a call of a port needs.

    Raises:
        NotImplementedError: nothing is known of this method.
    """
    match port, method:
        case "jobs", "create" | "advance" | "resume" if not all(
            quota.is_unlimited for quota in _quotas([*args, *options.values()])
        ):
            yield from COUNTED[method]
        case "jobs", _:
            yield from JOBS[method]
        case "workflow", "start":
            yield "states:StartExecution", "${ExportTilesStateMachine}"
        case "workflow", "find" | "stop":
            action = {"find": "DescribeExecution", "stop": "StopExecution"}[method]
            yield f"states:{action}", f"{_STEP_FUNCTIONS}:execution:${{AWS::StackName}}-export-tiles:{args[0]}"
        case "announcer", "announce":
            yield "events:PutEvents", "${EventBus.Arn}"
        case "timers", "set":
            yield "scheduler:UpdateSchedule", f"{_SCHEDULES}/{args[0]}"
            yield "scheduler:CreateSchedule", f"{_SCHEDULES}/{args[0]}"
            yield "iam:PassRole", "${ScheduleRole.Arn}"
        case "s3", "generate_presigned_url":  # whoever follows the link has the rights of who signed it
            yield "s3:GetObject", f"${{PackageBucket.Arn}}/{options['Params']['Key']}"
        case "inbox", "read_start":
            yield "s3:GetObjectVersion", f"${{InboxBucket.Arn}}/{args[0]}"
            yield from _rights_on("InboxBucket", "read_start", args, options)
        case (("tiles" | "objects" | "s3" | "inbox"), _):
            yield from _rights_on(_BUCKETS[port], method, args, options)
        case _:
            raise NotImplementedError(f"{port}.{method}")


def _quotas(args: Sequence[Any]) -> Iterator[Quota]:
    """Yield the quotas among the arguments of a call, and those inside of them."""
    for arg in args:
        if isinstance(arg, Quota):
            yield arg
        elif isinstance(arg, JobChange):
            yield arg.refund


def _rights_on(bucket: str, method: str, args: Sequence[Any], options: Mapping[str, Any]) -> Iterator[Right]:
    action = next((action for action, methods in _S3.items() if method in methods.split()), None)
    if action is None:
        raise NotImplementedError(method)
    if action in _OF_BUCKETS:
        yield action, f"${{{bucket}.Arn}}"
        return
    first = options["Key"] if "Key" in options else args[0]
    for key in [first] if isinstance(first, str) else first:
        yield action, f"${{{bucket}.Arn}}/{key}"
    if action == "s3:GetObject":  # without it, S3 refuses to say that an object is not there
        yield "s3:ListBucket", f"${{{bucket}.Arn}}"
    if method == "write" and not first.endswith(".json"):  # in parts if it is large, which are taken back if one fails
        yield "s3:AbortMultipartUpload", f"${{{bucket}.Arn}}/{first}"
    if "CopySource" in options:
        yield "s3:GetObject", f"${{{bucket}.Arn}}/{options['CopySource']['Key']}"
