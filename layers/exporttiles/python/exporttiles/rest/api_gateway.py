"""Read events of an API Gateway HTTP API (payload format 2.0), and write the replies.

Source: Amazon API Gateway developer guide, "Lambda integrations for HTTP APIs".
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from exporttiles.domain.wording import counted
from exporttiles.rest.errors import TooLargeError
from exporttiles.rest.http import Request, Response

MAX_REPLY_BYTES = 6 * 1024 * 1024
"""Size limit of the reply of a Lambda function, as JSON."""


def read_event(event: Mapping[str, Any]) -> Request:
    """Return the HTTP request in an event."""
    http = event["requestContext"]["http"]
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body).decode(errors="replace")
        except binascii.Error:
            body = ""
    stage = event["requestContext"].get("stage", "$default")
    path = event["rawPath"]
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    if cookies := event.get("cookies"):
        headers["cookie"] = "; ".join(cookies)
    return Request(
        method=http["method"].upper(),
        path=path if stage == "$default" else path.removeprefix(f"/{stage}"),
        query=event.get("rawQueryString", ""),
        headers=headers,
        body=body,
    )


def write_response(response: Response) -> dict[str, Any]:
    """Return the reply to an event. Encode a body that is not text in base64.

    Raises:
        TooLargeError: the reply exceeds the limit of AWS Lambda.
    """
    content_type = response.headers.get("content-type", "text/plain")
    is_text = content_type.startswith(("text/", "application/json")) and "content-encoding" not in response.headers
    body = response.body.decode() if is_text else base64.b64encode(response.body).decode()
    reply = {
        "statusCode": response.status,
        "headers": dict(response.headers),
        "body": body,
        "isBase64Encoded": not is_text,
    }
    if len(body) > MAX_REPLY_BYTES // 2 and len(json.dumps(reply)) > MAX_REPLY_BYTES:
        raise TooLargeError(f"The answer has {counted(len(response.body), 'byte')}, more than can be sent at once.")
    return reply
