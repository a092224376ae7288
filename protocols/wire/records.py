"""Frames on a stream (docs/protocol.md, WebTransport): each a record, its length as a variable-length integer of QUIC
(RFC 9000 §16) and then so many bytes."""

from __future__ import annotations

from chiron.protocols.quic import varint
from chiron.protocols.wire.errors import RemoteProtocolError


def encode(message: bytes) -> bytes:
    return varint.encode(len(message)) + message


class Decoder:
    """Takes a stream in whatever pieces it comes. `limit`: bytes that a record may have."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """The records that end in this piece. Raises RemoteProtocolError for one over the limit."""
        self._buffer += data
        found: list[bytes] = []
        start = 0
        while (prefix := varint.decode(self._buffer, start)) is not None:
            length, body = prefix
            if length > self._limit:
                raise RemoteProtocolError(f"a record of {length} bytes")
            if body + length > len(self._buffer):
                break
            found.append(bytes(self._buffer[body : body + length]))
            start = body + length
        del self._buffer[:start]
        return found
