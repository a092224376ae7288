"""A client of links that keeps none of the rules: it writes what bytes it is told, cut where it is told."""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

HANDSHAKE = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: chiron.v1.json\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The server has ended the link; `code` is that of its close frame, None when there was none, or none in it."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(f"closed with {code}")


class RawLink:
    """Blocking: for threads. Raises TimeoutError where nothing comes within `seconds`."""

    def __init__(self, port: int, seconds: float) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.sendall(HANDSHAKE)
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._sock.close()

    def write(self, data: bytes, cuts: Sequence[int] = ()) -> None:
        """All of it, in pieces. What the server no longer takes is lost: it has closed, which `hear` will tell."""
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        try:
            for begin, end in itertools.pairwise(edges):
                if begin < end:
                    self._sock.sendall(data[begin:end])
        except (ConnectionResetError, BrokenPipeError):
            pass

    def say(self, **frame: Any) -> None:
        self.write(encoded(TEXT, json.dumps(frame).encode()))

    def finish(self) -> None:
        """Nothing follows."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def hear(self) -> bytes:
        """The next message. Raises Closed."""
        while True:
            opcode, payload = self._frame()
            if opcode in (TEXT, BINARY):
                return payload
            if opcode == CLOSE:
                raise Closed(struct.unpack(">H", payload[:2])[0] if payload else None)

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        assert first & 0xF0 == 0x80, "the server sends whole messages"
        assert second & 0x80 == 0, "the server does not mask (RFC 6455 §5.1)"
        length = second
        if length == 126:
            (length,) = struct.unpack(">H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._take(8))
        return first & 0x0F, self._take(length)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self) -> None:
        try:
            data = self._sock.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(None)
        self._buffer += data


def encoded(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """One frame of a client (RFC 6455 §5.2)."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    mask = os.urandom(4)
    whole = mask * (size // 4 + 1)
    return head + mask + bytes(one ^ other for one, other in zip(payload, whole, strict=False))
