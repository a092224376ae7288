"""What the connections of one loop share: the hub, the receive buffer, the flush and the timers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

import structlog

from chiron._core import Hub, Wheel
from chiron.protocols.quic.endpoint import Endpoint
from chiron.server.platform.timers import TICK, Timer, Timers

FLUSH_BATCH = 64
"""Connections whose bytes one call into the hub makes."""
FLUSH_SECONDS = 0.002
"""After so long the flush lets the loop read before it goes on."""


class Due(Enum):
    """What a connection's timers are for: one of each at most."""

    HANDSHAKE = auto()
    """The peer must have finished the TLS handshake."""
    HTTP = auto()
    """The deadline of `http1.Connection`."""
    STALL = auto()
    """The peer must have taken some of what waits for it."""
    ENDING = auto()
    """The peer must be gone."""


@dataclass(slots=True)
class Work:
    """What one kind of call into the hub has done and taken."""

    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0


class Abortable(Protocol):
    def abort(self) -> None: ...


class Peer(Abortable, Protocol):
    """A connection or link, as the engine sees it. `received` and `write` never raise."""

    def received(self, events: Sequence[Any]) -> None: ...
    def write(self, data: bytes, last: bool) -> None: ...
    def end(self, code: int, reason: str) -> None: ...
    def expired(self, due: Due, now: float) -> None: ...


class Routed(Protocol):
    """A link whose bytes the hub gives to an endpoint itself. Neither raises."""

    def stalled(self) -> None:
        """The stream wants no more until it is writable."""

    def moved(self) -> None:
        """A datagram found no room: the path may be another."""


class Wakeable(Protocol):
    def wake(self) -> None: ...


class Engine:
    """`ports.LinkTransport` over a hub, on whatever loop `start` is called in.

    Bytes leave in one place: whoever queues something calls `wake`, the first call of a turn schedules the flush, and
    the flush writes to each connection once with everything that it may send now.
    """

    def __init__(
        self,
        hub: Hub,
        receive_buffer: bytearray,
        *,
        on_poisoned: Callable[[BaseException], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`receive_buffer` is the one that `hub` was made with.

        `on_poisoned` is told of a panic in the extension, after which nothing here works any more: the process should
        be replaced. `clock`, in seconds, tells how long work took, and so when a flush lets the loop read.
        """
        self.hub = hub
        self.receive_buffer = receive_buffer
        self.peers: dict[int, Peer] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self.poisoned = False
        self.feeds = Work()
        self.flushes = Work()
        self.links: Counter[str] = Counter()
        """That are open, by transport: `plain`, `tls`, `webtransport` or `websocket-h3`."""
        self.closes: Counter[int] = Counter()
        """Links that ended, by WebSocket close code: of whoever sent the first, 1006 where nobody did."""
        self.frames = 0
        """That links were sent by their clients."""
        self.routed: dict[int, Routed] = {}
        """By link that has a route in the hub."""
        self.sockets: dict[Endpoint, Wakeable] = {}
        """Whom to wake once the hub gave something to an endpoint."""
        self.flushed: list[Callable[[], None]] = []
        """Called at the end of each flush, for those whose bytes leave together. Must not raise."""
        self._on_poisoned = on_poisoned
        self._clock = clock
        self._flush_scheduled = False
        self._log = structlog.get_logger("chiron.edge")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: Timers | None = None
        self._timer: Mapping[Due, Timer] = {}

    def start(self) -> None:
        """Belong to the running loop from now on. Repeating it does nothing."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            timers = self._timers = Timers(Wheel(self._loop.time(), tick=TICK), self._loop)
            self._timer = {due: timers.kind(partial(self._expired, due)) for due in Due}
            if self._flush_scheduled:
                self._loop.call_soon(self._flush)

    def stop(self) -> None:
        if self._timers is not None:
            self._timers.stop()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "the engine has not been started"
        return self._loop

    @property
    def timers(self) -> Timers:
        """Those of the whole worker: one wheel and one handle serve whoever needs timers on this loop."""
        assert self._timers is not None, "the engine has not been started"
        return self._timers

    def now(self) -> float:
        return self.loop.time()

    def feed(self, connection: int, size: int, now: float) -> list[Any]:
        """`Hub.feed`, counted."""
        work = self.feeds
        began = self._clock()
        events = self.hub.feed(connection, size, now)
        work.seconds += self._clock() - began
        work.calls += 1
        work.bytes += size
        return events

    def feed_link(self, link: int, data: bytes, now: float) -> list[Any]:
        """`Hub.feed_link`, counted."""
        work = self.feeds
        began = self._clock()
        events = self.hub.feed_link(link, data, now)
        work.seconds += self._clock() - began
        work.calls += 1
        work.bytes += len(data)
        return events

    # --- timers of connections ---------------------------------------------------------------------------------------

    def set_timer(self, connection: int, due: Due, deadline: float) -> None:
        """`Peer.expired` is called at or after `deadline`, in seconds of the loop's clock."""
        self._timer[due].set(connection, deadline)

    def cancel_timer(self, connection: int, due: Due) -> None:
        self._timer[due].cancel(connection)

    def cancel_timers(self, connection: int) -> None:
        for timer in self._timer.values():
            timer.cancel(connection)

    # --- ports.LinkTransport -----------------------------------------------------------------------------------------

    def received(self, link: int, events: Sequence[Any]) -> None:
        peer = self.peers.get(link)
        if peer is not None:
            peer.received(events)

    def wake(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            if self._loop is not None:
                self._loop.call_soon(self._flush)

    @property
    def flushes_soon(self) -> bool:
        """A flush was asked for and is still to come."""
        return self._flush_scheduled

    def end(self, link: int, code: int, reason: str) -> None:
        peer = self.peers.get(link)
        if peer is not None:
            peer.end(code, reason)

    # --- inside ------------------------------------------------------------------------------------------------------

    def failed(self, error: BaseException, peer: Abortable | None = None) -> None:
        """Something raised that must not: end what it concerns. Raises again what is nobody's to handle."""
        if _is_panic(error):
            if not self.poisoned:
                self.poisoned = True
                self._log.critical("poisoned", exc_info=error)
                for each in list(self.peers.values()):
                    each.abort()
                if self._on_poisoned is not None:
                    self._on_poisoned(error)
        elif isinstance(error, Exception):
            self._log.error("connection failed", exc_info=error)
            if peer is not None:
                peer.abort()
        else:
            raise error

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self.poisoned:
            return
        self._flush_hub()
        for flushed in tuple(self.flushed):
            flushed()

    def _flush_hub(self) -> None:
        hub, work = self.hub, self.flushes
        began = self._clock()
        sent = 0
        try:
            if not hub.dirty:
                return
            while hub.dirty:
                for connection, data, last in hub.flush(FLUSH_BATCH, self.now()):
                    sent += len(data)
                    peer = self.peers.get(connection)
                    if peer is not None:
                        peer.write(data, last)
                if self.routed:
                    sent += self._take_routed()
                if self._clock() - began > FLUSH_SECONDS:
                    self.wake()
                    break
        except BaseException as error:
            self.failed(error)
        work.seconds += self._clock() - began
        work.calls += 1
        work.bytes += sent

    def _take_routed(self) -> int:
        """Bytes of what the hub gave to endpoints. A datagram that found no room is lost, as datagrams may be."""
        sent, endpoints, full, lost = self.hub.take_routed()
        for socket in filter(None, map(self.sockets.get, endpoints)):
            socket.wake()
        # Some may be gone: their last bytes were written meanwhile.
        for stalled in filter(None, map(self.routed.get, full)):
            stalled.stalled()
        for moved in filter(None, map(self.routed.get, lost)):
            moved.moved()
        return sent

    def _expired(self, due: Due, connection: int) -> None:
        peer = self.peers.get(connection)
        if peer is not None:
            peer.expired(due, self.now())


def _is_panic(error: BaseException) -> bool:
    """PyO3 raises a Rust panic as a BaseException of a module that cannot be imported."""
    return type(error).__name__ == "PanicException" and type(error).__module__ == "pyo3_runtime"
