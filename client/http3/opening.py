"""From a name to an HTTP/3 connection: every address that the name has, the first that answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from chiron.client import race
from chiron.client.errors import NotReachable
from chiron.client.http3.connection import Connection
from chiron.client.trust import Trust
from chiron.protocols.quic.endpoint import Address

ADDRESS_HEAD_START = 0.25
"""Seconds that one address is tried alone (RFC 8305 §5)."""


async def resolve(host: str, port: int) -> list[Address]:
    """Numeric addresses, as the machine prefers them. Raises NotReachable."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise NotReachable(f"there is no address for {host}: {getattr(error, 'strerror', None) or error}") from error
    return list(dict.fromkeys((str(address[0]), int(address[1])) for *_, address in found))


async def connect(host: str, addresses: list[Address], trust: Trust, *, seconds: float) -> Connection:
    """The first of `addresses` that answers within so many seconds. Raises NotReachable, NotTrusted."""
    ways: list[Callable[[], Awaitable[Connection]]] = [partial(_open, host, address, trust) for address in addresses]
    try:
        async with asyncio.timeout(seconds):
            return await race.first(ways, head_start=ADDRESS_HEAD_START, discard=_discard)
    except TimeoutError:
        raise NotReachable(f"nothing answers at UDP port {addresses[0][1]} of {host} within {seconds:g} s") from None


async def _open(host: str, address: Address, trust: Trust) -> Connection:
    connection = Connection(host, address, trust)
    await connection.open()
    return connection


async def _discard(connection: Connection) -> None:
    connection.close()
