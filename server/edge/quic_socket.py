"""What drives a QUIC endpoint: it reads, sends, and keeps the one timer of a UDP socket.

Datagrams leave together: whoever queues something calls `wake`, and at the end of the engine's flush the endpoint sends
what all connections may send now. What reading alone has brought about, as most acknowledgements do, leaves behind it
without waiting for that.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from chiron.protocols.quic.endpoint import Endpoint, Event
from chiron.server.edge.engine import Engine

RECEIVES = 4
"""Batches that one turn of the loop reads at most: the others have a turn too."""
GRANULARITY = 0.001
"""Seconds: uvloop rounds what it is asked for to milliseconds, so a timer of less would spin the loop."""

_log = structlog.get_logger("chiron.edge")


class QuicSocket:
    """One endpoint on one bound socket, which is closed with it.

    Times are those of `time.monotonic`, which is the loop's clock too, but not cached for a whole turn: round trips
    are measured with it.
    """

    def __init__(
        self,
        engine: Engine,
        sock: socket.socket,
        endpoint: Endpoint,
        handle: Callable[[QuicSocket, Event, float], None],
        broken: Callable[[QuicSocket], None],
    ) -> None:
        """`handle` is called for each event and must not raise; `broken` once, when the socket can be used no more."""
        self.endpoint = endpoint
        self._engine = engine
        self._sock = sock
        self._descriptor = sock.fileno()
        self._handle = handle
        self._broken = broken
        self._dirty = False
        self._blocked = False
        self._closed = False
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0
        """Of the loop's clock. uvloop's handles do not all say when: one that is due at once has no timer."""

    def start(self) -> None:
        self._sock.setblocking(False)
        self._engine.loop.add_reader(self._descriptor, self._readable)
        self._engine.flushed.append(self._flush)
        self._engine.sockets[self.endpoint] = self

    def wake(self) -> None:
        """Something was queued: have it sent at the end of this turn of the loop. Cheap to repeat."""
        if not self._dirty:
            self._dirty = True
            self._engine.wake()

    def close(self) -> None:
        """Send what waits, and close the socket. What the peers of open connections send reaches nobody."""
        if self._closed:
            return
        if not self._engine.poisoned:
            with suppress(OSError):
                self.endpoint.flush(self._descriptor, time.monotonic())
        self._closed = True
        loop = self._engine.loop
        loop.remove_reader(self._descriptor)
        loop.remove_writer(self._descriptor)
        self._engine.flushed.remove(self._flush)
        del self._engine.sockets[self.endpoint]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sock.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        endpoint = self.endpoint
        if self._engine.poisoned:
            self._broken(self)
            return
        self._dirty = True
        try:
            for _ in range(RECEIVES):
                now = time.monotonic()
                more = endpoint.receive(self._descriptor, now)
                self._dispatch(now)
                if not more or self._closed:
                    break
        except BaseException as error:
            self._fail(error)
        self._leave()

    def _writable(self) -> None:
        self._engine.loop.remove_writer(self._descriptor)
        self._blocked = False
        self._dirty = True
        self._flush()

    def _flush(self) -> None:
        if not self._dirty or self._blocked or self._closed or self._engine.poisoned:
            return
        self._dirty = False
        now = time.monotonic()
        try:
            if not self.endpoint.flush(self._descriptor, now):
                self._blocked = True
                self._engine.loop.add_writer(self._descriptor, self._writable)
            self._dispatch(now)
            self._arm()
        except BaseException as error:
            self._fail(error)

    def _dispatch(self, now: float) -> None:
        while events := self.endpoint.poll():
            for event in events:
                self._handle(self, event, now)

    def _arm(self) -> None:
        """One timer, lazily: one that is set for earlier finds out by itself that it is too early."""
        due = self.endpoint.next_timeout()
        if due is None or self._closed:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        loop = self._engine.loop
        self._timer_due = max(due, loop.time() + GRANULARITY)
        self._timer = loop.call_at(self._timer_due, self._expired)

    def _expired(self) -> None:
        self._timer = None
        self._dirty = True
        now = time.monotonic()
        try:
            self.endpoint.handle_timeouts(now)
            self._dispatch(now)
        except BaseException as error:
            self._fail(error)
        self._leave()

    def _leave(self) -> None:
        """Send now, unless the flush does: then more leaves together."""
        if not self._engine.flushes_soon:
            self._flush()

    def _fail(self, error: BaseException) -> None:
        """An error of the socket or of the endpoint is one of all its connections."""
        if isinstance(error, OSError):
            _log.error("UDP socket failed: HTTP/3 is not served any more", error=str(error))
            self._broken(self)
        else:
            self._engine.failed(error)
            if self._engine.poisoned:
                self._broken(self)
