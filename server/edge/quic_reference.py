"""The reference engine on a socket: a system call for each datagram, in the order in which they come and go."""

from __future__ import annotations

import errno
import socket
from collections import deque
from typing import Any

from chiron.protocols.quic.endpoint import Address
from chiron.protocols.quic.reference import ReferenceEndpoint

BATCH = 64
"""Datagrams that one call of `receive` reads at most."""
DATAGRAM_BYTES = 65_536

_BROKEN = frozenset({errno.EBADF, errno.ENOTSOCK, errno.EINVAL})
"""What no other datagram would fare better with."""


class ReferenceOnSocket(ReferenceEndpoint):
    """`protocols.quic.endpoint.Endpoint` on a non-blocking UDP socket, whose descriptor it is called with."""

    def __init__(self, sock: socket.socket, *credentials: bytes, **options: Any) -> None:
        """What follows `sock` is the reference engine's."""
        super().__init__(*credentials, **options)
        self._sock = sock
        self._unsent: deque[tuple[bytes, Address]] = deque()

    def receive(self, descriptor: int, now: float) -> bool:
        datagrams: list[tuple[bytes, Address]] = []
        for _ in range(BATCH):
            try:
                data, address = self._sock.recvfrom(DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError as error:  # of what was sent to somebody who is not there any more
                if error.errno in _BROKEN:
                    raise
                continue
            datagrams.append((data, (address[0], address[1])))
        if datagrams:
            self.feed(datagrams, now)
        return len(datagrams) == BATCH

    def flush(self, descriptor: int, now: float) -> bool:
        unsent = self._unsent
        unsent.extend(self.take(now))
        while unsent:
            try:
                self._sock.sendto(*unsent[0])
            except BlockingIOError:
                return False
            except OSError as error:  # no way to this peer: lost, as datagrams may be
                if error.errno in _BROKEN:
                    raise
            unsent.popleft()
        return True
