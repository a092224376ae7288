"""The hub as its callers in Python see it; what the bytes mean is tested beside the Rust sources."""

from __future__ import annotations

import datetime
import gc
import ssl
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from chiron._core import (
    Attach,
    Broken,
    Command,
    Connect,
    Data,
    Detach,
    Ended,
    Frame,
    Hub,
    Limiter,
    Malformed,
    Message,
    PeerClosed,
    Pong,
    Publish,
    Quic,
    Refresh,
    Secured,
    Sync,
    Tls,
    Watermark,
)

NOW = 1000.0
CLIENT_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
CONNECT = (
    b'{"op":"connect","id":1,"token":"secret","device":"web","capabilities":["x"],"resume":{"epoch":"e","offset":7}}'
)


class Bench:
    """A hub with its receive buffer, as the edge holds them."""

    def __init__(self, **options: Any) -> None:
        self.buffer = bytearray(65_536)
        self.hub = Hub(self.buffer, **options)

    def feed(self, connection: int, data: bytes) -> list[Any]:
        self.buffer[: len(data)] = data
        return self.hub.feed(connection, len(data), NOW)

    def link(self, person: str = "p", *, rate: float = 10.0, burst: float = 5.0) -> int:
        """A link over a plain connection that speaks for a person."""
        connection = self.hub.open(None, NOW)
        events = self.hub.upgrade(connection, "link", masked(CONNECT), 65_536, NOW)
        assert [type(event) for event in events] == [Connect]
        assert self.hub.bind(connection, person, NOW, rate=rate, burst=burst) == []
        return connection

    def drain(self) -> dict[int, bytes]:
        """What every connection is sent until nothing is left."""
        sent: dict[int, bytes] = {}
        while self.hub.dirty:
            for connection, data, _ in self.hub.flush(1000, NOW):
                sent[connection] = sent.get(connection, b"") + data
        return sent


def masked(data: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    return WebSocketFrame(opcode, data).serialize(mask=True)


def unmasked(data: bytes) -> bytes:
    return WebSocketFrame(Opcode.TEXT, data).serialize(mask=False)


def delivery(number: int, offset: int) -> Frame:
    return Frame.delivery(number, offset, "m", offset, 1, "a", "text", None, b'{"text":"x"}')


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_http_passes_as_data_and_leaves_by_flush(bench: Bench) -> None:
    hub = bench.hub
    connection = hub.open(None, NOW)
    (event,) = bench.feed(connection, b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(event, Data)
    assert event.data == b"GET / HTTP/1.1\r\n\r\n"
    assert hub.send(connection, b"HTTP/1.1 204 No Content\r\n\r\n")
    assert hub.queued(connection) == 27
    assert hub.dirty
    assert hub.flush(10, NOW) == [(connection, b"HTTP/1.1 204 No Content\r\n\r\n", False)]
    assert not hub.dirty
    assert hub.finish(connection)
    assert hub.flush(10, NOW) == [(connection, b"", True)]
    (end,) = hub.feed_end(connection, NOW)
    assert isinstance(end, Ended)
    assert end.clean


def test_messages_of_mode_message(bench: Bench) -> None:
    hub = bench.hub
    connection = hub.open(None, NOW)
    (first,) = hub.upgrade(connection, "message", masked(b"one"), 100, NOW)
    (second, closed) = bench.feed(connection, masked(b"\x00\xff", Opcode.BINARY) + masked(b"\x03\xe9bye", Opcode.CLOSE))
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert isinstance(closed, PeerClosed)
    assert [(first.data, first.text), (second.data, second.text)] == [(b"one", True), (b"\x00\xff", False)]
    assert (closed.code, closed.reason) == (1001, "bye")
    assert not hub.send_message(connection, b"nobody reads this", True)
    assert hub.flush(1, NOW) == [(connection, b"\x88\x02\x03\xe9", False)]


def test_a_message_is_sent_as_one_frame(bench: Bench) -> None:
    connection = bench.hub.open(None, NOW)
    bench.hub.upgrade(connection, "message", b"", 100, NOW)
    assert bench.hub.send_message(connection, b"text", True)
    assert bench.hub.send_message(connection, b"data", False)
    assert bench.hub.flush(1, NOW) == [(connection, b"\x81\x04text\x82\x04data", False)]


def test_a_broken_rule_says_layer_code_and_reason(bench: Bench) -> None:
    connection = bench.hub.open(None, NOW)
    (event,) = bench.hub.upgrade(connection, "link", masked(b"{}", Opcode.BINARY), 100, NOW)
    assert isinstance(event, Broken)
    assert (event.layer, event.code) == ("wire", 1003)
    assert event.reason
    assert bench.hub.flush(1, NOW)[0][1][:4] == b"\x88" + bytes([2 + len(event.reason)]) + b"\x03\xeb"


def test_every_frame_of_a_client_arrives_as_its_type(bench: Bench) -> None:
    connection = bench.hub.open(None, NOW)
    (connect,) = bench.hub.upgrade(connection, "link", masked(CONNECT), 65_536, NOW)
    assert isinstance(connect, Connect)
    assert (connect.id, connect.token, connect.device, connect.capabilities) == (1, "secret", "web", ["x"])
    assert (connect.epoch, connect.offset) == ("e", 7)
    bench.hub.bind(connection, "p", NOW, rate=10, burst=10)
    frames = [
        b'{"op":"attach","id":2,"channel":"conv:1","gen":3,"epoch":"e","after":4}',
        b'{"op":"detach","id":5,"channel":"conv:1","gen":3}',
        b'{"op":"publish","id":6,"channel":"conv:1","client_id":"%s","n":1,"kind":"text","body":{"text":"x"}}'
        % CLIENT_ID.lower().encode(),
        b'{"op":"watermark","id":7,"channel":"conv:1","received":9}',
        b'{"op":"sync","id":8,"channel":"conv:1","before":10}',
        b'{"op":"refresh","id":9,"token":"t","gen":1}',
        b'{"op":"command","id":10,"name":"conversation.list","params":{"limit":1}}',
        b'{"op":"pong"}',
        b'{"op":"attach","id":11}',
    ]
    events: list[Any] = bench.feed(connection, masked(b"[" + b",".join(frames) + b"]"))
    types = [Attach, Detach, Publish, Watermark, Sync, Refresh, Command, Pong, Malformed]
    assert [type(event) for event in events] == types
    attach, detach, publish, watermark, sync, refresh, command, _, malformed = events
    assert (attach.id, attach.channel, attach.generation, attach.epoch, attach.after) == (2, "conv:1", 3, "e", 4)
    assert (detach.id, detach.channel, detach.generation) == (5, "conv:1", 3)
    assert (publish.id, publish.client_id, publish.n, publish.kind) == (6, CLIENT_ID, 1, "text")
    assert (publish.ref, publish.body, publish.retry_after_ms) == (None, b'{"text":"x"}', 0)
    assert (watermark.received, watermark.read) == (9, None)
    assert (sync.after, sync.before, sync.limit) == (None, 10, 100)
    assert (refresh.token, refresh.generation) == ("t", 1)
    assert (command.name, command.params, command.retry_after_ms) == ("conversation.list", b'{"limit":1}', 0)
    assert (malformed.id, malformed.code, malformed.field) == (11, "invalid", "channel")


def test_links_of_one_person_share_the_limiter_with_its_other_users() -> None:
    limiter = Limiter(100)
    bench = Bench(limiter=limiter)
    first, second = bench.link(burst=2.0), bench.link(burst=2.0)
    command = masked(b'{"op":"command","id":1,"name":"x"}')
    waits = [bench.feed(link, command)[0].retry_after_ms for link in (first, second, first)]
    assert waits == [0, 0, 100]
    assert limiter.check("person:p", 1.0, 10.0, 2.0, NOW) == pytest.approx(0.1)


def test_a_delivery_reaches_those_attached_but_the_sender(bench: Bench) -> None:
    hub = bench.hub
    links = [bench.link() for _ in range(100)]
    for link in links:
        assert hub.attach(link, 9, 1, 41)
        assert hub.attached(link, 9) == "filling"
        assert hub.go_live(link, 9, 1) is None
        assert hub.attached(link, 9) == "live"
    frame = delivery(9, 42)
    assert hub.publish(9, frame, 42, links[0]) == 99
    assert hub.publish_event(9, "k", Frame.event(9, "typing", b"{}"), links[0]) == 99
    # More than 64 connections: other threads may run while these are written.
    sent = {connection: data for connection, data, _ in hub.flush(1000, NOW)}
    assert set(sent) == set(links[1:])
    event = unmasked(b'{"op":"event","number":9,"kind":"typing","body":{}}')
    assert set(sent.values()) == {unmasked(frame.json()) + event}


def test_links_of_the_author_are_given_their_own_frame(bench: Bench) -> None:
    hub = bench.hub
    sender, mine, other = bench.link("p"), bench.link("p"), bench.link("q")
    for link in (sender, mine, other):
        hub.attach(link, 9, 1, 0)
        hub.go_live(link, 9, 1)
    whole = Frame.delivery(9, 1, "m", 1, 1, "p", "text", None, b'{"text":"whole"}', None, "hold")
    redacted = Frame.delivery(9, 1, "m", 1, 1, "p", "redacted", None, b"{}")
    assert hub.publish(9, redacted, 1, sender, ("p", whole)) == 2
    assert hub.publish(9, delivery(9, 2), 2, author=("nobody", whole)) == 3
    later = unmasked(delivery(9, 2).json())
    assert bench.drain() == {
        sender: later,
        mine: unmasked(whole.json()) + later,
        other: unmasked(redacted.json()) + later,
    }


def test_gaps_name_link_number_generation_and_offset(bench: Bench) -> None:
    hub, link = bench.hub, bench.link()
    hub.attach(link, 9, 3, 10)
    hub.go_live(link, 9, 3)
    assert hub.publish(9, delivery(9, 13), 13) == 0
    assert hub.take_gaps() == [(link, 9, 3, 10)]
    assert hub.fill(link, 9, 3, [delivery(9, 11)])
    assert hub.go_live(link, 9, 3) == 11
    assert hub.fill(link, 9, 3, (delivery(9, 12), delivery(9, 13)))
    assert hub.go_live(link, 9, 3) is None
    assert bench.drain()[link].count(b'"op":"delivery"') == 3


def test_removal_names_the_links_that_had_an_attachment(bench: Bench) -> None:
    hub = bench.hub
    mine, other = bench.link("p"), bench.link("q")
    for link in (mine, other):
        hub.attach(link, 9, 1, 0)
        hub.go_live(link, 9, 1)
    hub.publish(9, delivery(9, 1), 1)
    assert hub.drop(9, "p", Frame.detached(9, "removed")) == [mine]
    assert hub.drop(9, "p") == []
    sent = bench.drain()
    assert sent[mine] == unmasked(b'{"op":"detached","number":9,"reason":"removed"}')
    assert b'"op":"delivery"' in sent[other]


def test_the_ladder_shows_in_the_figures() -> None:
    bench = Bench(durable_bytes=300, ephemeral_bytes=100, control_bytes=200)
    hub, link = bench.hub, bench.link()
    hub.attach(link, 9, 1, 0)
    hub.go_live(link, 9, 1)
    assert hub.pause(link)
    for offset in range(1, 6):
        hub.publish(9, delivery(9, offset), offset)
        hub.publish_event(9, str(offset), Frame.event(9, "typing", b"{}"))
    assert hub.attached(link, 9) == "lagging"
    while hub.send_frame(link, Frame.ok(1)):
        pass
    assert hub.take_overflown() == [link]
    assert hub.take_overflown() == []
    stats = hub.stats()
    assert (stats["connections"], stats["links"], stats["attachments"]) == (1, 1, 1)
    assert stats["queued_bytes"] == hub.queued(link)
    assert (stats["dropped_events"], stats["lagged"]) == (4, 1)
    assert not hub.dirty
    assert hub.flush(10, NOW) == []
    assert hub.close(link)
    since_the_start = {"frames": 0, "dropped_events": 0, "lagged": 0}
    assert {**hub.stats(), **since_the_start} == dict.fromkeys(stats, 0)


def test_a_link_on_a_stream_carries_records(bench: Bench) -> None:
    hub = bench.hub
    link = hub.open_link(NOW)
    record = b"\x40\x26" + b'{"op":"connect","id":1,"token":"abcd"}'
    assert hub.feed_link(link, record[:1], NOW) == []
    assert hub.feed_link(link, record[1:20], NOW) == []
    (event,) = hub.feed_link(link, record[20:], NOW)
    assert isinstance(event, Connect)
    hub.bind(link, "p", NOW, rate=1, burst=1)
    assert hub.send_frame(link, Frame.ping())
    assert hub.attach(link, 1, 1, 0)
    assert hub.publish_event(1, "k", Frame.event(1, "old", b"{}")) == 1
    assert hub.publish_event(1, "k", Frame.event(1, "new", b"{}")) == 1
    ping, new = b'\x0d{"op":"ping"}', b'\x30{"op":"event","number":1,"kind":"new","body":{}}'
    assert hub.flush(10, NOW) == [(link, ping + new, False)]
    assert hub.take_routed() == (0, [], [], [])
    assert hub.finish(link, 1001)
    assert hub.flush(10, NOW) == [(link, b"", True)]
    assert [type(event) for event in hub.feed_end(link, NOW)] == [Ended]


@dataclass(eq=False)
class Post:
    """An endpoint that notes what it is given."""

    room: bool = True
    sent: list[tuple[int, int, bytes]] = field(default_factory=list)
    datagrams: list[tuple[int, bytes]] = field(default_factory=list)

    def send(self, connection: int, stream: int, data: bytes) -> bool:
        self.sent.append((connection, stream, data))
        return self.room

    def send_datagram(self, connection: int, data: bytes) -> bool:
        self.datagrams.append((connection, data))
        return self.room


def test_events_that_fit_leave_as_datagrams_beside_the_stream(bench: Bench) -> None:
    hub = bench.hub
    link = hub.open_link(NOW, datagram=48)
    post = Post()
    assert hub.route(link, post, 7, 4, b"\x0a")
    hub.bind(link, "p", NOW, rate=1, burst=1)
    assert hub.attach(link, 1, 1, 0)
    for key in ("fit", "does not fit"):
        assert hub.publish_event(1, key, Frame.event(1, key, b"{}")) == 1
    long = b'\x39{"op":"event","number":1,"kind":"does not fit","body":{}}'
    fit = b'\n{"op":"event","number":1,"kind":"fit","body":{}}'
    assert hub.flush(10, NOW) == []
    assert post.sent == [(7, 4, long)]
    assert post.datagrams == [(7, fit)]
    sent, endpoints, full, lost = hub.take_routed()
    assert (sent, {*endpoints}, full, lost) == (len(long) + len(fit), {post}, [], [])
    assert hub.take_routed() == (0, [], [], [])
    assert hub.set_datagram(link, 1000)
    for key in ("fit", "does not fit"):
        assert hub.publish_event(1, key, Frame.event(1, key, b"{}")) == 1
        assert hub.flush(10, NOW) == []
    assert post.sent[1:] == []
    assert post.datagrams[1:] == [(7, fit), (7, b"\n" + long[1:])]
    (event,) = hub.feed_datagram(link, b'{"op":"pong"}', NOW)
    assert isinstance(event, Pong)


def test_bytes_go_to_the_endpoint_of_their_link(bench: Bench) -> None:
    hub = bench.hub
    native = Quic(*certificate(), secret=bytes(32), ticket_keys=[bytes(32)], now=NOW)
    full, posts = Post(room=False), [Post(), Post()]
    links = []
    for endpoint in (posts[0], full, posts[1], None, posts[0], native):
        link = hub.open_link(NOW, datagram=100)
        hub.bind(link, "p", NOW, rate=1, burst=1)
        assert hub.attach(link, 1, 1, 0)
        assert endpoint is None or hub.route(link, endpoint, link, 4, b"")
        assert hub.send_frame(link, Frame.ping())
        links.append(link)
    assert hub.publish_event(1, "k", Frame.event(1, "k", b"{}")) == 6
    ping, event = b'\x0d{"op":"ping"}', b'{"op":"event","number":1,"kind":"k","body":{}}'
    assert hub.flush(10, NOW) == [(links[3], ping, False)]
    _, endpoints, stalled, lost = hub.take_routed()
    assert {*endpoints} == {*posts, full, native}
    assert (stalled, lost) == ([links[1]], [links[1], links[5]]), "the native endpoint has no such connection"
    assert posts[0].sent == [(links[0], 4, ping), (links[4], 4, ping)]
    assert posts[0].datagrams == [(links[0], event), (links[4], event)]
    assert posts[1].datagrams == [(links[2], event)]


def test_the_last_bytes_of_a_link_come_to_the_caller(bench: Bench) -> None:
    hub = bench.hub
    post = Post()
    link = hub.open_link(NOW)
    assert hub.route(link, post, 7, 4, b"")
    hub.bind(link, "p", NOW, rate=1, burst=1)
    assert hub.send_frame(link, Frame.ping())
    assert hub.finish(link, 1000)
    assert hub.flush(10, NOW) == [(link, b'\x0d{"op":"ping"}', True)]
    assert post.sent == []
    assert hub.take_routed() == (0, [], [], [])


def test_the_route_of_a_link_ends_with_it(bench: Bench) -> None:
    hub = bench.hub
    post = Post()
    link = hub.open_link(NOW)
    assert hub.route(link, post, 7, 4, b"")
    references = sys.getrefcount(post)
    assert hub.close(link)
    assert sys.getrefcount(post) == references - 1
    assert not hub.route(link, post, 7, 4, b"")


def test_what_an_endpoint_raises_reaches_the_caller(bench: Bench) -> None:
    class Faulty:
        def send(self, connection: int, stream: int, data: bytes) -> bool:
            raise OSError("no more")

    hub = bench.hub
    link = hub.open_link(NOW)
    assert hub.route(link, Faulty(), 7, 4, b"")
    hub.bind(link, "p", NOW, rate=1, burst=1)
    assert hub.send_frame(link, Frame.ping())
    with pytest.raises(OSError, match="no more"):
        hub.flush(10, NOW)
    assert hub.take_routed() == (0, [], [], [])


def test_rfc9220_3_a_link_over_websocket_is_fed_bytes_that_no_transport_read(bench: Bench) -> None:
    hub = bench.hub
    link = hub.open(None, NOW)
    assert hub.upgrade(link, "link", b"", 65_536, NOW) == []
    (event,) = hub.feed_link(link, masked(CONNECT), NOW)
    assert isinstance(event, Connect)
    assert hub.bind(link, "p", NOW, rate=1, burst=1) == []
    (event,) = hub.feed_link(link, masked(b"\x03\xe8", Opcode.CLOSE), NOW)
    assert isinstance(event, PeerClosed)


def test_ids_that_are_gone_do_nothing_and_say_so(bench: Bench) -> None:
    hub, gone = bench.hub, bench.link()
    assert hub.close(gone)
    fresh = bench.link()
    assert fresh != gone
    frame = delivery(1, 1)
    for id in (gone, 0, 2**64 - 1):
        assert bench.feed(id, b"x") == []
        assert hub.feed_end(id, NOW) == []
        assert hub.feed_link(id, b"x", NOW) == []
        assert hub.upgrade(id, "link", b"", 1, NOW) == []
        assert hub.bind(id, "p", NOW, rate=1, burst=1) == []
        assert hub.feed_datagram(id, b"{}", NOW) == []
        assert hub.queued(id) == 0
        assert hub.attached(id, 1) is None
        assert hub.go_live(id, 1, 1) is None
        for nothing in (
            hub.send(id, b"x"),
            hub.send_message(id, b"x", True),
            hub.finish(id),
            hub.pause(id),
            hub.resume(id),
            hub.set_datagram(id, 1),
            hub.close(id),
            hub.send_frame(id, frame),
            hub.attach(id, 1, 1, 0),
            hub.fill(id, 1, 1, [frame]),
            hub.detach(id, 1, 1),
        ):
            assert nothing is False


def test_ids_fit_into_a_json_number_and_are_never_used_twice(bench: Bench) -> None:
    seen: set[int] = set()
    for _ in range(1000):
        id = bench.hub.open(None, NOW) if len(seen) % 2 else bench.hub.open_link(NOW)
        assert 0 < id < 2**53
        assert id not in seen
        seen.add(id)
        bench.hub.close(id)


def test_the_receive_buffer_cannot_be_resized_while_the_hub_lives() -> None:
    buffer = bytearray(16)
    hub = Hub(buffer)
    connection = hub.open(None, NOW)
    with pytest.raises(BufferError):
        buffer.append(0)
    with pytest.raises(ValueError, match="receive buffer"):
        hub.feed(connection, 17, NOW)
    del hub
    gc.collect()
    buffer.append(0)


def test_calls_that_make_no_sense_are_refused(bench: Bench) -> None:
    hub: Any = bench.hub
    connection = hub.open(None, NOW)
    with pytest.raises(TypeError):
        Hub(bytes(16))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="write_bytes"):
        Hub(bytearray(1), write_bytes=0)
    with pytest.raises(ValueError, match="message or link"):
        hub.upgrade(connection, "http", b"", 1, NOW)
    for now in (float("nan"), -1.0, float("inf")):
        with pytest.raises(ValueError, match="now"):
            hub.feed(connection, 0, now)
    for rate, burst in ((0.0, 1.0), (1.0, float("nan"))):
        with pytest.raises(ValueError, match="rate and burst"):
            hub.bind(connection, "p", NOW, rate=rate, burst=burst)
    with pytest.raises(OverflowError):
        hub.queued(-1)
    with pytest.raises(TypeError):
        hub.send_frame(connection, b"{}")
    with pytest.raises(AttributeError):
        bench.feed(connection, b"GET")[0].data = b""


def test_another_thread_may_run_python_while_many_connections_are_flushed(bench: Bench) -> None:
    hub = bench.hub
    connections = [hub.open(None, NOW) for _ in range(200)]
    for connection in connections:
        hub.send(connection, b"x" * 16_384)
    running = threading.Event()
    stop = threading.Event()

    def spin() -> None:
        running.set()
        while not stop.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    assert running.wait(10)
    flushed = hub.flush(1000, NOW)
    stop.set()
    thread.join()
    assert sorted(connection for connection, _, _ in flushed) == sorted(connections)


# ------------------------------------------------------------------------------------------------------------------ TLS


def certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate for localhost and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.PEM), pem


def test_openssl_speaks_tls_with_the_hub(bench: Bench) -> None:
    chain, key = certificate()
    hub = bench.hub
    connection = hub.open(Tls(chain, key, [bytes(32)]), NOW)
    context = ssl.create_default_context(cadata=chain.decode())
    context.set_alpn_protocols(["http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    events: list[Any] = []

    def exchange() -> None:
        while outgoing.pending or hub.dirty:
            events.extend(bench.feed(connection, outgoing.read()))
            for _, data, _ in hub.flush(10, NOW):
                incoming.write(data)

    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            exchange()
    exchange()
    (secured,) = events
    assert isinstance(secured, Secured)
    assert (secured.protocol, secured.server_name, secured.resumed) == ("http/1.1", "localhost", False)

    client.write(b"GET / HTTP/1.1\r\n\r\n")
    exchange()
    assert events[1].data == b"GET / HTTP/1.1\r\n\r\n"
    hub.send(connection, b"x" * 40_000)
    hub.finish(connection)
    received = b""
    while len(received) < 40_000:
        exchange()
        received += client.read(65_536)
    assert received == b"x" * 40_000
    assert client.read(1) == b"", "close_notify; without it there would be nothing to read yet"
