"""Start the AWS emulator (ministack), patched where a gap would hide a bug of ours.

The emulator's own interpreter runs it: `GATEWAY_PORT=4566 LAMBDA_PYTHON=.venv/bin/python python local/launcher.py`.
It imports nothing of this project, listens on 127.0.0.1 only, and exits when its standard input closes, so that it
never outlives its parent. `tests/local/test_launcher.py` has a test for every gap named here. Other versions of the
emulator are refused, because this file patches private functions.
"""

import base64
import importlib.metadata
import json
import os
import signal
import sys
import threading
import zlib
from collections.abc import Awaitable, Callable
from functools import wraps
from queue import Empty
from typing import Any

MINISTACK_VERSION = "1.5.33"

if (installed := importlib.metadata.version("ministack")) != MINISTACK_VERSION:
    raise SystemExit(f"launcher.py patches ministack {MINISTACK_VERSION}, but {installed} is installed")

os.environ |= {"BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}  # read on import

import uvicorn
from ministack import app as ministack
from ministack.core import iam_actions, lambda_runtime
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.core.router import extract_access_key_id, extract_region
from ministack.services import apigateway, cloudformation, eventbridge, lambda_svc, s3, stepfunctions

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

API_PREFIX = "/arcgis/"
HANDLER_FAILED = "__handler_failed__"  # a result with this key represents an exception
END_OF_LOG = "__end_of_log__"  # the line on standard error that follows each invocation

# Runs in the function's process, before the emulator's own loop.
INVOKE = f"""
def _invoke(handler, event, context):
    import json, sys, traceback
    error_type = None
    try:
        result = handler(event, context)
        error_type = "Runtime.MarshalError"
        json.dumps(result)
        return result
    except Exception as error:
        traceback.print_exc()
        return {{"{HANDLER_FAILED}": {{
            "errorMessage": str(error),
            "errorType": error_type or type(error).__name__,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }}}}
    finally:
        print("{END_OF_LOG}", file=sys.stderr, flush=True)
"""


def run_functions_with(lambda_python: str) -> None:
    """Gap: functions run with the emulator's interpreter, and import its packages.

    `lambda_python` replaces the Lambda runtime and the layer of dependencies.
    """
    detect = lambda_runtime._detect_runtime_binary

    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = detect(runtime)
        return (lambda_python if runtime.startswith("python") else binary), script

    lambda_runtime._detect_runtime_binary = detect_runtime_binary


def name_handler_errors() -> None:
    """Gap: every exception is named Runtime.HandlerError, so that Retry and Catch by name never match.

    It also ends the function's process, unlike on AWS. Here an exception leaves the process as a special result, which
    is turned into an error again outside.
    """
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    call = "handler_fn(event, context)"
    if script.count(call) != 1:
        raise LookupError(f"the emulator's worker script has not one call of {call}")
    lambda_runtime._PYTHON_WORKER_SCRIPT = INVOKE + script.replace(call, "_invoke(handler_fn, event, context)")

    execute = lambda_svc._execute_function_warm

    @wraps(execute)
    def execute_function_warm(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = execute(function, event, request_id)
        body = result.get("body")
        if isinstance(body, dict) and HANDLER_FAILED in body:
            return {"body": body[HANDLER_FAILED], "error": True, "log": result.get("log", "")}
        return result

    lambda_svc._execute_function_warm = execute_function_warm


def name_throttles() -> None:
    """Gap: a function that is throttled is reported to Step Functions as Lambda.Unknown."""
    respond = lambda_svc._throttle_response

    @wraps(respond)
    def throttle_response(*arguments: Any, **named: Any) -> dict[str, Any]:
        response: dict[str, Any] = respond(*arguments, **named)
        return response | {"body": response["body"] | {"errorType": "Lambda.TooManyRequestsException"}}

    lambda_svc._throttle_response = throttle_response


def end_logs() -> None:
    """Gap: each invocation waits up to 50 ms for further log lines.

    Here the function's process marks the end of its log (see INVOKE).
    """

    def drain(worker: Any, *_: float) -> str:
        lines: list[str] = []
        try:
            while (line := worker._stderr_queue.get(timeout=0.25)) != END_OF_LOG:
                lines.append(line)
        except Empty:  # the process died before it wrote the mark
            pass
        return "\n".join(lines)

    lambda_runtime.Worker._drain_stderr_bounded = drain


def front_door(app: Asgi) -> Asgi:
    """Gap: an HTTP API answers below /_aws/execute-api/<id>/, or at a host name that does not resolve.

    Here paths below /arcgis/ reach the only HTTP API, as behind a custom domain: path and host stay as the client sent
    them.
    """

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(API_PREFIX):
            apis = [api_id for (*_, api_id), api in apigateway._apis.all_items() if api["protocolType"] == "HTTP"]
            if len(apis) == 1:
                door = f"/_aws/execute-api/{apis[0]}/$default"
                scope = {**scope, "path": door + scope["path"], "raw_path": door.encode() + scope["raw_path"]}
        await app(scope, receive, send)

    return serve


def short_cut(app: Asgi) -> Asgi:
    """Gap: a request for an S3 object is offered to some thirty other services first.

    A demo makes tens of thousands of them. Here signed GETs and PUTs of objects go directly to the emulator's S3: the
    same code answers them, only faster.
    """

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] not in {"GET", "PUT"} or scope["query_string"]:
            await app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): ministack.decode_header_value(value) for name, value in scope["headers"]
        }
        if "/s3/aws4_request" not in headers.get("authorization", ""):
            await app(scope, receive, send)
            return
        set_request_account_id(extract_access_key_id(headers))
        set_request_region(extract_region(headers))
        try:
            body = await ministack._read_request_body(receive, scope["method"], headers)
        except (ministack._RequestBodyDisconnected, ministack._IncompleteRequestBody):
            return  # the client is gone
        response = await s3.handle_request(scope["method"], scope["path"], headers, body, {})
        await ministack._send_response(ministack._with_date_header(send), *response)

    return serve


def name_scheduled_events() -> None:
    """Gap: the event of a schedule is named "Scheduled Event", and its EventBridgeParameters are ignored."""
    dispatch = eventbridge._dispatch_to_event_bus

    @wraps(dispatch)
    def dispatch_to_event_bus(
        spec: Any, event: dict[str, Any], rule: dict[str, Any], path: set[str], payload: str | None = None
    ) -> None:
        if parameters := rule.get("Target", {}).get("EventBridgeParameters"):
            event = event | {name: parameters[name] for name in ("DetailType", "Source")}
        dispatch(spec, event, rule, path, payload)

    eventbridge._dispatch_to_event_bus = dispatch_to_event_bus


def bound_maps_by_their_paths() -> None:
    """Gap: a distributed map ignores its MaxConcurrencyPath, and runs all items at once."""
    run = stepfunctions._run_distributed_map

    @wraps(run)
    def run_distributed_map(state: dict[str, Any], given: Any, effective: Any, *rest: Any) -> Any:
        if path := state.get("MaxConcurrencyPath"):
            *_, context = rest
            state = state | {"MaxConcurrency": stepfunctions._resolve_path_or_ctx(path, effective, context)}
        return run(state, given, effective, *rest)

    stepfunctions._run_distributed_map = run_distributed_map


def checksum_whole_uploads() -> None:
    """Gap: the checksum of a multipart upload is that of its parts, even if the client sends that of the object."""
    complete = s3._complete_multipart_upload

    @wraps(complete)
    def complete_multipart_upload(
        bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]
    ) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        sent = headers.get("x-amz-checksum-crc32")
        if upload is None or headers.get("x-amz-checksum-type") != "FULL_OBJECT" or sent is None:
            return complete(bucket, key, body, query, headers)
        checksum = 0
        for number in sorted(upload["parts"]):
            checksum = zlib.crc32(upload["parts"][number]["body"], checksum)
        found = base64.b64encode(checksum.to_bytes(4, "big")).decode()
        if found != sent:
            return s3._error("BadDigest", f"The CRC32 is {found}, not {sent}.", 400, f"/{bucket}/{key}")
        upload["checksum_algorithm"] = None  # or the emulator would compare its own kind of checksum, too
        response = complete(bucket, key, body, query, headers)
        if response[0] == 200:
            s3._buckets[bucket]["objects"][key] |= {"checksums": {"CRC32": found}, "checksum_type": "FULL_OBJECT"}
        return response

    s3._complete_multipart_upload = complete_multipart_upload


def read_schedule_groups() -> None:
    """Gap: if roles are enforced, every schedule counts as one of the group "default".

    `tests/e2e/test_roles.py` has the test, as only it enforces roles.
    """
    extract = iam_actions.extract_resource_arn

    @wraps(extract)
    def extract_resource_arn(service: str, method: str, path: str, headers: Any, body: bytes, *others: Any) -> str:
        arn: str = extract(service, method, path, headers, body, *others)
        if service == "scheduler" and method in {"POST", "PUT"} and body:
            group = json.loads(body).get("GroupName", "default")
            return arn.replace(":schedule/default/", f":schedule/{group}/")
        return arn

    iam_actions.extract_resource_arn = extract_resource_arn


def transform_nested_stacks() -> None:
    """Gap: the SAM transform is applied to the template of a stack, but not to those of its nested stacks."""
    parse = cloudformation.engine._parse_template

    @wraps(parse)
    def parse_and_transform(body: str) -> dict[str, Any]:
        transformed: dict[str, Any] = cloudformation.engine._apply_transforms(parse(body))
        return transformed

    # Only the deployment of nested stacks looks up the function there; other modules have imported it.
    cloudformation.engine._parse_template = parse_and_transform


def watch_the_metric_of_an_expression() -> None:
    """Gap: an alarm on an expression of metrics fails its stack.

    Here it becomes one on the first metric of the expression.
    """
    provisioners = cloudformation.provisioners
    record = provisioners._cw_metric_alarm_record

    @wraps(record)
    def metric_alarm_record(name: str, props: dict[str, Any]) -> Any:
        if metrics := props.get("Metrics"):
            stat = metrics[0]["MetricStat"]
            watched = stat["Metric"] | {"Statistic": stat["Stat"], "Period": stat["Period"]}
            props = {key: value for key, value in props.items() if key != "Metrics"} | watched
        return record(name, props)

    provisioners._cw_metric_alarm_record = metric_alarm_record


def end_with_standard_input() -> None:
    """Stop this process and its functions when standard input closes."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)


def main() -> None:
    """Serve until SIGTERM, SIGINT or the end of standard input."""
    run_functions_with(os.environ["LAMBDA_PYTHON"])
    name_handler_errors()
    name_throttles()
    end_logs()
    name_scheduled_events()
    read_schedule_groups()
    transform_nested_stacks()
    watch_the_metric_of_an_expression()
    bound_maps_by_their_paths()
    checksum_whole_uploads()
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    app = front_door(ministack.app)
    uvicorn.run(  # twice as fast as ministack's own choice, hypercorn
        app if ministack.AUTH else short_cut(app),  # the short cut bypasses the check of roles
        host="127.0.0.1",
        port=int(os.environ["GATEWAY_PORT"]),
        http="httptools",
        loop="uvloop",
        log_level="warning",
        access_log=False,
        date_header=False,  # ministack sends its own
        server_header=False,
        timeout_graceful_shutdown=2,  # seconds
    )


if __name__ == "__main__":
    main()
