"""How an HTTP/3 connection, or one stream of it, ends before its time."""

from __future__ import annotations

from chiron.client.errors import NotReachable

REQUEST_REJECTED = 0x10B
"""H3_REQUEST_REJECTED (RFC 9114 §8.1): the server did nothing of it."""
REQUEST_CANCELLED = 0x10C
"""H3_REQUEST_CANCELLED (RFC 9114 §8.1)."""


class ConnectionLost(NotReachable):
    """The connection is over. `unused`: the server did nothing of what was asked last (RFC 9114 §5.2)."""

    def __init__(self, message: str, *, unused: bool = False) -> None:
        self.unused = unused
        super().__init__(message)


class StreamAborted(NotReachable):
    """One request was given up, by the server or for what it sent, with the error code `code` (RFC 9114 §8.1)."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the request was cancelled, with code {code:#x}")
