"""What a connection is connected to, and what it may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from chiron.protocols import http1, http3, proxy
from chiron.server.ports import Gateway, Links, Proxies


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """Seconds that a transport may take, and what HTTP allows."""

    handshake_seconds: float = 10.0
    """TLS."""
    stall_seconds: float = 20.0
    """Without the peer taking anything that waits for it."""
    linger_seconds: float = 2.0
    """Between our last byte and the peer's."""
    http: http1.Limits = field(default_factory=http1.Limits)
    http3: http3.Limits = field(default_factory=http3.Limits)
    """But for `stall_seconds`, which is the one here."""
    proxy: proxy.Limits = field(default_factory=proxy.Limits)


@dataclass(frozen=True, slots=True)
class WebSocketService:
    """Who gets the connections that become WebSockets.

    In mode `link`, `links` receives wire frames; in mode `message`, `_core.Message` events.
    """

    links: Links
    mode: Literal["link", "message"] = "link"
    subprotocols: Sequence[str] = ("chiron.v1.json",)
    max_message: int = 65_536


@dataclass(frozen=True, slots=True)
class Service:
    """What a connection is connected to."""

    gateway: Gateway
    websocket: WebSocketService | None
    limits: EdgeLimits
    proxies: Proxies | None
