"""Whatever a client sends, in whatever pieces: no exception, no work without end, and no more held than allowed."""

from __future__ import annotations

from http3_pair import CONNECTION, GET, Pair, RawClient, frame, head
from hypothesis import given, settings
from hypothesis import strategies as st

from chiron.protocols.http3 import (
    Aborted,
    BodyReceived,
    Closed,
    Connection,
    ErrorCode,
    Event,
    RequestReceived,
    SessionClosed,
    TrailersReceived,
)
from chiron.protocols.quic import varint
from chiron.protocols.webtransport import capsules, draft02

CONNECT = [(b":method", b"CONNECT"), *GET[1:]]
NUMBERS = st.one_of(
    st.integers(0, 70), st.sampled_from([0x2843, 0xF0700, 1 << 20, varint.MAX]), st.integers(0, 1 << 62 - 1)
)
FRAMES = st.one_of(
    st.builds(frame, NUMBERS, st.binary(max_size=40)),
    st.builds(lambda kind, size: varint.encode(kind) + varint.encode(size), NUMBERS, NUMBERS),
    st.builds(head, st.lists(st.tuples(st.sampled_from([b"x", b":path", b"cookie", b"te"]), st.binary(max_size=9)))),
    st.just(head(GET)),
    st.just(head([*CONNECT, (b":protocol", b"webtransport")])),
    st.builds(lambda n, v: frame(0, capsules.encode(n, v)), NUMBERS, st.binary(max_size=12)),
    st.binary(max_size=40),
)
STARTS = st.one_of(
    st.just(b""),
    st.sampled_from([b"\x00", b"\x02", b"\x03", b"\x01", b"\x21"]),
    st.builds(lambda n, u: draft02.stream_header(n, unidirectional=u), st.integers(0, 20), st.booleans()),
    st.binary(max_size=9),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.booleans(), STARTS),
        st.tuples(st.just("send"), st.integers(0, 9), st.lists(FRAMES, max_size=4).map(b"".join)),
        st.tuples(st.just("end"), st.integers(0, 9), FRAMES),
        st.tuples(st.just("reset"), st.integers(0, 9), NUMBERS),
        st.tuples(st.just("stop"), st.integers(0, 9), NUMBERS),
        st.tuples(st.just("datagram"), st.just(0), st.binary(max_size=12)),
        st.tuples(st.just("time"), st.integers(0, 20), st.just(0)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.integers(0, 3)),
    ),
    max_size=20,
)


class Ledger:
    """What the owner was told fits together: every message begins once, ends once, and nothing follows its end."""

    def __init__(self, server: Connection) -> None:
        self.server = server
        self.begun: set[int] = set()
        self.over: set[int] = set()

    def note(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case RequestReceived(stream=stream):
                    assert stream not in self.begun
                    self.begun.add(stream)
                    if event.end:
                        self.over.add(stream)
                case BodyReceived(stream=stream) | TrailersReceived(stream=stream):
                    assert stream in self.begun
                    assert stream not in self.over
                    if not isinstance(event, BodyReceived) or event.end:
                        self.over.add(stream)
                case Aborted(stream=stream):
                    assert stream in self.begun
                case SessionClosed(session=session):
                    assert session in self.begun
                case _:
                    pass


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_any_steps_of_a_client(steps: list[tuple[str, int, bytes | int]]) -> None:
    client = RawClient(settings=None)
    ledger = Ledger(client.server)
    streams = [client.control]
    for action, which, what in steps:
        stream = streams[which % len(streams)]
        told: list[Event] = []
        if action == "open":
            assert isinstance(what, bytes)
            stream = client.endpoint.open_stream(CONNECTION, bool(which))
            if stream >= 0:
                streams.append(stream)
                told = client.send(stream, what)
        elif action in ("send", "end"):
            assert isinstance(what, bytes)
            told = client.send(stream, what, action == "end")
        elif action == "reset":
            assert isinstance(what, int)
            client.endpoint.reset(CONNECTION, stream, what)
            told = client.serve()
        elif action == "stop":
            assert isinstance(what, int)
            client.endpoint.stop(CONNECTION, stream, what)
            told = client.serve()
        elif action == "datagram":
            assert isinstance(what, bytes)
            client.endpoint.send_datagram(CONNECTION, what)
            told = client.turn()
        elif action == "time":
            told = client.expire(client.now + which)
        elif ledger.begun:
            assert isinstance(what, int)
            stream = sorted(ledger.begun)[which % len(ledger.begun)]
            told = owner_answers(client.server, stream, what)
        ledger.note(told)
        ledger.note(client.serve())
    assert client.server.requests <= len(streams)
    if client.closed is not None:
        assert client.closed in set(ErrorCode)
        assert isinstance(client.told[-1], Closed)


def owner_answers(server: Connection, stream: int, how: int) -> list[Event]:
    """What an owner may do with a request whose head it has seen, whatever became of it since."""
    exchange = server._exchanges.get(stream)
    if exchange is None or exchange.responded:
        server.send_data(stream, b"data", end=how == 1)
        return []
    if exchange.protocol == draft02.PROTOCOL and how < 2:
        return server.accept_session(stream)
    server.respond(stream, 404, [], b"no", end=how != 3)
    return []


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([b"", b"\x00", b"\x02", b"\x03", b"\x40\x54\x00"]))
def test_any_bytes_on_a_unidirectional_stream(chunks: list[bytes], start: bytes) -> None:
    client = RawClient()
    stream, _ = client.open(start)
    for chunk in chunks:
        client.send(stream, chunk)
    assert client.closed is None or client.closed in set(ErrorCode)


@given(
    st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([b"", b"\x01", b"\x00", head(GET), b"\x40\x41\x00"])
)
def test_any_bytes_on_a_request_stream(chunks: list[bytes], start: bytes) -> None:
    client = RawClient()
    stream, _ = client.request(start)
    for chunk in chunks:
        client.send(stream, chunk)
    client.send(stream, b"", True)
    assert client.closed is None or client.closed in set(ErrorCode)


@given(st.lists(st.tuples(st.integers(0, 9), st.lists(FRAMES, max_size=3).map(b"".join), st.booleans()), max_size=6))
def test_any_bytes_of_a_server(sent: list[tuple[int, bytes, bool]]) -> None:
    """On a client's requests, and on streams of the server's own."""
    pair = Pair()
    pair.get()
    pair.client.request("CONNECT", "https", "chiron.test", "/", protocol="webtransport", end=False)
    pair.client.request("POST", "https", "chiron.test", "/", end=False)
    for _ in range(2):
        pair.get()
    streams = [0, 4, 8, 12, 16, 3, 15, 19, 1, 5]
    for which, data, fin in sent:
        pair.server_endpoint.send(CONNECTION, streams[which], data, fin)
        pair.turn()
    assert pair.client_endpoint.closed is None or pair.client_endpoint.closed[0] in set(ErrorCode)
