"""Capsules (RFC 9297 §3.2): type, length and value, one after the other on a stream."""

from __future__ import annotations

from collections.abc import Mapping

from chiron.protocols.quic import varint
from chiron.protocols.webtransport.errors import CapsuleError

DATAGRAM = 0x00
"""RFC 9297 §3.5."""


def encode(kind: int, value: bytes) -> bytes:
    return varint.encode(kind) + varint.encode(len(value)) + value


class CapsuleReader:
    """Bytes in, (type, value) out, however the bytes are cut.

    `kept` names the types that are wanted, and how long a value may be. All others are skipped as they come, however
    long they are (RFC 9297 §3.2), so no more is held than the longest wanted value.
    """

    def __init__(self, kept: Mapping[int, int]) -> None:
        self._kept = kept
        self._buffer = bytearray()
        self._skip = 0

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        """The capsules that are complete with these bytes. Raises CapsuleError."""
        if self._skip >= len(data):
            self._skip -= len(data)
            return []
        buffer = self._buffer
        buffer += data[self._skip :] if self._skip else data
        self._skip = 0
        capsules: list[tuple[int, bytes]] = []
        start = 0
        while (kind := varint.decode(buffer, start)) and (length := varint.decode(buffer, kind[1])):
            begin = length[1]
            end = begin + length[0]
            limit = self._kept.get(kind[0])
            if limit is None:
                if end > len(buffer):
                    self._skip = end - len(buffer)
                    start = len(buffer)
                    break
            elif length[0] > limit:
                raise CapsuleError(f"a capsule of type {kind[0]:#x} has {length[0]} bytes")
            elif end > len(buffer):
                break
            else:
                capsules.append((kind[0], bytes(buffer[begin:end])))
            start = end
        del buffer[:start]
        return capsules

    def finish(self) -> None:
        """The stream has ended. Raises CapsuleError when that was inside a capsule."""
        if self._skip or self._buffer:
            raise CapsuleError("the stream ends inside a capsule")
