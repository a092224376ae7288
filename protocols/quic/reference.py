"""The reference engine: a server's endpoint made of aioquic, behind the same seam as the native one.

It is the native engine's twin in tests and the baseline in `bench/`. It speaks QUIC version 1 and does version
negotiation, stateless reset, resumption and early data. It has no Retry, and no routing between workers: a client that
moves is followed as long as the kernel gives its datagrams to the same socket. Sending and receiving on a socket is
its owner's: `feed` and `take`.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from heapq import heappop, heappush

from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_version_negotiation,
)
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import SessionTicket

from chiron.protocols.quic.endpoint import Address, Event, Kind
from chiron.protocols.quic.limits import Limits
from chiron.protocols.quic.session import Session, Sessions
from chiron.protocols.quic.transport import CONNECTION_ID_BYTES, Credentials, ServerTransport, reset_token

_VERSION = int(QuicProtocolVersion.VERSION_1)
_LONG_HEADER = 0x80
_FIXED_BIT = 0x40
_INITIAL = 0xC0
_TICKETS = 10_000
_RESET_BYTES = (21, 42)
"""Least and most bytes of a stateless reset: it looks like any packet (RFC 9000 §10.3)."""
_LEAST_WAIT = 0.001


class ReferenceEndpoint(Sessions):
    """A `ServerEndpoint`. A connection whose handshake fails before OPENED makes no events.

    Session tickets are remembered here instead of sealed, each for one use, so that early data cannot be replayed to
    the same process; `ticket_keys` are not needed, and a ticket is of no use elsewhere or after a restart.
    """

    def __init__(
        self,
        chain: bytes,
        key: bytes,
        *,
        named: tuple[bytes, bytes] | None = None,
        secret: bytes,
        ticket_keys: Sequence[bytes] = (),
        worker: int = 0,
        limits: Limits | None = None,
        now: float,
    ) -> None:
        """PEM chain and key, `named` for clients that name a server. Raises ValueError when they are unfit."""
        self.limits = limits or Limits()
        self._credentials: tuple[Credentials, Credentials]
        self.reload(chain, key, named)
        self._secret = secret
        self._worker = worker
        self._now = now
        self._refusing = False
        self._sessions: dict[int, Session] = {}
        self._routes: dict[bytes, Session] = {}
        self._last = 0
        self._dirty: dict[int, Session] = {}
        self._timers: list[tuple[float, int]] = []
        self._events: list[Event] = []
        self._answers: list[tuple[bytes, Address]] = []
        self._tickets: OrderedDict[bytes, SessionTicket] = OrderedDict()
        self._counts = dict.fromkeys(
            (
                "handshakes",
                "resumed",
                "refused",
                "retries",
                "received_datagrams",
                "sent_datagrams",
                "received_bytes",
                "sent_bytes",
                "lost_packets",
                "moved",
            ),
            0,
        )

    # --- the certificate and tickets -----------------------------------------------------------------------------

    def reload(self, chain: bytes, key: bytes, named: tuple[bytes, bytes] | None) -> None:
        plain = Credentials.read(chain, key)
        self._credentials = plain, Credentials.read(*named) if named else plain

    def set_ticket_keys(self, keys: Sequence[bytes]) -> None:
        """Nothing: tickets are not sealed here."""

    def _choose(self, name: str | None) -> Credentials:
        plain, named = self._credentials
        return named if name else plain

    def _remember_ticket(self, ticket: SessionTicket) -> None:
        self._tickets[ticket.ticket] = ticket
        if len(self._tickets) > _TICKETS:
            self._tickets.popitem(last=False)

    def _recall_ticket(self, label: bytes) -> SessionTicket | None:
        return self._tickets.pop(label, None)

    def refuse(self) -> None:
        self._refusing = True

    # --- datagrams -----------------------------------------------------------------------------------------------

    def feed(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        self._now = now
        for data, address in datagrams:
            self._counts["received_datagrams"] += 1
            self._counts["received_bytes"] += len(data)
            self._receive(data, address)

    def _receive(self, data: bytes, address: Address) -> None:
        header = _invariants(data)
        if header is None:
            return
        version, destination, source = header
        session = self._routes.get(destination)
        if version is not None and version != _VERSION:
            # Answering a Version Negotiation packet, or a small datagram, could be made to go on for ever or to
            # amplify (RFC 9000 §6.1, RFC 8999 §6).
            if version != 0 and len(data) >= SMALLEST_MAX_DATAGRAM_SIZE and session is None:
                packet = encode_quic_version_negotiation(destination, source, [_VERSION])
                self._answers.append((packet, address))
            return
        if session is None:
            session = self._accept(data, address, version, destination, source)
            if session is None:
                return
        session.receive(data, address, self._now)
        if session.blank:
            self._remove(session)
        else:
            self._touch(session)

    def _accept(
        self, data: bytes, address: Address, version: int | None, destination: bytes, source: bytes
    ) -> Session | None:
        if version is None:
            self._answer_unknown(data, address, destination)
            return None
        # RFC 9000 §14.1 and §7.2: what a client sends first is large, and to an id of 8 bytes or more of its choice.
        if data[0] & 0xF0 != _INITIAL or len(data) < SMALLEST_MAX_DATAGRAM_SIZE or len(destination) < 8:
            return None
        if self._refusing or len(self._sessions) >= self.limits.max_connections:
            self._counts["refused"] += 1
            self._answers.append((_refusal(destination, source), address))
            return None
        configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=["h3"],
            connection_id_length=CONNECTION_ID_BYTES,
            idle_timeout=self.limits.idle_seconds,
            max_data=self.limits.connection_window,
            max_stream_data=self.limits.stream_window,
            max_datagram_frame_size=self.limits.datagram_queue,
            supported_versions=[_VERSION],
            certificate=self._credentials[0].chain[0],
            private_key=self._credentials[0].key,
        )
        transport = ServerTransport(
            configuration,
            self.limits,
            self._now,
            worker=self._worker,
            secret=self._secret,
            choose=self._choose,
            original_destination_connection_id=destination,
            session_ticket_fetcher=self._recall_ticket,
            session_ticket_handler=self._remember_ticket,
        )
        self._last += 1
        session = Session(self._last, transport, self.limits, self._events, self._now, quiet=True)
        session.fresh_ids += (destination, transport.host_cid)
        self._sessions[session.number] = session
        self._follow_ids(session)
        return session

    def _answer_unknown(self, data: bytes, address: Address, destination: bytes) -> None:
        """A stateless reset for a connection id of ours that no connection has (RFC 9000 §10.3)."""
        least, most = _RESET_BYTES
        # Always shorter than what it answers, so that two ends cannot go on resetting each other.
        size = min(len(data) - 1, most)
        if size < least or destination[0] != self._worker:
            return
        first = bytes((_FIXED_BIT | os.urandom(1)[0] & 0x3F,))
        token = reset_token(self._secret, destination)
        self._answers.append((first + os.urandom(size - 1 - len(token)) + token, address))

    def _follow_ids(self, session: Session) -> None:
        for cid in session.fresh_ids:
            self._routes.setdefault(cid, session)
            session.connection_ids.add(cid)
        for cid in session.retired_ids:
            self._routes.pop(cid, None)
            session.connection_ids.discard(cid)
        session.fresh_ids.clear()
        session.retired_ids.clear()

    def take(self, now: float) -> list[tuple[bytes, Address]]:
        self._now = now
        out, self._answers = self._answers, []
        dirty, self._dirty = self._dirty, {}
        for session in dirty.values():
            out += session.transmit(now)
            self._settle(session)
        self._counts["sent_datagrams"] += len(out)
        self._counts["sent_bytes"] += sum(len(data) for data, _ in out)
        return out

    def _touch(self, session: Session) -> None:
        self._dirty[session.number] = session

    def _settle(self, session: Session) -> None:
        """After anything that changes a connection's ids, timer, or life."""
        self._follow_ids(session)
        if session.terminated:
            self._remove(session)
            return
        deadline = session.deadline()
        if deadline is not None and (session.armed is None or deadline < session.armed):
            session.armed = deadline
            heappush(self._timers, (deadline, session.number))

    def _remove(self, session: Session) -> None:
        for cid in session.connection_ids:
            if self._routes.get(cid) is session:
                del self._routes[cid]
        self._sessions.pop(session.number, None)
        self._dirty.pop(session.number, None)
        self._counts["handshakes"] += session.connected
        self._counts["resumed"] += session.resumed
        self._counts["lost_packets"] += session.transport.lost_packets
        self._counts["moved"] += session.moves

    # --- events and time -----------------------------------------------------------------------------------------

    def poll(self) -> list[Event]:
        if not self._events:
            return []
        happened = self._events[:]
        self._events.clear()
        for event in happened:
            if event[1] == Kind.DATAGRAM and (session := self._sessions.get(event[0])) is not None:
                session.inbox = 0
        return happened

    def next_timeout(self) -> float | None:
        if not self._timers:
            return None
        return max(self._timers[0][0], self._now + _LEAST_WAIT)

    def handle_timeouts(self, now: float) -> None:
        self._now = now
        while self._timers and self._timers[0][0] <= now:
            deadline, number = heappop(self._timers)
            session = self._sessions.get(number)
            if session is None or session.armed != deadline:
                continue
            session.armed = None
            if (due := session.deadline()) is not None and due <= now:
                session.expire(now)
                self._touch(session)
            else:
                self._settle(session)

    # --- connections ---------------------------------------------------------------------------------------------

    def _act(self, connection: int) -> Session | None:
        """The session of a connection about which something is to be done."""
        session = self._sessions.get(connection)
        if session is not None:
            session.transport.now = self._now
            self._touch(session)
        return session

    def stats(self) -> dict[str, int]:
        counts = dict(self._counts)
        for session in self._sessions.values():
            counts["handshakes"] += session.connected
            counts["resumed"] += session.resumed
            counts["lost_packets"] += session.transport.lost_packets
            counts["moved"] += session.moves
        return {"connections": len(self._sessions), **counts}


def _invariants(data: bytes) -> tuple[int | None, bytes, bytes] | None:
    """(version, destination id, source id) of a packet of any version (RFC 8999 §5); None: it is no packet.

    A packet with a short header has neither version nor source, and its destination is one of ours.
    """
    if not data:
        return None
    if not data[0] & _LONG_HEADER:
        end = 1 + CONNECTION_ID_BYTES
        return (None, data[1:end], b"") if data[0] & _FIXED_BIT and len(data) >= end else None
    if len(data) < 7:
        return None
    at = 6 + data[5]
    if len(data) <= at:
        return None
    end = at + 1 + data[at]
    if len(data) < end:
        return None
    return int.from_bytes(data[1:5], "big"), data[6:at], data[at + 1 : end]


def _refusal(destination: bytes, source: bytes) -> bytes:
    """An Initial packet that closes a connection which was never made (RFC 9000 §5.2.2)."""
    crypto = CryptoPair()
    crypto.setup_initial(cid=destination, is_client=False, version=_VERSION)
    builder = QuicPacketBuilder(
        host_cid=destination,
        is_client=False,
        max_datagram_size=SMALLEST_MAX_DATAGRAM_SIZE,
        peer_cid=source,
        version=_VERSION,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    buffer = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=TRANSPORT_CLOSE_FRAME_CAPACITY)
    buffer.push_uint_var(QuicErrorCode.CONNECTION_REFUSED)
    buffer.push_uint_var(QuicFrameType.PADDING)
    buffer.push_uint_var(0)
    datagrams, _ = builder.flush()
    return datagrams[0]
