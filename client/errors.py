"""What can go wrong for a client, by whose fault."""

from __future__ import annotations

from typing import Any

from chiron.errors import CODES, ChironError


class ClientError(Exception):
    """Base of the client's errors."""


class ServerRefused(ClientError):
    """The server said no, with a code of the error table; `temporary`: the same may succeed later."""

    def __init__(self, code: str, params: dict[str, Any] | None = None, *, temporary: bool = False) -> None:
        self.code = code
        self.params = params or {}
        self.temporary = temporary
        super().__init__(str(ChironError(code, **self.params)) if code in CODES else code)


class NotReachable(ClientError):
    """No answer: nothing listens there, the connection broke, or what answered is not Chiron."""


class LinkLost(ClientError):
    """The link ended before the answer; whether the request was carried out is not known. Publishes never raise it."""


class SignedOut(ClientError):
    """The login has ended; sign in again."""
