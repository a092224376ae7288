"""One HTTP/1 connection of a server: h11 does the grammar, this adds order, limits and deadlines.

h11 is strict about tokens, field values and chunks, and lenient where RFC 9112 lets a recipient choose. Here the strict
choice is taken, because a proxy in front of the server may have taken the other one: that difference is what request
smuggling lives on. So the head is cut into lines here, before h11 sees it, and each request gets an h11 of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import assert_never

import h11

from chiron.protocols.http1.errors import LocalProtocolError, RemoteProtocolError
from chiron.protocols.http1.events import Aborted, Event, Finished, Refused, Request


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take: bytes and seconds."""

    head_bytes: int = 16_384
    """Request line and header fields with their line ends."""
    header_fields: int = 100
    body_bytes: int = 1_048_576
    head_seconds: float = 10.0
    """From the first byte of a request (on a fresh connection: from its opening) to the end of its head."""
    idle_seconds: float = 60.0
    """Between two requests."""
    body_grace_seconds: float = 10.0
    body_bytes_per_second: float = 1024.0
    """A body must have come, on average, at this rate once the grace is over."""


# The life of a connection
# ------------------------
#
# A server's connection reads one request at a time: it waits (IDLE), reads the head (HEAD), then the body (BODY), hands
# the whole over and waits for the decision (PENDING). The answer leads back to IDLE, or ends the connection. Bytes that
# come while a decision is pending are pipelined requests (RFC 9112 §9.3.2); they are kept, not read, and `paused` asks
# the owner to let TCP hold back the rest.
#
# What breaks the protocol or a limit leads to REFUSED: the position in the stream is lost or not trusted any more, so
# there is exactly one more answer, and it closes (RFC 9112 §2.2 and §6.3).
#
# END is the peer's FIN. It is no reason to give up an answer: a client may close its half once it has asked
# (RFC 9112 §9.6 speaks of half-closing). LOST is the end of everything: a reset, or TLS without close_notify.
#
# What the table does not say: which of ANSWER and LAST_ANSWER an answer is. It is the last one if either side asked for
# `Connection: close`, if the peer speaks HTTP/1.0, if it has sent END and nothing of a further request, or if the
# owner is draining.


class State(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    PENDING = auto()
    REFUSED = auto()
    SWITCHED = auto()
    CLOSED = auto()


class Step(Enum):
    BEGIN = auto()
    HEAD_READ = auto()
    BODY_READ = auto()
    REFUSE = auto()
    ANSWER = auto()
    LAST_ANSWER = auto()
    SWITCH = auto()
    END = auto()
    LOST = auto()


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.IDLE, Step.BEGIN): State.HEAD,
    (State.IDLE, Step.END): State.CLOSED,
    (State.IDLE, Step.LOST): State.CLOSED,
    (State.HEAD, Step.HEAD_READ): State.BODY,
    (State.HEAD, Step.REFUSE): State.REFUSED,
    (State.HEAD, Step.END): State.CLOSED,
    (State.HEAD, Step.LOST): State.CLOSED,
    (State.BODY, Step.BODY_READ): State.PENDING,
    (State.BODY, Step.REFUSE): State.REFUSED,
    (State.BODY, Step.END): State.CLOSED,
    (State.BODY, Step.LOST): State.CLOSED,
    (State.PENDING, Step.ANSWER): State.IDLE,
    (State.PENDING, Step.LAST_ANSWER): State.CLOSED,
    (State.PENDING, Step.SWITCH): State.SWITCHED,
    (State.PENDING, Step.END): State.PENDING,
    (State.PENDING, Step.LOST): State.CLOSED,
    (State.REFUSED, Step.LAST_ANSWER): State.CLOSED,
    (State.REFUSED, Step.END): State.REFUSED,
    (State.REFUSED, Step.LOST): State.CLOSED,
}

_TOKEN_START = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# RFC 3986 §3.2.2 host and port, without userinfo: a name or IPv4 address, or an IP literal in brackets.
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
_BODYLESS = frozenset({204, 304})
_CHUNK_OVERHEAD = 8
"""Framing bytes allowed for each byte of a chunked body: chunks of one byte take six."""


class Connection:
    """Sans-I/O: `receive` bytes, act on the events, `respond`, write `to_send`; call `expire` at `deadline`.

    `now` is in seconds of any monotonic clock. The events do not depend on how the bytes were cut.
    """

    def __init__(self, now: float, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.state = State.IDLE
        self._http = _fresh_parser()
        self._input = bytearray()
        self._line_start = 0
        self._searched = 0
        self._lines = 0
        self._ended = False
        self._request: h11.Request | None = None
        self._target = ""
        self._body: list[bytes] = []
        self._body_size = 0
        self._body_wire = 0
        self._phase_began = now
        self._fresh = True
        self._output: list[bytes] = []

    # --- what the peer does ------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the peer. What comes behind the last answer is thrown away."""
        match self.state:
            case State.CLOSED | State.REFUSED:
                return []
            case State.SWITCHED:
                raise LocalProtocolError("the connection has switched protocols")
            case State.BODY:
                return self._read_body(data)
            case State.IDLE | State.HEAD:
                self._input += data
                return self._read_head(now)
            case State.PENDING:
                self._input += data
                return []
            case _:
                assert_never(self.state)

    def receive_end(self, now: float, *, clean: bool = True) -> list[Event]:
        """The peer will send nothing more. `clean`: by FIN and, under TLS, close_notify before it."""
        match self.state:
            case State.CLOSED | State.SWITCHED:
                return []
            case State.IDLE:
                self._step(Step.END)
                return [Finished()]
            case State.PENDING | State.REFUSED if clean:
                self._step(Step.END)
                self._ended = True
                return []
            case _:
                self._step(Step.LOST)
                return [Aborted()]

    @property
    def paused(self) -> bool:
        """Whether the owner should stop reading: a decision is pending and something waits behind it."""
        return self.state is State.PENDING and bool(self._input)

    # --- what we do --------------------------------------------------------------------------------------------------

    def respond(
        self, status: int, headers: Iterable[tuple[str, str]], body: bytes, now: float, *, close: bool = False
    ) -> list[Event]:
        """Answer the pending (or refused) request; the events are those of what was pipelined behind it.

        Framing headers are added here. After `close`, or where the connection cannot go on, the state is CLOSED: write
        `to_send`, then end the connection.
        """
        if self.state not in (State.PENDING, State.REFUSED):
            raise LocalProtocolError(f"there is nothing to answer in state {self.state.name}")
        last = close or self.state is State.REFUSED or (self._ended and not self._input)
        fields = list(headers)
        if status not in _BODYLESS:
            fields.append(("content-length", str(len(body))))
        options = ["upgrade"] if any(name == "upgrade" for name, _ in fields) else []
        if last:
            options.append("close")
        if options:
            fields.append(("connection", ", ".join(options)))
        self._send(h11.Response(status_code=status, headers=fields, reason=_reason(status)))
        if body and status not in _BODYLESS and not self._asked_for_head():
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        if last or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self._step(Step.LAST_ANSWER)
            self._input.clear()
            return []
        self._step(Step.ANSWER)
        self._fresh = False
        self._restart(now)
        return self._read_head(now)

    def switch(self, headers: Iterable[tuple[str, str]]) -> bytes:
        """Answer 101 (RFC 9110 §7.8): from here on the bytes are another protocol's. Returns those already read."""
        if self.state is not State.PENDING:
            raise LocalProtocolError(f"there is nothing to switch in state {self.state.name}")
        self._send(h11.InformationalResponse(status_code=101, headers=list(headers), reason=_reason(101)))
        self._step(Step.SWITCH)
        trailing = bytes(self._input)
        self._input.clear()
        return trailing

    def to_send(self, now: float) -> bytes:
        """Bytes for the peer since the last call."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    # --- time --------------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When to call `expire`; it moves with what is received and sent."""
        limits = self.limits
        match self.state:
            case State.IDLE if not self._fresh:
                return self._phase_began + limits.idle_seconds
            case State.IDLE | State.HEAD:
                return self._phase_began + limits.head_seconds
            case State.BODY:
                return self._phase_began + limits.body_grace_seconds + self._body_wire / limits.body_bytes_per_second
            case _:
                return None

    def expire(self, now: float) -> list[Event]:
        """Time has come to `now`: an idle connection finishes, a slow request is refused with 408."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        if self.state is State.IDLE:
            self._step(Step.END)
            return [Finished()]
        return self._refuse(RemoteProtocolError("timeout"))

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read_head(self, now: float) -> list[Event]:
        try:
            if not self._find_head(now):
                if self._ended:
                    inside = self.state is State.HEAD
                    self._step(Step.END)
                    return [Aborted() if inside else Finished()]
                return []
            head, rest = bytes(self._input[: self._line_start]), bytes(self._input[self._line_start :])
            self._input.clear()
            self._accept_head(head)
        except RemoteProtocolError as error:
            return self._refuse(error)
        self._step(Step.HEAD_READ)
        self._phase_began = now
        return self._read_body(rest)

    def _find_head(self, now: float) -> bool:
        """Check line by line what has come of the head; whether it is complete up to `_line_start`."""
        data, limits = self._input, self.limits
        while True:
            if self.state is State.IDLE:
                while data.startswith(b"\r\n"):  # RFC 9112 §2.2: empty lines before a request line are ignored
                    del data[:2]
                if not data or data == b"\r":
                    self._searched = 0
                    return False
                self._step(Step.BEGIN)
                if not self._fresh:
                    self._phase_began = now
                if data[0] not in _TOKEN_START:
                    raise RemoteProtocolError("bad_request", reason="this is not HTTP")
            end = data.find(b"\n", self._searched)
            if (end if end >= 0 else len(data)) >= limits.head_bytes:
                # RFC 9112 §3 and RFC 6585 §5.
                raise RemoteProtocolError("target_too_long" if self._lines == 0 else "headers_too_large")
            if end < 0:
                self._searched = len(data)
                return False
            line = data[self._line_start : end + 1]
            self._line_start = self._searched = end + 1
            self._lines += 1
            if line.find(b"\r") != len(line) - 2:
                raise RemoteProtocolError("bad_request", reason="a line does not end with CR LF")  # RFC 9112 §2.2
            if line == b"\r\n":
                return True
            if line[0] in b" \t":
                raise RemoteProtocolError("bad_request", reason="a header field is folded")  # RFC 9112 §5.2
            if self._lines > limits.header_fields + 1:
                raise RemoteProtocolError("headers_too_large")

    def _accept_head(self, head: bytes) -> None:
        """Parse a complete head and check what h11 leaves open. Raises RemoteProtocolError."""
        try:
            self._http.receive_data(head)
            request = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise _remote(error, "the request line or a header field is malformed") from None
        assert type(request) is h11.Request
        self._request = request
        version, names = request.http_version, [name for name, _ in request.headers]
        if version not in (b"1.0", b"1.1"):
            raise RemoteProtocolError("version")
        if b"transfer-encoding" in names:
            if b"content-length" in names:  # RFC 9112 §6.3 (3)
                raise RemoteProtocolError("bad_request", reason="both Content-Length and Transfer-Encoding")
            if version == b"1.0":  # RFC 9112 §6.1
                raise RemoteProtocolError("bad_request", reason="Transfer-Encoding with HTTP/1.0")
        hosts = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
        if any(not _AUTHORITY.fullmatch(host) for host in hosts):  # RFC 9112 §3.2
            raise RemoteProtocolError("bad_request", reason="the Host header field is malformed")
        self._target = _origin_form(request.method, request.target.decode("ascii"), hosts[0] if hosts else None)
        length = next((int(value) for name, value in request.headers if name == b"content-length"), 0)
        if length > self.limits.body_bytes:
            raise RemoteProtocolError("too_large", limit=self.limits.body_bytes)
        if self._http.they_are_waiting_for_100_continue:  # RFC 9110 §10.1.1
            self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def _read_body(self, data: bytes) -> list[Event]:
        self._body_wire += len(data)
        try:
            done = self._pull_body()
            if data and not done:
                self._http.receive_data(data)
                data = b""
                done = self._pull_body()
            trailing = (data or self._http.trailing_data[0]) if done else b""
            self._body_wire -= len(trailing)
            if self._body_wire > _CHUNK_OVERHEAD * self.limits.body_bytes + self.limits.head_bytes:
                raise RemoteProtocolError("too_large", limit=self.limits.body_bytes)
        except RemoteProtocolError as error:
            return self._refuse(error)
        if not done:
            if self._ended:
                self._step(Step.END)
                return [Aborted()]
            return []
        self._step(Step.BODY_READ)
        self._input[:] = trailing
        request = self._request
        assert request is not None
        return [
            Request(
                request.method.decode("ascii"),
                self._target,
                tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers),
                b"".join(self._body),
                request.http_version.decode("ascii"),
            )
        ]

    def _pull_body(self) -> bool:
        """Take what h11 has of the body; whether it is complete."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise _remote(error, "the body is malformed") from None
            if type(event) is h11.EndOfMessage:
                return True
            if type(event) is not h11.Data:
                return False
            self._body.append(bytes(event.data))
            self._body_size += len(event.data)
            if self._body_size > self.limits.body_bytes:
                raise RemoteProtocolError("too_large", limit=self.limits.body_bytes)

    # --- the small steps ---------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        try:
            self.state = TRANSITIONS[self.state, step]
        except KeyError:
            raise LocalProtocolError(f"{step.name} in state {self.state.name}") from None

    def _refuse(self, error: RemoteProtocolError) -> list[Event]:
        self._step(Step.REFUSE)
        self._input.clear()
        return [Refused(error)]

    def _restart(self, now: float) -> None:
        self._http = _fresh_parser()
        self._line_start = self._searched = self._lines = 0
        self._request = None
        self._body.clear()
        self._body_size = self._body_wire = 0
        self._phase_began = now

    def _asked_for_head(self) -> bool:
        return self._request is not None and self._request.method == b"HEAD"

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._output.append(data)


def _fresh_parser() -> h11.Connection:
    return h11.Connection(h11.SERVER)


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def _remote(error: h11.RemoteProtocolError, reason: str) -> RemoteProtocolError:
    """h11's finding with our code; its text quotes the peer and stays behind."""
    match error.error_status_hint:
        case 501:  # RFC 9112 §6.1
            return RemoteProtocolError("not_implemented")
        case 431:
            return RemoteProtocolError("headers_too_large")
        case _:
            return RemoteProtocolError("bad_request", reason=reason)


def _origin_form(method: bytes, target: str, host: str | None) -> str:
    """The request target as a path (RFC 9112 §3.2).

    An absolute form must name the same authority as Host: a server behind a proxy that believed the other one would
    answer for somebody else's resource.
    """
    if method == b"CONNECT":
        raise RemoteProtocolError("bad_request", reason="this is no proxy")
    if target.startswith("/") or (target == "*" and method == b"OPTIONS"):
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise RemoteProtocolError("bad_request", reason="the request target is malformed")
    authority, path = absolute.groups()
    if not authority or (host is not None and authority.lower() != host.lower()):
        raise RemoteProtocolError("bad_request", reason="request target and Host name different servers")
    return path if path.startswith("/") else f"/{path}"
