"""How a request is known in every log: its id, and its place in a trace (W3C Trace Context, level 1)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import msgspec
from structlog.contextvars import bind_contextvars

from chiron.server.ports import Request

_DRAWN = 4096
"""Random bytes that are fetched at a time."""
_PARTS = re.compile(r"(.{16})(.{32})(.{16})")
"""Of their digits for each request: its id, the trace, its span."""
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


class Contexts:
    """Makes contexts. Random bytes are fetched many at a time: a call for each request cost more than all the rest."""

    def __init__(self) -> None:
        self._drawn: list[tuple[str, str, str]] = []

    def new(self) -> Context:
        """Of what came and was no request, or names neither an id nor a trace."""
        if not self._drawn:
            self._drawn = _PARTS.findall(os.urandom(_DRAWN).hex())
        return Context(*self._drawn.pop())

    def of(self, request: Request, names: Mapping[str, str]) -> Context:
        """Of a request, whose fields `names` has by name."""
        fresh = self.new()
        if "x-request-id" not in names and "traceparent" not in names:
            return fresh
        request_id, trace_id = fresh.request_id, fresh.trace_id
        ids = [value for name, value in request.headers if name == "x-request-id"]
        traces = [value for name, value in request.headers if name == "traceparent"]
        if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]):
            request_id = ids[0]
        if len(traces) == 1 and (parent := parse_traceparent(traces[0])) is not None:
            trace_id, _ = parent
        return Context(request_id, trace_id, fresh.span_id)


def bind(context: Context) -> None:
    """Have every line that is logged in this `contextvars` context carry the ids, as `bind_contextvars` does."""
    _REQUEST.set(context.request_id)
    _TRACE.set(context.trace_id)
    _SPAN.set(context.span_id)


def _variable(name: str) -> ContextVar[Any]:
    """The variable in which structlog keeps a name: it looks it up, and makes two dictionaries, at each call."""
    token = bind_contextvars(**{name: ""})[name]
    token.var.reset(token)
    return token.var


_REQUEST, _TRACE, _SPAN = _variable("request_id"), _variable("trace_id"), _variable("span_id")


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
