"""Packets that a client's engine would not send, made with its keys."""

from __future__ import annotations

from aioquic.tls import Epoch

from chiron.protocols.quic.transport import Transport
from chiron.protocols.quic.varint import encode

_TYPES = {Epoch.INITIAL: 0, Epoch.ZERO_RTT: 1, Epoch.HANDSHAKE: 2}


def packet(transport: Transport, epoch: Epoch, payload: bytes, *, reserved: bool = False) -> bytes:
    """A packet with this payload, encrypted with the client's keys (RFC 9000 §17)."""
    number = transport._packet_number
    transport._packet_number += 1
    crypto = transport._cryptos[epoch]
    destination = transport._peer_cid.cid
    if epoch is Epoch.ONE_RTT:
        first = 0x40 | crypto.key_phase << 2 | 0x03 | (0x18 if reserved else 0)
        header = bytes((first,)) + destination
    else:
        first = 0xC0 | _TYPES[epoch] << 4 | 0x03 | (0x0C if reserved else 0)
        source = transport.host_cid
        header = bytes((first, 0, 0, 0, 1, len(destination))) + destination + bytes((len(source),)) + source
        if epoch is Epoch.INITIAL:
            header += b"\0"  # no token
        header += (0x4000 | 4 + len(payload) + crypto.aead_tag_size).to_bytes(2, "big")
    return crypto.encrypt_packet(header + number.to_bytes(4, "big"), payload, number)


def frame(kind: int, *fields: int | bytes) -> bytes:
    """A frame: numbers are variable-length integers, bytes are as they are."""
    return encode(kind) + b"".join(field if isinstance(field, bytes) else encode(field) for field in fields)
