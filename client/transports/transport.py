"""The seam between a link and what carries it: whole messages, both ways."""

from __future__ import annotations

from typing import Literal, Protocol

Name = Literal["webtransport", "websocket", "websocket-h3"]

SUBPROTOCOL = "chiron.v1.json"
PATH = "/v1/realtime"
OPEN_SECONDS = 10.0
"""For one transport to open."""
CLOSE_SECONDS = 2.0
"""For the other end to agree to an end."""


class Ended(Exception):
    """The transport is over. `code` is the close code (docs/protocol.md, "Closing"); 0: it ended without one."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        super().__init__(f"ended with code {code}")


class Transport(Protocol):
    """An open transport. `receive` and `send` may wait at the same time, each in one task."""

    @property
    def name(self) -> Name: ...

    async def receive(self) -> str | bytes:
        """The next message of the server. Raises Ended."""
        ...

    async def send(self, message: bytes) -> None:
        """Send a message; waits while the server takes no more. Raises Ended."""
        ...

    async def network_changed(self) -> None:
        """This machine may have another address now: go on from there, where the transport can. Raises OSError."""
        ...

    async def close(self) -> None:
        """End it, in order where the other end is there."""
        ...
