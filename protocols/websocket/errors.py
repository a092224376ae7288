"""Why a handshake was refused."""

from __future__ import annotations

from typing import Any

from chiron import errors


class HandshakeError(errors.Refused):
    """The peer's request cannot open a WebSocket. `headers` belong into the answer."""

    def __init__(self, code: str, *, headers: tuple[tuple[str, str], ...] = (), **params: Any) -> None:
        super().__init__(code, **params)
        self.headers = headers
