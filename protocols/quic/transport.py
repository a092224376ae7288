"""aioquic's connection, with what it lacks: receive backpressure, windows and stream limits that rise with use.

aioquic raises a stream's limit when half of it has *arrived*, whether or not anybody read it; nothing would make a fast
peer wait for a slow reader. Here MAX_STREAM_DATA and MAX_DATA are written from what the application took: bytes that
are held back for a paused stream earn no credit, and a peer that goes beyond its credit is in error (RFC 9000 §4.1).

It also tells the server name before it signs, names its worker in connection ids, derives stateless reset tokens, and
is silent: what aioquic would log, its owner learns from events.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aioquic import tls
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    CONNECTION_LIMIT_FRAME_CAPACITY,
    MAX_STREAM_DATA_FRAME_CAPACITY,
    Limit,
    QuicConnection,
    QuicConnectionAdapter,
    QuicConnectionId,
    QuicConnectionState,
)
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicSentPacket
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from chiron.protocols.quic.limits import Limits

_SILENT = QuicConnectionAdapter(logging.Logger("quic", logging.CRITICAL + 1), {"id": ""})

CONNECTION_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate chain, leaf first, and the leaf's private key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes

    @classmethod
    def read(cls, chain: bytes, key: bytes) -> Credentials:
        """From PEM. Raises ValueError: not PEM, no certificate, or a key of another certificate."""
        try:
            certificates = tuple(x509.load_pem_x509_certificates(chain))
            private = serialization.load_pem_private_key(key, password=None)
        except TypeError as error:  # a key that is locked with a password
            raise ValueError(str(error)) from error
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if certificates[0].public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
            raise ValueError("the private key does not belong to the first certificate of the chain")
        return cls(certificates, private)


def reset_token(secret: bytes, connection_id: bytes) -> bytes:
    """The stateless reset token of a connection id (RFC 9000 §10.3.2)."""
    return hmac.digest(secret, b"stateless reset" + connection_id, hashlib.sha256)[:16]


class Window:
    """How far a peer may send: what was read, and `size` bytes more (RFC 9000 §4.1)."""

    __slots__ = ("_ceiling", "_raised", "read", "size")

    def __init__(self, size: int, ceiling: int, now: float) -> None:
        self.size = size
        self.read = 0
        self._ceiling = ceiling
        self._raised = now

    def limit(self, granted: int, now: float, round_trip: float) -> int:
        """The limit to announce. It stays as it is until half of the window is read, so that few frames say it."""
        if self.read + self.size - granted < self.size // 2:
            return granted
        if now - self._raised < 2 * round_trip:
            self.size = min(2 * self.size, self._ceiling)
        self._raised = now
        return max(granted, self.read + self.size)


class Transport(QuicConnection):
    """One end of a connection. `now` must be set before any call, in seconds of the caller's clock."""

    def __init__(self, configuration: QuicConfiguration, limits: Limits, now: float, **rest: Any) -> None:
        super().__init__(configuration=configuration, **rest)
        self.now = now
        self.lost_packets = 0
        self._limits = limits
        self._logger = self._loss._logger = _SILENT
        self._window = Window(limits.connection_window, limits.max_connection_window, now)
        self._windows: dict[int, Window] = {}
        for limit, streams in (
            (self._local_max_streams_bidi, limits.streams_bidi),
            (self._local_max_streams_uni, limits.streams_uni),
        ):
            limit.value = limit.sent = streams
        self._at_once = {id(self._local_max_streams_bidi): limits.streams_bidi}
        self._at_once[id(self._local_max_streams_uni)] = limits.streams_uni
        self._count_losses()

    @property
    def state(self) -> QuicConnectionState:
        return self._state

    def read(self, stream: int, count: int) -> None:
        """The application took `count` bytes of a stream, or wants them no more: the peer may send as many again."""
        self._window.read += count
        window = self._windows.get(stream)
        if window is None:
            window = self._windows[stream] = Window(
                self._limits.stream_window, self._limits.max_stream_window, self.now
            )
        window.read += count

    def forget(self, stream: int) -> None:
        """Nothing more can come on a stream."""
        self._windows.pop(stream, None)

    def unread_at_reset(self, stream: int) -> int:
        """Bytes of a stream that the peer reset which count for the connection, but were never delivered (§4.5)."""
        found = self._streams.get(stream)
        return 0 if found is None else found.receiver.highest_offset - found.receiver.starting_offset()

    def abandon(self) -> None:
        """End without a word: nobody is there to hear it (RFC 9000 §10.3.1)."""
        self._close_event = events.ConnectionTerminated(error_code=0, frame_type=0, reason_phrase="")
        self._close_end()

    def _round_trip(self) -> float:
        return self._loss._rtt_smoothed or self._configuration.initial_rtt

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        if not stream.max_stream_data_local or stream.receiver.is_finished or stream.receiver._final_size is not None:
            return
        window = self._windows.get(stream.stream_id or 0)
        if window is not None:
            granted = stream.max_stream_data_local
            stream.max_stream_data_local = window.limit(granted, self.now, self._round_trip())
        if stream.max_stream_data_local_sent != stream.max_stream_data_local:
            buffer = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
                handler=self._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            buffer.push_uint_var(stream.stream_id or 0)
            buffer.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        data = self._local_max_data
        data.value = self._window.limit(data.value, self.now, self._round_trip())
        if data.value != data.sent:
            self._write_limit(builder, data)
        for limit in (self._local_max_streams_bidi, self._local_max_streams_uni):
            at_once = self._at_once[id(limit)]
            closed = limit.value - at_once
            if 2 * (limit.used - closed) > at_once and at_once < self._limits.max_streams:
                more = min(at_once, self._limits.max_streams - at_once)
                self._at_once[id(limit)] += more
                limit.value += more
            # A few at a time: not before the peer has fewer left than the frame would grant.
            if limit.value != limit.sent and limit.sent - limit.used < limit.value - limit.sent:
                self._write_limit(builder, limit)

    def _write_limit(self, builder: QuicPacketBuilder, limit: Limit) -> None:
        buffer = builder.start_frame(
            limit.frame_type,
            capacity=CONNECTION_LIMIT_FRAME_CAPACITY,
            handler=self._on_connection_limit_delivery,
            handler_args=(limit,),
        )
        buffer.push_uint_var(limit.value)
        limit.sent = limit.value

    def _count_losses(self) -> None:
        lost = self._loss._on_packets_lost

        def count(
            *,
            congestion_event: bool = True,
            now: float,
            packets: Iterable[QuicSentPacket],
            persistent_congestion: bool = False,
            space: QuicPacketSpace,
        ) -> None:
            packets = list(packets)
            if congestion_event:
                self.lost_packets += len(packets)
            lost(
                congestion_event=congestion_event,
                now=now,
                packets=packets,
                persistent_congestion=persistent_congestion,
                space=space,
            )

        self._loss._on_packets_lost = count  # type: ignore[method-assign]


class ServerTransport(Transport):
    """The server's end: it chooses a certificate by the server name, and its connection ids name its worker."""

    def __init__(
        self,
        configuration: QuicConfiguration,
        limits: Limits,
        now: float,
        *,
        worker: int,
        secret: bytes,
        choose: Callable[[str | None], Credentials],
        **rest: Any,
    ) -> None:
        super().__init__(configuration, limits, now, **rest)
        self.server_name = ""
        self._worker = worker
        self._secret = secret
        self._choose = choose
        self._host_cids = [self._new_connection_id(0)]
        self._host_cids[0].was_sent = True
        self.host_cid = self._local_initial_source_connection_id = self._host_cids[0].cid

    def _new_connection_id(self, number: int) -> QuicConnectionId:
        cid = bytes((self._worker,)) + os.urandom(CONNECTION_ID_BYTES - 1)
        return QuicConnectionId(cid, number, reset_token(self._secret, cid))

    def _replenish_connection_ids(self) -> None:
        while len(self._host_cids) < min(8, self._remote_active_connection_id_limit):
            self._host_cids.append(self._new_connection_id(self._host_cid_seq))
            self._host_cid_seq += 1

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        answer = self.tls._server_handle_hello

        def answer_by_name(input_buf: Buffer, initial_buf: Buffer, handshake_buf: Buffer) -> None:
            # aioquic reads the name and drops it, so the hello is read twice.
            name = tls.pull_client_hello(Buffer(data=input_buf.data_slice(0, input_buf.capacity))).server_name
            credentials = self._choose(name)
            self.server_name = name or ""
            self.tls.certificate, *self.tls.certificate_chain = credentials.chain
            self.tls.certificate_private_key = credentials.key  # type: ignore[assignment]
            answer(input_buf, initial_buf, handshake_buf)

        self.tls._server_handle_hello = answer_by_name  # type: ignore[method-assign]
