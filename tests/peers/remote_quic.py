"""A server of another process on a `Path`: what goes to it goes through sockets of this machine, and time is real."""

from __future__ import annotations

import select
import socket

from chiron.protocols.quic.endpoint import Address, Event, Kind

TICK = 0.005
"""Seconds that the path's clock goes on while so many pass without a datagram."""


class Remote:
    """In place of the server's endpoint. Each client gets a socket, and so a port, of its own.

    What the server saw is not known here, but for CONNECTED, which is told of a client's first datagram.
    """

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._sockets: dict[Address, socket.socket] = {}
        self._events: list[Event] = []
        self._now = 0.0

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()

    def feed(self, datagrams: list[tuple[bytes, Address]], now: float) -> None:
        self._now = now
        for data, source in datagrams:
            if source not in self._sockets:
                sock = self._sockets[source] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.setblocking(False)
                sock.connect(self._to)
                self._events.append((len(self._sockets), Kind.CONNECTED, 0, b"", 0))
            self._sockets[source].send(data)

    def take(self, now: float) -> list[tuple[bytes, Address]]:
        self._now = now
        taken = []
        for source, sock in self._sockets.items():
            try:
                while True:
                    taken.append((sock.recv(65_536), source))
            except BlockingIOError:
                pass
        return taken

    def poll(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float:
        return self._now + TICK

    def handle_timeouts(self, now: float) -> None:
        self._now = now
        select.select(list(self._sockets.values()), [], [], TICK)
