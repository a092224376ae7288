"""A UDP proxy that harms what passes, by chance from a seed: loss, corruption, repetition, delay, other order.

It can also change the address that a client seems to have, as a NAT does that forgot it (`rebind`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from proxy import Direction

Address = tuple[str, int]

_LATE = (0.002, 0.03)
"""Seconds by which a datagram that is to be overtaken is late, from and to."""


@dataclass(frozen=True, slots=True)
class Harm:
    """Probabilities of what happens to one datagram."""

    loss: float = 0.0
    corrupt: float = 0.0
    """One bit of it is flipped."""
    repeat: float = 0.0
    late: float = 0.0
    """Others overtake it."""
    delay: float = 0.0
    """Seconds that every datagram takes."""


class DatagramProxy:
    """Listens on `127.0.0.1:port` and passes datagrams on to `host:port_behind`, from one socket for each client."""

    def __init__(self, host: str, port_behind: int, *, seed: int = 0) -> None:
        self._target = (host, port_behind)
        self._rng = random.Random(seed)
        self._harm: dict[Direction, Harm] = {direction: Harm() for direction in Direction}
        self._cut: set[Direction] = set()
        self._front = _bound()
        self._behind: dict[Address, socket.socket] = {}
        self._later: set[asyncio.TimerHandle] = set()
        self.passed: Counter[Direction] = Counter()
        """Datagrams, before any harm."""
        self.bytes: Counter[Direction] = Counter()

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._front, self._read_front)
        return self

    async def __aexit__(self, *_: object) -> None:
        for handle in self._later:
            handle.cancel()
        self.rebind()
        self._close(self._front)

    @property
    def port(self) -> int:
        port: int = self._front.getsockname()[1]
        return port

    def harm(self, harm: Harm, *directions: Direction) -> None:
        """From now on; without directions, both."""
        for direction in directions or tuple(Direction):
            self._harm[direction] = harm

    def block(self, *directions: Direction) -> None:
        """Nothing passes; without directions, neither way."""
        self._cut.update(directions or tuple(Direction))

    def unblock(self) -> None:
        self._cut.clear()

    def rebind(self) -> None:
        """Every client comes from another port from now on; what is sent to the old one is lost."""
        for sock in self._behind.values():
            self._close(sock)
        self._behind.clear()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _read_front(self) -> None:
        for data, client in _read(self._front):
            self._pass(Direction.UP, data, partial(self._to_server, client=client))

    def _read_behind(self, sock: socket.socket, client: Address) -> None:
        for data, _ in _read(sock):
            self._pass(Direction.DOWN, data, partial(self._to_client, client=client))

    def _to_server(self, data: bytes, client: Address) -> None:
        sock = self._behind.get(client)
        if sock is None:
            sock = self._behind[client] = _bound()
            asyncio.get_running_loop().add_reader(sock, self._read_behind, sock, client)
        with contextlib.suppress(OSError):  # nobody there, or no room: lost, as datagrams may be
            sock.sendto(data, self._target)

    def _to_client(self, data: bytes, client: Address) -> None:
        with contextlib.suppress(OSError):
            self._front.sendto(data, client)

    def _pass(self, direction: Direction, data: bytes, send: Callable[[bytes], None]) -> None:
        self.passed[direction] += 1
        self.bytes[direction] += len(data)
        harm, rng = self._harm[direction], self._rng
        if direction in self._cut or rng.random() < harm.loss:
            return
        if rng.random() < harm.corrupt:
            data = _flipped(data, rng.randrange(8 * len(data)))
        for _ in range(1 + (rng.random() < harm.repeat)):
            delay = harm.delay + (rng.uniform(*_LATE) if rng.random() < harm.late else 0.0)
            if delay:
                self._postpone(delay, partial(send, data))
            else:
                send(data)

    def _postpone(self, delay: float, send: Callable[[], None]) -> None:
        def due() -> None:
            self._later.discard(handle)
            send()

        handle = asyncio.get_running_loop().call_later(delay, due)
        self._later.add(handle)

    @staticmethod
    def _close(sock: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(sock)
        sock.close()


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock


def _read(sock: socket.socket) -> list[tuple[bytes, Address]]:
    found: list[tuple[bytes, Address]] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            try:
                found.append(sock.recvfrom(65_536))
            except ConnectionRefusedError:  # of what was sent before: the server is not there now
                continue
    return found


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
