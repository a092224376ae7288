"""Listeners and transports: where bytes come in and go out."""

from chiron.server.edge.engine import Engine
from chiron.server.edge.service import EdgeLimits, WebSocketService
from chiron.server.edge.tcp import TcpListener

__all__ = ["EdgeLimits", "Engine", "TcpListener", "WebSocketService"]
