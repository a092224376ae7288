"""Problem details (RFC 9457): how an error of the one table looks on HTTP."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from chiron.errors import ChironError, Unavailable
from chiron.server.ports import Response

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 1.0
"""Seconds for a client of a temporary error that names no time of its own."""


def problem(error: ChironError, request_id: str, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """`title` is the code's sentence with its parameters filled in; `request_id` is what our logs know it by."""
    row = error.row
    fields = [("content-type", CONTENT_TYPE), *headers]
    match error.code:
        case "unauthenticated":  # RFC 6750 §3
            fields.append(("www-authenticate", "Bearer"))
        case "token_expired" | "login_ended":
            fields.append(("www-authenticate", 'Bearer error="invalid_token"'))
        case "method":  # RFC 9110 §15.5.6
            fields.append(("allow", str(error.params.get("allowed", ""))))
        case "upgrade_required" if not any(name == "upgrade" for name, _ in headers):  # RFC 9110 §15.5.22
            fields.append(("upgrade", "websocket"))
    retry_after = error.retry_after
    if retry_after is None and (isinstance(error, Unavailable) or row.status == 503):
        retry_after = RETRY_AFTER
    if retry_after is not None:  # RFC 9110 §10.2.3: whole seconds
        fields.append(("retry-after", str(max(1, math.ceil(retry_after)))))
    body = msgspec.json.encode(
        {
            "type": f"about:blank#{error.code}",
            "title": str(error),
            "status": row.status,
            "code": error.code,
            "params": error.params,
            "request_id": request_id,
        },
        enc_hook=str,
    )
    return Response(row.status, body, fields)
