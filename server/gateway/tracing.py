"""How a request is known in every log: its id, and its place in a trace (W3C Trace Context, level 1)."""

from __future__ import annotations

import os
import re

import msgspec

from chiron.server.ports import Request

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL)


class Context(msgspec.Struct, frozen=True, gc=False):
    """All in lower-case hexadecimal, but for a request id of the client's."""

    request_id: str
    trace_id: str
    """16 bytes: the caller's, or a new one."""
    span_id: str
    """8 bytes: this request's own."""

    def fields(self) -> dict[str, str]:
        """For logs."""
        return {"request_id": self.request_id, "trace_id": self.trace_id, "span_id": self.span_id}


def context(request: Request | None) -> Context:
    """Of a request; None is what came and was none."""
    random = os.urandom(32).hex()
    request_id, trace_id, span_id = random[48:], random[:32], random[32:48]
    if request is None:
        return Context(request_id, trace_id, span_id)
    ids, traces = [], []
    for name, value in request.headers:
        if name == "x-request-id":
            ids.append(value)
        elif name == "traceparent":
            traces.append(value)
    if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]):
        request_id = ids[0]
    if len(traces) == 1 and (parent := parse_traceparent(traces[0])) is not None:
        trace_id, _ = parent
    return Context(request_id, trace_id, span_id)


def parse_traceparent(value: str) -> tuple[str, str] | None:
    """Trace id and parent id; None when it must be ignored (§3.2.2, §3.2.4 and §4.3).

    A later version may say more behind another hyphen; of version 00, nothing may follow the flags.
    """
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, parent_id, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id.strip("0") == "" or parent_id.strip("0") == "":
        return None
    return trace_id, parent_id
