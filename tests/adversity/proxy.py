"""A TCP proxy that harms what passes: cut, delay, black hole, each per direction and at an exact byte.

It knows no protocol: to act on one message of a protocol, give `watch` a pattern of bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Self


class Direction(Enum):
    UP = "client to server"
    DOWN = "server to client"


class Fate(Enum):
    """What becomes of the bytes of one direction."""

    PASS = "pass"
    HOLD = "hold"
    """Nothing arrives and nobody is told: a black hole. Held bytes arrive once the fate is PASS again."""
    DROP = "drop"
    """As HOLD, but what came in the meantime is lost for ever."""
    CUT = "cut"
    """Both sides see the connection reset."""


@dataclass(slots=True)
class _Lane:
    fate: Fate = Fate.PASS
    delay: float = 0.0
    pattern: bytes | None = None
    then: Fate = Fate.PASS
    opposite: Fate | None = None
    budget: int | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    triggered: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """Listens on `127.0.0.1:port` (made by `start`) and joins each connection to `host:port_behind`.

    The fate of a direction holds for the connections there are and for those to come.
    """

    def __init__(self, host: str, port_behind: int) -> None:
        self._target = (host, port_behind)
        self._lanes = {direction: _Lane() for direction in Direction}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.accepted = 0

    # --- life ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    # --- harm ------------------------------------------------------------------------------------------------------

    def apply(self, fate: Fate, *directions: Direction, delay: float = 0.0) -> None:
        """Give directions (both, if none is named) a fate, and a delay in seconds for each read. Disarms `watch`."""
        for direction in directions or tuple(Direction):
            lane = self._lanes[direction]
            lane.fate, lane.delay, lane.pattern, lane.budget = fate, delay, None, None
            lane.changed.set()
        if fate is Fate.CUT:
            self.cut()

    def cut(self) -> None:
        """Reset every connection now; later ones live."""
        for writer in list(self._writers):
            writer.transport.abort()

    def cut_after(self, count: int, direction: Direction) -> None:
        """Let `count` more bytes through in a direction, then reset the connection, once."""
        self._lanes[direction].budget = count

    def watch(self, pattern: bytes, direction: Direction, then: Fate, *, opposite: Fate | None = None) -> asyncio.Event:
        """When a read in `direction` contains `pattern`, give the direction the fate `then`, once; set the event.

        The fate applies before the read is passed on, so CUT and DROP keep the pattern from arriving. With `then` PASS
        and `opposite`, the pattern arrives, and what comes back meets `opposite`.
        """
        lane = self._lanes[direction]
        lane.pattern, lane.then, lane.opposite = pattern, then, opposite
        lane.triggered = asyncio.Event()
        return lane.triggered

    # --- pumping ---------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            behind_reader, behind_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, behind_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, behind_writer, Direction.UP, both))
                group.create_task(self._pump(behind_reader, writer, Direction.DOWN, both))
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
        both: set[asyncio.StreamWriter],
    ) -> None:
        lane = self._lanes[direction]
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self._match(lane, direction, data)
                if lane.delay:
                    await asyncio.sleep(lane.delay)
                while lane.fate is Fate.HOLD:
                    lane.changed.clear()
                    await lane.changed.wait()
                if lane.fate is Fate.DROP:
                    continue
                if lane.fate is Fate.CUT:
                    lane.fate = Fate.PASS
                    break
                if lane.budget is not None and len(data) >= lane.budget:
                    writer.write(data[: lane.budget])
                    lane.budget = None
                    await writer.drain()
                    break
                if lane.budget is not None:
                    lane.budget -= len(data)
                writer.write(data)
                await writer.drain()
            else:
                # A clean end of one direction; the other may go on.
                if writer.can_write_eof() and not writer.is_closing():
                    writer.write_eof()
                return
        for end in both:
            end.transport.abort()

    def _match(self, lane: _Lane, direction: Direction, data: bytes) -> None:
        if lane.pattern is None or lane.pattern not in data:
            return
        lane.pattern = None
        lane.fate = lane.then
        if lane.opposite is not None:
            other = Direction.DOWN if direction is Direction.UP else Direction.UP
            self._lanes[other].fate = lane.opposite
        lane.triggered.set()
