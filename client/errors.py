"""What can go wrong for a client, by whose fault."""

from __future__ import annotations

from typing import Any

from chiron.errors import CODES, Action, ChironError


class ClientError(Exception):
    """Base of the client's errors."""


class ServerRefused(ClientError):
    """The server said no, with a code of the error table (docs/protocol.md, "Errors").

    `temporary`: the same may succeed later, after `retry_after` seconds where the server named them.
    """

    def __init__(
        self,
        code: str,
        params: dict[str, Any] | None = None,
        *,
        temporary: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        row = CODES.get(code)
        self.code = code
        self.params = params or {}
        self.temporary = temporary if temporary is not None else row is not None and row.temporary
        self.retry_after = retry_after
        self.action: Action = row.action if row is not None else "stop"
        super().__init__(str(ChironError(code, **self.params)) if row is not None else f"The server refuses: {code}.")


class NotReachable(ClientError):
    """No answer: nothing listens there, the connection broke, or what answered is not Chiron."""


class NotTrusted(NotReachable):
    """Who answers cannot show that it is the server: its certificate is not trusted, or not one of those pinned."""

    def __init__(self, place: str, why: str) -> None:
        self.why = why
        super().__init__(f"the certificate of {place} is not trusted: {why}")


class HandshakeRefused(NotReachable):
    """The server answered, but will not open a realtime connection: `status` is the HTTP status of its answer."""

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class LinkLost(ClientError):
    """The link ended before the answer; whether the request was carried out is not known.

    A publish raises it only when the link was left (or cannot go on) before the ack.
    """


class SignedOut(ClientError):
    """The login has ended; sign in again."""
