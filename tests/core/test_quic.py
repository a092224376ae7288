"""The native QUIC engine as Python sees it, against aioquic's client; what it does is tested in Rust, and with the
reference engine in `tests/protocols/quic`."""

from __future__ import annotations

import datetime
import socket

import pytest
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chiron._core import Quic
from chiron.protocols.quic.endpoint import Ending, Endpoint, Event, Kind

CLIENT = ("192.0.2.7", 50_000)
SERVER = ("192.0.2.1", 443)
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def identity() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


@pytest.fixture
def server(identity: tuple[bytes, bytes]) -> Quic:
    return Quic(*identity, secret=SECRET, ticket_keys=[bytes(32)], worker=5, now=1000.0)


class Talk:
    """A client and the server, with nothing between them."""

    def __init__(self, server: Quic, chain: bytes) -> None:
        self.server: Endpoint = server
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
        configuration.load_verify_locations(cadata=chain)
        configuration.max_datagram_frame_size = 65_536
        self.client = QuicConnection(configuration=configuration)
        self.now = 1000.0
        self.client.connect(SERVER, now=self.now)
        self.events: list[Event] = []
        self.client_events: list[events.QuicEvent] = []

    def exchange(self) -> None:
        """Carry datagrams until both are silent."""
        silent = False
        while not silent:
            self.now += 0.001
            sent = [(data, CLIENT) for data, _ in self.client.datagrams_to_send(now=self.now)]
            self.server.feed(sent, self.now)
            self.server.handle_timeouts(self.now)
            self.events += self.server.poll()
            answers = self.server.take(self.now)
            for data, target in answers:
                assert target == CLIENT
                self.client.receive_datagram(data, SERVER, now=self.now)
            while (event := self.client.next_event()) is not None:
                self.client_events.append(event)
            silent = not sent and not answers


def test_handshake_stream_datagram_and_close(server: Quic, identity: tuple[bytes, bytes]) -> None:
    talk = Talk(server, identity[0])
    talk.exchange()
    assert talk.events == [(1, Kind.OPENED, 0, b"localhost", 0), (1, Kind.CONNECTED, 0, b"", 0)]
    assert server.peer(1) == CLIENT
    assert server.max_datagram(1) > 1100

    talk.client.send_stream_data(0, b"hello", end_stream=True)
    talk.client.send_datagram_frame(b"up")
    talk.exchange()
    assert sorted(talk.events[2:]) == [(1, Kind.STREAM, 0, b"hello", 1), (1, Kind.DATAGRAM, 0, b"up", 0)]
    assert server.send(1, 0, b"HELLO", fin=True)
    assert server.buffered(1, 0) == 5
    assert server.send_datagram(1, b"down")
    assert server.open_stream(1, True) == 3
    talk.exchange()
    assert server.buffered(1, 0) == 0
    (answer,) = [event for event in talk.client_events if isinstance(event, events.StreamDataReceived)]
    assert (answer.data, answer.end_stream) == (b"HELLO", True)
    assert [e.data for e in talk.client_events if isinstance(e, events.DatagramFrameReceived)] == [b"down"]

    server.close(1, 0x100, "enough")
    talk.exchange()
    assert talk.events[-1] == (1, Kind.CLOSED, Ending.LOCAL, b"enough", 0x100)
    assert server.open_stream(1, True) == -1
    assert server.peer(1) is None
    stats = server.stats()
    assert (stats["connections"], stats["handshakes"], stats["refused"]) == (0, 1, 0)
    assert stats["sent_bytes"] > 1200 < stats["received_bytes"]


def test_the_next_timeout_is_a_millisecond_ahead_or_none(server: Quic, identity: tuple[bytes, bytes]) -> None:
    assert server.next_timeout() is None
    talk = Talk(server, identity[0])
    talk.exchange()
    at = server.next_timeout()
    assert at is not None
    assert talk.now + 0.001 <= at <= talk.now + 30.001


def test_what_cannot_be_used_is_refused(server: Quic, identity: tuple[bytes, bytes]) -> None:
    chain, key = identity
    with pytest.raises(ValueError, match="32 bytes"):
        Quic(chain, key, secret=b"short", ticket_keys=[], now=0.0)
    with pytest.raises(ValueError, match="chain is empty"):
        Quic(b"", b"", secret=SECRET, ticket_keys=[], now=0.0)
    with pytest.raises(ValueError, match="private key"):
        server.reload(chain, b"nonsense", None)
    with pytest.raises(ValueError, match="ticket key"):
        server.set_ticket_keys([b"short"])
    with pytest.raises(ValueError, match="not numeric"):
        server.feed([(b"", ("localhost", 1))], 1000.0)
    with pytest.raises(ValueError, match="finite"):
        server.handle_timeouts(float("nan"))
    for name, value in (("idle_seconds", 0.0), ("idle_seconds", float("nan")), ("handshake_seconds", -1.0)):
        with pytest.raises(ValueError, match=name):
            Quic(chain, key, secret=SECRET, ticket_keys=[], now=0.0, **{name: value})  # type: ignore[arg-type]


def test_on_sockets(server: Quic, identity: tuple[bytes, bytes]) -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
    ):
        ours.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        ours.bind(("::", 0))
        ours.setblocking(False)
        theirs.connect(("127.0.0.1", ours.getsockname()[1]))
        theirs.settimeout(0.2)
        assert server.receive(ours.fileno(), 1000.0) is False
        talk = Talk(server, identity[0])
        talk.client.send_stream_data(0, bytes(100_000), end_stream=True)
        got = bytearray()
        sent = False
        for turn in range(200):
            now = 1000.0 + turn / 1000
            for data, _ in talk.client.datagrams_to_send(now=now):
                theirs.send(data)
            while server.receive(ours.fileno(), now):
                pass
            talk.events += server.poll()
            length = sum(len(event[3]) for event in talk.events if event[1] == Kind.STREAM)
            if length == 100_000 and not sent:
                sent = True
                server.send(1, 0, bytes(200_000), fin=True)
            server.handle_timeouts(now)
            assert server.flush(ours.fileno(), now)
            try:
                while True:
                    talk.client.receive_datagram(theirs.recv(65_536), SERVER, now=now)
            except TimeoutError:
                pass
            while (event := talk.client.next_event()) is not None:
                if isinstance(event, events.StreamDataReceived):
                    got += event.data
            theirs.settimeout(0.002)
            if len(got) == 200_000:
                break
        assert len(got) == 200_000
        assert server.peer(1) == ("::ffff:127.0.0.1", theirs.getsockname()[1])
        closed = ours.fileno()
    with pytest.raises(OSError, match="descriptor"):
        server.receive(closed, 2000.0)
    with pytest.raises(ValueError, match="closed"):
        server.receive(-1, 2000.0)
