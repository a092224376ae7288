"""What both engines promise on any path: from any seed of loss, repetition, other order and corruption."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from aioquic.tls import Epoch
from datagram_proxy import Harm
from faulty_quic import frame, packet
from hypothesis import given, settings
from hypothesis import strategies as st
from quic_path import CONNECTION, ENGINES, Path, limits

from chiron.protocols.quic.client import ClientEndpoint
from chiron.protocols.quic.endpoint import DatagramEndpoint, Event, Kind

HARMS = st.builds(
    Harm,
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    corrupt=st.sampled_from([0.0, 0.05]),
    repeat=st.sampled_from([0.0, 0.1]),
    late=st.sampled_from([0.0, 0.2]),
    delay=st.just(0.01),
)

STEPS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["open", "open_uni", "send", "end", "reset", "stop", "pause", "resume", "datagram", "wait"]),
        st.integers(0, 30),
        st.integers(0, 150_000),
    ),
    max_size=40,
)


@dataclass
class Side:
    """One end, and what must be true of its events."""

    endpoint: DatagramEndpoint
    sent: dict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    got: dict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    ended: set[int] = field(default_factory=set)
    """Streams whose end was sent here."""
    given_up: set[int] = field(default_factory=set)
    """Streams that were reset here, or stopped by the peer."""
    unwanted: set[int] = field(default_factory=set)
    """Streams that were stopped here, or reset by the peer."""
    over: set[int] = field(default_factory=set)
    """Streams whose last byte came."""
    paused: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    """Streams of which `send` said to wait."""
    kinds: list[int] = field(default_factory=list)
    datagrams_sent: set[bytes] = field(default_factory=set)
    datagrams_got: list[bytes] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        _, kind, stream, data, number = event
        assert Kind.CLOSED not in self.kinds, "nothing comes behind the end"
        self.kinds.append(kind)
        if kind in (Kind.STREAM, Kind.RESET):
            assert stream not in self.over, "nothing comes behind the end of a stream"
            assert stream not in self.unwanted, "nothing comes of a stream that nobody wants"
        if kind == Kind.STREAM:
            assert stream not in self.paused
            self.got[stream] += data
            if number:
                self.over.add(stream)
        elif kind == Kind.RESET:
            self.unwanted.add(stream)
            self.paused.discard(stream)
        elif kind == Kind.STOPPED:
            assert stream not in self.given_up, "a stop is told once, and not of what was given up"
            self.given_up.add(stream)
            self.waiting.discard(stream)
        elif kind == Kind.WRITABLE:
            assert stream in self.waiting, "nobody waits for it"
            self.waiting.discard(stream)
        elif kind == Kind.DATAGRAM:
            self.datagrams_got.append(data)


class Talk:
    """A client and a server that do what they are told."""

    def __init__(self, engine: str, harm: Harm, seed: int) -> None:
        patient = limits(handshake_seconds=120.0, idle_seconds=300.0)
        self.path = Path(ENGINES[engine](limits=patient), harm=harm, seed=seed)
        guest = self.path.join(handshake_seconds=120.0, idle_seconds=300.0)
        self.client, self.server = Side(guest.endpoint), Side(self.path.server)
        guest.handle, self.path.handle = self.client.handle, self.server.handle
        self.path.run(
            lambda: Kind.CONNECTED in self.client.kinds and Kind.CONNECTED in self.server.kinds, seconds=100.0
        )
        self.streams: list[int] = []

    def do(self, of_server: bool, action: str, which: int, size: int) -> None:
        here, there = (self.server, self.client) if of_server else (self.client, self.server)
        end = here.endpoint
        if action in ("open", "open_uni"):
            self.streams.append(end.open_stream(CONNECTION, action == "open_uni"))
        elif action == "datagram":
            data = size.to_bytes(4, "big") * (which + 1)
            if end.send_datagram(CONNECTION, data):
                here.datagrams_sent.add(data)
        elif action == "wait":
            self.path.rest(which * 0.01)
        elif self.streams:
            stream = self.streams[which % len(self.streams)]
            ours = (stream & 1) == of_server
            may_send = ours or not stream & 2
            may_receive = not ours or not stream & 2
            # A stream exists for the peer of who opened it once something of it came.
            known = ours or stream in here.got or stream in here.unwanted
            if action in ("send", "end") and may_send and known:
                self._send(here, stream, size, end=action == "end")
            elif action == "reset" and may_send and known:
                end.reset(CONNECTION, stream, 1)
                here.given_up.add(stream)
                here.waiting.discard(stream)
            elif action == "stop" and may_receive and known:
                end.stop(CONNECTION, stream, 2)
                here.unwanted.add(stream)
                here.paused.discard(stream)
            elif action == "pause" and may_receive and known and stream not in here.unwanted | here.over:
                end.pause(CONNECTION, stream)
                here.paused.add(stream)
            elif action == "resume":
                here.paused.discard(stream)
                end.resume(CONNECTION, stream)
        assert there.kinds.count(Kind.CONNECTED) == 1

    def _send(self, here: Side, stream: int, size: int, *, end: bool) -> None:
        if stream in here.ended or stream in here.given_up or stream in here.waiting:
            return
        start = len(here.sent[stream])
        data = b"".join((stream * 1_000_000 + at).to_bytes(8, "big") for at in range(start, start + size // 8))
        here.sent[stream] += data
        if not here.endpoint.send(CONNECTION, stream, data, fin=end):
            here.waiting.add(stream)
        if end:
            here.ended.add(stream)

    def finish(self) -> None:
        """Let go of every stream that is held, end all of them, and wait until all has come that is to come."""
        for side in (self.client, self.server):
            for stream in list(side.paused):
                side.paused.discard(stream)
                side.endpoint.resume(CONNECTION, stream)
        for side in (self.client, self.server):
            for stream in list(side.sent):
                if stream not in side.ended and stream not in side.given_up:
                    side.endpoint.send(CONNECTION, stream, b"", fin=True)
                    side.ended.add(stream)
        self.path.run(self._all_came, seconds=280.0)

    def _all_came(self) -> bool:
        return all(
            stream in there.over or stream in there.unwanted or stream in here.given_up
            for here, there in ((self.client, self.server), (self.server, self.client))
            for stream in here.ended
        )

    def check(self) -> None:
        for here, there in ((self.client, self.server), (self.server, self.client)):
            for stream, data in there.got.items():
                whole = stream in there.over
                assert here.sent[stream][: len(data)] == data, "in order, and nothing twice"
                assert not whole or len(data) == len(here.sent[stream]), "all of it"
            assert set(there.datagrams_got) <= here.datagrams_sent
            assert here.kinds.count(Kind.OPENED) == here.kinds.count(Kind.CONNECTED) == 1
            assert here.kinds[0] == Kind.OPENED
            assert Kind.CLOSED not in here.kinds


@pytest.mark.parametrize("engine", ENGINES)
@given(harm=HARMS, seed=st.integers(0, 2**32), steps=STEPS)
@settings(max_examples=40)
def test_streams_arrive_whole_and_in_order_on_any_path(
    engine: str, harm: Harm, seed: int, steps: list[tuple[bool, str, int, int]]
) -> None:
    talk = Talk(engine, harm, seed)
    for step in steps:
        talk.do(*step)
    talk.finish()
    talk.check()


@pytest.mark.parametrize("engine", ENGINES)
@given(
    datagrams=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(lambda head, body: head + body, st.sampled_from([b"\xc0\0\0\0\1", b"\x40"]), st.binary()),
            st.builds(
                lambda head, body: (head + body).ljust(1200, b"\0"),
                st.sampled_from([b"\xc0\0\0\0\1\x08", b"\xc0\0\0\0\0\x08", b"\xe0\0\0\0\1\x08", b"\xc0zzzz\x08"]),
                st.binary(min_size=8, max_size=100),
            ),
        ),
        max_size=20,
    )
)
@settings(max_examples=100)
def test_no_datagram_of_a_stranger_makes_an_event_or_is_answered_with_more(engine: str, datagrams: list[bytes]) -> None:
    path = Path(ENGINES[engine]())
    for data in datagrams:
        assert sum(map(len, path.inject(data))) <= 3 * len(data)
    path.rest(12.0)
    assert path.events == []
    assert path.server.stats()["connections"] == 0


@pytest.mark.parametrize("engine", ENGINES)
@given(
    which=st.integers(0, 50),
    change=st.sampled_from(["cut", "flip", "append"]),
    at=st.integers(0, 1500),
    seed=st.integers(0, 255),
)
@settings(max_examples=100)
def test_a_spoilt_datagram_of_a_peer_is_as_good_as_lost(
    engine: str, which: int, change: str, at: int, seed: int
) -> None:
    path = Path(ENGINES[engine]())
    guest = path.connect()
    stream = guest.endpoint.open_stream(CONNECTION, False)
    guest.endpoint.send(CONNECTION, stream, bytes(5000), fin=True)
    path.run(lambda: path.ended(1, stream))
    sent = [data for data, source, _ in path.passed if source == guest.address]
    data = bytearray(sent[which % len(sent)])
    if change == "cut":
        del data[at % len(data) :]
    elif change == "flip":
        data[at % len(data)] ^= seed or 1
    else:
        data += bytes((seed,)) * (at + 1)
    path.inject(bytes(data), guest.address)
    path.rest(1.0)
    path.server.send(1, stream, b"still here", fin=True)
    path.run(lambda: guest.ended(stream))
    assert guest.stream(stream) == b"still here"


FIELDS = st.integers(0, 2**62 - 1) | st.integers(0, 70) | st.binary(max_size=20)
FRAMES = st.builds(lambda kind, fields: frame(kind, *fields), st.integers(0, 0x40), st.lists(FIELDS, max_size=6))
PAYLOADS = st.lists(FRAMES | st.binary(max_size=30), min_size=1, max_size=4).map(b"".join)


@pytest.mark.parametrize("engine", ENGINES)
@given(payloads=st.lists(PAYLOADS, min_size=1, max_size=4))
@settings(max_examples=100)
def test_whatever_frames_a_peer_sends_it_harms_its_own_connection_alone(engine: str, payloads: list[bytes]) -> None:
    path = Path(ENGINES[engine]())
    good, bad = path.connect(), path.connect()
    assert isinstance(bad.endpoint, ClientEndpoint)
    path.server.open_stream(2, False)
    for payload in payloads:
        # Fewer bytes than header protection samples would be a packet of another kind of fault (RFC 9001 §5.4.2).
        path.send(bad, packet(bad.endpoint._transport, Epoch.ONE_RTT, payload.ljust(4, b"\0")))
    path.rest(1.0)
    stream = good.endpoint.open_stream(CONNECTION, False)
    good.endpoint.send(CONNECTION, stream, b"unharmed", fin=True)
    path.run(lambda: path.stream(1, stream) == b"unharmed")
    assert [event for event in path.of(Kind.CLOSED) if event[0] == 1] == []


@pytest.mark.parametrize("engine", ENGINES)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(["set", "cut", "insert"]), st.integers(0, 2000), st.integers(0, 255)), max_size=4
    ),
)
@settings(max_examples=100)
def test_whatever_hello_a_client_sends_the_next_one_is_served(engine: str, changes: list[tuple[str, int, int]]) -> None:
    path = Path(ENGINES[engine]())
    path.cut = True
    bad = path.join()
    path.rest(0.001)
    assert isinstance(bad.endpoint, ClientEndpoint)
    transport = bad.endpoint._transport
    hello = bytearray(transport._crypto_streams[Epoch.INITIAL].sender._buffer)
    for change, at, value in changes:
        at %= len(hello) or 1
        if change == "cut":
            del hello[at:]
        elif change == "insert":
            hello.insert(at, value)
        elif hello:
            hello[at] = value
    pieces = [bytes(hello[at : at + 900]) for at in range(0, len(hello), 900)]
    path.cut = False
    for number, piece in enumerate(pieces):
        payload = frame(0x06, 900 * number, len(piece), piece).ljust(1180, b"\0")
        path.send(bad, packet(transport, Epoch.INITIAL, payload))
    path.rest(0.5)
    path.connect()
