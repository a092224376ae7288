"""The pipe between supervisor and worker: one JSON message a line, both ways, over a socket pair.

The supervisor sends `Start` first, to a worker that serves any number of `Reload`, and at most one `Drain`. The worker
says `Ready` once it serves, or `Unready` or `Failed` before it exits, and answers each `Reload` with `Reloaded`. The
end of the stream means that the other side is gone.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TypeVar

import msgspec

from chiron.server.config import WorkerConfig, from_path, to_path

LINE_BYTES = 1 << 20


class Start(msgspec.Struct, tag="start", frozen=True):
    config: WorkerConfig


class Reload(msgspec.Struct, tag="reload", frozen=True):
    """Go on with this; what takes a restart is the same as before."""

    number: int
    config: WorkerConfig


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """Finish within `seconds`, then exit 0."""

    seconds: float


class Ready(msgspec.Struct, tag="ready", frozen=True):
    pass


class Reloaded(msgspec.Struct, tag="reloaded", frozen=True):
    """The answer to the `Reload` of that number."""

    number: int
    problem: str = ""
    """Why it goes on as before; empty when it does not."""


class Unready(msgspec.Struct, tag="unready", frozen=True):
    """The worker could not start, and another one may; `reason` is a sentence."""

    reason: str


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """No worker can start before the operator mends something; `message` tells them what, `exit_status` is the
    command's."""

    message: str
    exit_status: int


ToWorker = Start | Reload | Drain
ToSupervisor = Ready | Reloaded | Unready | Failed
TO_WORKER: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker, dec_hook=to_path)
TO_SUPERVISOR: msgspec.json.Decoder[ToSupervisor] = msgspec.json.Decoder(ToSupervisor)
T = TypeVar("T")


class Channel:
    """One end of the pipe."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        return cls(*await asyncio.open_unix_connection(sock=end, limit=LINE_BYTES))

    def send(self, message: ToWorker | ToSupervisor) -> None:
        """Does nothing when the other side is gone."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message, enc_hook=from_path) + b"\n")

    async def receive(self, decoder: msgspec.json.Decoder[T]) -> T | None:
        """The next message; None when the other side is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return decoder.decode(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        self._writer.close()
