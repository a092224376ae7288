"""HTTP/3 (RFC 9114) on asyncio: requests, and what a realtime link needs.

transport = Http3Transport(Trust.of(ca=Path("ca.pem")))
async with httpx.AsyncClient(transport=transport) as http:
    response = await http.get("https://localhost:8443/healthz")
    assert response.http_version == "HTTP/3"
"""

from chiron.client.http3.connection import Connection
from chiron.client.http3.errors import ConnectionLost, StreamAborted
from chiron.client.http3.opening import connect, resolve
from chiron.client.http3.requests import Http3Transport
from chiron.client.http3.streams import Exchange, Head

__all__ = ["Connection", "ConnectionLost", "Exchange", "Head", "Http3Transport", "StreamAborted", "connect", "resolve"]
