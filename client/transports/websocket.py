"""WebSocket on HTTP/1.1 (RFC 6455), over TCP."""

from __future__ import annotations

import ssl

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from chiron.client.errors import HandshakeRefused, NotReachable, NotTrusted
from chiron.client.transports.transport import CLOSE_SECONDS, OPEN_SECONDS, PATH, SUBPROTOCOL, Ended, Name
from chiron.client.trust import distrust


class WebSocket:
    """One open WebSocket."""

    name: Name = "websocket"

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, origin: str, tls: ssl.SSLContext | None) -> WebSocket:
        """Raises NotReachable, HandshakeRefused, NotTrusted."""
        try:
            return cls(
                await connect(
                    f"ws{origin.removeprefix('http')}{PATH}",
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    compression=None,
                    ssl=tls,
                    open_timeout=OPEN_SECONDS,
                    close_timeout=CLOSE_SECONDS,
                    ping_interval=None,
                    max_size=None,
                    proxy=None,
                )
            )
        except InvalidStatus as error:
            retry_after = error.response.headers.get("retry-after", "")
            raise HandshakeRefused(
                f"{origin} has no realtime here: {error}",
                error.response.status_code,
                float(retry_after) if retry_after.isdecimal() else None,
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise NotTrusted(origin, distrust(error) or "") from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise NotReachable(f"{origin} does not answer: {str(error) or type(error).__name__}") from error

    async def receive(self) -> str | bytes:
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise Ended(error.rcvd.code if error.rcvd else 0) from error

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send(message, text=True)
        except ConnectionClosed as error:
            raise Ended(error.rcvd.code if error.rcvd else 0) from error

    async def network_changed(self) -> None:
        """TCP stays where it is; whether that still works, silence tells."""

    async def close(self) -> None:
        await self._socket.close()
