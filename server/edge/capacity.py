"""How many connections the process has descriptors for.

At the limit libuv accepts a connection and closes it without a word, so the limit must never be reached: descriptors
are counted here, and what is over is told so.
"""

from __future__ import annotations

import os

import structlog

HEADROOM = 128
"""Descriptors kept for databases, files and pipes that are opened later."""
REFUSALS = 64
"""Connections over the limit that are answered 503; those beyond are closed at once."""
FALLBACK = 1024
"""Descriptors to count on where the system does not say."""


class Capacity:
    """Decides about each new connection; says once in the log when it is used up, and once when it is not any more."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._full = False
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
