"""A client's one connection, with the calls and events of a server's endpoint, so that the same HTTP/3 runs on it.

    endpoint = ClientEndpoint("example.org", ("192.0.2.1", 443), now=now)
    endpoint.connect(now)      # then take, feed, poll, next_timeout as with a server; the connection has the number 1

A server that is not believed ends in CLOSED with a reason for a person; nothing was sent to it by then.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from collections.abc import Sequence

from aioquic import tls
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicErrorCode, QuicProtocolVersion
from aioquic.tls import SessionTicket
from cryptography.hazmat.primitives.serialization import Encoding

from chiron.protocols.quic.endpoint import Address, Ending, Event, Kind
from chiron.protocols.quic.limits import Limits
from chiron.protocols.quic.session import Session, Sessions
from chiron.protocols.quic.transport import Transport

CONNECTION = 1
"""The number of the one connection."""

_LEAST_WAIT = 0.001
_ALERT = 0x100
"""CRYPTO_ERROR: plus a TLS alert (RFC 9001 §4.8)."""
_CERTIFICATE_ALERTS = frozenset(
    {
        tls.AlertDescription.bad_certificate,
        tls.AlertDescription.certificate_expired,
        tls.AlertDescription.unsupported_certificate,
        tls.AlertDescription.certificate_unknown,
    }
)
_PATTERN = re.compile(r"\w+Pattern\(pattern=(?:b|\w+\()'([^']*)'\)+")
"""How aioquic's reason spells a name in a certificate: `DNSPattern(pattern=b'example.org')`."""


class _ClientTransport(Transport):
    """The client's end, which can be told the hashes of the leaves to believe."""

    def __init__(
        self, configuration: QuicConfiguration, limits: Limits, now: float, *, hashes: Sequence[bytes], **rest: object
    ) -> None:
        super().__init__(configuration, limits, now, **rest)
        self._hashes = tuple(hashes)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if not self._hashes:
            return
        check = self.tls._client_handle_certificate_verify

        def check_hash(input_buf: Buffer) -> None:
            check(input_buf)
            leaf = self.tls._peer_certificate
            assert leaf is not None
            digest = hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()
            if not any(hmac.compare_digest(digest, known) for known in self._hashes):
                raise tls.AlertBadCertificate("it is not the certificate whose hash is known")
            if not leaf.not_valid_before_utc <= tls.utcnow() <= leaf.not_valid_after_utc:
                raise tls.AlertCertificateExpired("it is not valid now")

        self.tls._client_handle_certificate_verify = check_hash  # type: ignore[method-assign]


class ClientEndpoint(Sessions):
    """A `DatagramEndpoint` of one connection to `address`.

    The server's certificate must be for `server_name` (a host name or an IP address) and lead to one of the authorities
    in `ca` (PEM) or `ca_paths` (OpenSSL's file and folder; with neither: those of the `certifi` package), unless
    `verify` is False. With `hashes` (SHA-256 of the leaf in
    DER) it must be one of those and valid now, and nothing else is checked, as browsers do it for
    `serverCertificateHashes`.

    `session_ticket` is one of an earlier connection to the same server that was checked in the same way. With
    `early_data` streams open before the server answered, if the ticket allows it: what is sent before CONNECTED can be
    replayed by others (RFC 9001 §9.2).
    """

    def __init__(
        self,
        server_name: str,
        address: Address,
        *,
        now: float,
        verify: bool = True,
        ca: bytes | None = None,
        ca_paths: tuple[str | None, str | None] = (None, None),
        hashes: Sequence[bytes] = (),
        alpn: Sequence[str] = ("h3",),
        session_ticket: SessionTicket | None = None,
        early_data: bool = False,
        idle_seconds: float = 30.0,
        handshake_seconds: float = 10.0,
        max_datagram: int = 65_536,
    ) -> None:
        limits = Limits(idle_seconds=idle_seconds, handshake_seconds=handshake_seconds, datagram_queue=max_datagram)
        self.session_ticket: SessionTicket | None = None
        """The newest ticket that this connection got, for the next one."""
        self._early = early_data and session_ticket is not None and bool(session_ticket.max_early_data_size)
        self._address = address
        self._now = now
        self._events: list[Event] = []
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=list(alpn),
            cadata=ca,
            cafile=ca_paths[0],
            capath=ca_paths[1],
            idle_timeout=idle_seconds,
            max_data=limits.connection_window,
            max_stream_data=limits.stream_window,
            max_datagram_frame_size=max_datagram,
            server_name=server_name,
            session_ticket=session_ticket,
            supported_versions=[QuicProtocolVersion.VERSION_1],
            verify_mode=ssl.CERT_REQUIRED if verify and not hashes else ssl.CERT_NONE,
        )
        self._transport = _ClientTransport(
            configuration, limits, now, hashes=hashes, session_ticket_handler=self._remember_ticket
        )
        self._session = Session(CONNECTION, self._transport, limits, self._events, now, quiet=False)

    def _remember_ticket(self, ticket: SessionTicket) -> None:
        self.session_ticket = ticket

    def connect(self, now: float) -> None:
        """Start the handshake: `take` gives its first datagrams."""
        self._now = self._transport.now = now
        self._transport.connect(self._address, now)
        if self._early:
            self._session.open_early()

    # --- datagrams, events and time ------------------------------------------------------------------------------

    def feed(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Datagrams from another address than the server's are ignored (RFC 9000 §9)."""
        self._now = now
        for data, address in datagrams:
            if address == self._address and self._is_reset(data):
                self._session.lost("the server does not know this connection any more")
            else:
                self._session.receive(data, address, now)

    def _is_reset(self, data: bytes) -> bool:
        """Whether a datagram is a stateless reset (RFC 9000 §10.3.1): it ends with a token that the server gave us."""
        if len(data) < 21 or data[0] & 0x80:
            return False
        transport = self._transport
        known = [transport._peer_cid, *transport._peer_cid_available]
        return any(
            cid.stateless_reset_token and hmac.compare_digest(data[-16:], cid.stateless_reset_token) for cid in known
        )

    def poll(self) -> list[Event]:
        happened = [self._in_words(event) for event in self._events]
        self._events.clear()
        self._session.inbox = 0
        return happened

    def _in_words(self, event: Event) -> Event:
        connection, kind, stream, data, number = event
        if kind != Kind.CLOSED or stream != Ending.TRANSPORT:
            return event
        reason = data.decode()
        if number - _ALERT in _CERTIFICATE_ALERTS:
            reason = "the server's certificate is not to be trusted: " + _PATTERN.sub(r"'\1'", reason)
        elif number == _ALERT + tls.AlertDescription.no_application_protocol:
            reason = f"the server does not speak {' or '.join(self._transport.configuration.alpn_protocols or ())}"
        elif number == QuicErrorCode.CONNECTION_REFUSED:
            reason = "the server takes no connections now"
        elif not reason:
            reason = f"QUIC error {number:#x}"
        return connection, kind, stream, reason.encode(), number

    def take(self, now: float) -> list[tuple[bytes, Address]]:
        self._now = now
        return self._session.transmit(now) if self._transport._connect_called else []

    def next_timeout(self) -> float | None:
        """None also when everything is over, goodbyes included: the socket may be closed."""
        if self._session.terminated or not self._transport._connect_called:
            return None
        deadline = self._session.deadline()
        return None if deadline is None else max(deadline, self._now + _LEAST_WAIT)

    def handle_timeouts(self, now: float) -> None:
        self._now = now
        if not self._session.terminated:
            self._session.expire(now)

    # --- the connection ------------------------------------------------------------------------------------------

    def _act(self, connection: int) -> Session | None:
        self._transport.now = self._now
        return self._session if connection == CONNECTION else None

    def ping(self) -> None:
        """Make the server answer, so that neither end takes the connection for idle."""
        if self._session.connected and not self._session.closed:
            self._transport.send_ping(0)

    def moved(self) -> None:
        """Our own address has changed: go on under another connection id (RFC 9000 §9.5), and let the server see."""
        if self._session.connected and not self._session.closed:
            self._transport.change_connection_id()
            self._transport.send_ping(0)
