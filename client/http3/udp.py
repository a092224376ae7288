"""A client's QUIC connection on asyncio: a connected UDP socket, one timer, and a look at whether the peer still lives.

Once there are open requests or sessions, a peer that says nothing for `KEEPALIVE` seconds is asked for a sign of life
(a PING frame, RFC 9000 §19.2). Without one the same is tried from another socket, since a NAT may have forgotten the
first or this machine may have another address by now; the connection moves along (RFC 9000 §9). Then it is lost.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any, cast

from chiron.protocols.quic.client import ClientEndpoint
from chiron.protocols.quic.endpoint import Address, Event, Kind

KEEPALIVE = 10.0
"""Seconds without a datagram."""
ANSWER = 3.0
"""Seconds for the sign of life, before another socket is tried."""
LAST_ANSWER = 5.0
"""Seconds for it on that one."""
REFUSED = 2.0
"""Seconds in which the peer's machine may say that nobody listens: a server that restarts is back by then."""
REBIND_PAUSE = 1.0
"""Seconds between two sockets."""


class _Socket(asyncio.DatagramProtocol):
    """One UDP socket; what comes by a former one still counts, its errors do not."""

    def __init__(self, owner: Udp) -> None:
        self._owner = owner
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._owner.arrived(data)

    def error_received(self, exc: Exception) -> None:
        self._owner.troubled(self, exc)


class Udp:
    """Drives one endpoint. `handle` gets its events, `expire` is called at what `deadline` says.

    `awaited` tells whether anybody waits for the peer, so that its silence matters. `lost` is told in words why there
    is no way to it any more.
    """

    def __init__(
        self,
        endpoint: ClientEndpoint,
        peer: Address,
        *,
        handle: Callable[[list[Event], float], None],
        deadline: Callable[[], float | None],
        expire: Callable[[float], None],
        awaited: Callable[[], bool],
        lost: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._peer = peer
        self._handle, self._deadline, self._expire = handle, deadline, expire
        self._awaited, self._lost = awaited, lost
        self._socket: _Socket | None = None
        self._former: list[_Socket] = []
        self._moving: asyncio.Task[None] | None = None
        self._arrived: list[tuple[bytes, Address]] = []
        self._turning: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opened = False
        self._closed = False
        self._quiet_since = self._loop.time()
        """When the last datagram came, or somebody began to wait."""
        self._asked: float | None = None
        """When a sign of life was asked for."""
        self._moved: float | None = None
        """When another socket was made, since the last datagram."""
        self._refused: float | None = None
        """Since when the peer's machine says that nobody listens."""

    @property
    def local(self) -> tuple[str, int] | None:
        """The address and port of our end."""
        if self._socket is None or self._socket.transport is None:
            return None
        name: tuple[Any, ...] = self._socket.transport.get_extra_info("sockname")
        return name[0], name[1]

    async def open(self) -> None:
        """Raises OSError when there is no way to the peer."""
        self._socket = await self._bind()
        self.wake()

    def wake(self) -> None:
        """Send what was queued, once everybody who runs now has queued theirs."""
        if self._turning is None and not self._closed:
            self._turning = self._loop.call_soon(self._turn)

    async def rebind(self) -> None:
        """Go on from another socket: another port, and another address if this machine has another one now."""
        former, self._socket = self._socket, await self._bind()
        if self._closed:
            self._drop(self._socket)
            return
        self._moved = self._loop.time()
        self._endpoint.moved()
        self.wake()
        if former is not None:
            # What is under way to it may still arrive.
            self._former.append(former)
            self._loop.call_later(REBIND_PAUSE, self._drop, former)

    def close(self) -> None:
        """Send what is left to be said, and be gone."""
        if self._closed:
            return
        if self._socket is not None:
            self._send(self._loop.time())
        self._closed = True
        for handle in (self._turning, self._timer):
            if handle is not None:
                handle.cancel()
        if self._moving is not None:
            self._moving.cancel()
        for socket in [*self._former, self._socket]:
            self._drop(socket)

    # --- called by the socket ----------------------------------------------------------------------------------------

    def arrived(self, data: bytes) -> None:
        self._arrived.append((data, self._peer))
        self.wake()

    def troubled(self, socket: _Socket, error: Exception) -> None:
        if self._closed or socket is not self._socket or not isinstance(error, OSError):
            return
        now = self._loop.time()
        if isinstance(error, ConnectionRefusedError):
            # RFC 9000 §14.2.1 bids care with ICMP, which anybody may forge: once there is a connection it takes more.
            self._refused = self._refused if self._refused is not None else now
            if not self._opened or now - self._refused > REFUSED:
                self._lose(f"nothing listens at UDP port {self._peer[1]} of {self._peer[0]}")
        elif error.errno != errno.EMSGSIZE:
            if not self._opened:
                self._lose(f"there is no way to UDP port {self._peer[1]} of {self._peer[0]}: {error.strerror or error}")
            elif self._moved is None or now - self._moved > REBIND_PAUSE:
                self._move()

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _bind(self) -> _Socket:
        _, socket = await self._loop.create_datagram_endpoint(lambda: _Socket(self), remote_addr=self._peer)
        return socket

    def _move(self) -> None:
        if not self._is_moving:
            self._moving = self._loop.create_task(self._keep_rebinding())

    @property
    def _is_moving(self) -> bool:
        return self._moving is not None and not self._moving.done()

    async def _keep_rebinding(self) -> None:
        """Until there is a network again; how long that may take, QUIC's idle timeout says."""
        while not self._closed:
            try:
                await self.rebind()
            except OSError:
                await asyncio.sleep(REBIND_PAUSE)
            else:
                return

    def _turn(self) -> None:
        self._turning = None
        if self._closed:
            return
        now = self._loop.time()
        if self._arrived:
            self._quiet_since, self._asked, self._moved, self._refused = now, None, None, None
            arrived, self._arrived = self._arrived, []
            self._endpoint.feed(arrived, now)
        timeout = self._endpoint.next_timeout()
        if timeout is not None and timeout <= now:
            self._endpoint.handle_timeouts(now)
        deadline = self._deadline()
        if deadline is not None and deadline <= now:
            self._expire(now)
        self._pulse(now)
        while events := self._endpoint.poll():
            self._tell(events, now)
        if not self._closed:
            self._send(now)
            self._arm(now)

    def _tell(self, events: list[Event], now: float) -> None:
        self._opened = self._opened or any(event[1] == Kind.CONNECTED for event in events)
        self._handle(events, now)

    def _send(self, now: float) -> None:
        socket = self._socket
        if socket is None or socket.transport is None or socket.transport.is_closing():
            return
        for data, _ in self._endpoint.take(now):
            socket.transport.sendto(data)

    def _pulse(self, now: float) -> None:
        if not self._opened or not self._awaited():
            self._quiet_since, self._asked, self._moved = now, None, None
        elif self._is_moving:
            return
        elif self._moved is not None:
            if now >= self._moved + LAST_ANSWER:
                self._lose("it does not answer any more")
        elif self._asked is not None:
            if now >= self._asked + ANSWER:
                self._move()
        elif now >= self._quiet_since + KEEPALIVE:
            self._asked = now
            self._endpoint.ping()

    def _pulse_at(self) -> float | None:
        if not self._opened or not self._awaited() or self._is_moving:
            return None
        if self._moved is not None:
            return self._moved + LAST_ANSWER
        return self._quiet_since + KEEPALIVE if self._asked is None else self._asked + ANSWER

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [at for at in (self._endpoint.next_timeout(), self._deadline(), self._pulse_at()) if at is not None]
        if times:
            # The loop's clock has milliseconds.
            self._timer = self._loop.call_at(max(min(times), now + 0.001), self._turn)

    def _lose(self, reason: str) -> None:
        self.close()
        self._lost(reason)

    def _drop(self, socket: _Socket | None) -> None:
        if socket in self._former:
            self._former.remove(socket)
        if socket is not None and socket.transport is not None:
            socket.transport.close()
