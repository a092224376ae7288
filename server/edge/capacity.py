"""How many connections the process has descriptors for, and how many of them one client's network may hold.

At the limit libuv accepts a connection and closes it without a word, so the limit must never be reached: descriptors
are counted here, and what is over is told so.
"""

from __future__ import annotations

import os
from collections import Counter

import structlog

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel may allow fewer."""
HEADROOM = 128
"""Descriptors kept for databases, files and pipes that are opened later."""
REFUSALS = 64
"""Connections over the limit that are answered 503; those beyond are closed at once."""
SHARE = 0.5
"""Of all connections, at most for one network (an IPv4 address or an IPv6 /64): it may be a whole school."""
FALLBACK = 1024
"""Descriptors to count on where the system does not say."""


class Capacity:
    """Decides about each new connection; says once in the log when it is used up, and once when it is not any more."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.share = max(1, int(limit * SHARE))
        self._full = False
        self._held: Counter[str] = Counter()
        self._crowded: set[str] = set()
        self._log = structlog.get_logger("chiron.edge")

    def admits(self, open_connections: int) -> bool:
        """`open_connections`: those that are there without the new one."""
        if open_connections < self.limit:
            if self._full and open_connections < self.limit * 0.9:
                self._full = False
                self._log.info("accepting again", connections=open_connections, limit=self.limit)
            return True
        if not self._full:
            self._full = True
            self._log.warning("connection limit reached: refusing", connections=open_connections, limit=self.limit)
        return False

    def answers(self, open_connections: int) -> bool:
        """Whether a connection that was not admitted can still be told why."""
        return open_connections < self.limit + REFUSALS

    def enter(self, network: str) -> bool:
        """One more connection of a network; whether it is within its share. In any case `leave` follows."""
        self._held[network] += 1
        if self._held[network] <= self.share:
            return True
        if network not in self._crowded:
            self._crowded.add(network)
            self._log.warning("one network has its share of connections: refusing", network=network, share=self.share)
        return False

    def leave(self, network: str) -> None:
        self._held[network] -= 1
        if self._held[network] < self.share * 0.9:
            self._crowded.discard(network)
        if not self._held[network]:
            del self._held[network]


def descriptor_limit() -> int:
    """Connections that fit into the process's descriptors now: the soft limit, less what is open, less the headroom."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return FALLBACK
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    return max(1, soft - _open_descriptors() - HEADROOM - REFUSALS)


def _open_descriptors() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))
        except OSError:
            continue
    return 0
