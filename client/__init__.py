"""The asyncio client of Chiron: REST operations and a realtime link that keeps itself open.

A link runs over WebTransport where server and network have it, else over WebSocket (`Link(api, transport=…)` says
otherwise); requests are made over HTTP/1.1, or HTTP/3 with `Api(…, http="3")`.

api = Api("http://127.0.0.1:8080")
await api.log_in("ada@example.org", "…")
conversation = await api.direct("alan@example.org")
async with Link(api) as link:
    channel = f"conv:{conversation['id']}"
    link.attach(channel)
    await link.send(channel, "Hello")
    async for event in link.listen(channel):
        ...
"""

from chiron.client.api import Api
from chiron.client.errors import ClientError, LinkLost, NotReachable, NotTrusted, ServerRefused, SignedOut
from chiron.client.http3 import Http3Transport
from chiron.client.link import Link
from chiron.client.trust import Trust
from chiron.protocols.wire.events import (
    Caught,
    Delivered,
    Forgotten,
    Happened,
    Left,
)

__all__ = [
    "Api",
    "Caught",
    "ClientError",
    "Delivered",
    "Forgotten",
    "Happened",
    "Http3Transport",
    "Left",
    "Link",
    "LinkLost",
    "NotReachable",
    "NotTrusted",
    "ServerRefused",
    "SignedOut",
    "Trust",
]
