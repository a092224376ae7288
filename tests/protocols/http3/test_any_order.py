"""Clients that keep to the protocol, in any order: no connection closes, what is told fits, and nothing is left."""

from __future__ import annotations

import random

from http3_pair import CONNECTION, GET, Pair, RawClient, frame, head
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.protocols.http3 import (
    Aborted,
    BodyReceived,
    Event,
    Limits,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    SessionData,
    SessionDatagram,
    SessionStream,
    SessionStreamAborted,
    TrailersReceived,
)
from chiron.protocols.quic import varint
from chiron.protocols.webtransport import capsules, draft02

SESSION = [(b":method", b"CONNECT"), (b":protocol", b"webtransport"), *GET[1:]]
WEBSOCKET = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
POST = [(b":method", b"POST"), *GET[1:]]
LIMITS = Limits(cancellations=10_000)


class Ledger:
    """Every message, session and stream begins once and ends once, and nothing is told of it before or after."""

    def __init__(self) -> None:
        self.requests: set[int] = set()
        self.sessions: set[int] = set()
        self.receiving: set[int] = set()
        """Requests and session streams of which more may come."""
        self.seen: set[int] = set()

    def begin(self, stream: int) -> None:
        assert stream not in self.seen
        self.seen.add(stream)
        self.receiving.add(stream)

    def note(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case RequestReceived():
                    self.begin(event.stream)
                    (self.sessions if event.protocol == "webtransport" else self.requests).add(event.stream)
                    if event.end:
                        self.receiving.remove(event.stream)
                case BodyReceived() | TrailersReceived():
                    assert event.stream in self.requests
                    assert event.stream in self.receiving
                    if isinstance(event, TrailersReceived) or event.end:
                        self.receiving.remove(event.stream)
                case Aborted():
                    assert event.stream in self.requests | self.sessions
                    self.requests.discard(event.stream)
                    self.sessions.discard(event.stream)
                    self.receiving.discard(event.stream)
                case SessionStream():
                    assert event.session in self.sessions
                    self.begin(event.stream)
                case SessionData():
                    assert event.session in self.sessions
                    assert event.stream in self.receiving
                    if event.end:
                        self.receiving.remove(event.stream)
                case SessionStreamAborted():
                    assert event.session in self.sessions
                    if not event.stopped:
                        self.receiving.remove(event.stream)
                case SessionDatagram():
                    assert event.session in self.sessions
                case SessionClosed():
                    self.sessions.remove(event.session)
                case other:
                    raise AssertionError(other)


class Client:
    """Steps at random from a seed, each allowed by the protocol."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.raw = RawClient(LIMITS)
        self.ledger = Ledger()
        self.open: dict[int, str] = {}
        """Halves of streams on which more may be sent, and what they are."""
        self.sessions: list[int] = []
        self.asked: list[int] = []
        """Requests that the server has not answered."""

    def run(self, steps: int) -> None:
        often = [self.ask, self.stream, self.send, self.send, self.answer]
        seldom = [self.datagram, self.end, self.abort, self.serve, self.wait]
        for _ in range(steps):
            self.random.choice([*often, *often, *seldom])()
            self.note(self.raw.turn())
            assert self.raw.closed is None
        for stream in list(self.open):
            self.finish(stream)
        self.note(self.raw.turn())
        while self.asked:
            self.answer()
        self.note(self.raw.turn())
        for session in list(self.ledger.sessions):
            self.raw.server.close_session(session, 3, "over")
        for stream in list(self.ledger.requests):
            self.raw.server.send_data(stream, b"", end=True)
        self.note(self.raw.expire(self.raw.now + 100.0))
        assert self.raw.closed is None
        assert self.raw.server.requests == 0
        assert not self.raw.server._sessions.sessions
        assert not self.raw.server._sessions.lanes
        assert self.raw.server._sessions._early_bytes == self.raw.server._sessions.early_streams == 0
        assert not self.raw.server._framing._stream
        assert self.raw.server.deadline() is None

    def note(self, events: list[Event]) -> None:
        self.ledger.note(events)
        self.asked += [event.stream for event in events if isinstance(event, RequestReceived)]

    def piece(self, kind: str) -> bytes:
        data = self.random.randbytes(self.random.randrange(1, 30))
        if kind == "lane":
            return data
        if kind == "session":
            data = capsules.encode(self.random.choice([0, 0x21, 0x78AE]), data)
        return frame(0x00, data) if self.random.random() < 0.9 else frame(0x21, data)

    def write(self, stream: int, data: bytes, fin: bool = False) -> None:
        cut = self.random.randrange(len(data) + 1)
        self.raw.endpoint.send(CONNECTION, stream, data[:cut])
        if self.random.random() < 0.5:
            self.note(self.raw.turn())
        self.raw.endpoint.send(CONNECTION, stream, data[cut:], fin)

    # --- what the client does ----------------------------------------------------------------------------------------

    def ask(self) -> None:
        kind, fields = self.random.choice(
            [("session", SESSION), ("session", SESSION), ("websocket", WEBSOCKET), ("body", POST)]
        )
        stream = self.raw.endpoint.open_stream(CONNECTION, False)
        self.open[stream] = kind
        if kind == "session":
            self.sessions.append(stream)
            if self.random.random() < 0.3:
                self.stream()
        self.write(stream, head(fields))

    def stream(self) -> None:
        if self.sessions:
            unidirectional = self.random.random() < 0.5
            stream = self.raw.endpoint.open_stream(CONNECTION, unidirectional)
            self.open[stream] = "lane"
            session = self.random.choice(self.sessions[-3:])
            self.write(stream, draft02.stream_header(session, unidirectional=unidirectional))

    def send(self) -> None:
        if self.open:
            stream = self.random.choice(list(self.open))
            self.write(stream, self.piece(self.open[stream]))

    def datagram(self) -> None:
        if self.sessions:
            session = self.random.choice(self.sessions)
            self.raw.endpoint.send_datagram(CONNECTION, varint.encode(session // 4) + b"d")

    def end(self) -> None:
        if self.open:
            self.finish(self.random.choice(list(self.open)))

    def finish(self, stream: int) -> None:
        kind = self.open.pop(stream)
        if kind == "session" and self.random.random() < 0.5:
            close = capsules.encode(draft02.CAPSULE_CLOSE, b"\0\0\0\1why")
            self.write(stream, frame(0x00, close), True)
        elif kind == "body" and self.random.random() < 0.3:
            self.write(stream, head([(b"x-sum", b"1")]), True)
        else:
            self.write(stream, b"", True)

    def abort(self) -> None:
        if self.open:
            stream = self.random.choice(list(self.open))
            code = self.random.choice([0x10C, draft02.to_http_code(5)])
            if self.random.random() < 0.5 and not stream & 2:
                self.raw.endpoint.stop(CONNECTION, stream, code)
                self.note(self.raw.serve())
            if self.random.random() < 0.7:
                self.raw.endpoint.reset(CONNECTION, stream, code)
                del self.open[stream]

    # --- what the server does ----------------------------------------------------------------------------------------

    def answer(self) -> None:
        if not self.asked:
            return
        server, stream = self.raw.server, self.asked.pop(0)
        if stream in self.ledger.sessions and self.random.random() < 0.8:
            self.note(server.accept_session(stream))
        elif self.random.random() < 0.5:
            server.respond(stream, 200 if stream in self.ledger.requests else 403, [], b"answer")
            self.forget(stream)
        else:
            server.respond(stream, 404, [], b"begun", end=False)
            self.ledger.sessions.discard(stream)
            self.ledger.requests.add(stream)

    def forget(self, stream: int) -> None:
        """Answered whole: what a tunnel still says is told, of others nothing."""
        self.ledger.sessions.discard(stream)
        self.ledger.requests.add(stream)

    def serve(self) -> None:
        server = self.raw.server
        if self.ledger.sessions:
            session = self.random.choice(sorted(self.ledger.sessions))
            match self.random.randrange(4):
                case 0:
                    stream = server.open_session_stream(session, True)
                    server.send_stream(stream, b"x", self.random.random() < 0.5)
                case 1:
                    server.send_session_datagram(session, b"d")
                case 2 if session not in self.asked:
                    server.close_session(session, 1, "why")
                    self.ledger.sessions.discard(session)
                case _:
                    for lane in list(server._sessions.lanes)[:1]:
                        server.stop_stream(lane, 1)
                        server.reset_stream(lane, 1)

    def wait(self) -> None:
        self.note(self.raw.expire(self.raw.now + self.random.choice([1.0, 1.0, 12.0])))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 60))
def test_a_client_that_keeps_to_the_protocol(seed: int, steps: int) -> None:
    Client(seed).run(steps)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 32))
def test_many_requests_at_once_are_answered_each_with_its_own(seed: int) -> None:
    """With the dynamic table of QPACK on both sides, and bytes in pieces that come in any order of streams."""
    chance = random.Random(seed)

    def cut(data: bytes) -> list[bytes]:
        if len(data) < 2:
            return [data]
        at = chance.randrange(len(data))
        return [data[:at], data[at:]]

    pair = Pair(cut=cut)
    names = ["a", "b", "c"]
    for _ in range(5):
        asked = {}
        for _ in range(chance.randrange(1, 8)):
            name, value = f"x-{chance.choice(names)}", "v" * chance.randrange(1, 50)
            asked[pair.client.request("GET", "https", "chiron.test", "/", [(name, value)])] = (name, value)
        for event in pair.served():
            assert isinstance(event, RequestReceived)
            assert event.headers == [("host", "chiron.test"), asked[event.stream]]
            pair.server.respond(event.stream, 200, event.headers[1:], end=False)
            pair.server.send_data(event.stream, b"", end=True)
        told = [event for event in pair.answered() if isinstance(event, ResponseReceived)]
        assert {event.stream: event.headers for event in told} == {s: [field] for s, field in asked.items()}
    assert pair.client.requests == pair.server.requests == 0
