"""Many clients of an edge in a process of their own: `python crowd.py PORT COUNT KIND`.

Each prints to standard output, and continues with the next line of standard input:
  `ready`   every client has its WebSocket; every third of kind `mixed` has one that it will never read
  `heard`   every client that reads has read one frame
  `done`    every client has left, each in its own way
"""

from __future__ import annotations

import resource
import socket
import ssl
import struct
import sys

HANDSHAKE = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: chiron.v1.json\r\n\r\n"
)
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
RESET = struct.pack("ii", 1, 0)


def connect(port: int, context: ssl.SSLContext | None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    if context is not None:
        sock = context.wrap_socket(sock, suppress_ragged_eofs=True)
    sock.sendall(HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return sock


def read_frame(sock: socket.socket) -> None:
    first, length = sock.recv(2)
    assert first & 0x80
    if length == 126:
        (length,) = struct.unpack(">H", sock.recv(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", sock.recv(8))
    while length:
        length -= len(sock.recv(length))


def leave(sock: socket.socket, way: int) -> None:
    """Close frame and all, FIN alone, or reset."""
    if way == 0:
        sock.sendall(CLOSE)
        while sock.recv(65_536):
            pass
    elif way == 1:
        sock.shutdown(socket.SHUT_WR)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def main() -> None:
    port, count, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context: ssl.SSLContext | None = None
    if kind == "tls":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    clients = [connect(port, context) for _ in range(count)]
    deaf = set(range(0, count, 3)) if kind == "mixed" else set()
    print("ready", flush=True)
    sys.stdin.readline()
    for n, client in enumerate(clients):
        if n not in deaf:
            read_frame(client)
    print("heard", flush=True)
    sys.stdin.readline()
    for n, client in enumerate(clients):
        leave(client, 2 if n in deaf else n % 2)
    print("done", flush=True)


if __name__ == "__main__":
    main()
