"""UDP in memory, on a loop whose clock jumps: what `create_datagram_endpoint` makes there reaches each other."""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Callable
from typing import Any

from virtual_time import VirtualLoop

Address = tuple[str, int]

LATENCY = 0.02
"""Seconds that a datagram takes."""


class _Transport(asyncio.DatagramTransport):
    def __init__(
        self, network: VirtualNetwork, protocol: asyncio.DatagramProtocol, local: Address, remote: Address | None
    ) -> None:
        super().__init__({"sockname": local})
        self.protocol = protocol
        self.local = local
        self._network = network
        self._remote = remote
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        assert not self._closing
        to = addr or self._remote
        assert to is not None
        self._network.carry(self, bytes(data), to)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._network.bound.pop(self.local, None)
            self._network.call_soon(self.protocol.connection_lost, None)


class VirtualNetwork(VirtualLoop):
    """`host` is the address of sockets that are bound to none."""

    def __init__(self) -> None:
        super().__init__()
        self.host = "10.0.0.1"
        self.bound: dict[Address, _Transport] = {}
        self.sent: list[tuple[float, Address, Address]] = []
        """When, from where and to where."""
        self.swallowed: set[Address] = set()
        """Whatever comes from there, or goes there, is lost."""
        self.down = False
        """There is no network: sending fails."""
        self._ports = itertools.count(50_001)

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[_Transport, asyncio.DatagramProtocol]:
        if remote_addr is not None and self.down:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        host, port = local_addr or (self.host, 0)
        local = host, port or next(self._ports)
        protocol = protocol_factory()
        transport = self.bound[local] = _Transport(self, protocol, local, remote_addr)
        protocol.connection_made(transport)
        return transport, protocol

    def carry(self, source: _Transport, data: bytes, to: Address) -> None:
        if self.down:
            error = OSError(errno.ENETUNREACH, "Network is unreachable")
            self.call_soon(source.protocol.error_received, error)
            return
        self.sent.append((self.time(), source.local, to))
        if not {source.local, to} & self.swallowed:
            self.call_later(LATENCY, self._deliver, source, data, to)

    def _deliver(self, source: _Transport, data: bytes, to: Address) -> None:
        target = self.bound.get(to)
        if target is not None:
            target.protocol.datagram_received(data, source.local)
        elif not source.is_closing():
            source.protocol.error_received(ConnectionRefusedError())
