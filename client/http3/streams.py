"""What goes both ways on one stream, for tasks that wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from chiron.client.errors import NotReachable
from chiron.client.http3.errors import REQUEST_CANCELLED

HIGH_WATER = 262_144
"""Bytes that wait to be read, above which the peer has to wait."""
LOW_WATER = 65_536


class Incoming:
    """Bytes that came and were not read yet; `pause` and `resume` tell the connection."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause, self._resume = pause, resume
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._news = asyncio.Event()
        self._failure: NotReachable | None = None
        self.ended = False

    def put(self, data: bytes, end: bool) -> None:
        if data:
            self._chunks.append(data)
            self._size += len(data)
        self.ended = self.ended or end
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()
        self._news.set()

    def fail(self, failure: NotReachable) -> None:
        """What came before is still read."""
        if not self.ended and self._failure is None:
            self._failure = failure
            self._news.set()

    async def read(self) -> bytes:
        """What came since the last call, once there is something; empty: the end. Raises NotReachable."""
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self.ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._resume()
        return data


class Outgoing:
    """Bytes on their way; `send` says False when it takes no more until `writable`."""

    def __init__(self, send: Callable[[bytes, bool], bool]) -> None:
        self._send = send
        self._free = asyncio.Event()
        self._free.set()
        self._failure: NotReachable | None = None

    async def write(self, data: bytes, end: bool = False) -> None:
        """Queue bytes; waits while the peer takes no more. Raises NotReachable."""
        await self._free.wait()
        if self._failure is not None:
            raise self._failure
        if not self._send(data, end):
            self._free.clear()

    def writable(self) -> None:
        self._free.set()

    def fail(self, failure: NotReachable) -> None:
        self._failure = self._failure or failure
        self._free.set()


class Exchange:
    """One request and its response. `cancel` gives both up."""

    def __init__(self, id: int, incoming: Incoming, outgoing: Outgoing, abandon: Callable[[int, int], None]) -> None:
        self.id = id
        self.incoming = incoming
        self.outgoing = outgoing
        self._abandon = abandon
        self._head: asyncio.Future[Head] = asyncio.get_running_loop().create_future()

    async def response(self) -> Head:
        """Status and header fields. Raises NotReachable."""
        return await asyncio.shield(self._head)

    async def read(self) -> bytes:
        """More of the body; empty: the end. Raises NotReachable."""
        return await self.incoming.read()

    async def write(self, data: bytes, end: bool = False) -> None:
        """More of the request's body. Raises NotReachable."""
        await self.outgoing.write(data, end)

    def cancel(self, code: int = REQUEST_CANCELLED) -> None:
        self._abandon(self.id, code)

    # --- called by the connection ------------------------------------------------------------------------------------

    def answered(self, head: Head, end: bool) -> None:
        if not self._head.done():
            self._head.set_result(head)
        self.incoming.put(b"", end)

    def fail(self, failure: NotReachable) -> None:
        if not self._head.done():
            self._head.set_exception(failure)
            self._head.exception()  # whoever stopped waiting has not "never retrieved" it
        self.incoming.fail(failure)
        self.outgoing.fail(failure)


class Head:
    """Status and header fields of a response."""

    __slots__ = ("fields", "status")

    def __init__(self, status: int, fields: list[tuple[str, str]]) -> None:
        self.status = status
        self.fields = fields

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.fields if key == name), default)

    @property
    def retry_after(self) -> float | None:
        """Seconds (RFC 9110 §10.2.3); a date there is of no use to us."""
        value = self.get("retry-after")
        return float(value) if value.isdecimal() else None
