"""WebSocket (RFC 6455): the opening handshake. Frames are read and written by the Rust core."""

from chiron.protocols.websocket.errors import HandshakeError
from chiron.protocols.websocket.handshake import accept_key, asks_for_websocket, negotiate, negotiate_extended

__all__ = ["HandshakeError", "accept_key", "asks_for_websocket", "negotiate", "negotiate_extended"]
